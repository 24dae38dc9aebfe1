from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from libacli.core.agent_status import AgentStatus
from libacli.core.event import AgentFacts, Event, Report
from libacli.core.room_update import RECONNECTING, WELL, Caption, RoomUpdate, Unreadable
from libacli.errors import UnreachableError, UsageError
from libacli.web.feed import KEEP_S, PING_S, Feeds, Item
from libacli.web.problems import Problem

FACTS = AgentFacts("demo", "liba", "hibari", "ready", epoch="e1")
AGENT = AgentStatus(FACTS)


class Rooms:
    """A gateway of which only the updates are asked, and the status."""

    def __init__(self) -> None:
        self.heard: dict[str, asyncio.Queue[RoomUpdate | Exception]] = defaultdict(asyncio.Queue)
        self.follows: list[float] = []
        """When a room began to be followed."""

        self.left = 0
        self.agent: AgentStatus | Exception | None = AGENT
        self.asked = 0

    def updates(self, room: str) -> AsyncGenerator[RoomUpdate]:
        if not room:
            raise UsageError("a room has a name")
        return self._updates(self.heard[room])

    async def _updates(self, heard: asyncio.Queue[RoomUpdate | Exception]) -> AsyncGenerator[RoomUpdate]:
        self.follows.append(asyncio.get_running_loop().time())
        try:
            while True:
                item = await heard.get()
                if isinstance(item, Exception):
                    raise item
                yield item
        finally:
            self.left += 1

    async def status(self, room: str) -> AgentStatus | None:
        self.asked += 1
        if isinstance(self.agent, Exception):
            raise self.agent
        return self.agent

    def tell(self, *updates: RoomUpdate | Exception, room: str = "demo") -> None:
        for item in updates:
            self.heard[room].put_nowait(item)


@pytest.fixture
def rooms() -> Rooms:
    return Rooms()


@pytest.fixture
async def feeds(rooms: Rooms) -> AsyncGenerator[Feeds]:
    feeds = feeds_of(rooms)
    yield feeds
    await feeds.aclose()
    assert rooms.left == len(rooms.follows)


def feeds_of(rooms: Rooms, **options: int) -> Feeds:
    return Feeds(rooms, **options)  # type: ignore[arg-type]


def event(number: int) -> Event:
    return Event(FACTS, Report(f"u{number}", "done"), t0=1.0)


async def take(reader: AsyncGenerator[Item], count: int) -> list[Item]:
    async with asyncio.timeout(1):
        return [await anext(reader) for _ in range(count)]


async def kinds(reader: AsyncGenerator[Item], count: int) -> list[str]:
    return [item.kind for item in await take(reader, count)]


async def test_a_reader_is_told_of_the_connection_the_agent_and_what_is_spoken(
    rooms: Rooms, feeds: Feeds
) -> None:
    rooms.tell(WELL, AGENT, event(1))
    async with aclosing(feeds.read("demo")) as reader:
        link, status, utterance = await take(reader, 3)
    assert (link.kind, link.data) == ("link", {"state": ""})
    assert (status.kind, status.data["room"]) == ("status", "demo")
    assert status.data["agent"]
    assert (utterance.kind, utterance.data) == ("utterance", event(1).encode())
    assert rooms.asked == 0


async def test_a_second_reader_gets_a_status_of_now_at_once(rooms: Rooms, feeds: Feeds) -> None:
    rooms.tell(WELL, AGENT, event(1))
    async with aclosing(feeds.read("demo")) as first, aclosing(feeds.read("demo")) as second:
        await take(first, 3)
        rooms.agent = None
        (status,) = await take(second, 1)
        assert (status.kind, status.data["agent"]) == ("status", None)
        rooms.tell(event(2))
        assert await take(first, 1) == await take(second, 1)
    assert len(rooms.follows) == 1


async def test_a_status_that_cannot_be_had_is_the_last_one(rooms: Rooms, feeds: Feeds) -> None:
    rooms.tell(WELL, AGENT)
    async with aclosing(feeds.read("demo")) as first, aclosing(feeds.read("demo")) as second:
        _, known = await take(first, 2)
        rooms.agent = UnreachableError("LiveKit is gone")
        (status,) = await take(second, 1)
    assert status.data == known.data


