from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Literal

import pytest

from libacli.config import Settings
from libacli.core.audio import duration_s
from libacli.edges.voices.openai_client import open_client
from libacli.edges.voices.realtime import MODEL, SPEAKER, SPEAKERS, RealtimeVoice, realtime_voice
from libacli.errors import (
    CredentialsError,
    VoiceBusyError,
    VoiceError,
    VoiceRefusedError,
    VoiceStalledError,
    VoiceTruncatedError,
)
from libacli.speech.fakes import tone
from libacli.speech.ports import Style, Take, Voice
from tests import realtime_server
from tests.contracts import VoiceContract, pcm_of, speak
from tests.realtime_server import NO_QUOTA, RATE_LIMITED, RealtimeServer, Script

KEY = "sk-secret-key-of-a-user"
TEXT = "I'm sure that the quick brown fox jumps over the lazy dog."
OTHER_WORDS = "I am sure that the quick brown fox jumps over the lazy dog."
WHOLE = tone(60 * len(TEXT))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def server() -> AsyncGenerator[RealtimeServer]:
    async with RealtimeServer() as server:
        yield server


@pytest.fixture
async def voice(server: RealtimeServer) -> AsyncGenerator[RealtimeVoice]:
    voice = await voice_of(server)
    yield voice
    await voice.aclose()


async def voice_of(server: RealtimeServer, **arguments: Any) -> RealtimeVoice:
    client = await asyncio.to_thread(open_client, KEY, server.base_url)
    return RealtimeVoice(client, **{"first_pcm_timeout_s": 5.0, **arguments})


async def heard(voice: Voice, take: Take, error: type[VoiceError] | None = None) -> bytes:
    """What comes of `TEXT`, up to the error if one is wanted."""
    pcm = bytearray()

    async def listen() -> None:
        async with aclosing(voice.synthesize(TEXT, Style(), take)) as pieces:
            async for piece in pieces:
                pcm.extend(piece)

    if error:
        with pytest.raises(error):
            await listen()
    else:
        await listen()
    return bytes(pcm)


class TestRealtimeVoice(VoiceContract):
    @pytest.fixture
    def voice(self, voice: RealtimeVoice) -> Voice:
        return voice


class TestWithItsTranscriptBeside(VoiceContract):
    @pytest.fixture
    def voice(self, server: RealtimeServer, voice: RealtimeVoice) -> Voice:
        server.default = Script(transcript="beside", delta_ms=100)
        return voice


@pytest.mark.parametrize("transcript", ["ahead", "beside", "late", "none"])
async def test_what_the_service_sends_comes_out_byte_for_byte(
    server: RealtimeServer, voice: RealtimeVoice, transcript: realtime_server.Transcript
) -> None:
    server.play(Script(transcript=transcript))
    take = Take()
    assert await heard(voice, take) == WHOLE
    assert not take.is_reworded


async def test_it_is_asked_to_read_out_of_any_conversation(
    server: RealtimeServer, voice: RealtimeVoice
) -> None:
    await pcm_of(voice, TEXT, Style(instructions="calmly"))
    request = server.requests[0]
    assert request["conversation"] == "none"
    assert request["output_modalities"] == ["audio"]
    assert request["input"][0]["content"] == [{"type": "input_text", "text": TEXT}]
    assert TEXT not in request["instructions"]
    assert request["instructions"].endswith("calmly")
    assert server.models == [MODEL]
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"


async def test_the_session_has_speaker_pace_and_format(server: RealtimeServer) -> None:
    voice = await voice_of(server, voice="cedar", speed=1.2)
    await pcm_of(voice, TEXT)
    await voice.aclose()
    output = server.sessions[0]["audio"]["output"]
    assert output == {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "cedar", "speed": 1.2}


@pytest.mark.parametrize(("asked", "given"), [(0.25, 0.25), (4.0, 1.5), (0.1, 0.25)])
async def test_a_pace_that_the_service_does_not_have_is_the_nearest(
    server: RealtimeServer, voice: RealtimeVoice, asked: float, given: float
) -> None:
    await pcm_of(voice, TEXT, Style(speed=asked))
    assert server.sessions[0]["audio"]["output"]["speed"] == given


