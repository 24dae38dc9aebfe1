"""A participant: has a token that somebody gave it, may send data, and has leave to say nothing.

Its token comes from a service that does as LiveKit's documented endpoint schema says: it copies the
attributes of the request into the token.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from livekit import api, rtc

from libacli.config import LiveKitCredentials
from libacli.core.lifecycle import FINAL_STATES
from libacli.core.messages import SayRequest
from libacli.core.protocol import CAN_SAY_ATTRIBUTE, SAY_METHOD, SAY_TOPIC, STOP_METHOD
from libacli.edges.livekit.joining import joined
from libacli.edges.livekit.say_permission import sign_permission
from tests.live.conftest import ReadyRoom
from tests.live.test_access import agent_in

pytestmark = pytest.mark.live


@asynccontextmanager
async def entering(
    credentials: LiveKitCredentials, room: str, identity: str, **attributes: str
) -> AsyncIterator[rtc.Room]:
    """Somebody with a token of that service: default grants, and the attributes it asked for."""
    token = (
        api.AccessToken(credentials.api_key, credentials.api_secret.get_secret_value())
        .with_identity(identity)
        .with_grants(api.VideoGrants(room_join=True, room=room))
        .with_attributes(attributes)
    )
    async with joined(rtc.Room(), credentials.ws_url, token.to_jwt()) as there:
        yield there


async def asked(there: rtc.Room, agent: str, method: str, **body: object) -> dict[str, object]:
    reply = await there.local_participant.perform_rpc(
        destination_identity=agent, method=method, payload=json.dumps(body)
    )
    return dict(json.loads(reply))


async def line_of_the_owner(ready_room: ReadyRoom, utterance_id: str) -> str:
    """How a line of the owner's ends that is said now."""
    await ready_room.client.say(SayRequest("The owner speaks.", id=utterance_id))
    async with asyncio.timeout(60):
        return str((await ready_room.listener.wait_for(utterance_id, *FINAL_STATES))["state"])


@pytest.mark.parametrize("value", ["true", "", "1", "eyJhbGciOiJub25lIn0.e30."])
async def test_an_attribute_that_it_asked_for_lets_it_say_and_stop_nothing(
    ready_room: ReadyRoom, credentials: LiveKitCredentials, value: str
) -> None:
    attributes = {CAN_SAY_ATTRIBUTE: value}
    async with entering(credentials, ready_room.room, "mallory", **attributes) as there:
        agent = await agent_in(there)
        for method in (SAY_METHOD, STOP_METHOD):
            answer = await asked(there, agent, method, text="Hello.", id="m1", interrupt=True)
            assert answer["rejected"] == "unauthorized"
        await there.local_participant.publish_data(b'{"text": "Hello.", "id": "m2"}', topic=SAY_TOPIC)
        assert await line_of_the_owner(ready_room, "o1") == "done"
    assert (await ready_room.client.report("m1"))["state"] == "unknown"
    assert (await ready_room.client.report("m2"))["state"] == "unknown"


async def test_the_permission_of_another_which_all_can_read_lets_it_say_nothing(
    ready_room: ReadyRoom, credentials: LiveKitCredentials
) -> None:
    others = [
        sign_permission(credentials, room=ready_room.room, identity="vera", valid_for_s=600),
        sign_permission(credentials, room="another-room", identity="mallory", valid_for_s=600),
        sign_permission(credentials, room=ready_room.room, identity="mallory", valid_for_s=-1),
    ]
    for number, permission in enumerate(others):
        attributes = {CAN_SAY_ATTRIBUTE: permission}
        async with entering(credentials, ready_room.room, "mallory", **attributes) as there:
            answer = await asked(there, await agent_in(there), SAY_METHOD, text="Hello.", id=f"p{number}")
            assert answer["rejected"] == "unauthorized"
    assert await line_of_the_owner(ready_room, "o2") == "done"


async def test_a_permission_of_ours_in_a_token_of_that_service_lets_its_holder_speak_until_it_ends(
    ready_room: ReadyRoom, credentials: LiveKitCredentials
) -> None:
    permission = sign_permission(credentials, room=ready_room.room, identity="ann", valid_for_s=20)
    attributes = {CAN_SAY_ATTRIBUTE: permission}
    async with entering(credentials, ready_room.room, "ann", **attributes) as there:
        agent = await agent_in(there)
        assert (await asked(there, agent, SAY_METHOD, text="Hello.", id="a1"))["id"] == "a1"
        async with asyncio.timeout(60):
            assert (await ready_room.listener.wait_for("a1", *FINAL_STATES))["state"] == "done"
        await asyncio.sleep(20)
        answer = await asked(there, agent, SAY_METHOD, text="Hi.")
        assert answer["rejected"] == "unauthorized"
        assert "expired" in str(answer["message"])
