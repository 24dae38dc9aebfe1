"""Rooms that a worker does not look after: which of them it has to ask about. No clock, no network.

Another worker may have had an agent there, and be killed: then nobody is left who knows of it.
"""

from __future__ import annotations

import random
from collections.abc import Container, Iterable

from libacli.edges.livekit.api import RoomRow


class Strangers:
    """`saw` all rooms of the server, then ask about the `next` ones."""

    def __init__(self) -> None:
        self._asked: dict[str, RoomRow] = {}
        """As they were when they were asked about, by name."""

        self._waiting: list[RoomRow] = []

    def saw(self, rows: Iterable[RoomRow], known: Container[str]) -> None:
        """These rooms are there; those that are `known` need no question."""
        there = {row.name: row for row in rows}
        self._asked = {name: row for name, row in self._asked.items() if name in there}
        self._waiting = [row for name, row in there.items() if name not in known and self._is_news(row)]
        # Each worker in an order of its own: so one of many soon comes to a room.
        self._waiting.sort(key=lambda row: (not row.people, random.random()))

    def next(self, most: int) -> list[str]:
        """Names of `most` rooms at most that are to be asked about now."""
        rows, self._waiting = self._waiting[:most], self._waiting[most:]
        self._asked |= {row.name: row for row in rows}
        return [row.name for row in rows]

    def forget(self, name: str) -> None:
        """It is to be asked about anew: nothing was learned, or it is looked after no more."""
        self._asked.pop(name, None)

    def _is_news(self, row: RoomRow) -> bool:
        """An agent is sent for where a room begins, or somebody wants one; then it publishes its track."""
        if not (row.people or row.publishers):
            return False
        before = self._asked.get(row.name)
        return before is None or row.sid != before.sid or row.publishers > before.publishers