async def test_a_speaker_that_the_service_does_not_have_is_the_default(
    server: RealtimeServer, voice: RealtimeVoice
) -> None:
    take = Take()
    async with aclosing(voice.synthesize(TEXT, Style(voice="fable"), take)) as pieces:
        await anext(pieces)
    assert take.voice == SPEAKER
    assert set(realtime_server.SPEAKERS.split()) == set(SPEAKERS)


async def test_a_custom_speaker_goes_by_its_id(server: RealtimeServer) -> None:
    voice = await voice_of(server, voice="voice_1234")
    await pcm_of(voice, TEXT)
    await voice.aclose()
    assert server.sessions[0]["audio"]["output"]["voice"] == {"id": "voice_1234"}


async def test_lines_one_after_the_other_and_at_once_share_one_socket(
    server: RealtimeServer, voice: RealtimeVoice
) -> None:
    await voice.warm_up()
    await pcm_of(voice, "First.")
    server.default = Script(gap_s=0.01)
    async with asyncio.TaskGroup() as tasks:
        for number in range(5):
            tasks.create_task(pcm_of(voice, f"And another line, number {number}."))
    assert (server.handshakes, len(server.requests)) == (1, 6)


async def test_warming_up_asks_for_no_sound(server: RealtimeServer, voice: RealtimeVoice) -> None:
    await voice.warm_up()
    assert (server.handshakes, len(server.sessions), server.requests) == (1, 1, [])


async def test_each_speaker_and_pace_has_a_socket_of_its_own(
    server: RealtimeServer, voice: RealtimeVoice
) -> None:
    for style in (Style(), Style(voice="cedar"), Style(speed=1.5), Style(voice="cedar"), Style()):
        await pcm_of(voice, TEXT, style)
    assert server.handshakes == 3


async def test_sockets_that_nobody_has_used_for_long_make_room(
    server: RealtimeServer, voice: RealtimeVoice
) -> None:
    for speaker in (*SPEAKERS[:5], SPEAKERS[4], SPEAKERS[0]):
        await pcm_of(voice, TEXT, Style(voice=speaker))
    assert server.handshakes == 6


@pytest.mark.parametrize("expired", [False, True], ids=["idle", "after its 60 minutes"])
async def test_a_socket_that_was_closed_between_lines_is_opened_anew(
    server: RealtimeServer, voice: RealtimeVoice, expired: bool
) -> None:
    await pcm_of(voice, "First.")
    await server.close_sockets(expired=expired)
    assert await pcm_of(voice, TEXT) == WHOLE
    assert server.handshakes == 2


async def test_a_session_that_is_refused_says_which_setting_is_wrong(
    server: RealtimeServer, voice: RealtimeVoice
) -> None:
    server.refuse_session = {
        "code": "invalid_value",
        "param": "session.audio.output.voice",
        "message": "There is no voice 'marin'.",
    }
    for attempt in (voice.warm_up(), pcm_of(voice, TEXT)):
        with pytest.raises(VoiceRefusedError, match="There is no voice 'marin'"):
            await attempt


@pytest.mark.parametrize(
    ("status", "hint"), [(401, "OPENAI_API_KEY"), (403, "country"), (404, "voice.model"), (429, "billing")]
)
async def test_a_handshake_that_is_refused_says_what_to_change(
    server: RealtimeServer, voice: RealtimeVoice, status: int, hint: str
) -> None:
    server.status = status
    with pytest.raises(VoiceRefusedError) as caught:
        await pcm_of(voice, TEXT)
    assert caught.value.status == status
    assert hint in caught.value.hint
    assert server.handshakes == 1


async def test_a_service_that_fails_at_the_door_is_tried_a_second_time_and_no_third(
    server: RealtimeServer, voice: RealtimeVoice
) -> None:
    server.status = 500
    with pytest.raises(VoiceError, match="failed") as caught:
        await pcm_of(voice, TEXT)
    assert not isinstance(caught.value, VoiceRefusedError)
    assert server.handshakes == 2


async def test_a_server_that_is_not_there_is_said_to_be_unreachable() -> None:
    voice = RealtimeVoice(await asyncio.to_thread(open_client, KEY, "http://127.0.0.1:9/v1"))
    with pytest.raises(VoiceError, match="cannot be reached"):
        await pcm_of(voice, TEXT)
    await voice.aclose()


