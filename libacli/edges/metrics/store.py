"""Keeps the records of finished utterances, off the audio path. Trouble costs metrics, never speech."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import time
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from libacli.core.avatar_time import AvatarTime
from libacli.core.trace_context import UNTRACED, TraceContext
from libacli.core.utterance_record import UtteranceRecord
from libacli.edges.metrics.meter import Meter
from libacli.edges.metrics.schema import FIELDS, connect, explaining, migrate
from libacli.edges.metrics.schema import metrics_path as metrics_path
from libacli.errors import LibaError
from libacli.private_files import new_private_file, private_folder

if TYPE_CHECKING:
    from sqlite3 import Connection

logger = logging.getLogger("liba.metrics")

_WAITING_LIMIT = 1000
"""Records in memory; beyond it the oldest are lost."""

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 30.0
_REST_S = 0.25
"""After a write, so that many utterances that end at once, in many rooms, are few writes."""

_PATIENCE_S = 2.0
"""How long a write waits for the writes of others."""

_PRUNING_S = 0.5
"""How long old records are cleared away after a write; what is left then waits for the next one."""

_CHUNK = 50
"""Rows in one transaction: others wait no longer than it takes."""

_AVATAR_EVERY_S = 60.0
"""How much avatar time may wait until there is something else to write: so much a crash costs."""

_COUNT_AVATAR = """
    INSERT INTO avatar_time (life, began, ended, seconds, room, vendor) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (life, began)
    DO UPDATE SET ended = MAX(ended, excluded.ended), seconds = MAX(seconds, excluded.seconds)
