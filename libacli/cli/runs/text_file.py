"""A text in a file that a command is given."""

from __future__ import annotations

from pathlib import Path

from libacli.errors import UsageError

_MOST_CHARACTERS = 32 << 20
"""Speech of a month; a device has no end."""


def text_of(file: Path, encoding: str = "utf-8", *, other_encoding: str = "") -> str:
    """What is in it. Raises UsageError when it cannot be read, is not in that encoding, or is too large.

    `other_encoding` tells how to have it read in another one.
    """
    try:
        with file.open(encoding=encoding) as opened:
            text = opened.read(_MOST_CHARACTERS + 1)
    except (OSError, UnicodeDecodeError) as error:
        name = "UTF-8" if encoding == "utf-8" else encoding
        reason = getattr(error, "strerror", None) or f"not {name}"
        is_read = isinstance(error, UnicodeDecodeError)
        hint = other_encoding if is_read and other_encoding else f"it must be a text file in {name}"
        raise UsageError(f"cannot read {file}: {reason}", hint=hint) from error
    if len(text) > _MOST_CHARACTERS:
        raise UsageError(
            f"cannot read {file}: it has more than {_MOST_CHARACTERS >> 20} million characters",
            hint="divide it into several files",
        )
    return text
