"""Which files of settings the user has trusted: by path and content, so that a changed one asks anew."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

from libacli.config_files import read_file
from libacli.errors import ConfigError
from libacli.private_files import new_private_file, private_folder


class TrustedFiles:
    """A note of them in `path`, which need not be there yet; 0600."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __contains__(self, file: tuple[Path, bytes]) -> bool:
        """Whether a file, given with its content, is trusted. Raises ConfigError where the note is spoilt."""
        path, content = file
        return self._read().get(_place(path)) == _digest(content)

    def add(self, file: Path, content: bytes) -> None:
        """Trusts `file` for as long as this is its content. Raises ConfigError when that cannot be noted."""
        self._change(lambda trusted: trusted | {_place(file): _digest(content)})

    def remove(self, file: Path) -> bool:
        """Trusts `file` no more; whether it did. Raises ConfigError when that cannot be noted."""
        was_there = _place(file) in self._read()
        if was_there:
            place = _place(file)
            self._change(lambda trusted: {name: digest for name, digest in trusted.items() if name != place})
        return was_there

    def _read(self) -> dict[str, str]:
        if not self._path.exists():
            return {}
        try:
            trusted = json.loads(read_file(self._path))
        except ValueError as error:
            raise self._spoilt() from error
        if not isinstance(trusted, dict):
            raise self._spoilt()
        return trusted

    def _change(self, change: Callable[[dict[str, str]], dict[str, str]]) -> None:
        part = self._path.with_name(f".{self._path.name}-{os.getpid()}")
        changed = json.dumps(change(self._read()), indent=2)
        try:
            private_folder(self._path.parent)
            part.unlink(missing_ok=True)
            with os.fdopen(new_private_file(part), "w") as file:
                file.write(changed)
            part.replace(self._path)
        except OSError as error:
            raise ConfigError(f"cannot write {self._path}: {error.strerror}") from error

    def _spoilt(self) -> ConfigError:
        return ConfigError(
            f"{self._path} is not as liba writes it", hint="remove it, and trust your folders anew"
        )


def user_trusted_files() -> TrustedFiles:
    """Those of this user."""
    from platformdirs import user_state_path

    return TrustedFiles(user_state_path("liba") / "trusted.json")


def _place(file: Path) -> str:
    """Its own name in the real folder: what a link points to is known by its content."""
    return str(file.parent.resolve() / file.name)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
