"""Byte strings that are kept as long as there is room: those that nobody wanted for longest go first."""

from __future__ import annotations

from collections import OrderedDict

LARGEST_SHARE = 4
"""What is larger than one part in so many is not kept: it would drive out too much else."""


class ByteLru:
    """Holds at most `most_bytes` bytes of values, whatever their number."""

    def __init__(self, most_bytes: int) -> None:
        self.size = 0
        """Bytes of all values together."""

        self._most_bytes = most_bytes
        self._values: OrderedDict[bytes, bytes] = OrderedDict()

    def __contains__(self, key: bytes) -> bool:
        return key in self._values

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: bytes) -> bytes | None:
        """The value, which is the last one to go from now on."""
        if key in self._values:
            self._values.move_to_end(key)
        return self._values.get(key)

    def put(self, key: bytes, value: bytes) -> None:
        """Keeps `value` in the place of what was there, unless it is too large."""
        self.size -= len(self._values.pop(key, b""))
        if len(value) * LARGEST_SHARE > self._most_bytes:
            return
        self._values[key] = value
        self.size += len(value)
        while self.size > self._most_bytes:
            self.size -= len(self._values.popitem(last=False)[1])