async def test_a_server_that_speaks_something_else_is_an_error(
    server: RealtimeServer, voice: RealtimeVoice
) -> None:
    other = RealtimeVoice(await asyncio.to_thread(open_client, KEY, server.base_url + "/elsewhere"))
    with pytest.raises(VoiceRefusedError, match="404"):
        await pcm_of(other, TEXT)
    await other.aclose()


@pytest.mark.parametrize(
    "hiccup",
    [
        Script(ending="failed", ending_after=0, error={"type": "server_error", "message": "Sorry."}),
        Script(ending="failed", ending_after=0, error=RATE_LIMITED),
        Script(ending="closed", ending_after=0),
        Script(refused=RATE_LIMITED),
        Script(refused={"type": "server_error", "message": "The server had an error."}),
    ],
    ids=["failed", "rate limit", "hung up", "refused by a rate limit", "refused"],
)
async def test_what_broke_before_its_first_sound_is_tried_a_second_time(
    server: RealtimeServer, voice: RealtimeVoice, hiccup: Script
) -> None:
    server.play(hiccup)
    assert await pcm_of(voice, TEXT) == WHOLE
    assert len(server.requests) == 2


async def test_a_rate_limit_that_lasts_is_not_waited_for(
    server: RealtimeServer, voice: RealtimeVoice
) -> None:
    server.play(Script(refused=RATE_LIMITED | {"message": "Please try again in 1m26.4s. Visit …"}))
    with pytest.raises(VoiceBusyError, match="rate") as caught:
        await pcm_of(voice, TEXT)
    assert caught.value.retry_after_s == 60
    assert len(server.requests) == 1


async def test_a_rate_limit_that_meets_the_second_try_as_well_says_when_to_ask_again(
    server: RealtimeServer, voice: RealtimeVoice
) -> None:
    server.default = Script(refused=RATE_LIMITED)
    with pytest.raises(VoiceBusyError, match="rate") as caught:
        await pcm_of(voice, TEXT)
    assert caught.value.retry_after_s == 2
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "refusal", [Script(refused=NO_QUOTA), Script(ending="failed", ending_after=0, error=NO_QUOTA)]
)
async def test_a_quota_that_is_used_up_is_final(
    server: RealtimeServer, voice: RealtimeVoice, refusal: Script
) -> None:
    server.play(refusal)
    with pytest.raises(VoiceRefusedError, match="no quota") as caught:
        await pcm_of(voice, TEXT)
    assert caught.value.status == 429
    assert len(server.requests) == 1


async def test_neither_the_key_nor_the_text_is_repeated_in_an_error(
    server: RealtimeServer, voice: RealtimeVoice
) -> None:
    for error in (
        {"code": "invalid_value", "message": f"cannot say {TEXT}", "param": "response.input"},
        {"code": "invalid_value", "message": f"cannot say {TEXT}", "param": "voice"},
        {"code": "invalid_value", "message": f"{KEY} has no such model", "param": "model"},
    ):
        server.play(Script(refused=error))
        with pytest.raises(VoiceRefusedError) as caught:
            await pcm_of(voice, TEXT)
        told = f"{caught.value} {caught.value.hint}"
        assert KEY not in told
        assert TEXT not in told


@pytest.mark.parametrize("transcript", ["ahead", "beside"])
async def test_other_words_are_never_heard_and_it_is_said_once_more(
    server: RealtimeServer, voice: RealtimeVoice, transcript: realtime_server.Transcript
) -> None:
    server.play(Script(says=OTHER_WORDS, transcript=transcript, delta_ms=100, gap_s=0.02))
    take = Take()
    assert await heard(voice, take) == WHOLE
    assert not take.is_reworded
    assert len(server.requests) == 2
    assert server.cancelled == ["resp_1"]


async def test_other_words_twice_are_another_voices_turn(
    server: RealtimeServer, voice: RealtimeVoice
) -> None:
    server.default = Script(says=OTHER_WORDS)
    assert await heard(voice, Take(), VoiceRefusedError) == b""
    assert len(server.requests) == 2


async def test_other_words_after_sound_was_given_out_are_noted(
    server: RealtimeServer, voice: RealtimeVoice
) -> None:
    server.play(Script(says=TEXT.replace("lazy", "sleepy"), transcript="beside", delta_ms=100))
    take = Take()
    assert await heard(voice, take) == WHOLE
    assert take.is_reworded
    assert len(server.requests) == 1


