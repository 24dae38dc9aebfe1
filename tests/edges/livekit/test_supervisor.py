"""Rooms whose agents die in every way, under a clock of their own: each is replaced, by one, and in time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libacli.edges.livekit.api import Participant, RoomRow
from libacli.edges.livekit.leader import Pulse
from libacli.edges.livekit.supervisor import LOOK_EVERY_S, Supervisor
from libacli.errors import NoAgentError, UnreachableError
from tests.virtual_time import VirtualLoop

BOUND_S = 30.0
LISTED_S = 20.0
"""How long LiveKit lists a participant whose process was killed."""

pytestmark = pytest.mark.anyio


@dataclass
class Someone:
    identity: str
    is_agent: bool = False
    pulse: Pulse = "ready"
    shows_life: bool = True
    """Its process works; what it hears over LiveKit is another matter."""

    @property
    def row(self) -> Participant:
        attributes = {"lk.agent.name": "liba"} if self.is_agent else {}
        return Participant(self.identity, is_active=True, is_agent=self.is_agent, attributes=attributes)


@dataclass
class World:
    """LiveKit and a worker: rooms with people, dispatches that are served after a while."""

    serve_after_s: float | None = 2.0
    """None: no worker has room for another agent."""

    is_reachable: bool = True
    present: dict[str, list[Someone]] = field(default_factory=dict)
    """Who is in each room."""

    jobs: dict[str, str] = field(default_factory=dict)
    """Rooms with a job of this worker, and its identity."""

    outstanding: dict[str, str] = field(default_factory=dict)
    """Dispatches that nobody has served: their ids and rooms."""

    log: list[tuple[float, str, str]] = field(default_factory=list)
    clean_ups: int = 0
    broken: set[str] = field(default_factory=set)
    """Rooms of which LiveKit answers what it never would."""

    calls: list[tuple[float, str]] = field(default_factory=list)
    """What LiveKit was asked, and when."""

    sent_for: list[str] = field(default_factory=list)
    awaited: list[str] = field(default_factory=list)
    """Rooms in which lines wait that nobody may be there to say."""

    supervisor: Supervisor = field(init=False)

    def __post_init__(self) -> None:
        self.supervisor = Supervisor(self, self, "liba", waiting=self.waiting)

    async def waiting(self) -> list[str]:
        return self.awaited

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def moments(self, what: str) -> list[float]:
        return [at for at, done, _ in self.log if done == what]

    def agents(self, room: str = "demo") -> list[Someone]:
        return [one for one in self.present.get(room, []) if one.is_agent]

    def living(self, room: str = "demo") -> list[Someone]:
        return [agent for agent in self.agents(room) if agent.pulse == "ready"]

    # What happens in it

    def open(self, room: str = "demo") -> Someone:
        """A viewer and an agent of this worker are in `room`; the agent."""
        self.present[room] = [Someone("viewer")]
        return self.enter(room)

    def enter(self, room: str = "demo") -> Someone:
        agent = Someone(f"liba-agent-{len(self.log)}-{self.now:g}", is_agent=True)
        self.present.setdefault(room, []).append(agent)
        self.jobs[room] = agent.identity
        self.supervisor.supervise(room, agent.identity)
        return agent

    def kill(self, agent: Someone, room: str = "demo") -> None:
        """Its process is gone; LiveKit does not know yet."""
        self.jobs.pop(room, None)
        agent.pulse = "silent"
        asyncio.get_running_loop().call_later(LISTED_S, self.leave, agent, room)

    def leave(self, agent: Someone, room: str = "demo") -> None:
        if agent in self.present.get(room, []):
            self.present[room].remove(agent)

    def crash(self, agent: Someone, room: str = "demo") -> None:
        self.jobs.pop(room, None)
        self.leave(agent, room)

    def delete(self, room: str = "demo") -> None:
        self.present.pop(room, None)
        self.jobs.pop(room, None)

    # What the supervisor asks

    async def rooms(self, names: Collection[str] = ()) -> list[RoomRow]:
        self.reach("list")
        return [
            RoomRow(name, people=sum(not one.is_agent for one in present), publishers=len(self.agents(name)))
            for name, present in self.present.items()
            if not names or name in names
        ]

    async def was_sent_for(self, room: str, agent_name: str) -> bool:
        self.reach("dispatches")
        return room in self.sent_for

    async def participants(self, room: str) -> list[Participant]:
        self.reach("look")
        if room in self.broken:
            raise KeyError("identity")
        return [one.row for one in self.present.get(room, [])]

    async def remove(self, room: str, identity: str) -> None:
        self.reach("remove")
        self.log.append((self.now, "remove", identity))
        self.present[room] = [one for one in self.present[room] if one.identity != identity]
        if self.jobs.get(room) == identity:
            del self.jobs[room]

    async def dispatch(self, room: str, agent_name: str) -> str:
        self.reach("dispatch")
        assert agent_name == "liba"
        assert room not in self.outstanding.values(), "two dispatches for one room"
        self.log.append((self.now, "dispatch", room))
        number = f"AD_{len(self.log)}"
        self.outstanding[number] = room
        self.present.setdefault(room, [])
        if self.serve_after_s is not None:
            asyncio.get_running_loop().call_later(self.serve_after_s, self.serve, number)
        return number

    def serve(self, number: str) -> None:
        if (room := self.outstanding.pop(number, None)) in self.present:
            self.enter(str(room))

    async def withdraw(self, room: str, dispatch_id: str) -> None:
        self.reach("withdraw")
        self.log.append((self.now, "withdraw", room))
        if self.outstanding.pop(dispatch_id, None) is None:
            raise NoAgentError("no such dispatch")

    async def pulse(self, room: str, identity: str) -> Pulse:
        self.reach("pulse")
        pulses: list[Pulse] = [one.pulse for one in self.present.get(room, []) if one.identity == identity]
        answer = pulses[0] if pulses else "silent"
        await asyncio.sleep(2.0 if answer == "silent" else 0.01)
        return answer

    def has_job(self, room: str) -> bool:
        return room in self.jobs

    def is_well(self, room: str) -> bool:
        identity = self.jobs.get(room)
        return any(one.identity == identity and one.shows_life for one in self.present.get(room, []))

    async def clean_up(self) -> None:
        self.clean_ups += 1

    def reach(self, what: str) -> None:
        self.calls.append((self.now, what))
        if not self.is_reachable:
            raise UnreachableError("cannot reach LiveKit")

    @asynccontextmanager
    async def supervised(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(self.supervisor.run())
            yield
            running.cancel()


def kill_of_another_worker(world: World, agent: Someone) -> None:
    world.supervisor.supervise("demo", "nobody")
    world.kill(agent)


def deafen(world: World, agent: Someone) -> None:
    agent.pulse = "silent"


def stop(world: World, agent: Someone) -> None:
    agent.pulse = "silent"
    agent.shows_life = False


DEATHS: dict[str, Callable[[World, Someone], None]] = {
    "its process is killed": World.kill,
    "a process of another worker is killed": kill_of_another_worker,
    "it crashes and leaves": World.crash,
    "it is deaf": deafen,
    "its process hangs": stop,
}


@pytest.mark.parametrize("death", DEATHS)
async def test_fault_14_a_dead_agent_is_replaced_within_30_s_by_exactly_one(death: str) -> None:
    world = World()
    first = world.open()
    async with world.supervised():
        await asyncio.sleep(7)
        DEATHS[death](world, first)
        died_at = world.now
        while not [agent for agent in world.living() if agent is not first]:
            await asyncio.sleep(0.1)
            assert world.now < died_at + BOUND_S
        await asyncio.sleep(300)
    assert len(world.moments("dispatch")) == 1
    assert len(world.agents()) == 1
    assert world.clean_ups == 1


@pytest.mark.parametrize("death", DEATHS)
async def test_a_dead_agent_that_was_alone_in_its_room_is_not_replaced_before_somebody_comes(
    death: str,
) -> None:
    world = World()
    first = world.enter()
    async with world.supervised():
        await asyncio.sleep(7)
        DEATHS[death](world, first)
        await asyncio.sleep(LISTED_S + BOUND_S)
        assert world.moments("dispatch") == []
        assert world.agents() == []
        world.sent_for = ["demo"]  # as LiveKit has it, as long as the room is there
        world.present["demo"] = [Someone("viewer")]
        await asyncio.sleep(BOUND_S)
        assert len(world.living()) == 1
    assert len(world.moments("dispatch")) == 1


@pytest.mark.parametrize("why", ["lines wait", "it is pinned"])
async def test_a_dead_agent_that_was_alone_is_replaced_where_the_room_is_worth_it_all_the_same(
    why: str,
) -> None:
    world = World(awaited=["demo"] if why == "lines wait" else [])
    if why == "it is pinned":
        world.supervisor.pin(["demo"])
    first = world.enter()
    async with world.supervised():
        await asyncio.sleep(7)
        world.kill(first)
        died_at = world.now
        await until_living(world)
        assert world.now - died_at <= BOUND_S
        world.awaited = []
        await asyncio.sleep(60)
    assert len(world.moments("dispatch")) == 1


async def test_an_agent_that_lives_is_left_alone() -> None:
    world = World()
    world.open()
    async with world.supervised():
        await asyncio.sleep(300)
    assert world.log == []


async def test_an_agent_that_misses_two_calls_in_a_row_is_left_alone() -> None:
    world = World()
    agent = world.open()
    async with world.supervised():
        for _ in range(5):
            agent.pulse = "silent"
            await asyncio.sleep(2 * LOOK_EVERY_S)
            agent.pulse = "ready"
            await asyncio.sleep(2 * LOOK_EVERY_S)
    assert world.log == []


def a_minute(world: World) -> int:
    """Calls in the last five minutes, for one of them."""
    return round(sum(at > world.now - 300 for at, _ in world.calls) / 5)


@pytest.mark.parametrize(("rooms", "most"), [(0, 6), (1, 12), (10, 42), (100, 42)])
async def test_f3_quiet_rooms_of_this_worker_cost_a_few_calls_however_many_they_are(
    rooms: int, most: int
) -> None:
    world = World()
    for number in range(rooms):
        world.open(f"room-{number}")
    async with world.supervised():
        await asyncio.sleep(400)
    assert a_minute(world) <= most
    assert world.log == []


async def test_f3_quiet_rooms_of_another_worker_are_listed_by_one_call(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World()
    for number in range(100):
        name = f"room-{number}"
        world.present[name] = [Someone("viewer"), Someone("theirs", is_agent=True)]
        world.sent_for.append(name)
    async with world.supervised():
        await asyncio.sleep(700)
    assert len(world.supervisor.rooms) == 100
    assert a_minute(world) <= 48
    assert world.log == []


async def test_f3_rooms_without_an_agent_that_nobody_serves_cost_ever_less() -> None:
    world = World(serve_after_s=None)
    for number in range(20):
        name = f"room-{number}"
        world.present[name] = [Someone("viewer")]
        world.sent_for.append(name)
    async with world.supervised():
        await asyncio.sleep(600)
    assert a_minute(world) <= 12 + 20 * 3


async def test_an_agent_that_was_sent_for_and_is_not_there_yet_is_asked_under_its_name_later() -> None:
    world = World(present={"demo": [Someone("viewer")]})
    world.supervisor.supervise("demo", "on-its-way")
    async with world.supervised():
        await asyncio.sleep(4)  # its process takes so long to begin
        world.present["demo"].append(Someone("on-its-way", is_agent=True))
        world.jobs["demo"] = "on-its-way"
        await asyncio.sleep(60)
        assert len(world.agents()) == 1
        assert [agent.identity for agent in world.agents()] == ["on-its-way"]
        deafen(world, world.agents()[0])
        await asyncio.sleep(BOUND_S)
    assert len(world.living()) == 1


async def test_f3_a_room_that_people_leave_and_that_closes_costs_nothing_but_the_list_of_all_rooms() -> None:
    world = World()
    world.open()
    async with world.supervised():
        await asyncio.sleep(20)
        world.delete()
        await asyncio.sleep(20)
        before = world.now
        await asyncio.sleep(300)
    assert world.supervisor.rooms == []
    assert {what for at, what in world.calls if at > before} == {"list"}
    assert a_minute(world) <= 6


async def test_a_hundred_agents_that_die_at_once_are_replaced_in_time() -> None:
    world = World()
    agents = {f"room-{number}": world.open(f"room-{number}") for number in range(100)}
    async with world.supervised():
        await asyncio.sleep(7)
        for name, agent in agents.items():
            world.kill(agent, name)
        await asyncio.sleep(BOUND_S)
    assert all(len(world.living(name)) == 1 for name in agents)
    assert len(world.moments("dispatch")) == 100


async def test_rooms_that_earlier_workers_had_are_asked_for_a_few_at_a_time() -> None:
    world = World()
    for number in range(200):
        world.present[f"room-{number}"] = [Someone("viewer")]
    world.sent_for = ["room-199"]
    async with world.supervised():
        await asyncio.sleep(1)
        assert asked_about(world) == 50
        await asyncio.sleep(60)
        assert asked_about(world) <= 50 + 13 * 3
        await asyncio.sleep(300)
    assert len(world.living("room-199")) == 1


def asked_about(world: World) -> int:
    """Of how many rooms it was asked whether they had an agent."""
    return sum(what == "dispatches" for _, what in world.calls)


async def test_an_agent_that_starts_slowly_is_given_time_and_one_that_never_does_is_replaced() -> None:
    world = World()
    world.open().pulse = "starting"
    async with world.supervised():
        await asyncio.sleep(20)
        assert world.log == []
        await asyncio.sleep(20)
    assert len(world.moments("dispatch")) == 1


async def test_fault_28_a_killed_agent_is_put_out_at_the_next_look_and_swallows_nothing_more() -> None:
    world = World()
    agent = world.open()
    async with world.supervised():
        await asyncio.sleep(1)
        world.kill(agent)
        await asyncio.sleep(LOOK_EVERY_S)
        assert agent not in world.agents()
    assert world.moments("remove") == world.moments("dispatch") == [LOOK_EVERY_S]


async def test_fault_35_an_agent_that_reconnects_is_waited_for_as_long_as_its_job_runs() -> None:
    world = World()
    agent = world.open()
    async with world.supervised():
        await asyncio.sleep(1)
        world.leave(agent)
        await asyncio.sleep(14)
        world.present["demo"].append(agent)
        await asyncio.sleep(60)
        assert world.log == []
        world.leave(agent)
        left_at = world.now
        await asyncio.sleep(BOUND_S)
    assert len(world.moments("dispatch")) == 1
    assert world.moments("dispatch")[0] >= left_at + 15


async def test_fault_37_nobody_is_sent_into_a_room_that_was_deleted() -> None:
    world = World()
    world.open()
    async with world.supervised():
        await asyncio.sleep(7)
        world.delete()
        await asyncio.sleep(60)
        assert world.supervisor.rooms == []
    assert world.log == []


async def test_fault_38_a_pinned_room_is_served_again_when_somebody_comes_back() -> None:
    world = World()
    world.supervisor.pin(["demo"])
    async with world.supervised():
        await asyncio.sleep(10)
        world.delete()
        await asyncio.sleep(600)
        assert world.moments("dispatch") == [0]
        world.present["demo"] = [Someone("viewer")]
        await asyncio.sleep(BOUND_S)
        assert len(world.living()) == 1
    assert len(world.moments("dispatch")) == 2


@pytest.mark.parametrize("people", [[], [Someone("viewer")]])
async def test_fault_15_a_pinned_room_is_sent_for_at_once_whoever_is_in_it_already(
    people: list[Someone],
) -> None:
    world = World(present={"demo": people} if people else {})
    world.supervisor.pin(["demo"])
    async with world.supervised():
        await asyncio.sleep(300)
    assert world.moments("dispatch") == [0]
    assert world.clean_ups == 0


async def test_a_room_that_has_its_agent_is_not_sent_for_when_it_is_pinned() -> None:
    world = World()
    world.open()
    world.supervisor.pin(["demo"])
    async with world.supervised():
        await asyncio.sleep(60)
    assert world.log == []


async def test_a_room_that_an_earlier_worker_left_alone_is_served_again() -> None:
    world = World(present={"demo": [Someone("viewer")]}, sent_for=["demo"])
    async with world.supervised():
        await asyncio.sleep(BOUND_S)
    assert len(world.living()) == 1
    assert len(world.moments("dispatch")) == 1


async def test_a_dispatch_that_nobody_serves_is_withdrawn_before_the_next_and_these_come_ever_later() -> None:
    world = World(serve_after_s=None, present={"demo": [Someone("viewer")]}, sent_for=["demo"])
    async with world.supervised():
        await asyncio.sleep(300)
    sent = world.moments("dispatch")
    assert [later - earlier for earlier, later in pairwise(sent)] == [
        10,
        20,
        40,
        60,
        60,
        60,
    ]
    assert world.moments("withdraw") == sent[1:]


async def test_a_worker_that_registers_anew_has_what_it_missed_sent_for_again_at_the_next_look() -> None:
    world = World(serve_after_s=None, present={"demo": [Someone("viewer")]}, sent_for=["demo"])
    async with world.supervised():
        await asyncio.sleep(16)
        world.serve_after_s = 2.0
        world.supervisor.send_again()
        await asyncio.sleep(LOOK_EVERY_S)
    assert world.moments("dispatch") == [5, 15, 20]
    assert world.moments("withdraw") == [15, 20]


async def test_a_dispatch_that_is_being_served_slowly_is_not_withdrawn() -> None:
    world = World(serve_after_s=24.0, present={"demo": [Someone("viewer")]}, sent_for=["demo"])
    async with world.supervised():
        await asyncio.sleep(6)
        world.jobs["demo"] = "starting"
        await asyncio.sleep(60)
    assert len(world.moments("dispatch")) == 1
    assert world.moments("withdraw") == []


async def test_livekit_that_is_away_is_told_once_and_nobody_counts_as_gone_meanwhile(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World()
    world.open()
    with caplog.at_level(logging.INFO, logger="liba.supervisor"):
        async with world.supervised():
            await asyncio.sleep(7)
            world.is_reachable = False
            await asyncio.sleep(300)
            world.is_reachable = True
            await asyncio.sleep(300)
    assert [record.message for record in caplog.records] == [
        "cannot look after the rooms: cannot reach LiveKit; trying again",
        "looking after the rooms again",
    ]
    assert world.log == []


async def test_a_defect_met_in_one_room_does_not_leave_the_others_alone() -> None:
    world = World()
    world.open("bad")
    agent = world.open("demo")
    world.broken.add("bad")
    world.kill(world.agents("bad")[0], "bad")
    async with world.supervised():
        await asyncio.sleep(1)
        world.kill(agent)
        await asyncio.sleep(BOUND_S)
    assert len(world.living("demo")) == 1


async def test_a_worker_that_drains_sends_for_nobody() -> None:
    world = World()
    agent = world.open()
    async with world.supervised():
        await asyncio.sleep(7)
    world.crash(agent)
    await asyncio.sleep(300)
    assert world.log == []


class Events:
    """What may happen at any time; each is called by its name."""

    def __init__(self, world: World) -> None:
        self._world = world

    def kill(self) -> None:
        for agent in self._world.living():
            self._world.kill(agent)

    def crash(self) -> None:
        for agent in self._world.agents():
            self._world.crash(agent)

    def deafen(self) -> None:
        for agent in self._world.living():
            agent.pulse = "silent"

    def delete(self) -> None:
        self._world.delete()

    def view(self) -> None:
        people = self._world.present.setdefault("demo", [])
        if all(one.is_agent for one in people):
            people.append(Someone("viewer"))

    def say(self) -> None:
        """Somebody else has an agent sent: what was asked for and not served then never is."""
        if not self._world.agents():
            self._world.outstanding.clear()
            self._world.present.setdefault("demo", []).append(Someone("of-say", is_agent=True))

    def go_away(self) -> None:
        self._world.is_reachable = False

    def come_back(self) -> None:
        self._world.is_reachable = True

    def be_busy(self) -> None:
        self._world.serve_after_s = None

    def be_slow(self) -> None:
        self._world.serve_after_s = 8.0

    def be_quick(self) -> None:
        self._world.serve_after_s = 1.0


NAMES = sorted(name for name in vars(Events) if not name.startswith("_"))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 40), st.sampled_from(NAMES)), max_size=25), st.booleans())
def test_whatever_happens_there_is_one_dispatch_at_a_time_and_in_the_end_one_agent(
    events: list[tuple[float, str]], is_pinned: bool
) -> None:
    async def live() -> None:
        world = World()
        if is_pinned:
            world.supervisor.pin(["demo"])
        else:
            world.open()
        happening = Events(world)
        async with world.supervised():
            for pause_s, name in events:
                await asyncio.sleep(pause_s)
                getattr(happening, name)()
                assert len(world.outstanding) <= 1
            happening.come_back()
            happening.be_quick()
            happening.view()
            is_watched = "demo" in world.supervisor.rooms
            await asyncio.sleep(
                2 * 60 + BOUND_S
            )  # the longest pause between two dispatches may just have begun
            if is_watched and "demo" in world.supervisor.rooms:
                assert len(world.living()) == len(world.agents()) == 1
            else:
                assert not is_pinned

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(live())


# Rooms that wait


async def until_living(world: World) -> None:
    while True:
        if world.living():
            return
        await asyncio.sleep(0.1)


@pytest.mark.parametrize("people", [[], [Someone("viewer")]], ids=["nobody", "a viewer"])
async def test_a_room_in_which_lines_wait_gets_an_agent_whether_somebody_is_there_or_not(
    people: list[Someone],
) -> None:
    world = World()
    async with world.supervised():
        await asyncio.sleep(7)
        assert world.moments("dispatch") == []
        world.present["demo"] = people
        world.awaited = ["demo"]
        began_at = world.now
        await until_living(world)
        assert world.now - began_at <= LOOK_EVERY_S + 2.1
        world.awaited = []
        await asyncio.sleep(60)
    assert len(world.moments("dispatch")) == 1


async def test_a_room_in_which_lines_wait_and_whose_agent_lives_gets_no_other() -> None:
    world = World()
    agent = Someone("liba-agent-of-another-worker", is_agent=True)
    world.present["demo"] = [agent]
    world.awaited = ["demo"]
    async with world.supervised():
        await asyncio.sleep(60)
        assert world.moments("dispatch") == []
        world.leave(agent)
        left_at = world.now
        await until_living(world)
        assert world.now - left_at <= BOUND_S
