"""Who may make the agent speak, and what it does with what is malformed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from livekit import rtc

from libacli.config import LiveKitCredentials
from libacli.core.messages import FINAL_STATES, SayRequest
from libacli.core.names import SAY_METHOD, SAY_TOPIC, STATUS_METHOD
from libacli.edges.joining import joined
from libacli.edges.tokens import Permissions, join_token, sign_request
from tests.live.conftest import Scene

pytestmark = pytest.mark.live


@asynccontextmanager
async def guest(
    credentials: LiveKitCredentials, room: str, *, can_say: bool, can_publish: bool = False
) -> AsyncIterator[rtc.Room]:
    token = join_token(
        credentials,
        room=room,
        identity="guest",
        permissions=Permissions(can_say=can_say, can_publish=can_publish),
    )
    async with joined(rtc.Room(), credentials.ws_url, token) as there:
        yield there


async def agent_in(room: rtc.Room) -> str:
    """Identity of the agent, once each sees the other: for some seconds a newcomer is nobody to it."""
    async with asyncio.timeout(15):
        while True:
            for participant in room.remote_participants.values():
                if participant.kind == rtc.ParticipantKind.PARTICIPANT_KIND_AGENT:
                    reply = await room.local_participant.perform_rpc(
                        destination_identity=participant.identity, method=STATUS_METHOD, payload="{}"
                    )
                    if json.loads(reply).get("rejected") != "unknown_sender":
                        return participant.identity
            await asyncio.sleep(0.05)


async def still_speaks(scene: Scene) -> bool:
    take = scene.listener.start_take()
    await scene.client.say(SayRequest("Still here.", id="still-here"))
    async with asyncio.timeout(20):
        event = await scene.listener.wait_for("still-here", *FINAL_STATES)
    await asyncio.sleep(0.3)
    return event["state"] == "done" and take.speech_s > 0.3


async def test_a_packet_from_a_guest_with_can_say_is_spoken(
    scene: Scene, credentials: LiveKitCredentials
) -> None:
    async with guest(credentials, scene.room, can_say=True) as there:
        await agent_in(there)
        await there.local_participant.publish_data(b'{"text": "Hello.", "id": "p1"}', topic=SAY_TOPIC)
        async with asyncio.timeout(20):
            assert (await scene.listener.wait_for("p1", *FINAL_STATES))["state"] == "done"


async def test_a_call_from_a_guest_with_can_say_is_answered_and_spoken(
    scene: Scene, credentials: LiveKitCredentials
) -> None:
    async with guest(credentials, scene.room, can_say=True) as there:
        reply = await there.local_participant.perform_rpc(
            destination_identity=await agent_in(there),
            method=SAY_METHOD,
            payload='{"text": "Hi.", "id": "c1"}',
        )
        assert json.loads(reply) | {"epoch": ""} == {
            "epoch": "",
            "id": "c1",
            "position": 0,
            "duplicate": False,
        }
        async with asyncio.timeout(20):
            assert (await scene.listener.wait_for("c1", *FINAL_STATES))["state"] == "done"


async def test_a_packet_from_a_viewer_does_not_even_arrive(
    scene: Scene, credentials: LiveKitCredentials
) -> None:
    take = scene.listener.start_take()
    async with guest(credentials, scene.room, can_say=False) as there:
        for _ in range(10):
            await there.local_participant.publish_data(b'{"text": "Hello.", "id": "v1"}', topic=SAY_TOPIC)
            await asyncio.sleep(0.3)
    assert scene.listener.events.empty()
    assert take.speech_s == 0


async def test_a_newcomer_is_told_that_it_is_not_known_yet(
    scene: Scene, credentials: LiveKitCredentials
) -> None:
    async with guest(credentials, scene.room, can_say=True) as there:
        await there.local_participant.publish_data(b'{"text": "Hello.", "id": "n1"}', topic=SAY_TOPIC)
        async with asyncio.timeout(10):
            event = await scene.listener.wait_for("n1", "rejected", *FINAL_STATES)
    assert event["rejected"] == "unknown_sender"


async def test_a_guest_that_may_send_data_but_not_say_is_refused_with_an_event(
    scene: Scene, credentials: LiveKitCredentials
) -> None:
    import jwt

    claims = {
        "iss": credentials.api_key,
        "sub": "guest",
        "exp": 4_000_000_000,
        "video": {"roomJoin": True, "room": scene.room, "canPublishData": True, "canUpdateOwnMetadata": True},
    }
    token = jwt.encode(claims, credentials.api_secret.get_secret_value(), algorithm="HS256")
    take = scene.listener.start_take()
    async with joined(rtc.Room(), credentials.ws_url, token) as there:
        await agent_in(there)
        await there.local_participant.publish_data(b'{"text": "Hello.", "id": "g1"}', topic=SAY_TOPIC)
        async with asyncio.timeout(10):
            event = await scene.listener.wait_for("g1", "rejected")
        assert event["rejected"] == "unauthorized"
        body = {"text": "Signed.", "id": "g2"}
        auth = sign_request(credentials, room=scene.room, method=SAY_METHOD, body=body)
        await there.local_participant.publish_data(json.dumps(body | {"auth": auth}), topic=SAY_TOPIC)
        async with asyncio.timeout(20):
            assert (await scene.listener.wait_for("g2", *FINAL_STATES))["state"] == "done"
    assert take.speech_s > 0


@pytest.mark.parametrize(
    "payload",
    [
        b"null",
        b"true",
        b"12",
        b"[]",
        b'"hi"',
        b"{}",
        b'{"text": 5}',
        b'{"text": "hi"',
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
    ],
)
async def test_a_malformed_packet_is_rejected_and_the_agent_goes_on(
    scene: Scene, credentials: LiveKitCredentials, payload: bytes
) -> None:
    async with guest(credentials, scene.room, can_say=True) as there:
        await agent_in(there)
        await there.local_participant.publish_data(payload, topic=SAY_TOPIC)
        async with asyncio.timeout(10):
            event = await scene.listener.events.get()
    assert (event["state"], event["rejected"]) == ("rejected", "malformed")
    assert await still_speaks(scene)


async def test_the_queue_can_be_asked_for_and_holds_no_text(
    scene: Scene, credentials: LiveKitCredentials
) -> None:
    async with guest(credentials, scene.room, can_say=True) as there:
        agent = await agent_in(there)
        await scene.client.say(SayRequest("A canary sings for a while in its cage.", id="q1"))
        await scene.client.say(SayRequest("Another canary.", id="q2"))
        reply = await there.local_participant.perform_rpc(
            destination_identity=agent, method=STATUS_METHOD, payload="{}"
        )
    queue = json.loads(reply)
    assert queue["speaking"]["id"] == "q1"
    assert [waiting["id"] for waiting in queue["waiting"]] == ["q2"]
    assert "canary" not in reply