async def test_captions_come_only_where_they_are_asked_for(rooms: Rooms, feeds: Feeds) -> None:
    rooms.tell(WELL, Caption("u1", "Hello."), event(1))
    async with aclosing(feeds.read("demo")) as without:
        assert await kinds(without, 2) == ["link", "utterance"]
    async with aclosing(feeds.read("demo", captions=True)) as with_captions:
        rooms.tell(Caption("u2", "Hello."))
        (caption,) = await take(with_captions, 1)
    assert caption.data == {"id": "u2", "text": "Hello."}


async def test_what_nobody_understands_is_passed_over(rooms: Rooms, feeds: Feeds) -> None:
    rooms.tell(Unreadable(), event(1))
    async with aclosing(feeds.read("demo")) as reader:
        assert (await take(reader, 1))[0].data["id"] == "u1"


async def test_one_who_was_cut_off_resumes_and_misses_nothing(rooms: Rooms, feeds: Feeds) -> None:
    rooms.tell(WELL, AGENT, event(1))
    async with aclosing(feeds.read("demo")) as reader:
        seen = await take(reader, 2)
    rooms.tell(event(2), event(3))
    await asyncio.sleep(KEEP_S - 1)
    async with aclosing(feeds.read("demo", last_id=seen[-1].id)) as reader:
        missed = await take(reader, 3)
    assert [item.data["id"] for item in missed] == ["u1", "u2", "u3"]
    assert rooms.asked == 0


async def test_what_a_new_reader_was_told_first_is_a_place_to_resume_from(rooms: Rooms, feeds: Feeds) -> None:
    rooms.tell(WELL, AGENT, event(1))
    async with aclosing(feeds.read("demo")) as reader:
        await take(reader, 3)
        async with aclosing(feeds.read("demo")) as late:
            (status,) = await take(late, 1)
        rooms.tell(event(2))
        async with aclosing(feeds.read("demo", last_id=status.id)) as again:
            assert (await take(again, 1))[0].data["id"] == "u2"


async def test_a_room_is_left_some_time_after_its_last_reader(rooms: Rooms, feeds: Feeds) -> None:
    rooms.tell(WELL)
    async with aclosing(feeds.read("demo")) as reader:
        (seen,) = await take(reader, 1)
        async with aclosing(feeds.read("demo")):
            pass
        await asyncio.sleep(2 * KEEP_S)
        assert rooms.left == 0
    await asyncio.sleep(KEEP_S + 1)
    assert rooms.left == 1
    rooms.tell(WELL, AGENT)
    async with aclosing(feeds.read("demo", last_id=seen.id)) as reader:
        assert await kinds(reader, 3) == ["gap", "link", "status"]


@pytest.mark.parametrize("last_id", ["nonsense", "abc-1", "-", "{name}-99", "{name}--1", "{name}-²"])
async def test_an_id_that_is_not_known_is_a_gap_and_then_a_status(
    rooms: Rooms, feeds: Feeds, last_id: str
) -> None:
    rooms.tell(WELL, AGENT)
    async with aclosing(feeds.read("demo")) as reader:
        name = (await take(reader, 2))[-1].id.rpartition("-")[0]
        async with aclosing(feeds.read("demo", last_id=last_id.format(name=name))) as again:
            assert await kinds(again, 2) == ["gap", "status"]


async def test_an_id_that_is_too_old_is_a_gap(rooms: Rooms) -> None:
    feeds = feeds_of(rooms, items_kept=3)
    rooms.tell(WELL, AGENT, event(1))
    async with aclosing(feeds.read("demo")) as reader:
        old, kept, *_ = await take(reader, 3)
        rooms.tell(event(2), event(3))
        await take(reader, 2)
        async with aclosing(feeds.read("demo", last_id=kept.id)) as resumed:
            assert [item.data["id"] for item in await take(resumed, 3)] == ["u1", "u2", "u3"]
        async with aclosing(feeds.read("demo", last_id=old.id)) as again:
            assert await kinds(again, 2) == ["gap", "status"]
    await feeds.aclose()


async def test_one_who_reads_too_slowly_is_dropped_and_resumes_with_a_gap(rooms: Rooms) -> None:
    feeds = feeds_of(rooms, items_kept=3)
    rooms.tell(WELL, AGENT)
    async with aclosing(feeds.read("demo")) as fast, aclosing(feeds.read("demo")) as slow:
        await take(fast, 2)
        (last,) = await take(slow, 1)
        for number in range(5):
            rooms.tell(event(number))
            await take(fast, 1)
        with pytest.raises(StopAsyncIteration):
            await anext(slow)
        async with aclosing(feeds.read("demo", last_id=last.id)) as again:
            assert await kinds(again, 2) == ["gap", "status"]
    await feeds.aclose()


