"""One sound on disk: written at once or not at all, and read in blocks that are known to be whole.

First `liba`, a version and the length of the sound in bytes; then blocks of PCM, each followed by a code
(BLAKE2b with a key, https://www.rfc-editor.org/rfc/rfc7693) of the block, its number, the length of the whole
and the file's name. What is not whole, not in its place, or not written with that key is found before it is
played. Nothing in it is text.
"""

from __future__ import annotations

import hashlib
import math
import os
import secrets
from contextlib import suppress
from hmac import compare_digest
from pathlib import Path
from threading import Lock
from typing import IO

from libacli.private_files import new_private_file, own_file

BLOCK_BYTES = 64 * 1024
"""1.4 s of sound, read and looked through in a fraction of a millisecond."""

_MAGIC = b"liba\x00\x00\x00\x01"
_NUMBER_BYTES = 8
_HEAD_BYTES = len(_MAGIC) + _NUMBER_BYTES
_CODE_BYTES = 16


def file_bytes(length: int) -> int:
    """Size of the file of a sound of `length` bytes."""
    return _HEAD_BYTES + length + math.ceil(length / BLOCK_BYTES) * _CODE_BYTES


class DamagedError(Exception):
    """It is not what was written there, or somebody else has written it. It has been removed."""


def write_sound(path: Path, pcm: bytes, key: bytes) -> None:
    """Keeps `pcm` at `path`, in the place of what was there. Raises OSError."""
    part = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with os.fdopen(new_private_file(part), "wb") as file:
            file.write(_MAGIC + len(pcm).to_bytes(_NUMBER_BYTES, "big"))
            for number, start in enumerate(range(0, len(pcm), BLOCK_BYTES)):
                block = pcm[start : start + BLOCK_BYTES]
                file.write(block + _code(block, number, len(pcm), path, key))
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


class SoundFile:
    """A sound to be read, which counts as wanted when it is. For any thread; who has made it closes it."""

    def __init__(self, path: Path, key: bytes) -> None:
        self._path = path
        self._key = key
        self._file: IO[bytes] | None = None
        self._length = 0
        self._number = 0
        self._lock = Lock()
        self._is_closed = False

    def next_block(self) -> bytes:
        """The next `BLOCK_BYTES` of the sound, or what is left of it; none at its end, or when it is closed.

        Raises DamagedError, and OSError: FileNotFoundError where there is none.
        """
        with self._lock:
            if self._is_closed:
                return b""
            if self._file is None:
                self._file = self._open()
                self._length = self._read_length(self._file)
            return self._read_block(self._file)

    def close(self) -> None:
        """Waits for a block that is being read. Safe to call twice."""
        with self._lock:
            self._is_closed = True
            if self._file:
                self._file.close()

    def _open(self) -> IO[bytes]:
        try:
            return os.fdopen(own_file(self._path), "rb")
        except PermissionError as error:
            raise self._damaged() from error

    def _read_length(self, file: IO[bytes]) -> int:
        head = file.read(_HEAD_BYTES)
        length = int.from_bytes(head[len(_MAGIC) :], "big")
        size = os.fstat(file.fileno()).st_size
        if not head.startswith(_MAGIC) or not length or size != file_bytes(length):
            raise self._damaged()
        with suppress(OSError):  # a disk that can only be read
            os.utime(file.fileno())
        return length

    def _read_block(self, file: IO[bytes]) -> bytes:
        size = min(BLOCK_BYTES, self._length - self._number * BLOCK_BYTES)
        if size <= 0:
            return b""
        block, code = file.read(size), file.read(_CODE_BYTES)
        if not compare_digest(code, _code(block, self._number, self._length, self._path, self._key)):
            raise self._damaged()
        self._number += 1
        return block

    def _damaged(self) -> DamagedError:
        with suppress(OSError):
            self._path.unlink()
        return DamagedError(f"{self._path.name} was damaged")


def _code(block: bytes, number: int, length: int, path: Path, key: bytes) -> bytes:
    place = number.to_bytes(_NUMBER_BYTES, "big") + length.to_bytes(_NUMBER_BYTES, "big")
    code = hashlib.blake2b(place + path.name.encode(), key=key, digest_size=_CODE_BYTES)
    code.update(block)
    return code.digest()
