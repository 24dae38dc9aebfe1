"""What waits to be sent of a live stream: whole groups of pictures, and never more than a bound."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

Packet = TypeVar("Packet")


class PacketGroups(Generic[Packet]):
    """Packets in order, in groups that begin with a key picture: from there on a decoder needs nothing older.

    When they have more than `most_bytes` the oldest group goes, as a whole, or what is left of it.
    """

    def __init__(self, most_bytes: int, size_of: Callable[[Packet], int]) -> None:
        self.dropped = 0
        """Groups that were left out."""

        self._most_bytes = most_bytes
        self._size_of = size_of
        self._groups: deque[deque[Packet]] = deque()
        self._bytes = 0
        self._is_open = False
        """Whether the newest group is there: what belongs to one that was left out is left out, too."""

    def __len__(self) -> int:
        return sum(map(len, self._groups))

    @property
    def bytes(self) -> int:
        return self._bytes

    def put(self, packet: Packet, *, is_key: bool) -> None:
        if is_key:
            self._groups.append(deque())
            self._is_open = True
        if not self._is_open:
            return
        self._groups[-1].append(packet)
        self._bytes += self._size_of(packet)
        while self._bytes > self._most_bytes:
            self._drop_oldest()

    def take(self) -> Packet | None:
        """The next one to be sent; None: nothing waits."""
        while self._groups and not self._groups[0] and len(self._groups) > 1:
            self._groups.popleft()
        if not self._groups or not self._groups[0]:
            return None
        packet = self._groups[0].popleft()
        self._bytes -= self._size_of(packet)
        return packet

    def begin_anew(self) -> None:
        """Somebody begins to look, who has nothing: of groups that were begun before nothing is of use."""
        self._groups.clear()
        self._bytes, self._is_open = 0, False

    def _drop_oldest(self) -> None:
        oldest = self._groups.popleft()
        self._bytes -= sum(map(self._size_of, oldest))
        self.dropped += 1
        self._is_open = bool(self._groups)
