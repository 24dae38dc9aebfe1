from __future__ import annotations

import asyncio
import gc
import random
from collections.abc import AsyncGenerator
from contextlib import aclosing

import httpx2
import openai
import pytest

from libacli.config import is_loopback
from libacli.core.audio import duration_s
from libacli.edges.voices.speech import SpeechApiVoice, open_client
from libacli.errors import (
    VoiceBusyError,
    VoiceError,
    VoiceRefusedError,
    VoiceStalledError,
    VoiceTruncatedError,
)
from libacli.speech.fakes import tone
from libacli.speech.ports import Style, Voice
from tests.contracts import VoiceContract, pcm_of, speak
from tests.sounds import LIST, as_width, encoded, hertz_of, s16, wav, wave
from tests.speech_peers import quoting
from tests.speech_server import QUOTA_USED_UP, Script, SpeechServer, rate_limited

KEY = "sk-secret-key-of-a-user"
TEXT = "The quick brown fox jumps over the lazy dog."


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def server() -> AsyncGenerator[SpeechServer]:
    async with SpeechServer() as server:
        yield server


@pytest.fixture
async def voice(server: SpeechServer) -> AsyncGenerator[SpeechApiVoice]:
    voice = await voice_of(server)
    yield voice
    await voice.aclose()


async def voice_of(
    server: SpeechServer,
    *,
    model: str = "gpt-4o-mini-tts",
    speed: float = 1.0,
    instructions: str = "",
    first_pcm_timeout_s: float = 5.0,
    stall_timeout_s: float = 5.0,
    total_timeout_s: float = 60.0,
) -> SpeechApiVoice:
    return SpeechApiVoice(
        await asyncio.to_thread(open_client, KEY, server.base_url),
        model=model,
        voice="tone-440",
        speed=speed,
        instructions=instructions,
        first_pcm_timeout_s=first_pcm_timeout_s,
        stall_timeout_s=stall_timeout_s,
        total_timeout_s=total_timeout_s,
    )


async def heard_before(error: type[VoiceError], voice: Voice) -> bytes:
    """What comes of `TEXT` before it ends with that error."""
    heard = bytearray()
    with pytest.raises(error):
        async with aclosing(speak(voice, TEXT)) as pieces:
            async for piece in pieces:
                heard += piece
    return bytes(heard)


class TestSpeechApiVoice(VoiceContract):
    @pytest.fixture
    def voice(self, voice: SpeechApiVoice) -> Voice:
        return voice


async def test_what_the_server_sends_comes_out_byte_for_byte(voice: SpeechApiVoice) -> None:
    assert await pcm_of(voice, TEXT) == tone(60 * len(TEXT))


async def test_fault_41_one_byte_pieces_lose_nothing(server: SpeechServer, voice: SpeechApiVoice) -> None:
    server.play(Script(piece_bytes=1, ms_per_char=30))
    assert await pcm_of(voice, "One byte") == tone(30 * len("One byte"))


async def test_the_first_piece_comes_before_the_server_has_sent_the_second(
    server: SpeechServer, voice: SpeechApiVoice
) -> None:
    server.play(Script(piece_bytes=481, ending="stalled", ending_after_bytes=481))
    async with asyncio.timeout(2), aclosing(speak(voice, TEXT)) as pieces:
        assert await anext(pieces) == tone(1000)[:481]


async def test_defaults_are_left_out_of_the_request(server: SpeechServer, voice: SpeechApiVoice) -> None:
    await pcm_of(voice, TEXT)
    assert server.requests == [
        {"input": TEXT, "model": "gpt-4o-mini-tts", "voice": "tone-440", "response_format": "pcm"}
    ]


async def test_the_style_of_an_utterance_goes_before_the_settings(server: SpeechServer) -> None:
    voice = await voice_of(server, speed=1.5, instructions="calm")
    await pcm_of(voice, TEXT)
    await pcm_of(voice, TEXT, Style(voice="tone-880", speed=1.0, instructions=""))
    await voice.aclose()
    assert (server.requests[0]["speed"], server.requests[0]["instructions"]) == (1.5, "calm")
    assert server.requests[1].keys() == {"input", "model", "voice", "response_format"}
    assert server.requests[1]["voice"] == "tone-880"


