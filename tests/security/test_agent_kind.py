"""Whoever has a token of the kind of agents: the avatar, whose vendor holds it, is one.

The server lets it send texts in anybody's name, and data in its own. Nobody who watches believes it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress

import pytest
from livekit import rtc

from libacli.config import LiveKitCredentials
from libacli.core.agent_status import AgentStatus
from libacli.core.board import Board
from libacli.core.event import Event, Rejection
from libacli.core.messages import SayRequest
from libacli.core.protocol import AGENT_ATTRIBUTE, CAPTION_TOPIC, EPOCH_ATTRIBUTE, EVENTS_TOPIC
from libacli.core.room_update import Caption, RoomUpdate, Unreadable
from libacli.edges.livekit.follower import RoomFollower
from libacli.edges.livekit.joining import joined
from libacli.edges.livekit.tokens import avatar_token
from tests.live.conftest import ReadyRoom

pytestmark = pytest.mark.live

LINE = "The owner's line has its own words."


@asynccontextmanager
async def avatar_in(credentials: LiveKitCredentials, room: str, agent: str) -> AsyncIterator[rtc.Room]:
    """Somebody in the room with the token that liba makes for an avatar of `agent`."""
    token = avatar_token(
        credentials, room=room, identity="tavus-avatar-agent", on_behalf_of=agent, valid_for_s=600
    )
    async with joined(rtc.Room(), credentials.ws_url, token) as there:
        yield there


async def forge(there: rtc.Room, agent: str, epoch: str) -> None:
    """Tells everybody what only the agent may tell."""
    me = there.local_participant
    with suppress(Exception):  # the server ignores it, or refuses it
        await me.set_attributes({AGENT_ATTRIBUTE: "liba", EPOCH_ATTRIBUTE: epoch})
    facts = {"agent": "liba", "room": there.name, "t0": 1.0, "id": "owners"}
    for of in (epoch, "another", ""):
        for told in ({"state": "failed", "reason": "forged"}, {"state": "rejected", "rejected": "forged"}):
            await me.publish_data(json.dumps(facts | told | {"epoch": of}), topic=EVENTS_TOPIC)
    for sender in (None, agent):
        stream = await me.stream_text(
            topic=CAPTION_TOPIC, attributes={"lk.segment_id": "owners"}, sender_identity=sender
        )
        await stream.write("Forged words.")
        await stream.aclose()


async def test_what_it_tells_in_the_agents_name_nobody_who_watches_believes(
    ready_room: ReadyRoom, credentials: LiveKitCredentials
) -> None:
    status = await ready_room.client.queue()
    agent, epoch = ready_room.client.identity, status.facts.epoch
    follower = RoomFollower(credentials, room=ready_room.room, agent_name="liba", with_captions=True)
    board, told = Board(room=ready_room.room), list[RoomUpdate]()
    async with (
        aclosing(follower.updates()) as updates,
        avatar_in(credentials, ready_room.room, agent) as there,
    ):
        while not isinstance(await anext(updates), AgentStatus):
            pass
        await forge(there, agent, epoch)
        said = await ready_room.client.say(SayRequest(LINE, id="owners"))
        await forge(there, agent, epoch)
        assert (await ready_room.client.wait(said, "done", timeout_s=60)).level == "done"
        await forge(there, agent, epoch)
        await ready_room.client.wait(
            await ready_room.client.say(SayRequest("The end.", id="end")), "done", timeout_s=60
        )
        async with asyncio.timeout(60):
            while not any(isinstance(one, Event) and one.report.id == "end" and one.report.state == "done"
                          for one in told):  # fmt: skip
                told.append(await anext(updates))
    for update in told:
        if isinstance(update, Event | Rejection):
            board.event(update, 0.0)
    states = [one.encode()["state"] for one in told if isinstance(one, Event | Rejection)]
    assert states == ["accepted", "speaking", "audible", "done"] * 2
    assert [one for one in told if isinstance(one, Caption)] == [
        Caption("owners", LINE),
        Caption("end", "The end."),
    ]
    assert Unreadable() not in told
    assert (board.restarts, {row.state for row in board.rows}) == (0, {"done"})
    heard = [ready_room.listener.events.get_nowait() for _ in range(ready_room.listener.events.qsize())]
    assert {event["state"] for event in heard} == {"accepted", "speaking", "audible", "done"}
    assert {event["epoch"] for event in heard} == {epoch}
