"""Rooms of a cluster in which lines are said all the time, while something is killed or cut off."""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from livekit.api import DeleteRoomRequest, LiveKitAPI

from libacli.config import LiveKitCredentials
from libacli.edges.livekit.api import LiveKitApi
from tests.bench.local_stack import Stack
from tests.bench.soak_room import Room, Tally
from tests.live.cluster.nodes import Cluster

logger = logging.getLogger("tests.cluster")

AGENT = "liba"
BACK_S = 30.0
"""What is promised: so long after a death a room is served again."""

_STILL_S = 1.5
"""Until then what was on its way when something died may still be heard."""

_BLUR_S = 0.1
"""Of a tone's ends: it is heard in frames, and what comes late is stretched."""

_MOST = 100_000
_LEAVE_S = 3.0


@dataclass
class Speech:
    """What is said in some rooms, and heard there."""

    cluster: Cluster
    rooms: Sequence[Room]

    async def heard(self, since: float, *, within_s: float = BACK_S) -> float:
        """Waits until a line has begun in each room after `since`; seconds from then to the last of these."""
        last = since
        for room in self.rooms:
            async with asyncio.timeout_at(since + within_s):
                while not (later := [tone.at for tone in room.tones if tone.at > since + _STILL_S]):  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
            last = max(last, later[0])
        return last - since

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
            f"{room.name}: {one.source} at {one.at:.1f} s, {other.source} at {other.at:.1f} s"
            for room in self.rooms
            for one, other in itertools.combinations(room.tones, 2)
            if one.source != other.source
            and max(one.at, other.at) < min(one.at + one.length_s, other.at + other.length_s) - _BLUR_S
        ]

    def tally(self, since: float, *, unnoticed_s: float) -> Tally:
        tally = Tally()
        for room in self.rooms:
            room.judge(tally, since, unnoticed_s=unnoticed_s)
        return tally


@asynccontextmanager
async def speaking(
    cluster: Cluster, count: int, *, seats: Sequence[LiveKitCredentials] = ()
) -> AsyncIterator[Speech]:
    """Lines are said, and heard, in so many rooms; then stops, waits until each line has ended, and closes
    the rooms. Listeners take `seats` by turns: else one node and another.
    """
    names = [f"room-{uuid.uuid4().hex[:6]}" for _ in range(count)]  # agents remember what was said before
    stack = Stack(cluster.credentials, cluster.folder)
    turns = itertools.cycle(seats or map(cluster.at, cluster.nodes))
    speech = Speech(cluster, [Room(stack, name, seat=next(turns)) for name in names])
    started = now()
    async with asyncio.TaskGroup() as tasks:
        for room in speech.rooms:
            tasks.create_task(room.run(_MOST, math.inf))
        await speech.heard(started - _STILL_S, within_s=60)
        yield speech
        for room in speech.rooms:
            room.stop()
    await close(cluster.credentials, names)


async def close(credentials: LiveKitCredentials, rooms: Iterable[str]) -> None:
    """Closes rooms, and lets their agents leave: workers are to have room for others."""
    secret = credentials.api_secret.get_secret_value()
    async with LiveKitAPI(credentials.http_url, credentials.api_key, secret) as api:
        for room in rooms:
            await api.room.delete_room(DeleteRoomRequest(room=room))
    await asyncio.sleep(_LEAVE_S)


def assert_kept(speech: Speech, since: float, *, takeovers: int, unnoticed_s: float = 0) -> Tally:
    """Each line was spoken whole and once, in order, or who said it was told. `takeovers`: how often a room
    got another agent, whose first line may come before the listener has its track. `unnoticed_s`: so long
    after `since` agents took for heard what was lost."""
    tally = speech.tally(since, unnoticed_s=unnoticed_s)
    told = Counter(said.news for said in tally.said if said.news)
    logger.info("%d lines, %s, %s", len(tally.said), Counter(said.outcome for said in tally.said), told)
    assert len(tally.resumed) <= takeovers
    kinds = ("stuck", "lost", "doubled", "unclear", "disordered")
    wrong = {kind: found for kind in kinds if (found := getattr(tally, kind))}
    assert not wrong, wrong
    assert len(tally.untracked) <= takeovers, tally.untracked
    assert any(said.outcome == "done" for said in tally.said)
    assert speech.two_at_once() == []
    return tally


def now() -> float:
    return asyncio.get_running_loop().time()
