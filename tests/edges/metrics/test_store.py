"""Records in real files: written by many, killed, full, locked, broken, old and new."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libacli.core.avatar_time import AvatarTime
from libacli.core.lifecycle import OUTCOMES
from libacli.core.route import RouteName
from libacli.core.utterance_record import UtteranceRecord
from libacli.edges.metrics.reader import MetricsReader
from libacli.edges.metrics.schema import FIELDS, MIGRATIONS, version
from libacli.edges.metrics.store import MetricsStore, metrics_path
from libacli.errors import ConfigError, LibaError
from tests.virtual_time import BACKEND

NOW = datetime.now(UTC).timestamp()
DAY_S = 86_400
ONE = UtteranceRecord(id="one", t0=NOW, outcome="done", room="demo", epoch="e1", d01=300.0, total=2000.5)


@pytest.fixture
def anyio_backend() -> str:
    """Files and threads live in real time."""
    return "asyncio"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "liba" / "metrics.db"


def store(path: Path, *, keep_days: int = 30, keep_mb: int = 64) -> MetricsStore:
    return MetricsStore(path, keep_days=keep_days, keep_mb=keep_mb)


def several(numbers: Iterable[int], **members: Any) -> list[UtteranceRecord]:
    return [replace(ONE, id=f"u{number}", t0=NOW + number, **members) for number in numbers]


def put(path: Path, records: Iterable[UtteranceRecord], **bounds: int) -> None:
    """Writes records to the file, by a store of its own."""

    async def write() -> None:
        its = store(path, **bounds)
        for record in records:
            its.add(record)
        await its.flush()

    asyncio.run(write())


def kept(path: Path, **which: Any) -> list[UtteranceRecord]:
    with MetricsReader(path) as reader:
        return list(reader.records(**which))


def lines(caplog: pytest.LogCaptureFixture, level: int = logging.WARNING) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.name == "liba.metrics" and record.levelno == level
    ]


@contextmanager
def database(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


@contextmanager
def locked(path: Path, kind: str = "EXCLUSIVE") -> Iterator[Callable[[], object]]:
    """Holds the file's lock; gives what lets it go early."""
    with database(path) as connection:
        connection.execute(f"BEGIN {kind}")
        yield lambda: connection.execute("ROLLBACK")


def integrity(path: Path) -> str:
    with database(path) as connection:
        return str(connection.execute("PRAGMA integrity_check").fetchone()[0])


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def any_value(hint: Any) -> st.SearchStrategy[Any]:
    if hint == RouteName | None:
        return st.sampled_from([None, "avatar", "track"])
    if type(None) in get_args(hint):
        return st.none() | any_value(float)
    return {
        str: st.text(max_size=20),
        int: st.integers(0, 10**15),
        float: st.floats(0, 1e15),
        bool: st.booleans(),
    }.get(hint, st.sampled_from(sorted(OUTCOMES)))


ANY_RECORD = st.builds(
    UtteranceRecord,
    **{name: any_value(hint) for name, hint in get_type_hints(UtteranceRecord).items() if name in FIELDS},
)


@settings(max_examples=30, deadline=None)
@given(st.lists(ANY_RECORD, max_size=5, unique_by=lambda record: (record.epoch, record.id)))
def test_what_is_written_is_read_back_the_same(records: list[UtteranceRecord]) -> None:
    recent = [replace(record, t0=NOW + record.t0 / 1e6) for record in records]
    with tempfile.TemporaryDirectory() as folder:
        put(Path(folder) / "metrics.db", recent)
        with MetricsReader(Path(folder) / "metrics.db") as reader:
            assert [record for _, record in reader.latest(10)] == recent
            assert sorted(reader.records(), key=repr) == sorted(recent, key=repr)


def test_the_table_has_a_column_for_each_member_of_a_record(path: Path) -> None:
    put(path, [ONE])
    with database(path) as connection:
        columns = {column for _, column, *_ in connection.execute("PRAGMA table_info(record)")}
    assert columns == {"position", *FIELDS}


def test_an_utterance_is_stored_once(path: Path) -> None:
    put(path, [ONE, ONE, replace(ONE, epoch="e2")])
    put(path, [ONE])
    assert kept(path) == [ONE, replace(ONE, epoch="e2")]


