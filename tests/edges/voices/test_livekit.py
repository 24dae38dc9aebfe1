from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

import aiohttp
import pytest
from livekit.agents import APIConnectionError, APIError, APIStatusError, APITimeoutError
from pydantic import SecretStr

from libacli.config import Settings
from libacli.core.audio import duration_s, is_audible
from libacli.edges.voices.livekit import has_inference, livekit_voice, load_plugin
from libacli.edges.voices.livekit_voice import LiveKitVoice, TTSKind
from libacli.errors import (
    ConfigError,
    CredentialsError,
    VoiceBusyError,
    VoiceError,
    VoiceRefusedError,
    VoiceStalledError,
    VoiceTruncatedError,
)
from libacli.speech.fakes import tone
from libacli.speech.ports import Style, Take, Voice
from tests.contracts import VoiceContract, pcm_of, speak
from tests.inference_gateway import InferenceGateway
from tests.livekit_tts import Script, ScriptedTTS, StreamingTTS
from tests.speech_server import Script as ServerScript
from tests.speech_server import SpeechServer
from tests.twirp_server import API_SECRET

TEXT = "The quick brown fox jumps over the lazy dog."
KINDS = [ScriptedTTS, StreamingTTS]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Made:
    """A voice over a scripted TTS, and the TTSs that it made."""

    def __init__(self, kind: type[ScriptedTTS], script: Script, **arguments: Any) -> None:
        self.all: list[ScriptedTTS] = []

        def make(instructions: str = "", **given: Any) -> ScriptedTTS:
            self.all.append(kind(script, **given))
            return self.all[-1]

        self.voice = LiveKitVoice(
            TTSKind(make, speaker="low"),
            provider="livekit:scripted",
            **{"first_pcm_timeout_s": 5.0} | arguments,
        )

    @property
    def tts(self) -> ScriptedTTS:
        return self.all[-1]


Make = Callable[..., Made]


@pytest.fixture
async def make() -> AsyncGenerator[Make]:
    made: list[Made] = []

    def make(kind: type[ScriptedTTS] = ScriptedTTS, script: Script | None = None, **arguments: Any) -> Made:
        made.append(Made(kind, script or Script(), **arguments))
        return made[-1]

    yield make
    for one in made:
        await one.voice.aclose()


@pytest.fixture(params=KINDS)
def made(request: pytest.FixtureRequest, make: Make) -> Made:
    return make(request.param)


class TestTextByText(VoiceContract):
    @pytest.fixture
    def voice(self, make: Make) -> Voice:
        return make(ScriptedTTS).voice


class TestStreaming(VoiceContract):
    @pytest.fixture
    def voice(self, make: Make) -> Voice:
        return make(StreamingTTS).voice


async def heard_before(error: type[VoiceError], voice: Voice) -> bytes:
    heard = bytearray()
    with pytest.raises(error):
        async with aclosing(speak(voice, TEXT)) as pieces:
            async for piece in pieces:
                heard += piece
    return bytes(heard)


async def test_what_the_tts_says_comes_out_whole(made: Made) -> None:
    pcm = await pcm_of(made.voice, TEXT)
    assert pcm.startswith(tone(60 * len(TEXT)))
    assert duration_s(len(pcm)) < 0.06 * len(TEXT) + 0.02


@pytest.mark.parametrize(("rate", "channels"), [(8_000, 1), (12_000, 2), (48_000, 1), (24_000, 2)])
async def test_any_rate_and_any_number_of_channels_become_24_khz_mono(
    make: Make, rate: int, channels: int
) -> None:
    made = make(script=Script(sample_rate=rate, channels=channels))
    pcm = await pcm_of(made.voice, TEXT)
    assert is_audible(pcm)
    assert duration_s(len(pcm)) == pytest.approx(0.06 * len(TEXT), abs=0.05)


async def test_the_retries_of_livekit_agents_are_off(made: Made) -> None:
    await pcm_of(made.voice, TEXT)
    assert made.tts.retries == [0]


async def test_speaker_and_pace_of_an_utterance_have_a_tts_of_their_own(made: Made) -> None:
    low, high = await pcm_of(made.voice, TEXT), await pcm_of(made.voice, TEXT, Style(voice="high"))
    fast = await pcm_of(made.voice, TEXT, Style(speed=2.0))
    assert low[:4_000] != high[:4_000] == tone(3_000, 880)[:4_000]
    assert len(fast) < 0.6 * len(low)
    await pcm_of(made.voice, TEXT, Style(voice="high"))
    assert len(made.all) == 3