async def test_sound_without_a_transcript_is_held_no_longer_than_the_bound(server: RealtimeServer) -> None:
    server.play(Script(transcript="late", ending="stalled", ending_after=5))
    voice = await voice_of(server, hold_s=0.3)
    clock = asyncio.get_running_loop().time
    asked_at = clock()
    async with aclosing(speak(voice, TEXT)) as pieces:
        await anext(pieces)
        assert 0.3 <= clock() - asked_at < 1.5
    await voice.aclose()


async def test_a_story_after_the_text_is_cut_off(server: RealtimeServer, voice: RealtimeVoice) -> None:
    story = f"{TEXT} {'Once upon a time there was a king.' * 10}"
    server.play(Script(says=story, transcript="beside", more_s=20, gap_s=0.01))
    take = Take()
    pcm = await heard(voice, take)
    assert take.is_reworded
    assert duration_s(len(pcm)) < 0.12 * len(TEXT) + 2
    async with asyncio.timeout(5):
        await server.cut_off.wait()


@pytest.mark.parametrize(
    "cut",
    [
        Script(ending="stalled", ending_after=15),
        Script(ending="closed", ending_after=15),
        Script(ending="failed", ending_after=15, error={"type": "server_error"}),
        Script(ending="incomplete", ending_after=15, error={"reason": "max_output_tokens"}),
        Script(ending="cancelled", ending_after=15, error={"reason": "turn_detected"}),
    ],
    ids=lambda script: script.ending,
)
async def test_what_ends_before_its_end_is_an_error_and_the_beginning_does_not_come_again(
    server: RealtimeServer, cut: Script
) -> None:
    server.play(cut)
    voice = await voice_of(server, stall_timeout_s=0.5 if cut.ending == "stalled" else 5.0)
    error = VoiceStalledError if cut.ending == "stalled" else VoiceTruncatedError
    pcm = await heard(voice, Take(), error)
    await voice.aclose()
    assert pcm
    assert WHOLE.startswith(pcm)
    assert len(server.requests) == 1


async def test_words_that_are_missing_at_the_end_are_an_error(
    server: RealtimeServer, voice: RealtimeVoice
) -> None:
    server.play(Script(says="I'm sure that the quick brown fox jumps over the", transcript="beside"))
    take = Take()
    assert await heard(voice, take, VoiceTruncatedError) == WHOLE
    assert not take.is_reworded


async def test_a_filter_that_lets_nothing_through_is_a_refusal(
    server: RealtimeServer, voice: RealtimeVoice
) -> None:
    server.play(Script(ending="incomplete", ending_after=0, error={"reason": "content_filter"}))
    with pytest.raises(VoiceRefusedError, match="content_filter"):
        await pcm_of(voice, TEXT)


async def test_no_first_sound_within_the_bound_is_a_stall(server: RealtimeServer) -> None:
    server.default = Script(first_s=5)
    voice = await voice_of(server, first_pcm_timeout_s=0.2)
    with pytest.raises(VoiceStalledError, match=r"nothing for 0\.2 s"):
        await pcm_of(voice, TEXT)
    await voice.aclose()


async def test_a_slow_listener_is_not_taken_for_a_slow_voice(server: RealtimeServer) -> None:
    voice = await voice_of(server, first_pcm_timeout_s=2.0, stall_timeout_s=2.0, total_timeout_s=2.0)
    async with aclosing(speak(voice, TEXT)) as pieces:
        await anext(pieces)
        await asyncio.sleep(2.2)
        assert [piece async for piece in pieces]
    await voice.aclose()


async def test_an_iterator_that_is_closed_early_cancels_its_response(
    server: RealtimeServer, voice: RealtimeVoice
) -> None:
    server.play(Script(gap_s=0.05))
    async with aclosing(speak(voice, TEXT)) as pieces:
        await anext(pieces)
    async with asyncio.timeout(5):
        await server.cut_off.wait()
    assert server.cancelled == ["resp_1"]


async def test_what_was_given_up_before_it_had_an_id_is_cancelled_with_the_next_line(
    server: RealtimeServer, voice: RealtimeVoice
) -> None:
    server.play(Script(first_s=30))
    await voice.warm_up()
    async with asyncio.TaskGroup() as tasks:
        line = tasks.create_task(pcm_of(voice, TEXT))
        await server.requested.wait()
        line.cancel()
    assert await pcm_of(voice, TEXT) == WHOLE
    assert server.cancelled == ["resp_1"]


