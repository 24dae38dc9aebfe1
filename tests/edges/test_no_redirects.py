"""Whoever answers at an address, or gets between, sends elsewhere: no key, token or word goes along."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from pydantic import SecretStr

from libacli.config import LiveKitCredentials, Settings
from libacli.core.messages import SayRequest
from libacli.edges.avatars.port import Invitation
from libacli.edges.avatars.tavus import Tavus
from libacli.edges.checks import server, voices
from libacli.edges.livekit.agent_client import open_client as open_agent_client
from libacli.edges.livekit.api import LiveKitApi
from libacli.edges.metrics.otlp_target import Target
from libacli.edges.voices.livekit import livekit_voice
from libacli.edges.voices.realtime import RealtimeVoice
from libacli.edges.voices.speech import SpeechApiVoice, open_client
from libacli.errors import AvatarError, LibaError, VoiceRefusedError
from libacli.speech.ports import Style
from tests.canaries import KEYS, WORDS
from tests.redirecting import Redirecting, redirecting

STATUSES = [301, 302, 303, 307, 308]
OPENAI_KEY = KEYS["OPENAI_API_KEY"]
INVITATION = Invitation(
    name="liba-1-1", room_url="ws://x", identity="avatar", token="eyJ.room.token", max_duration_s=60
)

Call = Callable[[str], Awaitable[object]]
"""A call with a key to this address."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=STATUSES)
async def peer(request: pytest.FixtureRequest) -> AsyncIterator[Redirecting]:
    async with redirecting(request.param) as peer:
        yield peer


def tavus(url: str) -> Tavus:
    return Tavus(SecretStr(KEYS["TAVUS_API_KEY"]), url, face_id="f")


def livekit(url: str) -> LiveKitCredentials:
    return LiveKitCredentials(url, "key", SecretStr(KEYS["LIVEKIT_API_SECRET"]))


async def _begin(url: str) -> None:
    async with tavus(url) as service:
        await service.create(INVITATION)


async def _end(url: str) -> None:
    async with tavus(url) as service:
        await service.end("c1")


async def _list(url: str) -> None:
    async with tavus(url) as service:
        await service.active()


async def _speak(url: str) -> None:
    voice = SpeechApiVoice(open_client(OPENAI_KEY, f"{url}/v1"), model="m", voice="v")
    try:
        async for _ in voice.synthesize(WORDS, Style()):
            pass
    finally:
        await voice.aclose()


async def _talk(url: str) -> None:
    voice = RealtimeVoice(open_client(OPENAI_KEY, f"{url}/v1"))
    try:
        async for _ in voice.synthesize(WORDS, Style()):
            pass
    finally:
        await voice.aclose()


async def _infer(url: str) -> None:
    settings = Settings(
        livekit_url="wss://project.livekit.cloud",
        livekit_api_key="key",
        livekit_api_secret=SecretStr(KEYS["LIVEKIT_API_SECRET"]),
        voice_name="",
    )
    voice = livekit_voice(settings, "cartesia/sonic-3", {"base_url": f"{url}/v1"})
    try:
        async for _ in voice.synthesize(WORDS, Style()):
            pass
    finally:
        await voice.aclose()


async def _ask_for_the_model(url: str) -> None:
    settings = Settings(openai_api_key=SecretStr(OPENAI_KEY), openai_base_url=f"{url}/v1")
    await voices.openai(settings)


async def _look_into_a_room(url: str) -> None:
    async with LiveKitApi(livekit(url)) as api:
        await api.participants("demo")


async def _say(url: str) -> None:
    async with open_agent_client(livekit(url), room="demo", agent_name="liba") as client:
        await client.say(SayRequest(WORDS, id="one"))


async def _join(url: str) -> None:
    await server.welcome(livekit(url), "eyJ.room.token")


async def _look_first(url: str) -> None:
    await server.first_answer(livekit(url))


CALLS: dict[str, Call] = {
    "begin": _begin,
    "end": _end,
    "list": _list,
    "speak": _speak,
    "talk": _talk,
    "infer": _infer,
    "model": _ask_for_the_model,
    "room": _look_into_a_room,
    "say": _say,
    "join": _join,
    "first": _look_first,
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_nothing_is_taken_to_where_an_answer_sends(peer: Redirecting, call: Call) -> None:
    try:
        await call(peer.url)
    except LibaError as error:
        assert KEYS["TAVUS_API_KEY"] not in f"{error} {error.hint}"
    assert peer.asked, "nothing was asked at all"
    assert peer.carried == []


@pytest.mark.parametrize("signal", ["traces", "metrics"])
async def test_telemetry_takes_the_key_of_the_collector_nowhere_else(
    peer: Redirecting, signal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=canary-collector-key")
    target = Target(signal, "http/protobuf", f"{peer.url}/v1/{signal}")  # type: ignore[arg-type]
    exporter = target.exporter()
    await asyncio.to_thread(_export, exporter, signal)
    assert peer.asked
    assert peer.carried == []


def _export(exporter: object, signal: str) -> None:
    from opentelemetry.sdk.metrics.export import MetricsData

    what: object = MetricsData([]) if signal == "metrics" else []
    exporter.export(what)  # type: ignore[attr-defined]


@pytest.mark.parametrize("status", STATUSES)
async def test_a_conversation_was_surely_not_begun_and_the_setting_is_named(status: int) -> None:
    async with redirecting(status) as peer:
        with pytest.raises(AvatarError) as caught:
            await _begin(peer.url)
    assert (caught.value.reason, caught.value.is_unsure) == (str(status), False)
    assert "TAVUS_BASE_URL" in caught.value.hint


async def test_a_speech_service_that_sends_elsewhere_is_told_and_not_asked_again() -> None:
    async with redirecting(307) as peer:
        with pytest.raises(VoiceRefusedError, match="sends elsewhere") as caught:
            await _speak(peer.url)
    assert "OPENAI_BASE_URL" in caught.value.hint
    assert len(peer.asked) == 1


async def test_a_realtime_service_that_sends_elsewhere_is_told_and_not_asked_again() -> None:
    async with redirecting(307) as peer:
        with pytest.raises(VoiceRefusedError, match="sends elsewhere") as caught:
            await _talk(peer.url)
    assert "OPENAI_BASE_URL" in caught.value.hint
    assert len(peer.asked) == 1


async def test_the_doctor_says_that_the_address_is_not_the_right_one() -> None:
    async with redirecting(308) as peer:
        settings = Settings(openai_api_key=SecretStr(OPENAI_KEY), openai_base_url=f"{peer.url}/v1")
        finding = await voices.openai(settings)
    assert finding.verdict == "fail"
    assert "OPENAI_BASE_URL" in finding.fix
