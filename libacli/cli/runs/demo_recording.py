"""What `liba demo --record` writes: the sound that was heard, or picture and sound."""

from __future__ import annotations

import asyncio
import os
import wave
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from libacli.cli.output import output
from libacli.core.audio import BYTES_PER_SAMPLE, SAMPLE_RATE
from libacli.edges.livekit.background import in_background
from libacli.edges.viewer.recorder import Recorder
from libacli.edges.viewer.seat import Seat
from libacli.errors import LibaError
from libacli.private_files import check_replaceable, replace_file


def check_recording(path: Path | None) -> None:
    """Raises LibaError when what is at `path` is not to be replaced by a recording: a link, for instance."""
    if path:
        with _writing(path):
            check_replaceable(path)


@asynccontextmanager
async def recorded(seat: Seat, path: Path | None, *, tail_s: float) -> AsyncIterator[None]:
    """Records what is said meanwhile to `path`, and says so; nothing when there is none. Raises LibaError.

    WAV holds the last utterance alone; `.mp4` is the room, until `tail_s` seconds after the context.
    """
    if path is None:
        yield
        return
    if path.suffix.lower() == ".mp4":
        async with in_background(Recorder(seat.room, path).run()):
            yield
            await asyncio.sleep(tail_s)
    else:
        yield
        _write_wav(path, bytes(seat.listener.capture.pcm))
    output.status(f"recorded what was heard: {path}")


def _write_wav(path: Path, pcm: bytes) -> None:
    with _writing(path), os.fdopen(replace_file(path), "wb") as raw, wave.open(raw) as file:
        file.setnchannels(1)
        file.setsampwidth(BYTES_PER_SAMPLE)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(pcm)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise LibaError(
            f"cannot write {path}: {error.strerror}", hint="choose another place: --record"
        ) from error
