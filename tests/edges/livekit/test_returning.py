"""Who is waited for after an agent was thrown out of its room, and for how long, under a virtual clock."""

from __future__ import annotations

import asyncio

import pytest
from livekit import rtc

from libacli.core.bounds import Bounds
from libacli.edges.livekit.fakes import FakeParticipant, FakeRoom
from libacli.edges.livekit.returning import RETURN_S, Returning

pytestmark = pytest.mark.anyio

TAKES_S = 0.5
LONGEST_S = Bounds().return_s - RETURN_S


class Track:
    is_taken = True
    takes_s = TAKES_S
    """How long those who are back need to take it again."""

    async def subscribed(self, *, within_s: float) -> None:
        await asyncio.sleep(min(within_s, self.takes_s))


class Place:
    """A room with these in it, whose agent loses its node at once and finds another one after a second."""

    def __init__(self, *viewers: FakeParticipant | str) -> None:
        self.room = FakeRoom()
        self.track = Track()
        self.returning = Returning(self.room.as_sdk(), self.track)
        for viewer in viewers:
            self.room.join(viewer)

    async def lose_node(self) -> None:
        self.room.lose_node()
        await asyncio.sleep(1)
        self.room.find_node()

    async def waits_s(self) -> float:
        began_at = asyncio.get_running_loop().time()
        await self.returning.back()
        return asyncio.get_running_loop().time() - began_at


@pytest.mark.parametrize(
    ("were_there", "back_after_s", "waits_s"),
    [
        ([], {}, 0.0),
        (["ann"], {"ann": 0.0}, TAKES_S),
        (["ann"], {"ann": 11.0}, 11.0 + TAKES_S),
        (["ann"], {"ann": 40.0}, 40.0 + TAKES_S),
        (["ann"], {}, LONGEST_S),
        (["ann", "bob"], {"ann": 2.0, "bob": 3.0}, 3.0 + TAKES_S),
        (["ann", "bob"], {"ann": 2.0}, RETURN_S + TAKES_S),
        (["ann", "bob"], {"ann": 11.0, "bob": 12.0}, 11.0 + TAKES_S),
        (["ann"], {"somebody else": 7.0}, 7.0 + TAKES_S),
    ],
    ids=[
        "nobody was there",
        "back before it",
        "late",
        "very late",
        "never",
        "both",
        "one of two never",
        "both late",
        "another one",
    ],
)
async def test_viewers_who_were_thrown_out_with_the_agent_are_waited_for(
    were_there: list[str], back_after_s: dict[str, float], waits_s: float
) -> None:
    place = Place(*were_there)
    await place.lose_node()
    for identity, after_s in back_after_s.items():
        asyncio.get_running_loop().call_later(after_s, place.room.join, identity)
    await asyncio.sleep(0)
    assert await place.waits_s() == pytest.approx(waits_s)
    assert await place.waits_s() == 0.0  # once


@pytest.mark.parametrize(
    ("was_taken", "takes_s", "waits_s"),
    [(True, 12.0, 12.0), (True, 3600.0, LONGEST_S + RETURN_S), (False, 12.0, RETURN_S)],
    ids=["late", "never", "nobody took it before either"],
)
async def test_who_is_back_is_given_time_to_take_the_sound_he_had_before(
    was_taken: bool, takes_s: float, waits_s: float
) -> None:
    place = Place("ann")
    place.track.is_taken = was_taken
    await place.lose_node()
    place.track.is_taken, place.track.takes_s = False, takes_s
    place.room.join("ann")
    assert await place.waits_s() == pytest.approx(waits_s)


@pytest.mark.parametrize(
    "reason",
    [
        rtc.DisconnectReason.CLIENT_INITIATED,
        rtc.DisconnectReason.PARTICIPANT_REMOVED,
        rtc.DisconnectReason.USER_REJECTED,
    ],
)
async def test_who_has_left_on_purpose_is_not_waited_for(reason: rtc.DisconnectReason.ValueType) -> None:
    place = Place("ann", "bob")
    place.room.leave("ann", reason)
    await place.lose_node()
    place.room.join("bob")
    place.room.lose_node()
    place.room.find_node()
    place.room.join("bob")
    place.room.leave("bob", reason)
    assert await place.waits_s() == 0.0


async def test_one_who_leaves_on_purpose_while_another_one_is_missed_is_missed_no_more() -> None:
    place = Place("ann", "bob")
    await place.lose_node()
    place.room.join("bob")
    asyncio.get_running_loop().call_later(2.0, place.room.leave, "bob")
    asyncio.get_running_loop().call_later(9.0, place.room.join, "ann")
    assert await place.waits_s() == pytest.approx(9.0 + TAKES_S)


@pytest.mark.parametrize("kind", ["AGENT", "EGRESS", "INGRESS"])
async def test_agents_and_recorders_are_not_waited_for(kind: str) -> None:
    machine = FakeParticipant("one", kind=rtc.ParticipantKind.Value(f"PARTICIPANT_KIND_{kind}"))
    place = Place(machine)
    await place.lose_node()
    assert await place.waits_s() == 0.0


async def test_a_phone_caller_is_one() -> None:
    caller = FakeParticipant("one", kind=rtc.ParticipantKind.PARTICIPANT_KIND_SIP)
    place = Place(caller)
    await place.lose_node()
    asyncio.get_running_loop().call_later(4.0, place.room.join, caller)
    assert await place.waits_s() == pytest.approx(4.0 + TAKES_S)


async def test_a_connection_that_was_merely_resumed_has_lost_nobody() -> None:
    place = Place("ann")
    place.room.emit("reconnecting")
    place.room.emit("reconnected")
    assert await place.waits_s() <= TAKES_S


async def test_a_node_that_dies_while_its_viewers_are_waited_for_begins_the_wait_anew() -> None:
    place = Place("ann")
    await place.lose_node()
    asyncio.get_running_loop().call_later(30.0, place.room.emit, "reconnecting")
    asyncio.get_running_loop().call_later(31.0, place.room.find_node)
    assert await place.waits_s() == pytest.approx(31.0 + LONGEST_S)
