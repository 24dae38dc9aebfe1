"""A text in a file that a command is given."""

from __future__ import annotations

from pathlib import Path

from libacli.errors import UsageError


def text_of(file: Path) -> str:
    """What is in it. Raises UsageError when it cannot be read, or is not UTF-8."""
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        raise UsageError(f"cannot read {file}: {reason}", hint="it must be a text file in UTF-8") from error