@pytest.mark.parametrize("model", ["tts-1", "tts-1-hd"])
async def test_models_that_take_no_instructions_get_none(server: SpeechServer, model: str) -> None:
    voice = await voice_of(server, model=model, instructions="calm")
    await pcm_of(voice, TEXT)
    await voice.aclose()
    assert "instructions" not in server.requests[0]


async def test_texts_one_after_the_other_share_one_connection(
    server: SpeechServer, voice: SpeechApiVoice
) -> None:
    await voice.warm_up()
    await pcm_of(voice, "First.")
    await pcm_of(voice, "Second.")
    assert (server.calls, len(server.connections)) == (3, 1)


@pytest.mark.parametrize(
    ("status", "hint"),
    [(400, "voice.name"), (401, "OPENAI_API_KEY"), (403, "OPENAI_API_KEY"), (404, "OPENAI_BASE_URL")],
)
async def test_fault_43_a_refusal_is_final_and_says_what_to_change(
    server: SpeechServer, voice: SpeechApiVoice, status: int, hint: str
) -> None:
    server.play(Script(status=status))
    with pytest.raises(VoiceRefusedError) as caught:
        await pcm_of(voice, TEXT)
    assert hint in caught.value.hint
    assert isinstance(caught.value.__cause__, openai.APIStatusError)
    assert server.calls == 1


async def test_fault_44_a_quota_that_is_used_up_is_asked_for_once_and_told_apart_from_a_rate_limit(
    server: SpeechServer, voice: SpeechApiVoice
) -> None:
    server.play(QUOTA_USED_UP)
    with pytest.raises(VoiceRefusedError, match="no quota left") as caught:
        await pcm_of(voice, TEXT)
    assert "billing" in caught.value.hint
    assert server.calls == 1


@pytest.mark.parametrize(
    "script",
    [
        Script(status=400, code="billing_hard_limit_reached", message="Billing hard limit has been reached"),
        Script(status=401, message="This request exceeds your quota of 10000. You have 3 credits remaining."),
        Script(status=402, message="Payment required"),
        Script(status=403, message="Insufficient credits"),
        Script(status=429, message="You have no credits left"),
    ],
    ids=lambda script: str(script.status),
)
async def test_fault_44_a_quota_that_is_used_up_is_known_by_whatever_it_is_called(
    server: SpeechServer, voice: SpeechApiVoice, script: Script
) -> None:
    server.play(script)
    with pytest.raises(VoiceRefusedError, match="no quota left") as caught:
        await pcm_of(voice, TEXT)
    assert "add credit" in caught.value.hint
    assert server.calls == 1


@pytest.mark.parametrize(
    "message",
    [
        "Requests have exceeded call rate limit of your current S0 pricing tier. Please go to quotaincrease",
        "Rate limit reached for gpt-4o-mini-tts on requests per min (RPM): Limit 3, Used 3.",
    ],
)
async def test_a_rate_limit_that_speaks_of_plans_is_none_the_less_one(
    server: SpeechServer, voice: SpeechApiVoice, message: str
) -> None:
    server.play(*[Script(status=429, message=message)] * 2)
    with pytest.raises(VoiceBusyError):
        await pcm_of(voice, TEXT)


async def test_neither_the_key_nor_the_text_is_repeated_in_an_error(
    server: SpeechServer, voice: SpeechApiVoice
) -> None:
    server.play(
        Script(status=401, message=f"Incorrect API key provided: {KEY}"),
        Script(status=400, message=f"cannot say {TEXT}"),
        Script(status=400, message=f"cannot say {TEXT}", param="voice"),
        Script(status=400, message=f"{KEY} has no such model", param="model"),
        Script(status=400, message="none at http://user:opaque-word@host/v1", param="model"),
        Script(status=400, message=quoting(TEXT)),
        *[Script(status=500, message=f"Traceback: {quoting(TEXT)}")] * 2,  # it is asked twice
        Script(body=f'{{"detail": "{KEY}: {TEXT.upper()}"}}'.encode()),
    )
    for _ in range(8):
        with pytest.raises(VoiceError) as caught:
            await pcm_of(voice, TEXT)
        told = f"{caught.value} {caught.value.hint}"
        assert KEY not in told
        assert "brown fox" not in told.lower() and "lazy dog" not in told.lower()
        assert "opaque-word" not in told


