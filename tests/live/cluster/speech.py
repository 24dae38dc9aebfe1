"""Rooms of a cluster in which lines are said all the time, while something is killed or cut off.

Each has a viewer at every node. What all of them have heard is judged, and what the avatars have cost.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from livekit.api import CreateRoomRequest, DeleteRoomRequest, LiveKitAPI

from libacli.config import LiveKitCredentials
from libacli.edges.livekit.api import LiveKitApi
from tests.bench.local_stack import Stack
from tests.bench.soak_room import Ear, Room, Tally
from tests.live.cluster.hasty import LEASE_S, LOOK_BACK_EVERY_S
from tests.live.cluster.nodes import MAX_CONVERSATIONS, Cluster

logger = logging.getLogger("tests.cluster")

AGENT = "liba"
BACK_S = 30.0
"""What is promised: so long after a death a room is served again."""

_STILL_S = 1.5
"""Until then what was on its way when something died may still be heard."""

ENDED_S = LEASE_S + 2 * LOOK_BACK_EVERY_S + 10.0
"""So long after the last line no conversation runs any more, of whomever it was."""

_BLUR_S = 0.1
"""Of a tone's ends: it is heard in frames, and what comes late is stretched."""

_MOST = 100_000
_LEAVE_S = 3.0


@dataclass
class Speech:
    """What is said in some rooms, and heard there."""

    cluster: Cluster
    rooms: Sequence[Room]

    @property
    def ears(self) -> list[Ear]:
        return [ear for room in self.rooms for ear in room.ears]

    async def heard(self, since: float, *, within_s: float = BACK_S) -> float:
        """Waits until each viewer has heard a line begin after `since`; seconds from then to the last of
        these."""
        last = since
        for ear in self.ears:
            async with asyncio.timeout_at(since + within_s):
                while not (later := [tone.at for tone in ear.tones if tone.at > since + _STILL_S]):  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
            last = max(last, later[0])
        return last - since

    async def in_a_line(self, rooms: Collection[str]) -> None:
        """Waits until a line sounds in one of these rooms, and has hardly begun."""
        ears = [ear for room in self.rooms if room.name in rooms for ear in room.ears]
        async with asyncio.timeout(BACK_S):
            for sounds in (False, True):
                while any(ear.hears for ear in ears) is not sounds:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)

    async def avatars(self) -> None:
        """Waits until an avatar has spoken a line in each room."""
        async with asyncio.timeout(BACK_S):
            while not all(any(said.route == "tavus" for said in room.said) for room in self.rooms):  # noqa: ASYNC110
                await asyncio.sleep(0.1)

    async def agents(self) -> dict[str, list[str]]:
        """The agents in each room."""
        async with LiveKitApi(self.cluster.credentials) as api:
            return {
                room.name: [one.identity for one in await api.participants(room.name) if one.is_named(AGENT)]
                for room in self.rooms
            }

    async def one_agent_each(self) -> None:
        """Waits until each room has one, and no other."""
        async with asyncio.timeout(BACK_S):
            while any(len(there) != 1 for there in (await self.agents()).values()):  # noqa: ASYNC110
                await asyncio.sleep(0.2)

    def two_at_once(self) -> list[str]:
        """Where two tracks of a room sounded at the same time: an agent spoke beside another one."""
        return [
            f"{ear.name}: {one.source} at {one.at:.1f} s, {other.source} at {other.at:.1f} s"
            for ear in self.ears
            for one, other in itertools.combinations(ear.tones, 2)
            if one.source != other.source
            and max(one.at, other.at) < min(one.at + one.length_s, other.at + other.length_s) - _BLUR_S
        ]

    def tally(self, since: float, *, unnoticed_s: float) -> Tally:
        tally = Tally()
        for room in self.rooms:
            room.judge(tally, since, unnoticed_s=unnoticed_s)
        return tally


