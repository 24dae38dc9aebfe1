"""Who is waited for before a line, and for how long, under a clock of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

import pytest
from livekit import rtc

from libacli.edges.livekit.api import Participant
from libacli.edges.livekit.audience import Audience
from libacli.edges.livekit.fakes import FakeParticipant, FakeRoom
from libacli.errors import UnreachableError

BOUND_S = 2.0
CONNECTING = rtc.ParticipantState.PARTICIPANT_STATE_JOINED


class Track:
    def __init__(self) -> None:
        self._taken = asyncio.Event()

    def take(self) -> None:
        self._taken.set()

    @property
    def is_taken(self) -> bool:
        return self._taken.is_set()

    async def subscribed(self, *, within_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._taken.wait()


class People:
    """The server's list, in which one is at once who is told of later."""

    def __init__(self) -> None:
        self.there: list[Participant] = []
        self.asked = 0
        self.trouble: Exception | None = None
        self.takes_s = 0.0

    async def participants(self, room: str) -> list[Participant]:
        self.asked += 1
        await asyncio.sleep(self.takes_s)
        if self.trouble:
            raise self.trouble
        return self.there

    async def aclose(self) -> None:
        pass


def person(sid: str, *, is_active: bool = True, may_hear: bool = True) -> Participant:
    return Participant(sid, is_active, False, {}, may_hear=may_hear, sid=sid)


class Scene:
    def __init__(self) -> None:
        self.room, self.track, self.people = FakeRoom(), Track(), People()
        self.audience = Audience(self.room.as_sdk(), self.track, self.people)

    async def waits(self) -> float:
        """Seconds that a line waits now."""
        began_at = now()
        await self.audience.ready(within_s=BOUND_S)
        return round(now() - began_at, 6)

    def later(self, seconds: float, what: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_later(seconds, what)


def now() -> float:
    return asyncio.get_running_loop().time()


@pytest.fixture
async def scene() -> Scene:
    return Scene()


@pytest.mark.parametrize("takes_s", [0.05, 0.3, 1.5])
async def test_first_word_waits_until_who_has_just_come_has_taken_the_track(
    scene: Scene, takes_s: float
) -> None:
    scene.people.there = [person("PA_1")]  # of whom the room is not told yet
    scene.later(takes_s, scene.track.take)
    assert await scene.waits() == pytest.approx(takes_s)
    assert await scene.waits() == 0


async def test_first_word_waits_for_nobody_and_asks_nobody_when_all_hear(scene: Scene) -> None:
    scene.room.join("viewer")
    scene.track.take()
    assert await scene.waits() == 0
    assert scene.people.asked == 0


async def test_first_word_waits_for_one_who_connects_while_others_hear_already(scene: Scene) -> None:
    scene.track.take()
    scene.room.join("viewer")
    late = scene.room.join("late")
    late.state = CONNECTING
    scene.people.there = [person("PA_1"), person("PA_2", is_active=False)]

    def connected() -> None:  # the server knows it; the room is told much later
        scene.people.there = [person("PA_1"), person("PA_2")]

    scene.later(0.5, connected)
    assert 0.5 <= await scene.waits() <= 0.7


async def test_first_word_is_held_up_once_by_each_who_does_not_want_to_hear(scene: Scene) -> None:
    scene.people.there = [person("PA_1")]
    assert [await scene.waits() for _ in range(3)] == [BOUND_S, 0, 0]
    scene.people.there.append(person("PA_2"))
    assert [await scene.waits() for _ in range(3)] == [BOUND_S, 0, 0]
    scene.people.there = [person("PA_2"), person("PA_1 again")]
    assert await scene.waits() == BOUND_S


@pytest.mark.parametrize("there", [[], [person("PA_1", may_hear=False)]], ids=["nobody", "no listener"])
async def test_first_word_waits_for_nobody_where_nobody_can_hear(
    scene: Scene, there: list[Participant]
) -> None:
    scene.people.there = there
    assert await scene.waits() == 0


async def test_first_word_does_not_wait_for_a_server_that_does_not_tell_who_is_there(scene: Scene) -> None:
    scene.people.trouble = UnreachableError("gone")
    assert await scene.waits() == 0
    scene.people.trouble, scene.people.takes_s = None, 60
    assert await scene.waits() == 0.5


async def test_an_agent_or_recorder_that_connects_is_not_waited_for(scene: Scene) -> None:
    scene.track.take()
    for kind in ("AGENT", "EGRESS", "INGRESS", "BRIDGE"):
        other = FakeParticipant(kind, kind=rtc.ParticipantKind.Value(f"PARTICIPANT_KIND_{kind}"))
        other.state = CONNECTING
        scene.room.join(other)
    assert await scene.waits() == 0
    assert scene.people.asked == 0
