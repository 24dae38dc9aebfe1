"""Whether a recording can be made at a place; loads nothing, so that this is told at once."""

from __future__ import annotations

import tempfile
from pathlib import Path

from libacli.errors import LibaError, UsageError
from libacli.private_files import check_replaceable


def check_recording_place(path: Path, *, audio_only: bool, force: bool) -> None:
    """Raises UsageError or LibaError when nothing can be recorded to `path`."""
    wanted = ".wav" if audio_only else ".mp4"
    if path.suffix.lower() != wanted:
        other = "" if audio_only else "; --audio-only makes a .wav"
        raise UsageError(f"{path} must end in {wanted}", hint=f"for example: out{wanted}{other}")
    _check_place(path, force=force)


def check_captions_place(path: Path, *, force: bool) -> None:
    """The same for the captions that are written beside it."""
    _check_place(path, force=force)


def _check_place(path: Path, *, force: bool) -> None:
    if path.is_dir():
        raise UsageError(f"{path} is a folder", hint="name a file in it")
    if path.exists() and not force:
        raise UsageError(f"{path} is there already", hint="overwrite it with --force, or choose another name")
    try:
        check_replaceable(path)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
        if path.exists():
            with path.open("ab"):
                pass
    except OSError as error:
        raise LibaError(f"cannot write {path}: {error.strerror}", hint="choose another place") from error
