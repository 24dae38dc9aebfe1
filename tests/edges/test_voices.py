from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from libacli.config import Settings, load
from libacli.edges.voices import make_voice
from libacli.errors import CredentialsError, VoiceStalledError
from libacli.speech.ports import Voice
from tests.contracts import pcm_of
from tests.speech_server import Script, SpeechServer

KEY = "canary-key-of-a-user"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def nowhere(tmp_path: Path) -> Path:
    return tmp_path


def settings_of(folder: Path, **environment: str) -> Settings:
    return load(environment=environment, folder=folder, user_file=folder / "none.toml").settings


async def voice_of(folder: Path, **environment: str) -> Voice:
    """The voice of these settings; made in a thread because it reads certificates."""
    return await asyncio.to_thread(make_voice, settings_of(folder, **environment))


@pytest.mark.parametrize(
    ("environment", "model"),
    [
        ({}, "hibari"),
        ({"OPENAI_API_KEY": KEY}, "gpt-4o-mini-tts"),
        ({"OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}, "gpt-4o-mini-tts"),
        ({"OPENAI_API_KEY": KEY, "LIBA_VOICE_MODEL": "tts-1"}, "tts-1"),
        ({"OPENAI_API_KEY": KEY, "LIBA_VOICE_PROVIDER": "openai"}, "gpt-4o-mini-tts"),
        ({"OPENAI_API_KEY": KEY, "LIBA_VOICE_PROVIDER": "embedded"}, "hibari"),
        ({"LIBA_VOICE_PROVIDER": "embedded"}, "hibari"),
    ],
)
async def test_the_voice_is_openais_where_there_is_a_key_or_address_and_not_told_otherwise(
    nowhere: Path, environment: dict[str, str], model: str
) -> None:
    voice = await voice_of(nowhere, **environment)
    assert voice.model == model
    await voice.aclose()


def test_openai_without_a_key_is_told_with_a_way_out(nowhere: Path) -> None:
    with pytest.raises(CredentialsError, match="OPENAI_API_KEY is not set") as caught:
        make_voice(settings_of(nowhere, LIBA_VOICE_PROVIDER="openai"))
    assert "LIBA_VOICE_PROVIDER=embedded" in caught.value.hint


def test_a_voice_needs_no_loop_to_be_made(nowhere: Path) -> None:
    voice = make_voice(settings_of(nowhere, OPENAI_API_KEY=KEY))
    assert KEY not in repr(voice)
    asyncio.run(voice.aclose())


async def test_the_embedded_voice_objects_to_what_it_cannot_say(nowhere: Path) -> None:
    voice = await voice_of(nowhere)
    assert voice.objection("Hello.") is None
    assert voice.objection("你好") == "the embedded voice speaks English only"
    await voice.aclose()


async def test_the_settings_reach_the_speech_service(nowhere: Path) -> None:
    async with SpeechServer() as server:
        voice = await voice_of(
            nowhere,
            OPENAI_BASE_URL=server.base_url,
            LIBA_VOICE_NAME="tone-880",
            LIBA_VOICE_SPEED="1.25",
            LIBA_VOICE_INSTRUCTIONS="calm",
        )
        await pcm_of(voice, "Hello.")
        await voice.aclose()
        asked: dict[str, Any] = server.requests[0]
    assert asked == {
        "input": "Hello.",
        "model": "gpt-4o-mini-tts",
        "voice": "tone-880",
        "response_format": "pcm",
        "speed": 1.25,
        "instructions": "calm",
    }


async def test_the_bounds_of_the_settings_hold(nowhere: Path) -> None:
    async with SpeechServer(Script(first_byte_s=30)) as server:
        voice = await voice_of(nowhere, OPENAI_BASE_URL=server.base_url, LIBA_VOICE_FIRST_PCM_TIMEOUT="0.2")
        with pytest.raises(VoiceStalledError, match=r"0\.2 s"):
            await pcm_of(voice, "Hello.")
        await voice.aclose()
