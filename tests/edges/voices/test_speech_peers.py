"""Every kind of server that people run is heard at the right pitch, or says why not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from libacli.config import Settings
from libacli.core.audio import duration_s
from libacli.edges.voices.speech import SpeechApiVoice, speech_voice
from libacli.errors import VoiceError, VoiceRefusedError
from libacli.speech.ports import Style, Voice
from tests.contracts import VoiceContract, pcm_of
from tests.sounds import HERTZ, hertz_of
from tests.speech_peers import (
    KEY,
    PEERS,
    S_PER_CHARACTER,
    AssemblyAI,
    AzureOpenAI,
    KokoroFastAPI,
    LocalAI,
    OpenedaiSpeech,
    OpenRouter,
    Peer,
    SpeachesWithPiper,
)

TEXT = "The quick brown fox jumps over the lazy dog."


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def voice_at(peer: Peer, base_url: str = "", **settings: Any) -> AsyncGenerator[SpeechApiVoice]:
    given = {"openai_base_url": base_url or peer.base_url, **peer.settings, **settings}
    voice = await asyncio.to_thread(speech_voice, Settings(**given))
    try:
        yield voice
    finally:
        await voice.aclose()


@pytest.mark.parametrize("kind", PEERS, ids=lambda kind: kind.__name__)
class TestEveryPeer(VoiceContract):
    @pytest.fixture
    async def voice(self, kind: type[Peer]) -> AsyncGenerator[Voice]:
        async with kind() as peer, voice_at(peer) as voice:
            yield voice

    async def test_it_is_heard_at_the_right_pitch_and_pace(self, voice: Voice) -> None:
        pcm = await pcm_of(voice, TEXT)
        assert hertz_of(pcm) == pytest.approx(HERTZ, rel=0.01)
        assert duration_s(len(pcm)) == pytest.approx(S_PER_CHARACTER * len(TEXT), abs=0.01)


REFUSALS: list[tuple[type[Peer], dict[str, Any], str]] = [
    (AzureOpenAI, {"openai_query": None}, "(404): Resource not found"),
    (AzureOpenAI, {"openai_api_key": "wrong"}, "refused the API key (401): Access denied due to invalid"),
    (SpeachesWithPiper, {"voice_model": "piper"}, "(404): Model 'piper' is not installed locally. You can"),
    (
        SpeachesWithPiper,
        {"voice_extra": {"sample_rate": 96_000}},
        "(422): sample_rate: Input should be less than or equal to 48000",
    ),
    (SpeachesWithPiper, {"voice_extra": {"stream_format": "sse"}}, ""),
    (OpenedaiSpeech, {"voice_name": "bob"}, "(400): Error loading voice: bob, KeyError: 'bob'"),
    (OpenRouter, {"openai_api_key": None}, "refused the API key (401): No auth credentials found"),
    (
        OpenRouter,
        {"voice_model": "broke/model"},
        "has no quota left for this key (402): Insufficient credits.",
    ),
    (OpenRouter, {"voice_model": "tts-1"}, "(400): tts-1 is not a valid model ID"),
    (KokoroFastAPI, {"voice_name": "marin"}, "(400): Voice 'marin' not found. Available voices: af_bella,"),
    (KokoroFastAPI, {"voice_model": "tts-2"}, "(400): Unsupported model: tts-2"),
    (AssemblyAI, {"voice_model": "tts-1"}, "(400): The model 'tts-1' does not exist."),
]


@pytest.mark.parametrize(("kind", "settings", "told"), REFUSALS)
async def test_a_server_s_reason_is_told(kind: type[Peer], settings: dict[str, Any], told: str) -> None:
    async with kind() as peer, voice_at(peer, **settings) as voice:
        if not told:
            assert await pcm_of(voice, TEXT)  # what the peer does not know it ignores
            return
        with pytest.raises(VoiceRefusedError) as caught:
            await pcm_of(voice, TEXT)
    assert told in str(caught.value)
    assert KEY not in f"{caught.value} {caught.value.hint}"
    assert "\n" not in str(caught.value)


async def test_a_server_that_fails_tells_why() -> None:
    async with LocalAI() as peer, voice_at(peer, voice_model="amy") as voice:
        with pytest.raises(VoiceError, match=r"failed \(500\): could not load model: rpc error"):
            await pcm_of(voice, TEXT)


async def test_azure_without_a_version_names_the_setting_for_it() -> None:
    async with AzureOpenAI() as peer, voice_at(peer, openai_query=None) as voice:
        with pytest.raises(VoiceRefusedError) as caught:
            await pcm_of(voice, TEXT)
    assert "OPENAI_QUERY=api-version=" in caught.value.hint


async def test_azure_without_a_key_names_the_header() -> None:
    async with AzureOpenAI() as peer, voice_at(peer, openai_api_key=None) as voice:
        with pytest.raises(VoiceRefusedError) as caught:
            await pcm_of(voice, TEXT)
    assert "OPENAI_HEADERS=api-key=" in caught.value.hint


@pytest.mark.parametrize(
    "address",
    [
        "{}/openai/deployments/tts?api-version=2025-03-01-preview",
        "{}/openai/deployments/tts/audio/speech?api-version=2025-03-01-preview",
        "{}/openai/deployments/tts/?api-version=2025-03-01-preview",
    ],
)
async def test_azure_s_address_may_be_the_one_that_its_page_shows(address: str) -> None:
    async with (
        AzureOpenAI() as peer,
        voice_at(peer, address.format(peer.address), openai_query=None) as voice,
    ):
        assert await pcm_of(voice, TEXT)


async def test_azure_s_key_may_be_given_as_a_header() -> None:
    other: dict[str, Any] = {"openai_api_key": "another", "openai_headers": {"API-Key": KEY}}
    async with AzureOpenAI() as peer, voice_at(peer, **other) as voice:
        assert await pcm_of(voice, TEXT)


async def test_an_address_that_leads_nowhere_is_told_as_it_was_asked() -> None:
    async with KokoroFastAPI() as peer:
        address = f"http://user:password-of-it@{peer.address[7:]}/v2?code=1"
        async with voice_at(peer, address) as voice:
            with pytest.raises(VoiceRefusedError) as caught:
                await pcm_of(voice, TEXT)
    assert f"{peer.address}/v2/audio/speech was asked" in caught.value.hint
    assert "password-of-it" not in caught.value.hint and "code=1" not in caught.value.hint


async def test_headers_parameters_and_fields_that_are_set_are_sent() -> None:
    seen: dict[str, Any] = {}

    class Gateway(KokoroFastAPI):
        async def speak(self, request: Any, asked: dict[str, Any]) -> Any:
            seen.update(headers=request.headers, query=dict(request.query), body=asked)
            return await super().speak(request, asked)

    settings: dict[str, Any] = {
        "openai_headers": "x-gateway-key=abc,OpenAI-Beta=tts=v2",
        "openai_query": {"team": "7"},
        "openai_org_id": "org-1",
        "openai_project_id": "proj-2",
        "voice_instructions": "calm",
        "voice_extra": {"lang_code": "a", "instructions": None, "speed": 1.25},
    }
    async with Gateway() as peer, voice_at(peer, **settings) as voice:
        await pcm_of(voice, TEXT, Style(instructions="softly"))
    assert seen["headers"]["x-gateway-key"] == "abc"
    assert seen["headers"]["OpenAI-Beta"] == "tts=v2"
    assert seen["headers"]["OpenAI-Organization"] == "org-1"
    assert seen["headers"]["OpenAI-Project"] == "proj-2"
    assert seen["query"] == {"team": "7"}
    assert seen["body"] == {
        "input": TEXT,
        "model": "kokoro",
        "voice": "af_heart",
        "response_format": "pcm",
        "lang_code": "a",
        "speed": 1.25,
    }


async def test_the_text_is_not_for_the_settings_to_change() -> None:
    from libacli.errors import ConfigError

    with pytest.raises(ConfigError, match="holds the text"):
        speech_voice(Settings(voice_extra={"input": "Something else"}))