def test_half_a_character_in_an_id_costs_no_record(path: Path) -> None:
    put(path, [replace(ONE, id="a\ud800"), ONE])
    assert [record.id for record in kept(path)] == ["a?", "one"]


def test_what_is_added_is_written_while_the_store_runs(path: Path) -> None:
    async def write() -> None:
        its = store(path)
        running = asyncio.get_running_loop().create_task(its.run())
        for record in several(range(500)):
            its.add(record)
            if record.id.endswith("9"):
                await asyncio.sleep(0)
        await its.flush()
        assert len(kept(path)) == 500
        its.add(ONE)
        while ONE not in kept(path):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.wait([running])

    asyncio.run(write())


def test_nobody_else_may_read_the_files(path: Path) -> None:
    mask = os.umask(0)
    try:
        put(path, [ONE])
        with MetricsReader(path) as reader:
            assert reader.latest(1)
            put(path, several([1]))
            files = sorted(path.parent.iterdir())
            assert [file.name for file in files] == ["metrics.db", "metrics.db-shm", "metrics.db-wal"]
            assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    finally:
        os.umask(mask)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_the_file_is_in_the_users_state_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert metrics_path().name == "metrics.db"
    assert sys.platform != "linux" or metrics_path() == tmp_path / "liba" / "metrics.db"


def test_sqlite_is_not_loaded_before_it_is_needed() -> None:
    modules = "libacli.edges.metrics.store, libacli.edges.metrics.reader"
    code = f"import sys, {modules}; print('sqlite3' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "False\n"


WRITE_MANY = """
import asyncio, logging, sys
from pathlib import Path
from libacli.core.route import RouteName
from libacli.core.utterance_record import UtteranceRecord
from libacli.edges.metrics.store import MetricsStore

async def main(path, epoch, t0):
    store = MetricsStore(Path(path), keep_days=30, keep_mb=64)
    for number in range(400):
        store.add(UtteranceRecord(id=str(number), t0=float(t0) + number, outcome="done", epoch=epoch))
        if number % 7 == 0:
            await store.flush()
    await store.flush()

logging.basicConfig(stream=sys.stdout)
asyncio.run(main(*sys.argv[1:]))
"""


def test_what_several_processes_write_at_once_is_all_there_and_nothing_twice(path: Path) -> None:
    writers = [start(WRITE_MANY, path, f"e{number}", NOW) for number in range(4)]
    assert [writer.communicate(timeout=60)[0] for writer in writers] == [""] * 4
    count = Counter((record.epoch, record.id) for record in kept(path))
    assert len(count) == 4 * 400
    assert set(count.values()) == {1}
    assert integrity(path) == "ok"


def test_rooms_in_threads_of_one_process_may_begin_the_file_at_once(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    begin = threading.Barrier(20)

    def room(number: int) -> None:
        begin.wait(10)
        put(path, several(range(3), epoch=f"e{number}"))

    with ThreadPoolExecutor(20) as rooms:
        list(rooms.map(room, range(20)))
    assert len(kept(path)) == 60
    assert lines(caplog) == []


class OvertakenConnection(sqlite3.Connection):
    """While one looks at the file through it, another process makes the tables: before statement `turn`."""

    turn = 0

    def execute(self, *statement: Any) -> sqlite3.Cursor:
        if self.turn == 0:
            put(Path(super().execute("PRAGMA database_list").fetchone()[2]), [ONE])
        self.turn -= 1
        return super().execute(*statement)


@pytest.mark.parametrize("turn", range(3))
def test_a_store_that_is_made_while_it_is_looked_at_is_not_mistaken_for_a_foreign_file(
    path: Path, turn: int
) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path, factory=OvertakenConnection)) as connection:
        connection.turn = turn
        assert version(connection, path) in (0, len(MIGRATIONS))
    assert kept(path) == [ONE]


