"""Who holds an API key that was taken back: the server knows it no more, and neither does the agent."""

from __future__ import annotations

from dataclasses import replace

import pytest
from livekit import rtc
from pydantic import SecretStr

from libacli.config import LiveKitCredentials
from libacli.core.messages import SayRequest
from libacli.core.protocol import CAN_SAY_ATTRIBUTE, SAY_METHOD, STOP_METHOD
from libacli.edges.livekit.agent_client import AgentClient
from libacli.edges.livekit.agent_locator import AgentLocator
from libacli.edges.livekit.api import LiveKitApi
from libacli.edges.livekit.joining import joined
from libacli.edges.livekit.say_permission import sign_permission
from libacli.edges.livekit.tokens import listener_token, sign_request
from libacli.errors import CredentialsError, LibaError
from tests.live.conftest import ReadyRoom
from tests.live.test_access import agent_in
from tests.security.test_participant import asked, entering, line_of_the_owner

pytestmark = pytest.mark.live


@pytest.fixture
def old(credentials: LiveKitCredentials) -> LiveKitCredentials:
    """The name of the key that is in use, and the secret that it had before."""
    return replace(credentials, api_secret=SecretStr("the-secret-that-was-in-use-before-this-one"))


async def test_its_tokens_and_calls_are_refused_by_the_server(
    ready_room: ReadyRoom, old: LiveKitCredentials
) -> None:
    token = listener_token(old, room=ready_room.room, identity="liba-test-old")
    with pytest.raises(LibaError):
        async with joined(rtc.Room(), old.ws_url, token):
            pass
    async with LiveKitApi(old) as api:
        client = AgentClient(api, AgentLocator(api, room=ready_room.room, agent_name="liba"))
        with pytest.raises(CredentialsError):
            await client.say(SayRequest("Hello.", id="k1"))
    assert await line_of_the_owner(ready_room, "o1") == "done"


@pytest.mark.parametrize("name", ["", "APIold"], ids=["same name", "name of its own"])
async def test_what_it_signs_is_refused_by_the_agent_also_from_within_the_room(
    ready_room: ReadyRoom, credentials: LiveKitCredentials, old: LiveKitCredentials, name: str
) -> None:
    old = replace(old, api_key=name or old.api_key)
    permission = sign_permission(
        old, room=ready_room.room, identity="mallory", valid_for_s=600, may_control=True
    )
    attributes = {CAN_SAY_ATTRIBUTE: permission}
    async with entering(credentials, ready_room.room, "mallory", **attributes) as there:
        agent = await agent_in(there)
        for method in (SAY_METHOD, STOP_METHOD):
            body = {"text": "Hello.", "id": "k2"}
            auth = sign_request(old, room=ready_room.room, method=method, body=body, agent=agent)
            for answer in (
                await asked(there, agent, method, **body, auth=auth),
                await asked(there, agent, method, **body),
            ):
                assert answer["rejected"] == "unauthorized"
        assert await line_of_the_owner(ready_room, "o2") == "done"
    assert (await ready_room.client.report("k2"))["state"] == "unknown"
