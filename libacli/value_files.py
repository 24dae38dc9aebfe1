"""Values that lie in files of their own, as orchestrators mount secrets: `NAME_FILE` names the file."""

from __future__ import annotations

import os
import stat

from libacli.errors import ConfigError

SUFFIX = "_FILE"
_MOST_BYTES = 64 << 10
"""What a child process can be handed as one variable is twice as long."""


def read_value(variable: str, path: str) -> str:
    """The text of the file that `variable` names, without the newlines at its end.

    No pipe is waited for. Raises ConfigError that names both and repeats nothing of the content.
    """
    try:
        content = _content(path)
        value = content.decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError:
        raise _error(variable, path, "is not a text file in UTF-8") from None  # which would quote it
    except (OSError, ValueError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise _error(variable, path, f"cannot be read: {why}") from error
    if len(content) > _MOST_BYTES:
        raise _error(variable, path, f"has more than {_MOST_BYTES >> 10} KB")
    if not value:
        raise _error(variable, path, "is empty")
    return value


def _content(path: str) -> bytes:
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("it is no file")
        return file.read(_MOST_BYTES + 1)


def _error(variable: str, path: str, what: str) -> ConfigError:
    told = f"{variable} names {path}, which {what}"
    return ConfigError(told, hint="it must be a file with the value alone, which this user may read")