async def test_a_complaint_about_a_setting_is_passed_on(server: SpeechServer, voice: SpeechApiVoice) -> None:
    server.play(Script(status=400, param="voice", message="There is no voice 'bob'; take 'ann'."))
    with pytest.raises(VoiceRefusedError, match="There is no voice 'bob'; take 'ann'"):
        await pcm_of(voice, TEXT)


@pytest.mark.parametrize(
    "hiccup",
    [
        Script(status=500),
        Script(status=503),
        rate_limited("0.2"),
        rate_limited(None),
        Script(ending="aborted"),
    ],
    ids=["500", "503", "429 with Retry-After", "429", "hung up"],
)
async def test_fault_25_what_broke_before_its_first_sound_is_tried_a_second_time(
    server: SpeechServer, voice: SpeechApiVoice, hiccup: Script
) -> None:
    server.play(hiccup)
    assert await pcm_of(voice, TEXT) == tone(60 * len(TEXT))
    assert server.calls == 2


async def test_fault_44_the_second_try_waits_as_long_as_the_server_asked(
    server: SpeechServer, voice: SpeechApiVoice
) -> None:
    server.play(rate_limited("0.4"))
    started = asyncio.get_running_loop().time()
    await pcm_of(voice, TEXT)
    assert 0.4 <= asyncio.get_running_loop().time() - started < 1.4


@pytest.mark.parametrize(
    ("script", "after_s"),
    [
        (rate_limited("30"), 30),
        (Script(status=429, headers={"retry-after-ms": "20000", "Retry-After": "99"}), 20),
        (Script(status=429, message="Please retry after 45 seconds. Contact Azure support."), 45),
        (Script(status=429, message="Rate limit reached for tts-1. Please try again in 20s."), 20),
        (Script(status=429, message="Limit 3 / min. Please try again in 1m."), 60),
        (
            Script(
                status=429,
                headers={
                    "Retry-After": "Wed, 21 Oct 2026 07:28:30 GMT",
                    "Date": "Wed, 21 Oct 2026 07:28:00 GMT",
                },
            ),
            30,
        ),
        (Script(status=503, headers={"Retry-After": "12"}), 12),
    ],
)
async def test_rpm_limit_is_told_with_the_time_until_the_next_try(
    server: SpeechServer, voice: SpeechApiVoice, script: Script, after_s: float
) -> None:
    server.play(script)
    with pytest.raises(VoiceBusyError) as caught:
        await pcm_of(voice, TEXT)
    assert caught.value.retry_after_s == after_s
    assert server.calls == 1


@pytest.mark.parametrize(
    "trouble",
    [Script(status=500), Script(status=429), Script(ending="aborted")],
    ids=["500", "429", "hung up"],
)
async def test_fault_44_there_is_no_third_try(
    server: SpeechServer, voice: SpeechApiVoice, trouble: Script
) -> None:
    server.default = trouble
    with pytest.raises(VoiceError) as caught:
        await pcm_of(voice, TEXT)
    assert not isinstance(caught.value, VoiceRefusedError)
    assert server.calls == 2
    if isinstance(caught.value, VoiceBusyError):
        assert caught.value.retry_after_s == 2


async def test_a_server_that_is_not_there_is_said_to_be_unreachable(server: SpeechServer) -> None:
    voice = SpeechApiVoice(
        await asyncio.to_thread(open_client, KEY, "http://127.0.0.1:9/v1"), model="m", voice="v"
    )
    with pytest.raises(VoiceError, match="cannot be reached"):
        await pcm_of(voice, TEXT)
    await voice.aclose()


async def test_fault_42_no_first_sound_within_the_bound_is_a_stall(server: SpeechServer) -> None:
    server.default = Script(first_byte_s=5)
    voice = await voice_of(server, first_pcm_timeout_s=0.1)
    with pytest.raises(VoiceStalledError, match=r"nothing for 0\.1 s"):
        await pcm_of(voice, TEXT)
    await voice.aclose()