"""
"""Written again, or late, it counts once."""

_FORGET_AVATAR = "DELETE FROM avatar_time WHERE ended < strftime('%s', 'now') - ?"
_INSERT = f"INSERT OR IGNORE INTO record ({', '.join(FIELDS)}) VALUES ({', '.join('?' * len(FIELDS))})"
_OLDEST = "DELETE FROM record WHERE position IN (SELECT position FROM record {where} ORDER BY t0 LIMIT ?)"
_FORGET_OLDEST = _OLDEST.format(where="")
_FORGET_OLD = _OLDEST.format(where="WHERE t0 < strftime('%s', 'now') - ?")


class MetricsStore(Meter):
    """Writes records to the file at `path`, which many stores, in many processes, may do at once.

    Records that cannot be written wait in memory, the newest 1000. The log says once that writing fails, and
    once that it works again. A file that is not ours, or is of a newer liba, is left as it is.
    """

    def __init__(
        self,
        path: Path,
        *,
        keep_days: int,
        keep_mb: int,
        room: str = "",
        vendor: str = "",
        clock: Callable[[], float] = time.time,  # noqa: TID251 - as all times of records
    ) -> None:
        """Records older than `keep_days` are forgotten, and the oldest of more than `keep_mb` megabytes.

        `room` is whose avatar time is told, `vendor` whose avatar it is.
        """
        self._path = path
        self._keep_days = keep_days
        self._keep_mb = keep_mb
        self._waiting: deque[UtteranceRecord] = deque()
        self._no_avatar = AvatarTime(-math.inf, -math.inf, 0.0, room, vendor)
        self._avatar = self._no_avatar
        self._avatar_times: dict[float, AvatarTime] = {}
        """What is not written yet, by when it began."""

        self._avatar_untold_s = 0.0
        self._life = uuid.uuid4().hex
        self._clock = clock
        self._lost = 0
        self._is_failing = False
        self._added = asyncio.Event()
        self._writing = asyncio.Lock()

    def observe(self, record: UtteranceRecord, trace: TraceContext = UNTRACED) -> None:
        """An utterance has ended."""
        self.add(record)

    def add(self, record: UtteranceRecord) -> None:
        """Hands over a record; returns at once and raises nothing. For the thread of the event loop."""
        self._waiting.append(record)
        self._drop_excess()
        self._added.set()

    def avatar_seconds(self, seconds: float) -> None:
        """An avatar was there for so much longer; 0: there is none."""
        if seconds <= 0:
            self._avatar = self._no_avatar
            return
        self._avatar = self._avatar.after(seconds, self._clock())
        if len(self._avatar_times) < _WAITING_LIMIT:
            self._avatar_times[self._avatar.began] = self._avatar
        self._avatar_untold_s += seconds
        if self._avatar_untold_s >= _AVATAR_EVERY_S:
            self._added.set()

    async def run(self) -> None:
        """Writes what is added, and goes on through every trouble, until cancelled. Owns no thread or file.

        It begins with opening the file, so that trouble is known before the first utterance.
        """
        pause_s = _FIRST_PAUSE_S
        while True:
            self._added.clear()
            async with self._writing:
                is_written = await self._write()
            if is_written:
                pause_s = _FIRST_PAUSE_S
                await asyncio.sleep(_REST_S)
                await self._added.wait()
            else:
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    async def flush(self) -> None:
        """Writes what was added before; returns when it is in the file, or writing it has failed once more.

        Needs no `run`, and may be called after it has ended.
        """
        async with self._writing:
            if self._waiting or self._avatar_times:
                await self._write()

    async def aclose(self) -> None:
        """Writes what is left."""
        await self.flush()

    async def _write(self) -> bool:
        batch, avatar_times = list(self._waiting), self._avatar_times
        self._waiting.clear()
        self._avatar_times, self._avatar_untold_s = {}, 0.0
        avatar_rows = [_avatar_row(self._life, one) for one in avatar_times.values()]
        try:
            await asyncio.to_thread(_write, self._path, batch, avatar_rows, self._keep_days, self._keep_mb)
        except BaseException as error:
            # A thread cannot be cancelled: it may yet write what will be written again. That counts once.
            self._waiting.extendleft(reversed(batch))
            self._avatar_times = avatar_times | self._avatar_times
            self._drop_excess()
            if not isinstance(error, Exception):
                raise
            # Whatever it was, speech must not end of it.
            self._tell(error)
            return False
        self._tell(None)
        return True

    def _drop_excess(self) -> None:
        while len(self._waiting) > _WAITING_LIMIT:
            self._waiting.popleft()
            self._lost += 1
            self._tell(LibaError(f"{self._path} takes no records", hint="see whether its disk answers"))

    def _tell(self, trouble: Exception | None) -> None:
        if trouble and not self._is_failing:
            hint = getattr(trouble, "hint", "") or "please report this"
            logger.warning(
                "Metrics are not kept, speech goes on: %s; %s. Up to %d records wait, %d are lost.",
                trouble,
                hint,
                _WAITING_LIMIT,
                self._lost,
            )
        if not trouble and self._is_failing:
            logger.info("Metrics are kept again in %s; %d records were lost.", self._path, self._lost)
            self._lost = 0
        self._is_failing = trouble is not None


_Row = tuple[object, ...]


def _write(
    path: Path, records: Sequence[UtteranceRecord], avatar_rows: Sequence[_Row], keep_days: int, keep_mb: int
) -> None:
    """Adds records to the file, for a thread. Raises LibaError, with a part of them written perhaps."""
    import sqlite3

    deadline = time.monotonic() + _PATIENCE_S
    with explaining(path):
        private_folder(path.parent)
        while True:
            try:
                with closing(_open(path, max(0.1, deadline - time.monotonic()))) as connection:
                    _count_avatar(connection, avatar_rows, keep_days)
                    return _insert(connection, records, keep_days, keep_mb)
            except sqlite3.OperationalError as error:
                # In some states SQLite does not wait by itself, as when two begin the file at once.
                is_busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
                if not is_busy or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)


def _open(path: Path, timeout_s: float) -> Connection:
    if not path.exists():
        _begin(path)
    connection = connect(path, "rwc", timeout_s)
    try:
        migrate(connection, path)
        connection.execute("PRAGMA synchronous = NORMAL")
    except BaseException:
        connection.close()
        raise
    return connection


def _begin(path: Path) -> None:
    """Makes the file, empty, which nobody else can read at any moment; unless somebody is quicker.

    Under another name first: to close it as `path` would drop the locks that SQLite has on it by then.
    """
    new = path.with_name(f".{path.name}-{os.urandom(4).hex()}")
    os.close(new_private_file(new))
    try:
        with suppress(FileExistsError):
            os.link(new, path)
    finally:
        new.unlink()


def _count_avatar(connection: Connection, rows: Sequence[_Row], keep_days: int) -> None:
    if rows:
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(_COUNT_AVATAR, rows)
            connection.execute(_FORGET_AVATAR, (keep_days * 86_400,))


def _insert(connection: Connection, records: Sequence[UtteranceRecord], keep_days: int, keep_mb: int) -> None:
    page_size = _number(connection, "page_size")
    # The rest is for the journal, which grows by one transaction beyond its limit.
    most_pages = int(keep_mb * 1_000_000 * 0.6) // page_size
    journal_pages = min(1000, most_pages // 4)
    connection.execute(f"PRAGMA wal_autocheckpoint = {journal_pages}")
    connection.execute(f"PRAGMA journal_size_limit = {journal_pages * page_size}")
    rows = map(_row, records)
    deadline = time.monotonic() + _PRUNING_S
    has_more = True
    while has_more:
        chunk = list(islice(rows, _CHUNK))
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(_INSERT, chunk)
            is_pruning = _prune(connection, keep_days, most_pages) and time.monotonic() < deadline
        has_more = is_pruning or len(chunk) == _CHUNK


def _prune(connection: Connection, keep_days: int, most_pages: int) -> bool:
    """Clears a little away of what is too old or too much; whether there may be more."""
    gone = connection.execute(_FORGET_OLD, (keep_days * 86_400, 2 * _CHUNK)).rowcount
    pages = _number(connection, "page_count")
    if pages - _number(connection, "freelist_count") > most_pages:
        gone += connection.execute(_FORGET_OLDEST, (2 * _CHUNK,)).rowcount
    if pages > most_pages:
        connection.execute("PRAGMA incremental_vacuum(32)").fetchall()  # each row that is fetched is a page
    return gone > 0 or _number(connection, "page_count") < pages


def _number(connection: Connection, pragma: str) -> int:
    return int(connection.execute(f"PRAGMA {pragma}").fetchone()[0])


def _row(record: UtteranceRecord) -> list[object]:
    members = record.encode()
    return [_storable(members[name]) for name in FIELDS]


def _avatar_row(life: str, one: AvatarTime) -> _Row:
    return life, one.began, one.ended, one.seconds, _storable(one.room), one.vendor


def _storable(value: object) -> object:
    """JSON can hold halves of characters, which cannot be stored."""
    return value.encode(errors="replace").decode() if isinstance(value, str) else value
