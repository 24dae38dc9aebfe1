"""Whoever may send data and has leave to say nothing: LiveKit's default for a participant.

What he gains by whatever he sends: nothing. What it costs the others: nothing, the owner's line is heard.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest
from livekit import api, rtc

from libacli.config import LiveKitCredentials
from libacli.core.event import AgentStatus, Event, Rejection
from libacli.core.lifecycle import FINAL_STATES
from libacli.core.messages import SayRequest
from libacli.core.protocol import SAY_METHOD, SAY_TOPIC
from libacli.edges.livekit.follower import RoomFollower
from libacli.edges.livekit.joining import joined
from tests.live.conftest import ReadyRoom
from tests.live.test_access import agent_in

pytestmark = pytest.mark.live

LINE = "This is the owner's line, and whatever anybody sends meanwhile, it is heard from here to its end."


@asynccontextmanager
async def sender_in(
    credentials: LiveKitCredentials, room: str, identity: str = "mallory"
) -> AsyncIterator[rtc.Room]:
    """Somebody in the room with what the SDK's tokens grant when nothing is said."""
    token = (
        api.AccessToken(credentials.api_key, credentials.api_secret.get_secret_value())
        .with_identity(identity)
        .with_grants(api.VideoGrants(room_join=True, room=room))
    )
    async with joined(rtc.Room(), credentials.ws_url, token.to_jwt()) as there:
        yield there


async def end_of(ready_room: ReadyRoom, utterance_id: str) -> str:
    async with asyncio.timeout(60):
        return str((await ready_room.listener.wait_for(utterance_id, "rejected", *FINAL_STATES))["state"])


async def test_it_has_the_line_of_another_called_rejected_nowhere(
    ready_room: ReadyRoom, credentials: LiveKitCredentials
) -> None:
    bodies = [
        '{"text": "Hello.", "id": "victims"}',
        '{"text": 5, "id": "victims"}',
        '{"text": "", "id": "victims", "auth": "e30.e30.e30"}',
        '{"id": "victims"}',
    ]
    follower = RoomFollower(credentials, room=ready_room.room, agent_name="liba")
    async with (
        aclosing(follower.updates()) as updates,
        sender_in(credentials, ready_room.room) as there,
    ):
        while not isinstance(await anext(updates), AgentStatus):
            pass
        agent = await agent_in(there)
        take = ready_room.listener.start_capture()
        said = await ready_room.client.say(SayRequest(LINE, id="victims"))
        for number in range(100):
            me = there.local_participant
            await me.publish_data(bodies[number % 4], topic=SAY_TOPIC)
            await me.perform_rpc(destination_identity=agent, method=SAY_METHOD, payload=bodies[number % 4])
            await asyncio.sleep(0.04)
        assert (await ready_room.client.wait(said, "done", timeout_s=60)).level == "done"
        assert await end_of(ready_room, "victims") == "done"
        told: list[Event | Rejection] = []
        async with asyncio.timeout(60):
            while not told or not (isinstance(told[-1], Event) and told[-1].report.state == "done"):
                if isinstance(update := await anext(updates), Event | Rejection):
                    told.append(update)
    assert [json.loads(json.dumps(event.encode()))["state"] for event in told] == [
        "accepted",
        "speaking",
        "audible",
        "done",
    ]
    await asyncio.sleep(0.3)
    assert take.speech_s > 3