async def test_a_server_that_gives_no_metadata_back_is_understood(
    server: RealtimeServer, voice: RealtimeVoice
) -> None:
    server.default = Script(gives_back=False)
    async with asyncio.TaskGroup() as tasks:
        lines = [tasks.create_task(pcm_of(voice, text)) for text in (TEXT, "Another one.")]
    assert [line.result() for line in lines] == [WHOLE, tone(60 * len("Another one."))]


async def test_a_listener_that_pauses_does_not_hold_up_the_others(
    server: RealtimeServer, voice: RealtimeVoice
) -> None:
    async with aclosing(speak(voice, TEXT)) as paused:
        first = await anext(paused)
        assert await pcm_of(voice, TEXT) == WHOLE
        assert first + b"".join([piece async for piece in paused]) == WHOLE


async def test_a_line_that_is_under_way_when_the_voice_is_closed_opens_no_new_socket(
    server: RealtimeServer,
) -> None:
    server.default = Script(first_s=30)
    voice = await voice_of(server)
    async with asyncio.TaskGroup() as tasks:
        line = tasks.create_task(heard(voice, Take(), VoiceError))
        await server.requested.wait()
        await voice.aclose()
    assert line.result() == b""
    assert server.handshakes == 1


async def test_one_line_in_ten_that_is_reworded_is_heard_whole_and_once(voice: RealtimeVoice) -> None:
    async with RealtimeServer(reword_every=10) as server:
        voice = await voice_of(server)
        for _ in range(20):
            take = Take()
            assert await heard(voice, take) == WHOLE
            assert not take.is_reworded
        await voice.aclose()
    assert len(server.requests) == 22


@pytest.mark.parametrize("text", ["", "...", "🎉", "half a \ud83d"])
async def test_what_cannot_be_said_is_refused_without_asking(
    server: RealtimeServer, voice: RealtimeVoice, text: str
) -> None:
    with pytest.raises(VoiceRefusedError):
        await pcm_of(voice, text)
    assert server.handshakes == 0


def test_without_a_key_it_says_how_to_do_without() -> None:
    with pytest.raises(CredentialsError) as caught:
        realtime_voice(Settings())
    assert "realtime" in caught.value.hint


async def test_the_settings_name_model_speaker_and_manner(server: RealtimeServer) -> None:
    voice = await asyncio.to_thread(
        realtime_voice,
        Settings(
            openai_api_key=KEY,  # type: ignore[arg-type]
            openai_base_url=server.base_url,
            voice_model="gpt-realtime-2.1",
            voice_name="verse",
            voice_instructions="softly",
        ),
    )
    await pcm_of(voice, TEXT)
    await voice.aclose()
    assert (voice.model, voice.name) == ("gpt-realtime-2.1", "verse")
    assert server.models == ["gpt-realtime-2.1"]
    assert server.requests[0]["instructions"].endswith("softly")


@pytest.mark.parametrize("words", [OTHER_WORDS, "Hello, how can I help you today?"])
async def test_a_transcript_that_comes_with_the_end_alone_is_compared_as_well(
    server: RealtimeServer, voice: RealtimeVoice, words: str
) -> None:
    server.default = Script(says=words, transcript="none", is_told_late=True)
    assert await heard(voice, Take(), VoiceRefusedError) == b""


@pytest.mark.parametrize("ending", ["unended", "left"])
async def test_what_was_said_to_its_end_is_whole_without_the_end_of_its_response(
    server: RealtimeServer, voice: RealtimeVoice, ending: realtime_server.Ending
) -> None:
    server.default = Script(ending=ending)
    for _ in range(2):
        assert await pcm_of(voice, TEXT) == WHOLE


@pytest.mark.parametrize(
    ("ending", "is_told_late"), [("completed", False), ("completed", True), ("unended", False)]
)
async def test_what_was_added_to_the_text_is_noted_and_the_text_not_said_again(
    server: RealtimeServer, voice: RealtimeVoice, ending: realtime_server.Ending, is_told_late: bool
) -> None:
    server.play(Script(adds=" Have a nice day!", more_s=1, ending=ending, is_told_late=is_told_late))
    take = Take()
    assert duration_s(len(await heard(voice, take))) == pytest.approx(duration_s(len(WHOLE)) + 1)
    assert take.is_reworded
    assert len(server.requests) == 1


