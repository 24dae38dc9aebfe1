"""What `liba demo --record` writes: the sound that was heard, or picture and sound."""

from __future__ import annotations

import asyncio
import os
import wave
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path

from libacli.cli.output import output
from libacli.core.audio import BYTES_PER_SAMPLE, SAMPLE_RATE
from libacli.edges.livekit.background import in_background
from libacli.edges.viewer.listener import AudioCapture
from libacli.edges.viewer.recorder import Recorder
from libacli.edges.viewer.seat import Seat
from libacli.errors import FileError
from libacli.private_files import check_replaceable, replace_file


def check_recording(path: Path | None) -> None:
    """Raises FileError when nothing can be written at `path`, or a link is there."""
    if path:
        with _writing(path):
            path.parent.stat()
            check_replaceable(path)


@asynccontextmanager
async def recorded(
    seat: Seat, path: Path | None, *, tail_s: float
) -> AsyncIterator[Callable[[AudioCapture], None]]:
    """Records what is said meanwhile to `path`, and says so; nothing when there is none. Raises FileError.

    A WAV holds the sound that is given to what this yields, if there is any; `.mp4` is the room, until
    `tail_s` seconds after the context, or until it is ended early.
    """
    if path is None:
        yield _leave
        return
    if path.suffix.lower() == ".mp4":
        async with in_background(Recorder(seat.room, path).run()):
            yield _leave
            await asyncio.sleep(tail_s)
        output.status(f"recorded what was heard: {path}")
    else:
        yield partial(_keep, path)


def _leave(sound: AudioCapture) -> None:
    """Nothing is to be written of it."""


def _keep(path: Path, sound: AudioCapture) -> None:
    if sound.pcm:
        _write_wav(path, sound)
        output.status(f"recorded what was heard: {path}")


def _write_wav(path: Path, sound: AudioCapture) -> None:
    with _writing(path), os.fdopen(replace_file(path), "wb") as raw, wave.open(raw) as file:
        file.setnchannels(1)
        file.setsampwidth(BYTES_PER_SAMPLE)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(bytes(sound.pcm))


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FileError(
            f"cannot write {path}: {error.strerror}", hint="choose another place: --record"
        ) from error