async def test_a_tts_that_nobody_has_used_for_long_is_closed(made: Made) -> None:
    for number in range(6):
        await pcm_of(made.voice, TEXT, Style(voice=f"number {number}"))
    assert sum(tts.is_closed for tts in made.all) == 3


async def test_who_speaks_is_told_as_far_as_it_is_known(make: Make) -> None:
    take = Take()
    async with aclosing(make().voice.synthesize(TEXT, Style(voice="high"), take)) as pieces:
        await anext(pieces)
    assert (take.provider, take.model, take.voice) == ("livekit:scripted", "scripted", "high")


@pytest.mark.parametrize(
    ("error", "ours", "words"),
    [
        (APIStatusError("no", status_code=401), VoiceRefusedError, "refused the API key"),
        (APIStatusError("no", status_code=402), VoiceRefusedError, "no credit left"),
        (APIStatusError("no", status_code=404), VoiceRefusedError, "no such model"),
        (APIStatusError("no", status_code=422), VoiceRefusedError, "did not accept"),
        (APIStatusError("no", status_code=429, body="insufficient_quota"), VoiceRefusedError, "no credit"),
        (APIStatusError("no", status_code=429), VoiceBusyError, "limits the rate"),
        (APIStatusError("no", status_code=302), VoiceRefusedError, "sends elsewhere"),
        (
            APIStatusError("no", status_code=400, body={"detail": f"no voice 'x' for {TEXT}"}),
            VoiceRefusedError,
            r"did not accept the request \(400\): no voice 'x' for \[\.\.\.\]",
        ),
        (APIStatusError("no", status_code=503), VoiceError, "failed"),
        (APIStatusError("gone"), VoiceError, "failed"),
        (APITimeoutError(), VoiceStalledError, "in time"),
        (APIConnectionError(), VoiceError, "failed"),
        (APIError(f"no audio frames were pushed for text: {TEXT}"), VoiceRefusedError, "no sound"),
        (KeyError(TEXT), VoiceError, "failed"),
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", KINDS)
async def test_errors_are_ours_and_do_not_tell_the_text(
    make: Make, kind: type[ScriptedTTS], error: Exception, ours: type[VoiceError], words: str
) -> None:
    made = make(kind, Script(error=error))
    with pytest.raises(VoiceError, match=words) as caught:
        await pcm_of(made.voice, TEXT)
    assert type(caught.value) is ours
    assert TEXT not in f"{caught.value} {caught.value.hint}"
    assert caught.value.__cause__
    assert len(made.tts.asked) == (2 if ours is VoiceError else 1)


async def test_the_status_of_a_refused_handshake_is_found_below(make: Make) -> None:
    handshake = aiohttp.ClientResponseError(None, (), status=401)  # type: ignore[arg-type]
    error = APIConnectionError()
    error.__cause__ = handshake
    with pytest.raises(VoiceRefusedError, match="API key"):
        await pcm_of(make(script=Script(error=error)).voice, TEXT)


async def test_what_broke_before_its_first_sound_is_tried_a_second_time(make: Make) -> None:
    made = make(script=Script(error=APIConnectionError(), errors=1))
    assert is_audible(await pcm_of(made.voice, TEXT))
    assert len(made.tts.asked) == 2


async def test_what_breaks_in_the_middle_is_an_error_and_the_beginning_does_not_come_again(
    make: Make,
) -> None:
    made = make(script=Script(error=APIConnectionError(), error_after=10))
    assert tone(60 * len(TEXT)).startswith(await heard_before(VoiceTruncatedError, made.voice))
    assert len(made.tts.asked) == 1


async def test_no_first_sound_within_the_bound_is_a_stall(make: Make) -> None:
    made = make(script=Script(first_s=5), first_pcm_timeout_s=0.2)
    with pytest.raises(VoiceStalledError, match=r"nothing for 0\.2 s"):
        await pcm_of(made.voice, TEXT)
    assert made.tts.cancelled.is_set()


async def test_silence_in_the_middle_is_a_stall(make: Make) -> None:
    made = make(script=Script(stalls_after=10), stall_timeout_s=0.2)
    assert await heard_before(VoiceStalledError, made.voice)


async def test_sound_that_is_too_short_for_the_text_is_cut_off(make: Make) -> None:
    made = make(script=Script(ms_per_char=10))
    assert await heard_before(VoiceTruncatedError, made.voice)


async def test_an_iterator_that_is_closed_early_cancels_the_request(made: Made) -> None:
    made.tts.script.stalls_after = 10
    async with aclosing(speak(made.voice, TEXT)) as pieces:
        await anext(pieces)
    assert made.tts.cancelled.is_set()


async def test_an_answer_that_cannot_be_closed_costs_a_moment_and_not_the_line(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    made = make(script=Script(close_s=60))
    assert is_audible(await pcm_of(made.voice, TEXT))
    assert "was not closed within 2 s" in caplog.text


async def test_they_share_an_http_session_of_ours_which_is_closed_with_the_voice() -> None:
    sessions: list[aiohttp.ClientSession | None] = []

    def make(http_session: aiohttp.ClientSession | None = None, **_: Any) -> ScriptedTTS:
        sessions.append(http_session)
        return ScriptedTTS(Script())

    voice = LiveKitVoice(TTSKind(make, takes_session=True), provider="livekit:scripted")
    await pcm_of(voice, TEXT)
    await pcm_of(voice, TEXT, Style(voice="high"))
    early, first, second = sessions
    assert early is None
    assert first is second
    assert first
    assert not first.closed
    await voice.aclose()
    assert first.closed


@pytest.fixture
async def server() -> AsyncGenerator[SpeechServer]:
    async with SpeechServer() as server:
        yield server


def openai_settings(server: SpeechServer, **more: Any) -> Settings:
    given = {"voice_model": "", "voice_name": "", "openai_base_url": server.base_url}
    return Settings(**{**given, "openai_api_key": SecretStr("sk-secret-key-of-a-user"), **more})


async def plugin_voice(server: SpeechServer, **more: Any) -> LiveKitVoice:
    options = {"response_format": "pcm"}
    return await asyncio.to_thread(livekit_voice, openai_settings(server, **more), "openai", options)


class TestStockOpenAIPlugin(VoiceContract):
    @pytest.fixture
    async def voice(self, server: SpeechServer) -> AsyncGenerator[Voice]:
        load_plugin("openai")
        voice = await plugin_voice(server)
        yield voice
        await voice.aclose()


async def test_the_settings_reach_the_plugin_by_its_own_names(server: SpeechServer) -> None:
    voice = await plugin_voice(server, voice_model="gpt-4o-mini-tts", voice_name="coral", voice_speed=1.5)
    await pcm_of(voice, TEXT)
    await pcm_of(voice, TEXT, Style(voice="sage", instructions="softly"))
    await voice.aclose()
    first, second = server.requests
    assert (first["model"], first["voice"], first["speed"]) == ("gpt-4o-mini-tts", "coral", 1.5)
    assert (second["voice"], second["instructions"]) == ("sage", "softly")
    assert (voice.provider, voice.model, voice.name) == ("livekit:openai", "gpt-4o-mini-tts", "coral")


@pytest.mark.parametrize(("status", "error"), [(401, VoiceRefusedError), (500, VoiceError)])
async def test_a_status_comes_through_the_plugin(
    server: SpeechServer, status: int, error: type[VoiceError]
) -> None:
    server.default = ServerScript(status=status)
    voice = await plugin_voice(server)
    with pytest.raises(error, match=str(status)):
        await pcm_of(voice, TEXT)
    await voice.aclose()
    assert server.calls == (1 if error is VoiceRefusedError else 2)


async def test_a_plugin_without_its_key_is_told_before_anything_is_said(
    server: SpeechServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(CredentialsError, match="livekit:openai cannot be made"):
        livekit_voice(openai_settings(server, openai_api_key=None), "openai")


async def test_an_option_that_the_plugin_does_not_take_is_an_error_of_the_settings(
    server: SpeechServer,
) -> None:
    with pytest.raises(ConfigError, match="nonsense"):
        livekit_voice(openai_settings(server), "openai", {"nonsense": 1})


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nosuchvendor", "there is no plugin 'nosuchvendor'"),
        ("tavus", "has no text-to-speech"),
        ("../openai", "no such"),
        ("open.ai", "is no name of a plugin"),
        ("", "LIVEKIT_URL"),
    ],
)
def test_a_plugin_that_is_not_there_is_told_with_the_way_to_it(name: str, words: str) -> None:
    if name == "../openai":
        words = "LIVEKIT_URL is another server"  # a slash is a model of LiveKit Inference
    with pytest.raises(ConfigError, match=words):
        livekit_voice(Settings(), name)


async def test_in_another_thread_a_plugin_says_how_it_can_be_loaded() -> None:
    code = (
        "import sys, threading\n"
        "from libacli.edges.voices.livekit import load_plugin\n"
        "from libacli.errors import ConfigError\n"
        "def load():\n"
        "    try: load_plugin('openai')\n"
        "    except ConfigError as error: print(error.hint)\n"
        "thread = threading.Thread(target=load); thread.start(); thread.join()\n"
    )
    ended = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert ended.stdout.strip() == "set agent.isolation to process"


def inference_settings(**more: Any) -> Settings:
    given = {
        "livekit_url": "wss://project.livekit.cloud",
        "livekit_api_key": "key",
        "voice_model": "",
        "voice_name": "",
    }
    return Settings(**{**given, "livekit_api_secret": SecretStr(API_SECRET), **more})


@pytest.fixture
async def gateway() -> AsyncGenerator[InferenceGateway]:
    async with InferenceGateway(api_key="key", api_secret=API_SECRET) as gateway:
        yield gateway


def inference_voice(gateway: InferenceGateway, name: str = "cartesia/sonic-3", **more: Any) -> LiveKitVoice:
    return livekit_voice(inference_settings(**more), name, {"base_url": gateway.base_url})


class TestInference(VoiceContract):
    @pytest.fixture
    async def voice(self, gateway: InferenceGateway) -> AsyncGenerator[Voice]:
        voice = inference_voice(gateway)
        yield voice
        await voice.aclose()


async def test_a_model_string_names_model_and_speaker(gateway: InferenceGateway) -> None:
    voice = inference_voice(gateway, "cartesia/sonic-3:somebody")
    await pcm_of(voice, TEXT)
    await pcm_of(voice, TEXT, Style(voice="another", speed=1.2))
    await voice.aclose()
    assert gateway.models == ["cartesia/sonic-3"] * 2
    assert [session["voice"] for session in gateway.sessions] == ["somebody", "another"]
    assert [session["extra"] for session in gateway.sessions] == [{}, {"speed": 1.2}]
    assert gateway.said == [TEXT, TEXT]
    assert voice.name == "somebody"


async def test_a_pace_is_left_out_where_the_model_has_none(gateway: InferenceGateway) -> None:
    voice = inference_voice(gateway, "deepgram/aura-2", voice_speed=1.5, voice_instructions="softly")
    await pcm_of(voice, TEXT)
    await voice.aclose()
    assert gateway.sessions[0]["extra"] == {}


async def test_the_gateway_may_be_named_in_the_environment(
    gateway: InferenceGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIVEKIT_INFERENCE_URL", gateway.base_url)
    voice = livekit_voice(inference_settings(livekit_url="ws://127.0.0.1:7880"), "cartesia/sonic-3")
    assert is_audible(await pcm_of(voice, TEXT))
    await voice.aclose()


async def test_a_wrong_secret_is_refused(gateway: InferenceGateway) -> None:
    voice = inference_voice(gateway, livekit_api_secret=SecretStr("another-" + API_SECRET))
    with pytest.raises(VoiceRefusedError, match="API key"):
        await pcm_of(voice, TEXT)
    await voice.aclose()


async def test_an_error_of_the_gateway_is_an_error_of_the_voice(gateway: InferenceGateway) -> None:
    gateway.error = f"cannot say {TEXT}"
    voice = inference_voice(gateway)
    with pytest.raises(VoiceError) as caught:
        await pcm_of(voice, TEXT)
    await voice.aclose()
    assert TEXT not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "has"),
    [
        ("wss://project.livekit.cloud", True),
        ("wss://project.staging.livekit.cloud", True),
        ("wss://livekit.cloud.example.org", False),
        ("ws://127.0.0.1:7880", False),
        ("", False),
    ],
)
def test_inference_is_there_where_livekit_is_livekit_cloud(url: str, has: bool) -> None:
    assert has_inference(Settings(livekit_url=url)) == has
