"""Workers that are killed while others live, under a clock of their own: these see it and send for others."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from libacli.edges.livekit.leader import Pulse
from libacli.edges.livekit.supervisor import LOOK_EVERY_S, Supervisor
from tests.edges.livekit.test_supervisor import BOUND_S, Someone, World

pytestmark = pytest.mark.anyio


@dataclass
class Survivor:
    """A worker that has no room itself. Implements `Agents`."""

    fleet: Fleet
    supervisor: Supervisor = field(init=False)

    def __post_init__(self) -> None:
        self.supervisor = Supervisor(self.fleet, self, "liba")

    async def pulse(self, room: str, identity: str) -> Pulse:
        return await self.fleet.pulse(room, identity)

    def has_job(self, room: str) -> bool:
        return False

    def is_well(self, room: str) -> bool:
        return False

    async def clean_up(self) -> None:
        pass


@dataclass
class Fleet(World):
    """LiveKit, where whatever is dispatched is served by some worker, and who comes second leaves again."""

    def begin(self, room: str) -> Someone:
        """A room of a worker that is not asked anything here; its agent."""
        agent = Someone(f"theirs-{room}", is_agent=True)
        self.present[room] = [Someone("viewer"), agent]
        self.sent_for.append(room)
        return agent

    async def dispatch(self, room: str, agent_name: str) -> str:
        self.log.append((self.now, "dispatch", room))
        asyncio.get_running_loop().call_later(2.0, self.come, room)
        return f"AD_{len(self.log)}"

    def come(self, room: str) -> None:
        if not self.living(room):
            self.present[room].append(Someone(f"new-{self.now:g}", is_agent=True))

    async def withdraw(self, room: str, dispatch_id: str) -> None:
        pass

    async def after_a_kill(self, *, rooms: int, killed: int, survivors: int) -> list[float]:
        """After how many seconds each room of the killed worker has a living agent again."""
        agents = {f"room-{n}": self.begin(f"room-{n}") for n in range(rooms)}
        supervisors = [Survivor(self).supervisor for _ in range(survivors)]
        async with asyncio.TaskGroup() as tasks:
            running = []
            for supervisor in supervisors:
                running.append(tasks.create_task(supervisor.run()))
                await asyncio.sleep(LOOK_EVERY_S / survivors)  # none looks when another one does
            await asyncio.sleep(120)
            assert self.log == []
            theirs = list(agents.items())[:killed]
            for name, agent in theirs:
                self.kill(agent, name)
            killed_at, took = self.now, []
            for name, _ in theirs:
                while not self.living(name):  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0.1)
                took.append(self.now - killed_at)
            await asyncio.sleep(120)
            for one in running:
                one.cancel()
        return took


@pytest.mark.parametrize(
    ("rooms", "killed", "survivors", "most"), [(4, 2, 1, 2), (6, 2, 2, 2), (30, 10, 2, 20), (100, 10, 9, 50)]
)
async def test_the_rooms_of_a_killed_worker_are_served_again_within_30_s_by_exactly_one(
    rooms: int, killed: int, survivors: int, most: int
) -> None:
    """Of many that see it at the same time, more than one may send: `most` dispatches."""
    fleet = Fleet()
    took = await fleet.after_a_kill(rooms=rooms, killed=killed, survivors=survivors)
    assert max(took) < BOUND_S
    assert all(len(fleet.agents(f"room-{n}")) == len(fleet.living(f"room-{n}")) == 1 for n in range(rooms))
    assert killed <= len(fleet.moments("dispatch")) <= most


async def test_a_room_that_another_worker_got_while_this_one_ran_is_known_before_its_worker_is_killed() -> (
    None
):
    fleet = Fleet()
    survivor = Survivor(fleet).supervisor
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(survivor.run())
        await asyncio.sleep(42)
        agent = fleet.begin("late")
        await asyncio.sleep(15)
        fleet.kill(agent, "late")
        await asyncio.sleep(BOUND_S)
        assert len(fleet.living("late")) == 1
        running.cancel()


async def test_a_room_of_another_name_is_left_to_others_whatever_becomes_of_its_agent() -> None:
    fleet = Fleet()
    agent = fleet.begin("foreign")
    fleet.sent_for.clear()
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(Survivor(fleet).supervisor.run())
        await asyncio.sleep(20)
        fleet.kill(agent, "foreign")
        await asyncio.sleep(120)
        running.cancel()
    assert fleet.log == []
    assert sum(what == "dispatches" for _, what in fleet.calls) == 1