WRITE_FOR_EVER = """
import asyncio, itertools, sys
from pathlib import Path
from libacli.core.route import RouteName
from libacli.core.utterance_record import UtteranceRecord
from libacli.edges.metrics.store import MetricsStore

async def main(path, epoch, t0):
    store = MetricsStore(Path(path), keep_days=30, keep_mb=64)
    for number in itertools.count():
        for part in range(60):
            store.add(UtteranceRecord(id=f"{number} {part}", t0=float(t0), outcome="done", epoch=epoch))
        await store.flush()
        print(number, flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.parametrize("writes", [1, 4, 23])
def test_a_writer_that_is_killed_leaves_what_it_had_written_and_a_sound_file(path: Path, writes: int) -> None:
    with start(WRITE_FOR_EVER, path, "e", NOW) as writer:
        assert writer.stdout
        told = [int(writer.stdout.readline()) for _ in range(writes)]
        writer.kill()
        told += [int(line) for line in writer.stdout if line.endswith("\n")]
    ids = {record.id for record in kept(path)}
    assert {f"{number} {part}" for number in told for part in range(60)} <= ids
    assert integrity(path) == "ok"
    put(path, [ONE])
    assert ONE in kept(path)


FILL_THE_DISK = """
import asyncio, logging, resource, sys
from pathlib import Path
from libacli.core.route import RouteName
from libacli.core.utterance_record import UtteranceRecord
from libacli.edges.metrics.store import MetricsStore

async def main(path, t0):
    store = MetricsStore(Path(path), keep_days=30, keep_mb=64)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    def add(numbers):
        for number in numbers:
            store.add(UtteranceRecord(str(number), float(t0) + number, "done", reason="x" * 400))
    add(range(10))
    await store.flush()
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, hard))
    for number in range(10, 310, 100):
        add(range(number, number + 100))
        await store.flush()
    print("made room")
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    await store.flush()

logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(levelname)s %(message)s")
asyncio.run(main(*sys.argv[1:]))
"""


def test_a_full_disk_is_told_once_and_costs_nothing_that_still_fits_into_memory(path: Path) -> None:
    with start(FILL_THE_DISK, path, NOW) as writer:
        told = writer.communicate(timeout=60)[0].splitlines()
    assert [line.split()[0] for line in told] == ["WARNING", "made", "INFO"]
    assert "disk" in told[0] and str(path) in told[0]
    assert "0 records were lost" in told[2]
    assert [record.id for record in kept(path)] == [str(number) for number in range(310)]
    assert integrity(path) == "ok"


async def test_a_locked_file_holds_up_nothing_but_itself(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "liba.metrics")
    loop = asyncio.get_running_loop()
    its = store(path)
    its.add(ONE)
    await its.flush()
    gaps = []
    with locked(path):
        its.add(replace(ONE, id="two"))
        flushing = loop.create_task(its.flush())
        while not flushing.done():
            began = loop.time()
            await asyncio.sleep(0.01)
            gaps.append(loop.time() - began)
        assert sum(gaps) > 1  # it was waited for
        assert max(gaps) < 0.5
        (warning,) = lines(caplog)
        assert str(path) in warning and "locked" in warning and "speech goes on" in warning
        assert [record.id for record in kept(path)] == ["one"]  # readers need not wait
    await its.flush()
    assert [record.id for record in kept(path)] == ["one", "two"]
    assert len(lines(caplog)) == len(lines(caplog, logging.INFO)) == 1


@pytest.mark.parametrize(("is_new", "kind"), [(False, "EXCLUSIVE"), (True, "EXCLUSIVE"), (True, "IMMEDIATE")])
async def test_a_lock_that_is_soon_let_go_is_no_trouble(
    path: Path, caplog: pytest.LogCaptureFixture, is_new: bool, kind: str
) -> None:
    path.parent.mkdir()
    its = store(path)
    if is_new:
        with database(path) as connection:
            connection.execute("PRAGMA user_version = 0")  # a header, and no table yet
    else:
        its.add(replace(ONE, id="two"))
        await its.flush()
    with locked(path, kind) as let_go:
        its.add(ONE)
        flushing = asyncio.get_running_loop().create_task(its.flush())
        await asyncio.sleep(0.2)
        assert not flushing.done()
        let_go()
        await flushing
    assert ONE in kept(path)
    assert lines(caplog) == []


async def test_to_cancel_in_the_middle_of_a_write_loses_nothing(path: Path) -> None:
    its = store(path)
    its.add(ONE)
    await its.flush()
    more = several(range(100))
    with locked(path) as let_go:
        running = asyncio.get_running_loop().create_task(its.run())
        for record in more:
            its.add(record)
        await asyncio.sleep(0.1)
        running.cancel()
        await asyncio.wait([running])
        let_go()
    await its.flush()
    assert Counter(kept(path)) == Counter([ONE, *more])
    assert integrity(path) == "ok"


def content(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.parent.iterdir()}


def remove(path: Path) -> None:
    path.rename(path.with_suffix(".away"))


def garbage(path: Path) -> None:
    path.write_bytes(b"no database " * 1000)


def little_garbage(path: Path) -> None:
    path.write_bytes(b"no")


def foreign_database(path: Path) -> None:
    with database(path) as connection:
        connection.execute("CREATE TABLE invoice (number INTEGER)")


def newer_schema(path: Path) -> None:
    put(path, [ONE])
    with database(path) as connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (garbage, "is not a metrics store; move"),
        (little_garbage, "is not a metrics store; move"),
        (foreign_database, "is not a metrics store; move"),
        (newer_schema, "was written by a newer version of liba; upgrade"),
    ],
)
async def test_what_is_not_ours_to_write_is_left_as_it_is_until_it_is_moved_away(
    path: Path, caplog: pytest.LogCaptureFixture, make: Callable[[Path], None], what: str
) -> None:
    caplog.set_level(logging.INFO, "liba.metrics")
    path.parent.mkdir()
    await asyncio.to_thread(make, path)
    before = content(path)
    with pytest.raises(ConfigError) as raised:
        kept(path)
    assert f"{raised.value}; {raised.value.hint}".startswith(f"{path} {what}")

    its = store(path)
    for number in range(3):
        its.add(replace(ONE, id=f"u{number}"))
        await its.flush()
    assert content(path) == before
    (warning,) = lines(caplog)
    assert f"{path} {what}" in warning

    remove(path)
    await its.flush()
    assert [record.id for record in kept(path)] == ["u0", "u1", "u2"]
    assert len(lines(caplog)) == len(lines(caplog, logging.INFO)) == 1


def test_a_damaged_file_is_told_by_reader_and_writer(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    put(path, several(range(500)))
    damaged = path.read_bytes()[:8192].ljust(path.stat().st_size, b"\xff")
    path.write_bytes(damaged)
    with pytest.raises(LibaError, match="damaged") as raised:
        kept(path)
    assert "move" in raised.value.hint
    put(path, [ONE])
    assert "damaged" in lines(caplog)[0]
    assert path.read_bytes() == damaged


def test_an_empty_file_becomes_a_store(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    assert kept(path) == []
    put(path, [ONE])
    assert kept(path) == [ONE]


def test_a_store_of_an_older_version_is_read_and_migrated_with_all_that_is_in_it(path: Path) -> None:
    path.parent.mkdir()
    with database(path) as connection:
        for statement in MIGRATIONS[0].split(";"):
            connection.execute(statement)
        connection.execute("PRAGMA user_version = 1")
        told = replace(ONE, waited=100.0).encode()
        members = {name: value for name, value in told.items() if name in MIGRATIONS[0]}
        connection.execute(
            f"INSERT INTO record ({', '.join(members)}) VALUES ({', '.join('?' * len(members))})",
            list(members.values()),
        )
    read = replace(ONE, waited=100.0, d01=200.0)  # it counted from the request then, and counts from the turn
    assert kept(path) == [read]
    put(path, several([1]))
    assert kept(path) == [read, *several([1])]
    with database(path) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
        assert connection.execute("SELECT name FROM sqlite_master WHERE name = 'record_by_t0'").fetchone()


def test_a_folder_that_cannot_be_made_is_told_once(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.parent.write_text("")
    put(path, [ONE])
    (warning,) = lines(caplog)
    assert "cannot open" in warning and "its folder must be this user's" in warning
    assert kept(path) == []


def test_a_folder_in_the_place_of_the_file_is_told(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.mkdir(parents=True)
    put(path, [ONE])
    assert "it is a folder" in lines(caplog)[0]
    with pytest.raises(LibaError, match="cannot use"):
        kept(path)


class InlineExecutor(ThreadPoolExecutor):
    """Works where it is asked to, and notes down when: a virtual clock does not wait for threads."""

    def __init__(self) -> None:
        super().__init__()
        self.asked_at: list[float] = []

    def submit(self, work: Callable[..., Any], /, *args: Any, **members: Any) -> Future[Any]:
        self.asked_at.append(asyncio.get_running_loop().time())
        future: Future[Any] = Future()
        try:
            future.set_result(work(*args, **members))
        except Exception as error:
            future.set_exception(error)
        return future


@pytest.mark.parametrize("anyio_backend", [BACKEND])
async def test_what_fails_is_tried_again_ever_later_and_told_once(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "liba.metrics")
    loop, executor = asyncio.get_running_loop(), InlineExecutor()
    loop.set_default_executor(executor)
    path.parent.mkdir()
    garbage(path)
    its = store(path)
    running = loop.create_task(its.run())
    await asyncio.sleep(10)
    its.add(ONE)
    await asyncio.sleep(140)
    assert executor.asked_at == [0, 1, 3, 7, 15, 31, 61, 91, 121]
    assert len(lines(caplog)) == 1

    remove(path)
    await asyncio.sleep(2)
    assert kept(path) == [ONE]
    assert len(lines(caplog)) == len(lines(caplog, logging.INFO)) == 1
    garbage(path)
    its.add(replace(ONE, id="two"))
    await asyncio.sleep(1.5)
    assert executor.asked_at[-3:] == [151, 152, 153]
    assert len(lines(caplog)) == 2
    running.cancel()
    await asyncio.wait([running])


@pytest.mark.parametrize("anyio_backend", [BACKEND])
async def test_many_utterances_that_end_soon_after_each_other_are_few_writes(path: Path) -> None:
    loop, executor = asyncio.get_running_loop(), InlineExecutor()
    loop.set_default_executor(executor)
    its = store(path)
    running = loop.create_task(its.run())
    for record in several(range(100)):
        its.add(record)
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.25)
    assert len(kept(path)) == 100
    assert len(executor.asked_at) <= 6
    running.cancel()
    await asyncio.wait([running])


async def test_what_is_beyond_the_bound_of_memory_is_lost_oldest_first_and_counted(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "liba.metrics")
    path.parent.mkdir()
    garbage(path)
    its = store(path)
    records = several(range(1500))
    for record in records[:900]:
        its.add(record)
    await its.flush()
    for record in records[900:]:
        its.add(record)
    await its.flush()
    assert len(lines(caplog)) == 1
    remove(path)
    await its.flush()
    assert kept(path) == records[500:]
    (told,) = lines(caplog, logging.INFO)
    assert "500 records were lost" in told


def test_a_flush_with_nothing_to_write_makes_no_file(path: Path) -> None:
    put(path, [])
    assert not path.parent.exists()


def test_records_that_are_too_old_are_forgotten(path: Path) -> None:
    old = [replace(record, t0=record.t0 - 31 * DAY_S) for record in several(range(700), epoch="old")]
    put(path, old, keep_days=60)
    assert len(kept(path)) == 700
    put(path, [ONE], keep_days=30)
    assert kept(path) == [ONE]


def test_a_position_is_never_used_twice_even_when_all_has_gone(path: Path) -> None:
    put(path, [replace(ONE, t0=NOW - 31 * DAY_S)], keep_days=60)

    async def prune(reader: MetricsReader) -> None:
        running = asyncio.get_running_loop().create_task(store(path).run())
        while reader.latest(1):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.wait([running])

    with MetricsReader(path) as reader:
        ((position, _),) = reader.after(0)
        asyncio.run(prune(reader))
        put(path, several([1]))
        assert [record.id for _, record in reader.after(position)] == ["u1"]


def size(path: Path) -> int:
    """Bytes of the file and its journal; the -shm is an index in memory of constant size."""
    return sum(file.stat().st_size for file in path.parent.iterdir() if not file.name.endswith("-shm"))


@pytest.mark.parametrize("batch", [1, 7, 400])
def test_the_files_stay_within_their_size_and_keep_the_newest(path: Path, batch: int) -> None:
    async def write() -> list[int]:
        its, sizes = store(path, keep_mb=1), []
        for number in range(0, 4000 if batch > 1 else 2500, batch):
            for record in several(range(number, number + batch), reason="x" * 300):
                its.add(record)
            await its.flush()
            sizes.append(size(path))
        return sizes

    with MetricsReader(path) as reader:
        put(path, [ONE])
        assert reader.latest(1)  # while it is open the journal is not cleared away
        sizes = asyncio.run(write())
        numbers = [int(record.id[1:]) for record in reader.records() if record != ONE]
    assert max(sizes) < 1_000_000
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    assert len(numbers) > 700
    assert integrity(path) == "ok"


def test_a_journal_that_grew_while_somebody_read_for_long_is_cut_again(path: Path) -> None:
    put(path, [ONE])
    with database(path) as other:
        other.execute("BEGIN")
        other.execute("SELECT * FROM record").fetchall()
        for number in range(0, 2000, 500):
            put(path, several(range(number, number + 500), reason="x" * 300), keep_mb=2)
        assert size(path) > 1_500_000
        other.execute("COMMIT")
        for number in range(2000, 2003):
            put(path, several([number]), keep_mb=2)
            other.execute("SELECT * FROM record LIMIT 1").fetchall()
        assert path.with_name("metrics.db-wal").stat().st_size < 400_000


def test_a_lower_bound_makes_the_file_smaller(path: Path) -> None:
    for number in range(0, 9000, 900):
        put(path, several(range(number, number + 900), reason="x" * 300))
    assert size(path) > 2_000_000
    for number in range(9000, 9010):
        put(path, several([number]), keep_mb=1)
    assert size(path) < 1_000_000
    assert kept(path)[-1].id == "u9009"


def test_records_come_in_the_order_of_their_times_between_the_bounds_of_one_room(path: Path) -> None:
    records = several(range(1200))
    shuffled = [replace(record, room="hall" if record.t0 % 2 < 1 else "demo") for record in records]
    put(path, shuffled[600:])
    put(path, shuffled[:600])
    assert kept(path) == shuffled
    assert kept(path, since=NOW + 100, until=NOW + 700) == shuffled[100:700]
    assert kept(path, since=NOW + 100.5, room="hall") == [r for r in shuffled[101:] if r.room == "hall"]
    assert kept(path, room="nowhere") == []


def test_many_records_are_read_in_little_memory(path: Path) -> None:
    for number in range(0, 6000, 1000):
        put(path, several(range(number, number + 1000)))
    with MetricsReader(path) as reader:
        reader.latest(1)
        tracemalloc.start()
        try:
            assert sum(1 for _ in reader.records()) == 6000
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 2_500_000


def test_what_a_crash_left_in_the_journal_is_read_without_a_change_to_the_file(path: Path) -> None:
    put(path, [ONE])
    with MetricsReader(path) as reader:
        reader.latest(1)  # while it is open the journal stays
        put(path, several([1]))
        crashed = Path(shutil.copytree(path.parent, path.parent.with_name("crashed"))) / path.name
    before = crashed.read_bytes()
    assert kept(crashed) == [ONE, *several([1])]
    assert crashed.read_bytes() == before


def test_records_of_the_same_time_are_all_read(path: Path) -> None:
    records = [replace(record, t0=NOW) for record in several(range(990))]
    put(path, records)
    put(path, [replace(record, epoch="e2") for record in records])
    assert len(kept(path, since=NOW)) == 1980


def test_the_latest_and_what_comes_after_them_are_told_with_their_positions(path: Path) -> None:
    put(path, several(range(10)))
    with MetricsReader(path) as reader:
        latest = reader.latest(3)
        assert [record.id for _, record in latest] == ["u7", "u8", "u9"]
        assert reader.latest(0) == []
        assert reader.after(latest[-1][0]) == []
        put(path, several([10, 11], room="hall") + several([12]))
        assert [record.id for _, record in reader.after(latest[-1][0])] == ["u10", "u11", "u12"]
        assert [record.id for _, record in reader.after(latest[-1][0], limit=1)] == ["u10"]
        assert [record.id for _, record in reader.after(latest[0][0], room="hall")] == ["u10", "u11"]
        assert [record.id for _, record in reader.latest(2, room="demo")] == ["u9", "u12"]
        assert reader.after(latest[0][0])[:2] == latest[1:]


def test_a_missing_file_is_an_empty_store_until_it_is_there(path: Path) -> None:
    with MetricsReader(path) as reader:
        assert (list(reader.records()), reader.latest(5), reader.after(0)) == ([], [], [])
        assert not path.parent.exists()
        put(path, [ONE])
        assert [record for _, record in reader.after(0)] == [ONE]
    reader.close()


def test_a_reader_that_is_slow_sees_all_there_was_and_keeps_nobody_from_writing(path: Path) -> None:
    put(path, several(range(900)))
    put(path, several(range(900, 1300)))
    with MetricsReader(path) as reader:
        reading = reader.records()
        first = [next(reading) for _ in range(700)]
        put(path, several(range(1300, 1400)))
        with database(path) as connection:
            assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
        assert [*first, *reading] == several(range(1400))


async def test_a_reader_may_go_from_thread_to_thread(path: Path) -> None:
    its = store(path)
    its.add(ONE)
    await its.flush()
    with MetricsReader(path) as reader:
        assert reader.latest(1) == await asyncio.to_thread(reader.latest, 1)


def test_avatar_time_is_kept_as_stretches_that_grow_and_is_counted_once(path: Path) -> None:
    now = NOW - NOW % DAY_S

    async def write() -> None:
        its = MetricsStore(path, keep_days=30, keep_mb=64, room="demo", vendor="tavus", clock=lambda: now)
        nonlocal now
        for seconds in (5.0, 5.0, 0.0, 5.0):
            now += 5.0
            its.avatar_seconds(seconds)
            await its.flush()
            await its.flush()
        other = MetricsStore(path, keep_days=30, keep_mb=64, room="hall", vendor="local", clock=lambda: now)
        other.avatar_seconds(20.0)
        await other.aclose()

    asyncio.run(write())
    begin = now - 20.0
    first = AvatarTime(begin, begin + 10, 10.0, "demo", "tavus")
    second = AvatarTime(begin + 15, now, 5.0, "demo", "tavus")
    other = AvatarTime(now - 20.0, now, 20.0, "hall", "local")
    with MetricsReader(path) as reader:
        assert sorted(reader.avatar_times(), key=lambda one: (one.room, one.began)) == [first, second, other]
        assert reader.avatar_times(room="demo", since=begin + 12) == [second]
        assert reader.avatar_times(room="demo", until=begin + 12) == [first]


async def test_avatar_time_that_cannot_be_written_waits_and_is_written_later(path: Path) -> None:
    its = MetricsStore(path, keep_days=30, keep_mb=64, room="demo", vendor="tavus", clock=lambda: NOW)
    path.parent.write_text("no folder")
    its.avatar_seconds(5.0)
    await its.flush()
    path.parent.unlink()
    its.avatar_seconds(5.0)
    await its.flush()
    with MetricsReader(path) as reader:
        assert [one.seconds for one in reader.avatar_times()] == [10.0]


def test_a_store_of_before_costs_were_counted_tells_what_they_were_about(path: Path) -> None:
    path.parent.mkdir()
    told = replace(ONE, chars=12, speech_ms=900.0, provider="speech")
    with database(path) as connection:
        for script in MIGRATIONS[:5]:
            for statement in script.split(";"):
                connection.execute(statement)
        connection.execute("PRAGMA user_version = 5")
        columns = {name for _, name, *_ in connection.execute("PRAGMA table_info(record)")}
        for record in (told, replace(told, id="kept", cached=True)):
            members = {name: value for name, value in record.encode().items() if name in columns}
            connection.execute(
                f"INSERT INTO record ({', '.join(members)}) VALUES ({', '.join('?' * len(members))})",
                list(members.values()),
            )
    for _ in ("as it is", "migrated"):
        asked = {one.id: (one.asked_chars, one.asked_ms) for one in kept(path)}
        assert asked["one"] == (12, 900.0)
        assert asked["kept"] == (0, 0.0)
        with MetricsReader(path) as reader:
            assert reader.avatar_times() == []
        put(path, several([1]))
