"""All rooms of a server that is played here; the clock is the test's."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr

from libacli.config import LiveKitCredentials
from libacli.core.agent_status import AgentStatus
from libacli.core.event import AgentFacts, Report
from libacli.core.fleet import AgentMissing, AgentTold, Fleet, FleetUpdate, RoomsListed
from libacli.core.room_update import WELL, ConnectionState
from libacli.edges.livekit.api import LiveKitApi
from libacli.edges.livekit.call_budget import CallBudget
from libacli.edges.livekit.fleet_follower import FleetFollower
from libacli.errors import CredentialsError, UnreachableError

CREDENTIALS = LiveKitCredentials("ws://127.0.0.1:7880", "key", SecretStr("s" * 32))
DEAF_S = 3.0
"""How long LiveKit waits for an agent that was killed."""

LISTED_S = 20.0
"""How long it lists it."""


@dataclass
class FakeRoom:
    agent: str = ""
    is_dead: bool = False
    died_at: float = 0.0
    people: int = 1
    said: list[Report] = field(default_factory=list)


class FakeServer(httpx2.AsyncBaseTransport):
    """Rooms with agents, and when what was asked."""

    def __init__(self, *names: str, empty: int = 0) -> None:
        self.rooms = {name: FakeRoom(f"liba-{name}") for name in names}
        self.rooms |= {f"meeting-{number}": FakeRoom() for number in range(empty)}
        self.calls: list[tuple[float, str, str]] = []
        self.status = 200

    def count(self, method: str) -> int:
        return sum(called == method for _, called, _ in self.calls)

    def most_in_a_minute(self) -> int:
        moments = [at for at, _, _ in self.calls]
        return max(sum(begin <= at < begin + 60 for at in moments) for begin in moments)

    def kill(self, name: str) -> None:
        self.rooms[name].is_dead, self.rooms[name].died_at = True, now()

    def replace_agent(self, name: str) -> None:
        self.rooms[name] = FakeRoom(f"liba-{name}-2")

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        method, asked = request.url.path.rpartition("/")[2], json.loads(request.content)
        self.calls.append((now(), method, asked.get("room", "")))
        if self.status == 429:
            return httpx2.Response(429, json={"code": "resource_exhausted"}, headers={"Retry-After": "60"})
        if self.status != 200:
            return httpx2.Response(self.status, json={"code": "unauthenticated", "msg": "no"})
        if method == "ListRooms":
            return httpx2.Response(200, json={"rooms": [self._row(name) for name in self.rooms]})
        room = self.rooms.get(asked["room"])
        if method == "ListParticipants":
            return httpx2.Response(200, json={"participants": self._participants(room)})
        assert method == "PerformRpc"
        if room is None or room.is_dead or room.agent != asked["destination_identity"]:
            await asyncio.sleep(DEAF_S if room else 0)
            return httpx2.Response(503, json={"code": "unavailable", "msg": "nobody answers"})
        facts = AgentFacts(room=asked["room"], agent="liba", epoch=room.agent, avatar="ready")
        status = AgentStatus(facts, ended=tuple(room.said[-20:]), worker="machine-1")
        return httpx2.Response(200, json={"payload": json.dumps(status.encode())})

    def _row(self, name: str) -> dict[str, Any]:
        return {"name": name, "sid": f"RM_{name}", "num_participants": self.rooms[name].people}

    def _participants(self, room: FakeRoom | None) -> list[dict[str, Any]]:
        is_listed = room and room.agent and not (room.is_dead and now() > room.died_at + LISTED_S)
        if not room or not is_listed:
            return []
        return [
            {"identity": room.agent, "state": "ACTIVE", "kind": "AGENT", "attributes": {"liba.agent": "liba"}}
        ]


def now() -> float:
    return asyncio.get_running_loop().time()


@dataclass
class Seen:
    """What a follower has told, with the moment."""

    updates: list[tuple[float, FleetUpdate]] = field(default_factory=list)
    fleet: Fleet = field(default_factory=Fleet)

    def tell(self, update: FleetUpdate) -> None:
        self.updates.append((now(), update))
        self.fleet.take(update, now())

    def moments(self, update: type[FleetUpdate], room: str) -> list[float]:
        return [at for at, one in self.updates if type(one) is update and getattr(one, "room", "") == room]


@asynccontextmanager
async def following(server: FakeServer, calls_per_minute: int = 300) -> AsyncIterator[Seen]:
    seen = Seen()
    async with (
        LiveKitApi(CREDENTIALS, transport=server) as api,
        asyncio.TaskGroup() as tasks,
    ):
        follower = FleetFollower(api, seen.tell, calls_per_minute=calls_per_minute)
        running = tasks.create_task(follower.run())
        yield seen
        running.cancel()


async def test_each_agent_is_asked_every_five_seconds_and_found_once() -> None:
    server = FakeServer("a", "b")
    async with following(server) as seen:
        await asyncio.sleep(60)
    assert server.count("ListParticipants") == 2
    assert len(seen.moments(AgentTold, "a")) == pytest.approx(12, abs=1)
    assert [line.worker for line in seen.fleet.lines] == ["machine-1", "machine-1"]


@pytest.mark.parametrize(
    ("rooms", "empty", "calls_per_minute"),
    [(3, 0, 300), (60, 0, 300), (0, 500, 300), (100, 300, 300), (20, 20, 60)],
)
async def test_however_many_rooms_there_are_no_minute_has_more_calls_than_the_budget(
    rooms: int, empty: int, calls_per_minute: int
) -> None:
    server = FakeServer(*(f"r{number}" for number in range(rooms)), empty=empty)
    async with following(server, calls_per_minute):
        await asyncio.sleep(150)
    assert server.most_in_a_minute() <= calls_per_minute


async def test_with_many_rooms_all_are_asked_in_turn_ever_further_apart() -> None:
    server = FakeServer(*(f"r{number}" for number in range(100)))
    async with following(server) as seen:
        await asyncio.sleep(300)
    asked = Counter(room for at, method, room in server.calls if method == "PerformRpc" and at > 120)
    assert len(asked) == 100
    assert min(asked.values()) >= 180 // 32
    assert seen.fleet.totals().agents == 100


@pytest.mark.parametrize("rooms", [1, 16])
async def test_an_agent_that_dies_is_shown_as_gone_within_ten_seconds(rooms: int) -> None:
    server = FakeServer(*(f"r{number}" for number in range(rooms)))
    async with following(server) as seen:
        await asyncio.sleep(31)
        server.kill("r0")
        killed_at = now()
        await asyncio.sleep(10)
        gone = [line.room for line in seen.fleet.lines if line.state == "gone"]
    assert gone == ["r0"]
    assert seen.moments(AgentMissing, "r0")[0] - killed_at <= 10


async def test_the_agent_that_comes_in_its_place_is_found_soon() -> None:
    server = FakeServer("a")
    async with following(server) as seen:
        await asyncio.sleep(20)
        server.kill("a")
        await asyncio.sleep(20)
        states = [line.state for line in seen.fleet.lines]
        server.replace_agent("a")
        await asyncio.sleep(10)
        states += [line.state for line in seen.fleet.lines]
        assert states == ["gone", "idle"]
        assert seen.fleet.lines[0].epoch == "liba-a-2"


async def test_rooms_come_and_go_while_it_is_watched() -> None:
    server = FakeServer("a")
    async with following(server) as seen:
        await asyncio.sleep(12)
        server.rooms["b"] = FakeRoom("liba-b")
        await asyncio.sleep(8)
        assert [line.room for line in seen.fleet.lines] == ["a", "b"]
        del server.rooms["a"]
        await asyncio.sleep(6)
        assert [line.room for line in seen.fleet.lines] == ["b"]
        asked = server.count("PerformRpc")
        await asyncio.sleep(60)
        assert server.count("PerformRpc") - asked == pytest.approx(12, abs=1)


async def test_an_agent_that_comes_into_a_room_is_found_when_that_changes() -> None:
    server = FakeServer("a", empty=1)
    async with following(server) as seen:
        await asyncio.sleep(12)
        server.rooms["meeting-0"] = FakeRoom("liba-late", people=2)
        await asyncio.sleep(8)
        assert [line.room for line in seen.fleet.lines] == ["a", "meeting-0"]


async def test_a_room_without_an_agent_costs_two_calls_a_minute_and_is_no_line() -> None:
    server = FakeServer(empty=3)
    async with following(server) as seen:
        await asyncio.sleep(60)
    assert server.count("ListParticipants") == pytest.approx(6, abs=3)
    assert (seen.fleet.lines, seen.fleet.totals().rooms) == ([], 3)


async def test_a_server_that_is_away_is_told_once_and_once_that_it_is_back() -> None:
    server = FakeServer("a", "b")
    async with following(server) as seen:
        await asyncio.sleep(12)
        server.status = 500
        await asyncio.sleep(30)
        server.status = 200
        await asyncio.sleep(12)
    told = [update for _, update in seen.updates if isinstance(update, ConnectionState)]
    assert len(told) == 2
    assert told[0].words and told[1] == WELL
    assert seen.fleet.totals().agents == 2


async def test_that_the_quota_is_used_up_is_told_and_no_call_is_made_until_livekit_says() -> None:
    server = FakeServer("a", "b")
    async with following(server) as seen:
        await asyncio.sleep(12)
        server.status = 429
        await asyncio.sleep(5)
        before = len(server.calls)
        await asyncio.sleep(40)
        assert len(server.calls) == before
        assert seen.fleet.connection_words
        server.status = 200
        await asyncio.sleep(30)
    assert seen.fleet.connection_words == ""


@pytest.mark.parametrize(("status", "error"), [(401, CredentialsError), (500, UnreachableError)])
async def test_what_cannot_even_begin_is_raised(status: int, error: type[Exception]) -> None:
    server = FakeServer("a")
    server.status = status
    async with LiveKitApi(CREDENTIALS, transport=server) as api:
        with pytest.raises(error):
            await FleetFollower(api, lambda update: None).run()


async def test_one_look_asks_each_room_once() -> None:
    server = FakeServer("a", "b", empty=1)
    server.rooms["a"].said = [Report("u1", "done", d01=10.0, d12=1.0, d2a=20.0)]
    seen = Seen()
    async with LiveKitApi(CREDENTIALS, transport=server) as api:
        await FleetFollower(api, seen.tell).look_once()
    assert Counter(method for _, method, _ in server.calls) == {
        "ListRooms": 1,
        "ListParticipants": 3,
        "PerformRpc": 2,
    }
    assert seen.updates[0][1] == RoomsListed(("a", "b", "meeting-0"))
    assert seen.fleet.lines[0].latency == 31.0


async def test_a_budget_gives_a_tenth_at_once_and_the_rest_evenly() -> None:
    budget, moments = CallBudget(60), []
    for _ in range(66):
        await budget.spend()
        moments.append(now())
    assert moments[5] == 0.0
    assert moments[-1] == pytest.approx(60 * budget.interval_s)
    assert moments[60] >= 60