async def test_what_was_added_before_anything_was_heard_is_never_heard(
    server: RealtimeServer, voice: RealtimeVoice
) -> None:
    server.play(Script(transcript="none", adds=" Have a nice day!", is_told_late=True))
    take = Take()
    assert await heard(voice, take) == WHOLE
    assert not take.is_reworded
    assert len(server.requests) == 2


async def test_a_text_that_is_said_in_two_parts_is_not_reworded(
    server: RealtimeServer, voice: RealtimeVoice
) -> None:
    first, second = TEXT[: len(TEXT) // 2], TEXT[len(TEXT) // 2 :]
    over = {"kind": "response.output_audio_transcript.done", "transcript": first}
    server.play(Script(says=second, beside=[over]))
    take = Take()
    assert await heard(voice, take) == WHOLE
    assert not take.is_reworded


@pytest.mark.parametrize("again", ["item", "part"])
@pytest.mark.parametrize("is_told_late", [False, True])
async def test_a_text_that_is_said_again_is_heard_once(
    server: RealtimeServer, voice: RealtimeVoice, again: Literal["item", "part"], is_told_late: bool
) -> None:
    server.play(Script(again=again, adds=f" {TEXT}" * is_told_late, is_told_late=is_told_late, gap_s=0.01))
    take = Take()
    assert await heard(voice, take) == WHOLE
    assert not take.is_reworded


AUDIO, WORDS = "response.output_audio.delta", "response.output_audio_transcript.delta"


@pytest.mark.parametrize(
    "event",
    [
        {"kind": AUDIO},
        {"kind": AUDIO, "delta": None},
        {"kind": AUDIO, "delta": ""},
        {"kind": WORDS},
        {"kind": WORDS, "delta": None},
        {"kind": "response.output_audio_transcript.done", "transcript": None},
        {"kind": "response.created", "response": None},
        {"kind": "response.done", "response_id": "", "response": {"id": "resp_other", "status": "failed"}},
        {"kind": "response.thought.delta", "delta": {"steps": [1]}},
        {"kind": "conversation.item.added", "item": None},
        {"kind": "error", "error": {"message": "of something else", "event_id": "event_7"}},
    ],
    ids=str,
)
async def test_an_event_of_another_shape_or_meaning_does_no_harm(
    server: RealtimeServer, voice: RealtimeVoice, event: dict[str, Any]
) -> None:
    server.play(Script(beside=[event]))
    assert await pcm_of(voice, TEXT) == WHOLE


@pytest.mark.parametrize("message", ["[1, 2]", "null", "hello", "", "<html>Please log in.</html>"])
async def test_what_is_no_event_is_an_error_with_a_next_step(
    server: RealtimeServer, voice: RealtimeVoice, message: str
) -> None:
    server.default = Script(beside=[message])
    with pytest.raises(VoiceError, match="what is no event") as caught:
        await pcm_of(voice, TEXT)
    assert "OPENAI_BASE_URL" in caught.value.hint


@pytest.mark.parametrize("delta", ["e!", "é", "AAAAA", "data:audio/pcm;base64,AAAA"])
async def test_sound_that_cannot_be_read_is_an_error_with_a_next_step(
    server: RealtimeServer, voice: RealtimeVoice, delta: str
) -> None:
    server.default = Script(beside=[{"kind": AUDIO, "delta": delta}])
    with pytest.raises(VoiceError, match="cannot be read") as caught:
        await pcm_of(voice, TEXT)
    assert "OPENAI_BASE_URL" in caught.value.hint
    assert len(server.requests) == 2


@pytest.mark.parametrize("delta", ["_-_-", "/+/+", "_-8", "/\n+/+"])
async def test_sound_is_read_in_either_alphabet_with_or_without_padding(
    server: RealtimeServer, voice: RealtimeVoice, delta: str
) -> None:
    server.play(Script(beside=[{"kind": AUDIO, "delta": delta}] * 2))
    assert (await pcm_of(voice, TEXT)).endswith(WHOLE)


@pytest.mark.parametrize("error", ["boom", None, {"message": None}, [1]], ids=str)
async def test_an_error_of_another_shape_is_a_refusal_with_a_next_step(
    server: RealtimeServer, voice: RealtimeVoice, error: object
) -> None:
    server.default = Script(beside=[{"kind": "error", "error": error}])
    with pytest.raises(VoiceError) as caught:
        await pcm_of(voice, TEXT)
    assert caught.value.hint


async def test_an_error_that_names_no_request_does_not_end_what_sounds(
    server: RealtimeServer, voice: RealtimeVoice
) -> None:
    hiccup = {"kind": "error", "error": {"type": "server_error", "message": "Sorry."}}
    sound = {"kind": AUDIO, "delta": "AAAA" * 100}
    server.play(Script(beside=[sound, hiccup]))
    assert (await pcm_of(voice, TEXT)).endswith(WHOLE)
    assert len(server.requests) == 1


KEY_IS_WRONG = {"type": "invalid_request_error", "code": "invalid_api_key", "message": "Incorrect API key."}


@pytest.mark.parametrize(
    ("farewell", "status"),
    [
        ((NO_QUOTA, 1000, ""), 429),
        ((KEY_IS_WRONG, 1008, ""), 401),
        (({}, 3000, "invalid_request_error.invalid_api_key"), 401),
        (({}, 1008, "model_not_found"), 404),
        (({}, 1013, "insufficient_quota: You exceeded your current quota"), 429),
    ],
    ids=str,
)
async def test_what_is_said_when_the_door_is_closed_again_is_believed(
    server: RealtimeServer, voice: RealtimeVoice, farewell: tuple[dict[str, str], int, str], status: int
) -> None:
    server.farewell = farewell
    for attempt in (pcm_of(voice, TEXT), voice.warm_up()):
        with pytest.raises(VoiceRefusedError) as caught:
            await attempt
        assert caught.value.status == status
    assert server.handshakes == 2


@pytest.mark.parametrize(
    ("answer", "told", "hint"),
    [
        ({"status": 402, "text": "Payment Required"}, "no quota", "add credit"),
        ({"status": 429, "text": '{"detail": "out of credits"}'}, "out of credits", "add credit"),
        ({"status": 401, "text": '{"detail": "No such key."}'}, "No such key", "OPENAI_API_KEY"),
        ({"status": 401, "text": '{"error": "No such key."}'}, "No such key", "OPENAI_API_KEY"),
        ({"status": 405, "text": ""}, "no realtime voice", "OPENAI_BASE_URL"),
        ({"status": 426, "text": "Upgrade Required"}, "no realtime voice", "OPENAI_BASE_URL"),
        ({"status": 501, "text": ""}, "no realtime voice", "OPENAI_BASE_URL"),
        ({"status": 200, "text": "<html>Please log in.</html>"}, "no realtime voice", "OPENAI_BASE_URL"),
    ],
    ids=str,
)
async def test_a_door_that_is_closed_in_other_words_is_understood(
    server: RealtimeServer, voice: RealtimeVoice, answer: dict[str, Any], told: str, hint: str
) -> None:
    server.answer = answer
    with pytest.raises(VoiceRefusedError, match=told) as caught:
        await pcm_of(voice, TEXT)
    assert hint in caught.value.hint
    assert server.handshakes == 1


@pytest.mark.parametrize("status", [429, 503])
async def test_a_door_that_tells_when_to_come_again_is_heeded(
    server: RealtimeServer, voice: RealtimeVoice, status: int
) -> None:
    server.answer = {"status": status, "headers": {"Retry-After": "7"}}
    with pytest.raises(VoiceBusyError) as caught:
        await pcm_of(voice, TEXT)
    assert caught.value.retry_after_s == 7
    assert server.handshakes == 1


async def test_a_server_that_says_one_text_at_a_time_is_busy_and_not_broken(
    server: RealtimeServer, voice: RealtimeVoice
) -> None:
    busy = {"code": "conversation_already_has_active_response", "message": "There is one already."}
    server.play(Script(refused=busy))
    assert await pcm_of(voice, TEXT) == WHOLE
    server.default = Script(refused=busy)
    with pytest.raises(VoiceBusyError, match="one text at a time"):
        await pcm_of(voice, TEXT)
