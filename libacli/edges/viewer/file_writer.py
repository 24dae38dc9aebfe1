"""Writes a recording on a thread of its own, so that neither the room nor its sound waits for the encoder."""

from __future__ import annotations

import shutil
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

from libacli.core.audio import duration_s
from libacli.edges.viewer.media_file import MediaFile, Picture
from libacli.errors import FileError, LibaError

_MB = 1_000_000
_PICTURES_LIMIT = 32 * _MB
"""Pictures that wait for the encoder: a second of 720p. More are left out."""

_SOUND_LIMIT = 32 * _MB
"""Sound that waits: eleven minutes. Only a disk that hangs makes it wait so long."""

_LEAST_FREE_BYTES = 32 * _MB
"""A recording ends when the disk has less: its index must fit in too."""


def check_space(path: Path, least_free_bytes: int = _LEAST_FREE_BYTES) -> None:
    """Raises FileError when the disk has no room for a recording at `path`, or is not there."""
    try:
        free = shutil.disk_usage(path.parent).free
    except OSError as error:
        raise FileError(f"cannot write {path}: {error.strerror}", hint="choose another place") from error
    if free < least_free_bytes:
        raise FileError(f"the disk of {path} is nearly full", hint="make room, or choose another place")


class FileWriter:
    """Makes a file of what it is given. `sound` and `picture` never wait; they are for one thread.

    The file begins with the first thing to put into it; before that there is none.
    """

    def __init__(
        self,
        path: Path,
        kind: Callable[[Path], MediaFile],
        *,
        least_free_bytes: int = _LEAST_FREE_BYTES,
    ) -> None:
        """`kind` begins the file at `path`: `Mp4File` or `WavFile`. `least_free_bytes` 0: on no disk."""
        self.sound_s = 0.0
        """Seconds of sound that are in the file."""

        self.frames = 0
        """Pictures that are in the file."""

        self.dropped = 0
        """Pictures that were left out because the encoder was behind."""

        self.size = (0, 0)
        """Width and height of the pictures in the file."""

        self.error: LibaError | None = None
        """Why nothing more is written."""

        self._path = path
        self._kind = kind
        self._least_free_bytes = least_free_bytes
        self._jobs: deque[bytes | tuple[Picture, float]] = deque()
        self._waiting_sound = 0
        self._waiting_pictures = 0
        self._closing = False
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None

    def start(self, on_end: Callable[[], None]) -> None:
        """Begins to work; `on_end` is called, on another thread, when the file is as complete as it gets."""
        # A daemon: whoever asks twice to be let go need not wait for the encoder.
        self._thread = threading.Thread(target=self._work, args=(on_end,), name="liba-recorder", daemon=True)
        self._thread.start()

    def sound(self, pcm: bytes) -> None:
        """More sound: 24 kHz mono s16le, without a gap since the last call."""
        with self._wake:
            if self._waiting_sound > _SOUND_LIMIT:
                self.error = self.error or FileError(f"{self._path} takes no sound: its disk hangs")
                return
            self._waiting_sound += len(pcm)
            self._jobs.append(pcm)
            self._wake.notify()

    def picture(self, picture: Picture, at_s: float) -> bool:
        """The picture that is seen from `at_s` on; False when it was left out, the encoder being behind."""
        size = len(picture.i420)
        with self._wake:
            if self._waiting_pictures and self._waiting_pictures + size > _PICTURES_LIMIT:
                self.dropped += 1
                return False
            self._waiting_pictures += size
            self._jobs.append((picture, at_s))
            self._wake.notify()
        return True

    def close(self) -> None:
        """Nothing more comes: the file is completed, which `on_end` tells."""
        with self._wake:
            self._closing = True
            self._wake.notify()

    def join(self, timeout_s: float) -> bool:
        """Waits for the thread; False when it still works."""
        if self._thread:
            self._thread.join(timeout_s)
            return not self._thread.is_alive()
        return True

    def _work(self, on_end: Callable[[], None]) -> None:
        file: MediaFile | None = None
        try:
            while self.error is None and (job := self._next()) is not None:
                file = file or self._open()
                self._write(file, job)
        except Exception as error:  # whatever ends this thread must be known to who waits for it
            self.error = _known(error, self._path)
        try:
            if file:
                file.close()
        except Exception as error:
            self.error = self.error or _known(error, self._path)
        finally:
            on_end()

    def _next(self) -> bytes | tuple[Picture, float] | None:
        with self._wake:
            while not self._jobs:
                if self._closing:
                    return None
                self._wake.wait()
            job = self._jobs.popleft()
            if isinstance(job, bytes):
                self._waiting_sound -= len(job)
            else:
                self._waiting_pictures -= len(job[0].i420)
            return job

    def _open(self) -> MediaFile:
        self._check_space()
        return self._kind(self._path)

    def _check_space(self) -> None:
        if self._least_free_bytes:
            check_space(self._path, self._least_free_bytes)

    def _write(self, file: MediaFile, job: bytes | tuple[Picture, float]) -> None:
        if isinstance(job, bytes):
            self._check_space()
            file.sound(job)
            self.sound_s += duration_s(len(job))
            return
        file.picture(*job)
        self.size = file.size
        self.frames += 1


def _known(error: Exception, path: Path) -> LibaError:
    if isinstance(error, LibaError):
        return error
    known = LibaError(f"cannot write {path}: {str(error) or type(error).__name__}")
    known.__cause__ = error
    return known
