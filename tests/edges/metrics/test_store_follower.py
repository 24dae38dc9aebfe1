"""Records as they are written, in real files that are moved, replaced and locked."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, closing, contextmanager
from pathlib import Path

import pytest

from libacli.core.utterance_record import UtteranceRecord
from libacli.edges.metrics.reader import MetricsReader
from libacli.edges.metrics.store_follower import StoreFollower
from libacli.errors import ConfigError, LibaError
from tests.edges.metrics.test_store import ONE, put, several


@pytest.fixture
def anyio_backend() -> str:
    """Files and threads live in real time."""
    return "asyncio"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "liba" / "metrics.db"


class News:
    """What a follower told, as it comes."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[UtteranceRecord | str] = asyncio.Queue()

    async def fill(self, follower: StoreFollower) -> None:
        async with aclosing(follower.news()) as stream:
            async for news in stream:
                self._queue.put_nowait(news)

    async def ids(self, count: int) -> list[str]:
        return [str(getattr(await self.next(), "id", "trouble")) for _ in range(count)]

    async def next(self) -> UtteranceRecord | str:
        async with asyncio.timeout(10):
            return await self._queue.get()


@asynccontextmanager
async def following(path: Path) -> AsyncIterator[News]:
    """What is told once the first look is over."""
    news = News()
    with closing(StoreFollower(path)) as follower:
        await asyncio.to_thread(follower.latest, 1)
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(news.fill(follower))
            yield news
            task.cancel()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keeps even readers out of the file, which must be `without_journal`."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        yield


def without_journal(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")


async def write(path: Path, records: list[UtteranceRecord]) -> None:
    await asyncio.to_thread(put, path, records)


def moved_away(path: Path) -> Path:
    return path.rename(path.with_suffix(".old"))


def remove(path: Path) -> None:
    path.unlink()


def make_garbage(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("garbage " * 100)


async def test_what_is_written_is_told_in_its_order(path: Path) -> None:
    await write(path, [ONE])
    async with following(path) as news:
        await write(path, several(range(5)))
        assert await news.ids(5) == ["u0", "u1", "u2", "u3", "u4"]


async def test_a_store_that_is_not_there_yet_is_told_from_its_first_record_on(path: Path) -> None:
    async with following(path) as news:
        await write(path, several([1, 2]))
        assert await news.ids(2) == ["u1", "u2"]


async def test_a_new_file_in_the_place_of_one_that_was_moved_away_is_told_from_its_beginning(
    path: Path,
) -> None:
    await write(path, several(range(10)))
    async with following(path) as news:
        moved_away(path)
        await write(path, several([20]))
        assert await news.ids(1) == ["u20"]
        await write(path, several([21]))
        assert await news.ids(1) == ["u21"]


async def test_a_file_that_was_removed_is_not_taken_for_the_next_one(path: Path) -> None:
    """A file system may give the number of the removed one to the new one."""
    await write(path, several(range(10)))
    async with following(path) as news:
        for number in (20, 30):
            remove(path)
            await asyncio.sleep(0.6)
            await write(path, several([number]))
            assert await news.ids(1) == [f"u{number}"]


async def test_a_file_that_comes_back_goes_on_where_it_was(path: Path) -> None:
    await write(path, several(range(10)))
    async with following(path) as news:
        old = moved_away(path)
        await asyncio.sleep(0.6)
        old.rename(path)
        await write(path, several([10]))
        assert await news.ids(1) == ["u10"]


async def test_a_file_that_is_no_store_is_told_until_it_is_moved_away(path: Path) -> None:
    await write(path, [ONE])
    async with following(path) as news:
        moved_away(path)
        make_garbage(path)
        assert "is not a metrics store" in str(await news.next())
        remove(path)
        await write(path, several([1]))
        assert await news.next() == ""
        assert await news.ids(1) == ["u1"]


async def test_the_loop_goes_on_while_another_program_locks_the_file(path: Path) -> None:
    await write(path, [ONE])
    without_journal(path)
    loop = asyncio.get_running_loop()
    async with following(path) as news:
        with locked(path):
            asked_at, longest_s = loop.time(), 0.0
            async with asyncio.TaskGroup() as tasks:
                told = tasks.create_task(news.next())
                while not told.done():
                    before = loop.time()
                    await asyncio.sleep(0.01)
                    longest_s = max(longest_s, loop.time() - before)
        assert "another program has locked it" in str(told.result())
        assert loop.time() - asked_at > 1.5
        assert longest_s < 1.0
        assert await news.next() == ""


async def test_the_first_look_at_a_file_that_is_no_store_is_an_error(path: Path) -> None:
    make_garbage(path)
    with closing(StoreFollower(path)) as follower, pytest.raises(ConfigError):
        await anext(follower.news())


def test_a_reader_reads_the_file_that_is_there_now(path: Path) -> None:
    put(path, several(range(3)))
    with MetricsReader(path) as reader:
        assert len(reader.latest(10)) == 3
        moved_away(path)
        put(path, [ONE])
        assert [record for _, record in reader.latest(10)] == [ONE]
        assert reader.files_opened == 2


def test_a_reader_may_be_closed_while_it_reads_elsewhere(path: Path) -> None:
    async def read() -> None:
        with MetricsReader(path) as reader:
            reading = asyncio.get_running_loop().run_in_executor(None, reader.latest, 1)
            await asyncio.sleep(0.1)
        with pytest.raises(LibaError, match="another program has locked it"):
            await reading

    put(path, [ONE])
    without_journal(path)
    with locked(path):
        asyncio.run(read())
