from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from libacli.config import Settings
from libacli.config_sources import load
from libacli.edges.voices.choose import (
    is_hedged,
    make_voice,
    provider_words,
    speakers_of,
    to_preload,
    voice_names,
)
from libacli.edges.voices.embedded_languages import speakers as embedded_speakers
from libacli.edges.voices.realtime import SPEAKERS as REALTIME
from libacli.errors import ConfigError, CredentialsError, RefusedError, VoiceStalledError
from libacli.speech.fakes import tone
from libacli.speech.ports import Voice
from tests.contracts import pcm_of
from tests.speech.test_speaker import TAIL, Stage, on_stage
from tests.speech_server import QUOTA_USED_UP, Script, SpeechServer

KEY = "canary-key-of-a-user"
EMBEDDED = embedded_speakers()


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
    assert "LIBA_VOICE_PROVIDERS=embedded" in caught.value.hint


@pytest.mark.parametrize(
    ("environment", "word", "hedged"),
    [
        ({"OPENAI_API_KEY": KEY}, "speech", True),
        ({"OPENAI_API_KEY": KEY}, "realtime", True),
        ({}, "livekit:cartesia/sonic-3", True),
        ({}, "of-somebody-else", False),
        ({"OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}, "speech", False),
        ({"OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "LIBA_VOICE_HEDGE": "true"}, "speech", True),
        ({"LIBA_VOICE_HEDGE": "true"}, "of-somebody-else", True),
        ({"OPENAI_API_KEY": KEY, "LIBA_VOICE_HEDGE": "false"}, "speech", False),
        ({"LIBA_VOICE_HEDGE": "true"}, "embedded", False),
        ({}, "embedded", False),
    ],
)
def test_a_second_request_is_made_in_the_cloud_or_as_the_settings_say(
    nowhere: Path, environment: dict[str, str], word: str, hedged: bool
) -> None:
    assert is_hedged(settings_of(nowhere, **environment), word) == hedged


def test_a_voice_needs_no_loop_to_be_made(nowhere: Path) -> None:
    voice = make_voice(settings_of(nowhere, OPENAI_API_KEY=KEY))
    assert KEY not in repr(voice)
    asyncio.run(voice.aclose())


async def test_the_embedded_voice_objects_to_what_it_cannot_say(nowhere: Path) -> None:
    voice = await voice_of(nowhere)
    assert voice.objection("Hello.") is None
    assert "the embedded voice speaks English, German" in (voice.objection("你好") or "")
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


async def test_fault_42_the_bounds_of_the_settings_hold(nowhere: Path) -> None:
    async with SpeechServer(Script(first_byte_s=30)) as server:
        only = {"OPENAI_BASE_URL": server.base_url, "LIBA_VOICE_PROVIDERS": "speech"}
        voice = await voice_of(nowhere, **only, LIBA_VOICE_FIRST_PCM_TIMEOUT="0.2")
        with pytest.raises(VoiceStalledError, match=r"0\.2 s"):
            await pcm_of(voice, "Hello.")
        await voice.aclose()


@asynccontextmanager
async def speaking(
    folder: Path, default: Script, *, providers: str = "speech"
) -> AsyncIterator[tuple[SpeechServer, Stage]]:
    """A speaker with these voices, the first of them on a service that answers every request like this."""
    async with SpeechServer(default) as server:
        voice = await voice_of(
            folder, OPENAI_BASE_URL=server.base_url, OPENAI_API_KEY=KEY, LIBA_VOICE_PROVIDERS=providers
        )
        async with on_stage(voice) as stage:  # type: ignore[arg-type]
            yield server, stage
        await voice.aclose()


async def test_fault_24_a_truncated_line_is_heard_out_and_called_failed(nowhere: Path) -> None:
    async with speaking(nowhere, Script(ending="truncated", ending_after_bytes=9_600)) as (server, stage):
        stage.say("Hello there.", "a")
        spoken = await stage.spoken("a")
    assert (spoken.state, spoken.reason) == ("failed", "the sound ended after 0.20 s, before the text did")
    assert stage.sink.segments == [tone(200) + TAIL]
    assert server.calls == 1


async def test_fault_26_a_service_that_always_breaks_off_is_not_hidden_and_nothing_is_heard_twice(
    nowhere: Path,
) -> None:
    async with speaking(nowhere, Script(ending="aborted", ending_after_bytes=9_600)) as (server, stage):
        for id in "ab":
            stage.say("Hello there.", id)
            spoken = await stage.spoken(id)
            assert spoken.state == "failed"
            assert spoken.reason == "the voice's connection broke after 0.20 s of sound"
    assert stage.sink.segments == [tone(200) + TAIL] * 2
    assert server.calls == 2


@pytest.mark.parametrize("status", [401, 403])
async def test_fault_43_a_service_that_refuses_for_good_is_called_once_and_what_is_new_is_refused(
    nowhere: Path, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with speaking(nowhere, Script(status=status)) as (server, stage):
        stage.say("Hello.", "a")
        spoken = await stage.spoken("a")
        assert spoken.state == "failed"
        assert f"({status})" in spoken.reason
        for id in "bcd":
            with pytest.raises(RefusedError, match=rf"\({status}\).* and is tried again in") as refused:
                stage.say("Hello.", id)
            assert refused.value.reason == "voice_unavailable"
    assert server.calls == 1
    assert KEY not in caplog.text


@pytest.mark.parametrize(
    ("refusal", "why"),
    [
        (Script(status=401), "refused the API key (401)"),
        (Script(status=404), "knows no such model or address (404)"),
        (QUOTA_USED_UP, "has no quota left for this key (429)"),
    ],
    ids=["wrong key", "shut down", "no quota"],
)
async def test_a_service_that_refuses_for_good_leaves_every_line_to_the_embedded_voice(
    nowhere: Path, refusal: Script, why: str
) -> None:
    async with speaking(nowhere, refusal, providers="speech,embedded") as (server, stage):
        for id in "abc":
            stage.say("Hello there.", id)
            spoken = await stage.spoken(id)
            assert (spoken.state, spoken.provider, spoken.model) == ("done", "embedded", "hibari")
            assert why in spoken.voice_reason
    assert server.calls == 1
    assert len(stage.sink.segments) == 3


async def test_fault_44_a_quota_that_is_used_up_costs_one_call_a_line(nowhere: Path) -> None:
    async with speaking(nowhere, QUOTA_USED_UP) as (server, stage):
        stage.say("Hello.", "a")
        spoken = await stage.spoken("a")
    assert (spoken.state, server.calls) == ("failed", 1)
    assert "no quota left" in spoken.reason


@pytest.mark.parametrize(
    "outage",
    [Script(status=500), Script(status=503), Script(ending="aborted")],
    ids=["500", "503", "hung up"],
)
async def test_fault_45_after_three_lines_that_failed_the_next_is_refused_and_not_asked_for(
    nowhere: Path, outage: Script
) -> None:
    async with speaking(nowhere, outage) as (server, stage):
        for id in "abc":
            stage.say("Hello.", id)
            assert (await stage.spoken(id)).state == "failed"
        with pytest.raises(RefusedError, match="tried again in") as refused:
            stage.say("Hello.", "d")
        assert refused.value.reason == "voice_unavailable"
    assert server.calls == 6


async def test_fault_45_a_service_that_limits_its_rate_is_asked_thrice_and_then_left_alone(
    nowhere: Path,
) -> None:
    async with speaking(nowhere, Script(status=429, headers={"retry-after-ms": "10"})) as (server, stage):
        stage.say("Hello.", "a")
        assert (await stage.spoken("a")).state == "failed"
        with pytest.raises(RefusedError, match="tried again in"):
            stage.say("Hello.", "b")
    assert server.calls == 6


@pytest.mark.parametrize(
    ("environment", "first", "others"),
    [
        ({}, "heart", set()),
        ({"OPENAI_API_KEY": KEY}, "alloy", {"marin", "nova", "verse"}),
        ({"OPENAI_API_KEY": KEY, "LIBA_VOICE_NAME": "nova"}, "nova", {"alloy", "marin"}),
        ({"OPENAI_API_KEY": KEY, "LIBA_VOICE_MODEL": "tts-1"}, "alloy", {"nova", "shimmer"}),
        ({"OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "LIBA_VOICE_NAME": "af"}, "af", set()),
        ({"OPENAI_API_KEY": KEY, "LIBA_VOICE_MODEL": "of-my-own"}, "alloy", set()),
    ],
)
def test_the_speakers_to_choose_from_are_those_of_the_voice_that_is_configured(
    nowhere: Path, environment: dict[str, str], first: str, others: set[str]
) -> None:
    names = voice_names(settings_of(nowhere, **environment))
    assert names[0] == first
    assert others <= set(names)
    assert len(set(names) - set(EMBEDDED) - set(REALTIME)) >= bool(others)
    assert len(set(names)) == len(names)


def test_a_model_has_its_own_speakers(nowhere: Path) -> None:
    assert "verse" in speakers_of(settings_of(nowhere, OPENAI_API_KEY=KEY), "speech")
    older = settings_of(nowhere, OPENAI_API_KEY=KEY, LIBA_VOICE_MODEL="tts-1-hd")
    assert "verse" not in speakers_of(older, "speech")
    assert speakers_of(settings_of(nowhere, OPENAI_BASE_URL="http://127.0.0.1:9/v1"), "speech") == ()


CLOUD = {"LIVEKIT_URL": "wss://x.livekit.cloud", "LIVEKIT_API_KEY": "k", "LIVEKIT_API_SECRET": "s"}


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({}, ("embedded",)),
        ({"OPENAI_API_KEY": KEY}, ("speech", "realtime", "embedded")),
        ({"OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "OPENAI_API_KEY": KEY}, ("speech", "embedded")),
        (CLOUD, ("livekit", "embedded")),
        (CLOUD | {"OPENAI_API_KEY": KEY}, ("livekit", "speech", "realtime", "embedded")),
        (
            {"LIBA_VOICE_PROVIDERS": "embedded, auto", "OPENAI_API_KEY": KEY},
            ("embedded", "speech", "realtime"),
        ),
        ({"LIBA_VOICE_PROVIDER": "openai"}, ("speech",)),
    ],
)
def test_automatic_voices_are_all_that_need_nothing_more(
    nowhere: Path, environment: dict[str, str], words: tuple[str, ...]
) -> None:
    assert provider_words(settings_of(nowhere, **environment)) == words


@pytest.mark.parametrize(
    ("providers", "is_loaded"), [("auto", True), ("speech, embedded", True), ("speech", False)]
)
def test_what_room_processes_can_share_of_their_voices_is_loaded_before_them(
    nowhere: Path, providers: str, is_loaded: bool
) -> None:
    modules = to_preload(settings_of(nowhere, LIBA_VOICE_PROVIDERS=providers, OPENAI_API_KEY=KEY))
    assert all(map(find_spec, modules))
    assert ("libacli.edges.voices.embedded_dictionaries" in modules) == is_loaded


def test_a_provider_that_nobody_knows_is_told_with_those_that_there_are(nowhere: Path) -> None:
    with pytest.raises(ConfigError, match="there is no 'elevenlabs'") as caught:
        make_voice(settings_of(nowhere, LIBA_VOICE_PROVIDERS="elevenlabs"))
    assert "livekit" in caught.value.hint