async def test_fault_42_the_bound_of_the_first_sound_holds_for_both_tries_together(
    server: SpeechServer,
) -> None:
    server.play(Script(status=500, first_byte_s=1.2), Script(first_byte_s=1.2))
    voice = await voice_of(server, first_pcm_timeout_s=2.0)
    with pytest.raises(VoiceStalledError):
        await pcm_of(voice, TEXT)
    await voice.aclose()
    assert server.calls == 2


async def test_fault_42_headers_without_sound_do_not_count_as_first_sound(server: SpeechServer) -> None:
    server.play(Script(ending="stalled"))
    voice = await voice_of(server, first_pcm_timeout_s=0.1)
    with pytest.raises(VoiceStalledError):
        await pcm_of(voice, TEXT)
    await voice.aclose()


async def test_fault_42_silence_of_the_network_in_the_middle_is_a_stall(server: SpeechServer) -> None:
    server.play(Script(ending="stalled", ending_after_bytes=24_000))
    voice = await voice_of(server, stall_timeout_s=1.0)
    assert len(await heard_before(VoiceStalledError, voice)) == 24_000
    await voice.aclose()
    assert server.calls == 1


async def test_fault_42_a_trickle_that_never_stalls_meets_the_total_bound(server: SpeechServer) -> None:
    server.play(Script(piece_bytes=480, pace=0.2))
    voice = await voice_of(server, total_timeout_s=0.3)
    with pytest.raises(VoiceStalledError, match=r"longer than 0\.3 s"):
        await pcm_of(voice, TEXT)
    await voice.aclose()


async def test_a_slow_listener_is_not_taken_for_a_slow_voice(server: SpeechServer) -> None:
    voice = await voice_of(server, first_pcm_timeout_s=2.0, stall_timeout_s=2.0, total_timeout_s=2.0)
    async with aclosing(speak(voice, "Hi.")) as pieces:
        await anext(pieces)
        await asyncio.sleep(2.2)
        assert [piece async for piece in pieces]
    await voice.aclose()


@pytest.mark.parametrize(
    "length", [24_000, 100_001], ids=["too short for the text", "half a sample at the end"]
)
async def test_fault_24_a_clean_end_before_the_text_is_spoken_is_an_error(
    server: SpeechServer, voice: SpeechApiVoice, length: int
) -> None:
    server.play(Script(ending="truncated", ending_after_bytes=length))
    assert await heard_before(VoiceTruncatedError, voice) == tone(60 * len(TEXT))[:length]
    assert server.calls == 1


async def test_fault_25_a_reset_in_the_middle_is_an_error_and_the_beginning_does_not_come_again(
    server: SpeechServer, voice: SpeechApiVoice
) -> None:
    server.play(Script(ending="aborted", ending_after_bytes=24_000))
    assert await heard_before(VoiceTruncatedError, voice) == tone(60 * len(TEXT))[:24_000]
    assert server.calls == 1


@pytest.mark.parametrize("speed", [0.25, 1.0, 4.0])
async def test_speech_at_the_pace_asked_for_is_not_taken_for_truncated(
    server: SpeechServer, speed: float
) -> None:
    server.default = Script(ms_per_char=60 / max(1.0, speed))
    voice = await voice_of(server, speed=speed)
    assert await pcm_of(voice, TEXT)
    await voice.aclose()


async def test_marks_and_spaces_are_not_expected_to_sound(
    server: SpeechServer, voice: SpeechApiVoice
) -> None:
    server.play(Script(body=tone(100)))
    assert await pcm_of(voice, "Hi... !!!!!!!!!!!!!!!!!!!!!!!!!!!!!! ")


@pytest.mark.parametrize(
    "left_out",
    [
        "https://example.org/" + "a/very/long/address/" * 5,
        "www.example.org/" + "a/very/long/address/" * 5,
        "somebody.with.a.long.name@department.of.something.example.org",
        "[pause:2s]",
        "<aside class='note'>",
        "N" + "o" * 80,
    ],
)
async def test_false_truncation_what_a_server_leaves_out_is_not_missed(
    server: SpeechServer, voice: SpeechApiVoice, left_out: str
) -> None:
    server.play(Script(body=tone(60 * len("See it now."))))
    assert await pcm_of(voice, f"See {left_out} now.")