@asynccontextmanager
async def speaking(cluster: Cluster, count: int) -> AsyncIterator[Speech]:
    """Lines are said, by avatars, and heard in so many rooms, each at another node; then stops, waits until
    each line has ended, and closes the rooms.
    """
    names = [f"room-{uuid.uuid4().hex[:6]}" for _ in range(count)]  # agents remember what was said before
    await _place(cluster, names)
    stack = Stack(cluster.credentials, cluster.folder)
    numbers = range(len(cluster.nodes))
    rooms = [
        # Who says the lines, and learns what became of them, is at another node in each room.
        Room(stack, name, seats=[cluster.near((first + number) % len(numbers)) for number in numbers])
        for first, name in enumerate(names)
    ]
    speech = Speech(cluster, rooms)
    started = now()
    async with asyncio.TaskGroup() as tasks:
        for room in speech.rooms:
            tasks.create_task(room.run(_MOST, math.inf))
        await speech.heard(started - _STILL_S, within_s=60)
        await speech.avatars()
        yield speech
        for room in speech.rooms:
            room.stop()
    await close(cluster.credentials, names)


async def _place(cluster: Cluster, rooms: Iterable[str]) -> None:
    """Makes rooms, each at the next node."""
    there = cluster.credentials
    async with LiveKitAPI(there.http_url, there.api_key, there.api_secret.get_secret_value()) as api:
        for room, node in zip(rooms, itertools.cycle(cluster.nodes), strict=False):
            await api.room.create_room(CreateRoomRequest(name=room, node_id=node.id, sync_streams=True))


async def close(credentials: LiveKitCredentials, rooms: Iterable[str]) -> None:
    """Closes rooms, and lets their agents leave: workers are to have room for others."""
    secret = credentials.api_secret.get_secret_value()
    async with LiveKitAPI(credentials.http_url, credentials.api_key, secret) as api:
        for room in rooms:
            await api.room.delete_room(DeleteRoomRequest(room=room))
    await asyncio.sleep(_LEAVE_S)


async def assert_paid(speech: Speech, *, again: int = 0) -> None:
    """Each conversation that was begun is ended, in time and once, and there were never more than may be.

    `again`: so many of these rooms may have been asked to end twice: by who took them for left behind, and by
    their own agents, when they are back.
    """
    conversations = speech.cluster.conversations
    await conversations.over(within_s=ENDED_S)
    most = await conversations.most_at_once()
    rooms = {room.name for room in speech.rooms}
    told = [one for one in await conversations.all() if one.room in rooms]
    twice = [one for one in told if one.ends != 1]
    logger.info("%d conversations, %d at once; twice: %s", len(told), most, twice)
    assert most <= MAX_CONVERSATIONS
    assert len(told) >= len(rooms)
    assert len(twice) <= again, twice


def assert_kept(speech: Speech, since: float, *, takeovers: int, unnoticed_s: float = 0) -> Tally:
    """Each line was spoken whole and once, in order, or who said it was told. `takeovers`: how often a room
    got another agent, whose first line may come before a viewer has its track. `unnoticed_s`: so long
    after `since` agents took for heard what was lost."""
    tally = speech.tally(since, unnoticed_s=unnoticed_s)
    told = Counter(said.news for said in tally.said if said.news)
    outcomes = Counter(f"{said.outcome} {said.route}".strip() for said in tally.said)
    logger.info("%d lines: %s; told: %s", len(tally.said), dict(outcomes), dict(told))
    logger.info("too early for who heard them: %s; unnoticed: %s", tally.untracked, tally.unnoticed)
    assert len(tally.resumed) <= takeovers
    kinds = ("stuck", "lost", "doubled", "unclear", "disordered")
    wrong = {kind: found for kind in kinds if (found := getattr(tally, kind))}
    assert not wrong, wrong
    assert len(tally.untracked) <= takeovers * len(speech.cluster.nodes), tally.untracked
    assert any(said.outcome == "done" for said in tally.said)
    assert speech.two_at_once() == []
    return tally


def now() -> float:
    return asyncio.get_running_loop().time()
