"""Sounds on disk: what was said once need not be paid again, nor waited for, after the next start either."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import secrets
import stat
import time
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_path

from libacli.core.byte_lru import LARGEST_SHARE
from libacli.edges.voices.sound_file import DamagedError, SoundFile, file_bytes, write_sound
from libacli.errors import VoiceTruncatedError
from libacli.private_files import locked, new_private_file, own_file, private_folder
from libacli.speech.sound_store import keyed_digest

logger = logging.getLogger("liba.voice")

_NAME = re.compile(r"[0-9a-f]{40}\.pcm|\.[0-9a-f]{16}\.part")
_PART_AGE_NS = 3600 * 10**9
"""A file is written in milliseconds: a part so old was left behind by a crash."""

_KEY_BYTES = 32
_LOCK_TIMEOUT_S = 2.0


def sounds_path() -> Path:
    """Where this user's sounds are kept."""
    return user_cache_path("liba") / "voice"


@dataclass(frozen=True)
class Usage:
    """How much is kept."""

    sounds: int
    bytes: int


class SoundFiles:
    """Keeps sounds as files of `folder`, `most_bytes` bytes of them together. Implements `SoundStore`.

    Folder and files are this user's alone (0700, 0600); a file's name is a digest with the key that lies
    beside it. Several processes may use it at once. Making one makes the folder and reads the key: it belongs
    before a loop, or into a thread. Raises OSError when the folder cannot be used. A disk that is full or
    fails afterwards costs what would be kept, never speech, and is said once.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self.most_bytes = most_bytes // LARGEST_SHARE
        self.failure: OSError | None = None
        """Why what was put last is not kept; None: it is."""

        self._folder = private_folder(folder)
        self._most_together = most_bytes
        self._key = _key_of(folder)
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="voice-cache")
        self._is_closed = False

    def holds(self, name: bytes) -> bool:
        with suppress(OSError):
            return stat.S_ISREG(self._path_of(name).lstat().st_mode)
        return False

    def put(self, name: bytes, pcm: bytes) -> None:
        if len(pcm) <= self.most_bytes and not self._is_closed:
            self._writer.submit(self._write, self._path_of(name), pcm)

    async def pieces(self, name: bytes) -> AsyncGenerator[bytes, None]:
        if not self.holds(name):  # which is told without a thread
            return
        sound, has_begun = SoundFile(self._path_of(name), self._key), False
        try:
            while block := await asyncio.to_thread(sound.next_block):
                has_begun = True
                yield block
        except (DamagedError, OSError) as error:
            if has_begun:
                raise VoiceTruncatedError("the sound that was kept of it is damaged") from error
        finally:
            await asyncio.to_thread(sound.close)

    async def aclose(self) -> None:
        self._is_closed = True
        await asyncio.to_thread(self._writer.shutdown)

    async def flush(self) -> None:
        """Waits until all that was put is written, or is known not to be: see `failure`."""
        await asyncio.wrap_future(self._writer.submit(lambda: None))

    def _path_of(self, name: bytes) -> Path:
        return self._folder / f"{keyed_digest(name, self._key).hex()}.pcm"

    def _write(self, path: Path, pcm: bytes) -> None:
        try:
            private_folder(self._folder)  # somebody may have cleared the whole cache away
            self._make_room(file_bytes(len(pcm)))
            write_sound(path, pcm, self._key)
        except OSError as error:
            if self.failure is None:
                logger.warning("what is said is not kept on disk: %s", error.strerror or error)
            self.failure = error
        else:
            self.failure = None

    def _make_room(self, size: int) -> None:
        """Removes what nobody wanted for longest, until so much more fits."""
        found = sorted(_entries(self._folder), key=lambda entry: entry.wanted_ns)
        excess = sum(entry.size for entry in found) + size - self._most_together
        for entry in found:
            if entry.is_left_behind or (excess > 0 and not entry.is_part):
                entry.path.unlink(missing_ok=True)
                excess -= entry.size


def usage(folder: Path) -> Usage:
    """What is kept in `folder`, which need not be there. Raises OSError."""
    return _usage_of(_entries_if_any(folder))


def clear(folder: Path) -> Usage:
    """Removes all sounds of `folder`, and tells what was there. Raises OSError."""
    found = _entries_if_any(folder)
    for entry in found:
        entry.path.unlink(missing_ok=True)
    return _usage_of(found)


@dataclass(frozen=True)
class _Entry:
    """A sound, or a part of one that is being written."""

    path: Path
    size: int
    wanted_ns: int
    """When it was wanted last."""

    @property
    def is_part(self) -> bool:
        return self.path.suffix == ".part"

    @property
    def is_left_behind(self) -> bool:
        return self.is_part and self.wanted_ns < time.time_ns() - _PART_AGE_NS


def _entries(folder: Path) -> list[_Entry]:
    """What is ours by its name; whatever else may lie there is nobody's business."""
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if _NAME.fullmatch(entry.name):
                with suppress(FileNotFoundError):  # another process has removed it
                    status = entry.stat(follow_symlinks=False)
                    found.append(_Entry(Path(entry.path), status.st_size, status.st_mtime_ns))
    return found


def _entries_if_any(folder: Path) -> list[_Entry]:
    return _entries(private_folder(folder)) if folder.exists() else []


def _usage_of(entries: list[_Entry]) -> Usage:
    sounds = [entry for entry in entries if not entry.is_part]
    return Usage(len(sounds), sum(entry.size for entry in sounds))


def _key_of(folder: Path) -> bytes:
    """The key of `folder`, which is made where there is none, or none that is one. Raises OSError."""
    path = folder / "key"
    with locked(folder / "key.lock", timeout_s=_LOCK_TIMEOUT_S):
        if (key := _read_key(path)) is None:
            key = secrets.token_bytes(_KEY_BYTES)
            part = folder / "key.part"
            part.unlink(missing_ok=True)
            with os.fdopen(new_private_file(part), "wb") as file:
                file.write(key)
            part.replace(path)
    return key


def _read_key(path: Path) -> bytes | None:
    """The key in the file, if nobody else can have written or read it."""
    try:
        with os.fdopen(own_file(path), "rb") as file:
            key = file.read(_KEY_BYTES + 1)
    except OSError:
        return None
    return key if len(key) == _KEY_BYTES else None
