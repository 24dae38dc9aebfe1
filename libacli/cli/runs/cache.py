"""Runs `liba cache show` and `liba cache clear`, and finds the folder for `liba cache warm`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from libacli.cli.output import output
from libacli.config import Settings
from libacli.edges.voices.cache_files import clear, sounds_path, usage
from libacli.errors import ConfigError

_MB = 1_000_000
_T = TypeVar("_T")


def show_cache(settings: Settings, *, as_json: bool) -> None:
    """Prints how much is kept, and where. Raises ConfigError."""
    found = in_cache(usage)
    if as_json:
        members = {"folder": str(sounds_path()), "sounds": found.sounds, "bytes": found.bytes}
        output.json(members | {"most_bytes": settings.voice_cache_mb * _MB})
        return
    output.result(f"folder  {sounds_path()}")
    output.result(f"sounds  {found.sounds}")
    output.result(f"size    {found.bytes / _MB:.1f} of {settings.voice_cache_mb} MB")
    if not settings.voice_cache_mb:
        output.status("voice.cache_mb is 0: nothing is kept on disk, and nothing said from there")


def clear_cache(*, as_json: bool) -> None:
    """Removes what is kept, and prints how much that was. Raises ConfigError."""
    found = in_cache(clear)
    if as_json:
        output.json({"cleared": found.sounds, "bytes": found.bytes})
    else:
        output.result(f"cleared {lines_in_words(found.sounds)}, {found.bytes / _MB:.1f} MB")


def in_cache(use: Callable[[Path], _T]) -> _T:
    """What `use` makes of the folder of the cache. Raises ConfigError when it cannot be used."""
    try:
        return use(sounds_path())
    except OSError as error:
        raise ConfigError(
            f"cannot use {sounds_path()}: {error.strerror or error}", hint="it must be a folder of this user"
        ) from error


def lines_in_words(count: int) -> str:
    """`1 line`, `2 lines`."""
    return f"{count} line{'' if count == 1 else 's'}"
