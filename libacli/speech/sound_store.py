"""Where sounds are kept that may be wanted again."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import AsyncGenerator
from typing import Protocol

from libacli.core.audio import BYTES_PER_SECOND
from libacli.core.byte_lru import LARGEST_SHARE, ByteLru

DIGEST_BYTES = 20
_PIECE_BYTES = BYTES_PER_SECOND // 2


class SoundStore(Protocol):
    """Keeps PCM under names, as long as there is room; what nobody wanted for longest goes first.

    Names hold what was said: a store keeps none of them, but a digest with a key of its own, from which
    nobody who lacks the key can tell whether something was said.
    """

    most_bytes: int
    """What is longer is not kept."""

    def holds(self, name: bytes) -> bool:
        """Whether it is there, as far as that can be told at once: `pieces` may still find that it is not."""

    def put(self, name: bytes, pcm: bytes) -> None:
        """Keeps it, in a moment, or not if it cannot. Returns at once and raises nothing."""

    def pieces(self, name: bytes) -> AsyncGenerator[bytes]:
        """Yields the sound in pieces that are not empty; none when it is not there, or not whole.

        Raises VoiceTruncatedError when it is found damaged after it began.
        """

    async def aclose(self) -> None:
        """Waits for what is to be kept. Safe to call twice; nothing is kept afterwards."""


class SoundMemory:
    """Keeps sounds in memory. Implements `SoundStore`."""

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes // LARGEST_SHARE
        self._sounds = ByteLru(most_bytes)
        self._key = secrets.token_bytes(32)

    def holds(self, name: bytes) -> bool:
        return keyed_digest(name, self._key) in self._sounds

    def put(self, name: bytes, pcm: bytes) -> None:
        self._sounds.put(keyed_digest(name, self._key), pcm)

    async def pieces(self, name: bytes) -> AsyncGenerator[bytes, None]:
        pcm = self._sounds.get(keyed_digest(name, self._key)) or b""
        for start in range(0, len(pcm), _PIECE_BYTES):
            yield pcm[start : start + _PIECE_BYTES]

    async def aclose(self) -> None:
        pass


def keyed_digest(name: bytes, key: bytes) -> bytes:
    """`DIGEST_BYTES` bytes that stand for `name` (BLAKE2b with a key, https://www.rfc-editor.org/rfc/rfc7693)."""
    return hashlib.blake2b(name, key=key, digest_size=DIGEST_BYTES).digest()
