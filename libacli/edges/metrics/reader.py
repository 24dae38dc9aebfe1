"""Reads the records that agents have kept, while they go on writing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from libacli.core.record import Record
from libacli.edges.metrics.schema import FIELDS, connect, explaining, version

if TYPE_CHECKING:
    from sqlite3 import Connection

_PAGE = 500
_PATIENCE_S = 2.0


class MetricsReader:
    """Reads the file at `path`, which need not be there yet. For one thread at a time.

    All methods raise ConfigError when the file is not a metrics store or one of a newer liba, and LibaError
    when it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: Connection | None = None
        self._columns: tuple[str, ...] = ()

    def __enter__(self) -> MetricsReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the file. Safe to call twice."""
        if self._connection:
            self._connection.close()
        self._connection = None
        self._columns = ()

    def records(
        self, *, since: float | None = None, until: float | None = None, room: str = ""
    ) -> Iterator[Record]:
        """Records with `since` ≤ t0 < `until` (POSIX seconds), oldest first, however many there are.

        What is written meanwhile may be among them or not. An empty `room` is every room.
        """
        # A page at a time: one long reading would keep the writers' journal from being cleared.
        last = (-math.inf if since is None else since, -1)
        end = math.inf if until is None else until
        where = "(t0, position) > (?, ?) AND t0 < ? ORDER BY t0, position"
        while page := self._select(where, (*last, end), room, _PAGE):
            yield from (record for _, record in page)
            position, record = page[-1]
            last = (record.t0, position)

    def latest(self, count: int, *, room: str = "") -> list[tuple[int, Record]]:
        """The `count` records that were written last, with their positions, the oldest of them first."""
        return self._select("TRUE ORDER BY position DESC", (), room, max(count, 0))[::-1]

    def after(self, position: int, *, room: str = "", limit: int = 1000) -> list[tuple[int, Record]]:
        """At most `limit` records that were written after the one at `position`, in that order; 0: the first.

        Positions grow from record to record and are never used twice.
        """
        return self._select("position > ? ORDER BY position", (position,), room, limit)

    def _select(
        self, where: str, values: tuple[float, ...], room: str, limit: int
    ) -> list[tuple[int, Record]]:
        with explaining(self._path):
            connection = self._open()
            if connection is None:
                return []
            of_room = "room = ? AND " if room else ""
            rows = connection.execute(
                f"SELECT position, {', '.join(self._columns)} FROM record WHERE {of_room}{where} LIMIT ?",
                (*((room,) if room else ()), *values, limit),
            )
            return [(position, self._record(members)) for position, *members in rows]

    def _record(self, members: list[Any]) -> Record:
        known = dict(zip(self._columns, members, strict=True))
        known["replayed"] = bool(known["replayed"])
        return Record(**known)

    def _open(self) -> Connection | None:
        """None as long as there is no table to read from."""
        if self._connection or not self._is_there():
            return self._connection
        connection = connect(self._path, "ro", _PATIENCE_S)
        try:
            if version(connection, self._path):
                # A store of an older liba may lack the newer columns.
                there = {name for _, name, *_ in connection.execute("PRAGMA table_info(record)")}
                self._columns = tuple(name for name in FIELDS if name in there)
                self._connection = connection
        finally:
            if self._connection is None:
                connection.close()
        return self._connection

    def _is_there(self) -> bool:
        with suppress(FileNotFoundError, NotADirectoryError):
            self._path.stat()
            return True
        return False
