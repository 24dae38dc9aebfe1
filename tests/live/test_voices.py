"""What a real subscriber hears of voices that are not as one would have them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from libacli.config import LiveKitCredentials
from libacli.core.lifecycle import FINAL_STATES
from libacli.core.messages import SayRequest
from libacli.edges.livekit.agent_client import AgentClient
from libacli.edges.livekit.agent_locator import AgentLocator
from libacli.edges.livekit.api import LiveKitApi
from tests import realtime_server
from tests.inference_gateway import InferenceGateway
from tests.live.conftest import READY_TIMEOUT_S, Listen, ReadyRoom, Shell, wait_for_line
from tests.live.heard import CAUGHT_UP_S, assert_heard_once, loudest_hertz, quiet, share_of
from tests.realtime_server import RealtimeServer
from tests.sounds import HERTZ, LIST, encoded, s16, wav
from tests.speech_peers import S_PER_CHARACTER, AzureOpenAI
from tests.speech_server import Script, SpeechServer

pytestmark = pytest.mark.live

TEXT = "Just a few words."

Speaking = Callable[..., AbstractAsyncContextManager[ReadyRoom]]
"""`speaking_with`, but for the environment."""


@asynccontextmanager
async def speaking_with(
    shell: Shell,
    credentials: LiveKitCredentials,
    room: str,
    listen: Listen,
    folder: Path,
    **environment: str,
) -> AsyncIterator[ReadyRoom]:
    """An agent whose voice is as `environment` has it, and a listener, both in the room."""
    log = folder / "agent.log"
    async with AsyncExitStack() as stack:
        running = shell.running("agent", "run", "--agent-name", room, "--room", room, log=log, **environment)
        process = await asyncio.to_thread(stack.enter_context, running)
        await asyncio.to_thread(wait_for_line, log, "ready in room", process)
        api = await stack.enter_async_context(LiveKitApi(credentials))
        listener = await stack.enter_async_context(listen())
        client = AgentClient(api, AgentLocator(api, room=room, agent_name=room))
        await client.reach(timeout_s=READY_TIMEOUT_S)
        async with asyncio.timeout(60):
            await listener.subscribed.wait()
        yield ReadyRoom(client, listener, room)


@pytest.fixture
def speaking(
    shell: Shell, credentials: LiveKitCredentials, room: str, listen: Listen, tmp_path: Path
) -> Speaking:
    return lambda **environment: speaking_with(shell, credentials, room, listen, tmp_path, **environment)


async def said(ready: ReadyRoom, text: str, id: str) -> dict[str, object]:
    """The final event of a line, once its sound has arrived."""
    await ready.client.say(SayRequest(text, id=id))
    async with asyncio.timeout(90):
        event = await ready.listener.wait_for(id, *FINAL_STATES)
    await quiet(ready.listener)
    return event


async def test_whatever_a_server_sends_is_heard_at_its_pitch_or_not_at_all(speaking: Speaking) -> None:
    tag = {"id3v2_version": "3"}
    answers = {
        "mp3": Script(
            content_type="audio/pcm", body=encoded("mp3", "libmp3lame", 24_000, seconds=2, options=tag)
        ),
        "wav": Script(content_type="audio/pcm", body=wav(s16(22_050, seconds=2), 22_050, behind=LIST)),
        "opus": Script(
            content_type="application/octet-stream", body=encoded("ogg", "libopus", 48_000, seconds=2)
        ),
        "piper": Script(content_type="audio/pcm;rate=16000", body=s16(16_000, seconds=2)),
    }
    async with (
        SpeechServer() as server,
        speaking(
            OPENAI_BASE_URL=server.base_url,
            LIBA_VOICE_PROVIDERS="speech",
            LIBA_VOICE_CACHE_MEMORY_MB="0",
        ) as ready,
    ):
        for name, script in answers.items():
            server.play(script)
            take = ready.listener.start_capture()
            event = await said(ready, TEXT, name)
            assert (event["state"], name) == ("done", name)
            assert loudest_hertz(take.pcm) == pytest.approx(HERTZ, rel=0.01), name
            assert share_of(HERTZ, take.pcm) > 0.95, name
            assert_heard_once(take.span_s, 2.0, edge_s=CAUGHT_UP_S)
        server.play(Script(content_type="audio/pcm", body=b'{"detail": "out of memory"}'))
        take = ready.listener.start_capture()
        event = await said(ready, TEXT, "json")
        assert (event["state"], take.speech_s) == ("failed", 0.0)
        assert "JSON instead of sound: out of memory" in str(event["reason"])


async def test_rpm_limit_in_the_middle_of_a_text_is_not_heard(speaking: Speaking) -> None:
    text = " ".join(f"This is sentence number {number} of a text." for number in ("one", "two", "three") * 4)
    async with (
        AzureOpenAI(requests=2, within_s=5) as peer,
        speaking(
            OPENAI_BASE_URL=peer.base_url,
            OPENAI_API_KEY=str(peer.settings["openai_api_key"]),
            OPENAI_QUERY=str(peer.settings["openai_query"]),
            LIBA_VOICE_PROVIDERS="speech",
            LIBA_SPEECH_MAX_CHUNK_CHARS="120",
        ) as ready,
    ):
        peer.forget_requests()  # the voice was warmed up
        take = ready.listener.start_capture()
        event = await said(ready, text, "limited")
        assert peer.refusals, "the limit was not met"
        assert event["state"] == "done"
        # A chunk is asked for without the space behind it.
        assert_heard_once(take.speech_s, S_PER_CHARACTER * len(text), edge_s=1.0)
        assert max(take.gaps_s, default=0.0) < 0.3


async def test_what_openai_realtime_rewords_is_heard_as_it_was_written(speaking: Speaking) -> None:
    async with (
        RealtimeServer() as server,
        speaking(
            OPENAI_BASE_URL=server.base_url,
            OPENAI_API_KEY="key",
            LIBA_VOICE_PROVIDERS="realtime",
            LIBA_VOICE_CACHE_MEMORY_MB="0",
        ) as ready,
    ):
        for number in range(3):
            if number == 1:
                server.play(realtime_server.Script(says="Well, these are other words, and more of them."))
            asked = server.responses
            take = ready.listener.start_capture()
            event = await said(ready, TEXT, f"line-{number}")
            assert (event["state"], event["provider"]) == ("done", "realtime")
            assert server.responses - asked == (2 if number == 1 else 1)
            assert_heard_once(take.span_s, S_PER_CHARACTER * len(TEXT))


async def test_a_model_of_livekit_inference_is_heard_and_so_is_any_plugin_of_livekit_agents(
    speaking: Speaking, credentials: LiveKitCredentials
) -> None:
    secret = credentials.api_secret.get_secret_value()
    async with (
        InferenceGateway(api_key=credentials.api_key, api_secret=secret) as gateway,
        SpeechServer(Script(ms_per_char=1000 * S_PER_CHARACTER)) as server,
        speaking(
            LIVEKIT_INFERENCE_URL=gateway.base_url,
            OPENAI_BASE_URL=server.base_url,
            OPENAI_API_KEY="key",
            LIBA_VOICE_PROVIDERS="livekit:cartesia/sonic-3:a-voice,livekit:openai",
            LIBA_VOICE_OPTIONS='{"livekit:openai": {"response_format": "pcm"}}',
            LIBA_VOICE_CACHE_MEMORY_MB="0",
        ) as ready,
    ):
        for provider in ("livekit:cartesia/sonic-3:a-voice", "livekit:openai"):
            take = ready.listener.start_capture()
            event = await said(ready, TEXT, provider)
            assert (event["state"], event["provider"]) == ("done", provider)
            assert_heard_once(take.span_s, S_PER_CHARACTER * len(TEXT))
            gateway.error = "this model is not available"  # from here on
        assert set(gateway.models) == {"cartesia/sonic-3"}
        assert TEXT in gateway.said
