"""Sounds that were sent to an agent, and wait to be heard: so many, and for so long."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from libacli.core.reasons import refusal

KEPT_S = 600.0
"""How long one is kept that no line waits with, since it came or was heard: the same may be said again."""

MOST_BYTES = 128 << 20
"""Of all of a room: the longest one, 30 minutes, has 45 million mostly, and 90 at worst."""


@dataclass
class _Kept:
    data: bytes
    until: float
    lines: set[str] = field(default_factory=set)
    """Ids of utterances that it is said with."""


class SoundShelf:
    """Holds sounds by their SHA-256. Those that a line waits with stay; of the others the oldest go first.

    Times are seconds on any one clock.
    """

    def __init__(self, *, most_bytes: int = MOST_BYTES, kept_s: float = KEPT_S) -> None:
        self._most_bytes = most_bytes
        self._kept_s = kept_s
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    @property
    def used_bytes(self) -> int:
        return sum(len(kept.data) for kept in self._kept.values())

    def check_room(self, size: int, now: float) -> None:
        """Raises RefusedError, `sounds_full`, when so many bytes would find no place."""
        self._forget(now)
        held = sum(len(kept.data) for kept in self._kept.values() if kept.lines)
        if held + size > self._most_bytes:
            raise refusal("sounds_full", f"{held} bytes of sound wait to be heard already")

    def put(self, sha256: str, data: bytes, now: float) -> None:
        """Keeps `data`. Raises RefusedError, `sounds_full`."""
        if kept := self._kept.get(sha256):
            kept.until = now + self._kept_s
            return
        self.check_room(len(data), now)
        self._kept[sha256] = _Kept(data, now + self._kept_s)
        idle = [name for name, kept in self._kept.items() if not kept.lines and name != sha256]
        for name in idle:
            if self.used_bytes <= self._most_bytes:
                return
            del self._kept[name]

    def find(self, sha256: str, now: float) -> bytes | None:
        """None: it did not come, or is forgotten."""
        self._forget(now)
        kept = self._kept.get(sha256)
        return kept.data if kept else None

    def hold(self, sha256: str, utterance_id: str) -> None:
        """A line waits with it, which must be here."""
        self._kept[sha256].lines.add(utterance_id)

    def release(self, sha256: str, utterance_id: str, now: float) -> None:
        """That line is over. One that is not known is passed over."""
        if kept := self._kept.get(sha256):
            kept.lines.discard(utterance_id)
            kept.until = now + self._kept_s
            self._kept.move_to_end(sha256)

    def _forget(self, now: float) -> None:
        for name in [name for name, kept in self._kept.items() if not kept.lines and now > kept.until]:
            del self._kept[name]
