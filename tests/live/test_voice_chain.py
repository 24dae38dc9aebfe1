"""The first voice is gone, and the room hears each line all the same."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from pathlib import Path

import pytest

from libacli.config import LiveKitCredentials
from libacli.core.messages import SayRequest
from libacli.edges.livekit.agent_client import AgentClient
from libacli.edges.livekit.agent_locator import AgentLocator
from libacli.edges.livekit.api import LiveKitApi
from libacli.errors import RefusedError
from tests.live.conftest import READY_TIMEOUT_S, Listen, Shell
from tests.live.test_fuzz import working
from tests.speech_server import QUOTA_USED_UP, Script, SpeechServer

pytestmark = pytest.mark.live

SHUT_DOWN = Script(
    status=404, code="model_not_found", message="The model `gpt-4o-mini-tts` does not exist.", param="model"
)
WRONG_KEY = Script(status=401)


@pytest.mark.parametrize(
    ("refusal", "why"),
    [
        (SHUT_DOWN, "knows no such model"),
        (WRONG_KEY, "refused the API key"),
        (QUOTA_USED_UP, "no quota left"),
    ],
    ids=["shut down", "wrong key", "no quota"],
)
async def test_every_line_is_heard_whole_when_the_first_voice_refuses_for_good(
    shell: Shell,
    credentials: LiveKitCredentials,
    room: str,
    listen: Listen,
    tmp_path: Path,
    refusal: Script,
    why: str,
) -> None:
    async with SpeechServer() as speech, LiveKitApi(credentials) as api, listen() as listener:
        with ExitStack() as stack:
            running = working(shell, room, tmp_path, OPENAI_BASE_URL=speech.base_url, OPENAI_API_KEY="k")
            agent = await asyncio.to_thread(stack.enter_context, running)
            client = AgentClient(api, AgentLocator(api, room=room, agent_name=agent.name))
            await client.reach(timeout_s=READY_TIMEOUT_S)
            async with asyncio.timeout(60):
                await listener.subscribed.wait()
            speech.default = refusal  # after the warm-up: in the middle of a show
            for number in (1, 2):
                said = await client.say(SayRequest("This is heard by everybody.", id=f"line-{number}"))
                done = await client.wait(said, "done", timeout_s=30)
                assert done.report
                assert (done.report["provider"], done.report["state"]) == ("embedded", "done")
                assert why in done.report["voice_reason"]
                assert done.report["speech_ms"] > 1000
            status = await client.queue()
            assert why in status.facts.voice_state
            assert status.facts.model == "hibari"


async def test_what_no_voice_can_say_is_refused_at_once_with_the_reason(
    shell: Shell, credentials: LiveKitCredentials, room: str, listen: Listen, tmp_path: Path
) -> None:
    async with SpeechServer(WRONG_KEY) as speech, LiveKitApi(credentials) as api, listen():
        with ExitStack() as stack:
            only = {"OPENAI_BASE_URL": speech.base_url, "LIBA_VOICE_PROVIDERS": "speech"}
            agent = await asyncio.to_thread(stack.enter_context, working(shell, room, tmp_path, **only))
            client = AgentClient(api, AgentLocator(api, room=room, agent_name=agent.name))
            await client.reach(timeout_s=READY_TIMEOUT_S)
            with pytest.raises(RefusedError, match="refused the API key") as refused:
                await client.say(SayRequest("Nobody can say this.", id="refused"))
            assert refused.value.reason == "voice_unavailable"