async def test_when_nothing_happens_there_is_a_ping_now_and_then(feeds: Feeds) -> None:
    clock = asyncio.get_running_loop().time
    began = clock()
    async with aclosing(feeds.read("demo")) as reader:
        assert [await anext(reader), await anext(reader)] == [Item("", "ping", {})] * 2
    assert clock() - began == pytest.approx(2 * PING_S)


async def test_trouble_is_told_once(rooms: Rooms, feeds: Feeds) -> None:
    rooms.tell(RECONNECTING, RECONNECTING, RECONNECTING, WELL, event(1))
    async with aclosing(feeds.read("demo")) as reader:
        told = [item async for item in _until(reader, "utterance")]
    assert [item.data.get("state") for item in told] == ["reconnecting…", "", "done"]


async def test_after_a_defect_readers_come_again_to_a_new_follower(
    rooms: Rooms, feeds: Feeds, caplog: pytest.LogCaptureFixture
) -> None:
    rooms.tell(WELL, RuntimeError("a defect"))
    async with aclosing(feeds.read("demo")) as reader:
        assert [item.kind for item in await _rest(reader)] == ["link"]
    assert "a defect" in caplog.text
    rooms.tell(WELL, event(1))
    async with aclosing(feeds.read("demo")) as reader:
        assert await kinds(reader, 2) == ["link", "utterance"]


async def test_one_who_comes_while_the_connection_is_gone_is_told_so(rooms: Rooms, feeds: Feeds) -> None:
    rooms.tell(WELL, AGENT, RECONNECTING)
    async with aclosing(feeds.read("demo")) as first, aclosing(feeds.read("demo")) as second:
        await take(first, 3)
        link, status = await take(second, 2)
    assert (link.data, status.kind) == ({"state": "reconnecting…"}, "status")


async def test_so_many_rooms_are_followed_and_then_no_more(rooms: Rooms) -> None:
    feeds = feeds_of(rooms, limit=2)
    for room in ("one", "two", "three"):
        rooms.tell(WELL, room=room)
    async with aclosing(feeds.read("one")) as one:
        await take(one, 1)
        async with aclosing(feeds.read("two")) as two:
            await take(two, 1)
            with pytest.raises(Problem) as caught:
                feeds.read("three")
            assert (caught.value.status, caught.value.reason) == (503, "too_many_rooms")
        async with aclosing(feeds.read("three")) as three:  # nobody reads the second any more
            await take(three, 1)
            assert rooms.left == 1
            rooms.tell(event(1), room="one")
            assert await kinds(one, 1) == ["utterance"]
    await feeds.aclose()


async def test_a_room_that_is_no_name_is_refused_at_once(feeds: Feeds) -> None:
    with pytest.raises(UsageError):
        feeds.read("")


async def test_at_the_end_readers_get_the_rest_and_nobody_comes_in(rooms: Rooms, feeds: Feeds) -> None:
    rooms.tell(WELL, event(1))
    async with aclosing(feeds.read("demo")) as behind, aclosing(feeds.read("demo")) as waiting:
        await take(behind, 1)
        async with asyncio.TaskGroup() as tasks:
            rest = tasks.create_task(_rest(waiting))
            await asyncio.sleep(1)
            feeds.end()
        assert rest.result() == []
        assert [item.kind for item in await _rest(behind)] == ["utterance"]
    with pytest.raises(Problem) as caught:
        feeds.read("demo")
    assert caught.value.reason == "draining"


async def _until(reader: AsyncGenerator[Item], kind: str) -> AsyncGenerator[Item]:
    async for item in reader:
        if item.kind != "ping":
            yield item
        if item.kind == kind:
            return


async def _rest(reader: AsyncGenerator[Item]) -> list[Item]:
    return [item async for item in reader]


async def test_an_update_that_cannot_be_told_is_left_out_and_readers_read_on(
    rooms: Rooms, feeds: Feeds, caplog: pytest.LogCaptureFixture
) -> None:
    unfit = AgentStatus(AgentFacts("demo", queue="many"))  # type: ignore[arg-type]
    async with aclosing(feeds.read("demo")) as reader:
        rooms.tell(AGENT, *[unfit] * 3, event(1))
        assert [item.kind for item in await take(reader, 2)] == ["status", "utterance"]
    assert len(rooms.follows) == 1
    assert len(caplog.records) == 1