@pytest.mark.parametrize("body", [b"", bytes(48_000)], ids=["empty", "silence"])
async def test_a_text_without_sound_is_an_error(
    server: SpeechServer, voice: SpeechApiVoice, body: bytes
) -> None:
    server.play(Script(body=body))
    with pytest.raises(VoiceRefusedError, match=r"no sound|silence"):
        await pcm_of(voice, "Hi.")


NOISE = random.Random(5).randbytes(60_000)


@pytest.mark.parametrize(
    ("script", "told"),
    [
        (Script(content_type="application/json", body=b'{"ok": true}' * 5000), "JSON instead of sound"),
        (Script(content_type="audio/pcm", body=b'{"detail": "no such voice"}'), "of sound: no such voice"),
        (Script(content_type="text/html; charset=utf-8", body=b"<html>" * 5000), "a web page instead"),
        (Script(content_type="audio/mpeg", body=b"not today" * 5000), "text instead of sound"),
        (Script(content_type="text/html", body=tone(3_000)), "text/html instead of sound"),
        (Script(content_type="audio/pcm", body=NOISE), "something that is no sound"),
        (Script(content_type="audio/mpeg", body=NOISE), "something that is no sound"),
        (Script(content_type="application/octet-stream", body=bytes(480) + NOISE), "something that is no"),
        (Script(content_type="audio/pcm;rate=16000", body=NOISE), "something that is no sound"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_fault_41_what_is_no_sound_is_not_played(
    server: SpeechServer, voice: SpeechApiVoice, script: Script, told: str
) -> None:
    server.play(script)
    heard = bytearray()
    with pytest.raises(VoiceRefusedError, match=told):
        async with aclosing(speak(voice, TEXT)) as pieces:
            async for piece in pieces:
                heard += piece
    assert not any(heard), "something but silence was heard"


@pytest.mark.parametrize(
    "kind", ["audio/mp3", "Audio/MPEG", "application/octet-stream", "audio/pcm", "audio/aac", ""]
)
@pytest.mark.parametrize(
    ("container", "codec"),
    [("mp3", "libmp3lame"), ("flac", "flac"), ("ogg", "libopus"), ("adts", "aac"), ("wav", "pcm_s16le")],
)
async def test_mp3_as_pcm_and_sound_of_other_kinds_are_heard_as_what_they_are(
    server: SpeechServer, voice: SpeechApiVoice, container: str, codec: str, kind: str
) -> None:
    rate = 48_000 if codec == "libopus" else 22_050
    server.play(Script(content_type=kind, body=encoded(container, codec, rate, seconds=2)))
    pcm = await pcm_of(voice, "Just a few words.")
    assert hertz_of(pcm) == pytest.approx(440, rel=0.01)
    assert duration_s(len(pcm)) == pytest.approx(2, abs=0.1)


WAVS = {
    "s16 22050 with LIST": wav(s16(22_050, seconds=2), 22_050, before=LIST, behind=LIST),
    "s16 44100 stereo": wav(s16(44_100, seconds=2, channels=2), 44_100, channels=2, behind=LIST),
    "u8 8000": wav(as_width(wave(8_000, seconds=2), "u8"), 8_000, kind="u8"),
    "f32 48000 extensible": wav(
        as_width(wave(48_000, seconds=2), "f32le"), 48_000, kind="f32le", is_extensible=True
    ),
    "mu-law 8000": wav(as_width(wave(8_000, seconds=2), "mulaw"), 8_000, kind="mulaw"),
    "streamed, length 0": wav(s16(16_000, seconds=2), 16_000, told_bytes=0, behind=LIST),
    "streamed, length unknown": wav(s16(22_050, seconds=2), 22_050, told_bytes=0xFFFFFFFF, behind=LIST),
    "RF64": b"RF64" + wav(s16(96_000, seconds=2), 96_000, told_bytes=0xFFFFFFFF)[4:],
}


@pytest.mark.parametrize(
    "kind", ["audio/pcm", "application/octet-stream", "audio/vnd.wave", "AUDIO/MPEG", ""]
)
@pytest.mark.parametrize("name", WAVS)
async def test_wav_as_pcm_is_heard_at_its_pitch_without_what_is_around_it(
    server: SpeechServer, voice: SpeechApiVoice, name: str, kind: str
) -> None:
    server.play(Script(content_type=kind, body=WAVS[name], piece_bytes=1_001))
    pcm = await pcm_of(voice, "Just a few words.")
    assert hertz_of(pcm) == pytest.approx(440, rel=0.01)
    assert duration_s(len(pcm)) == pytest.approx(2, abs=0.01)


async def test_a_rate_that_was_guessed_wrong_is_told_once(
    server: SpeechServer, voice: SpeechApiVoice, caplog: pytest.LogCaptureFixture
) -> None:
    server.play(Script(ms_per_char=140), Script(ms_per_char=140), Script())
    for _ in range(3):
        await pcm_of(voice, f"{TEXT} {TEXT}")
    told = [record.getMessage() for record in caplog.records if record.name == "liba.voice"]
    assert len(told) == 1
    assert "far too slow" in told[0] and "too low" in told[0] and "LIBA_VOICE_SAMPLE_RATE" in told[0]


@pytest.mark.parametrize(
    "script", [Script(content_type="audio/pcm;rate=24000", ms_per_char=140), Script(ms_per_char=70)]
)
async def test_a_rate_that_was_told_or_fits_is_not_doubted(
    server: SpeechServer, voice: SpeechApiVoice, script: Script, caplog: pytest.LogCaptureFixture
) -> None:
    server.play(script)
    await pcm_of(voice, f"{TEXT} {TEXT}")
    assert not [record for record in caplog.records if record.name == "liba.voice"]


async def test_half_a_character_never_reaches_the_network(
    server: SpeechServer, voice: SpeechApiVoice
) -> None:
    with pytest.raises(VoiceRefusedError):
        await pcm_of(voice, "\ud800")
    assert server.calls == 0


async def test_closing_early_ends_the_request_at_once(server: SpeechServer, voice: SpeechApiVoice) -> None:
    server.play(Script(piece_bytes=480, pace=1))
    async with aclosing(speak(voice, TEXT)) as pieces:
        await anext(pieces)
    async with asyncio.timeout(1):
        await server.cut_off.wait()
    assert await pcm_of(voice, "Next.")


async def test_cancelling_before_the_first_byte_ends_the_request_at_once(
    server: SpeechServer, voice: SpeechApiVoice
) -> None:
    server.play(Script(first_byte_s=60))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await pcm_of(voice, TEXT)
    async with asyncio.timeout(1):
        await server.cut_off.wait()


async def test_a_closed_request_leaves_no_task_behind(server: SpeechServer, voice: SpeechApiVoice) -> None:
    await pcm_of(voice, "Hi.")
    async with aclosing(speak(voice, TEXT)) as pieces:
        await anext(pieces)
    await asyncio.sleep(0.05)
    before = asyncio.all_tasks()
    server.play(Script(piece_bytes=480, pace=1))
    async with aclosing(speak(voice, TEXT)) as pieces:
        await anext(pieces)
    gc.collect()
    await asyncio.sleep(0.05)
    assert {task.get_name() for task in asyncio.all_tasks()} <= {task.get_name() for task in before}


async def test_a_client_of_ones_own_is_used(server: SpeechServer) -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, content=tone(500), headers={"Content-Type": "audio/pcm"})

    client = httpx2.AsyncClient(transport=httpx2.MockTransport(answer))
    voice = SpeechApiVoice(
        open_client("", "http://voice.invalid/v1", http_client=client), model="m", voice="v"
    )
    assert await pcm_of(voice, "Hi.") == tone(500)
    await voice.aclose()
    assert client.is_closed


async def test_a_proxy_in_the_environment_is_passed_by_on_this_machine(
    server: SpeechServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    voice = await voice_of(server)
    assert await pcm_of(voice, "Hi.")
    await voice.aclose()


def test_it_can_be_made_where_no_loop_runs() -> None:
    assert SpeechApiVoice(open_client(KEY), model="tts-1", voice="alloy").model == "tts-1"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:8000/v1", True),
        ("http://localhost/v1", True),
        ("http://[::1]:8000/v1", True),
        ("https://api.openai.com/v1", False),
        ("http://10.0.0.7/v1", False),
    ],
)
def test_a_server_on_this_machine_is_recognised(url: str, expected: bool) -> None:
    assert is_loopback(url) is expected
