"""A text in a file that a command is given."""

from __future__ import annotations

from pathlib import Path

from libacli.errors import UsageError


def text_of(file: Path, encoding: str = "utf-8") -> str:
    """What is in it. Raises UsageError when it cannot be read, or is not in that encoding."""
    try:
        return file.read_text(encoding=encoding)
    except (OSError, UnicodeDecodeError) as error:
        name = "UTF-8" if encoding == "utf-8" else encoding
        reason = getattr(error, "strerror", None) or f"not {name}"
        raise UsageError(f"cannot read {file}: {reason}", hint=f"it must be a text file in {name}") from error
