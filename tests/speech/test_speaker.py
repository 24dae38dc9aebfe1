from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from libacli.core.audio import FRAME_BYTES
from libacli.core.bounds import Bounds
from libacli.core.messages import SayRequest
from libacli.core.pronunciation import Pronunciations
from libacli.core.utterance import Utterance
from libacli.errors import RefusedError, SinkError, VoiceError, VoiceStalledError
from libacli.speech.fakes import RecordingSink, ScriptedVoice, tone
from libacli.speech.pace import Pace
from libacli.speech.ports import Route
from libacli.speech.speaker import Speaker

TAIL = bytes(6 * FRAME_BYTES)
LONG = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"


class Stage:
    """A speaker between a scripted voice and a recording sink."""

    def __init__(
        self,
        voice: ScriptedVoice,
        sink: RecordingSink,
        pace: Pace | None,
        bounds: Bounds | None,
        queue_limit: int,
        pronunciations: Pronunciations | None,
    ) -> None:
        self.voice = voice
        self.sink = sink
        self.changes: list[tuple[str, str]] = []
        self.asked_chars: list[int] = []
        self._changed = asyncio.Event()
        self.speaker = Speaker(
            voice,
            sink,
            on_change=self._on_change,
            on_ask=lambda utterance, chars: self.asked_chars.append(chars),
            pace=pace,
            bounds=bounds,
            queue_limit=queue_limit,
            pronunciations=pronunciations,
        )

    def say(self, text: str, id: str, **members: object) -> None:
        self.speaker.say(SayRequest(text, id=id, **members))  # type: ignore[arg-type]

    async def spoken(self, id: str) -> Utterance:
        """The utterance, once it has reached its final state; no test waits longer than ten minutes."""
        async with asyncio.timeout(600):
            while not (found := self.speaker.find(id)) or not found.is_over:
                self._changed.clear()
                await self._changed.wait()
        return found

    def states(self, id: str) -> list[str]:
        return [state for changed, state in self.changes if changed == id]

    def _on_change(self, utterance: Utterance) -> None:
        self.changes.append((utterance.id, utterance.state))
        self._changed.set()


@asynccontextmanager
async def on_stage(
    voice: ScriptedVoice | None = None,
    sink: RecordingSink | None = None,
    *,
    pace: Pace | None = None,
    bounds: Bounds | None = None,
    queue_limit: int = 32,
    pronunciations: Pronunciations | None = None,
) -> AsyncIterator[Stage]:
    voice, sink = voice or ScriptedVoice(), sink or RecordingSink()
    stage = Stage(voice, sink, pace, bounds, queue_limit, pronunciations)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(stage.speaker.run())
        await asyncio.sleep(0)
        yield stage
        running.cancel()


async def test_an_utterance_is_played_whole_with_silence_behind_it() -> None:
    async with on_stage() as stage:
        stage.say("Hello.", "a")
        spoken = await stage.spoken("a")
    assert stage.sink.segments == [tone(360) + TAIL]
    assert stage.states("a") == ["accepted", "speaking", "audible", "done"]
    assert (spoken.frames, spoken.chunks, spoken.underruns, spoken.t3_source) == (24, 1, 0, "observed")


async def test_the_marks_are_exact() -> None:
    async with on_stage() as stage:
        stage.say("Hello.", "a")
        spoken = await stage.spoken("a")
    assert spoken.timeline.durations_ms() == {
        "waited": 0.0,
        "d01": 300.0,
        "d12": 0.0,
        "d2a": 0.0,
        "d23": 480.0,
        "total": 780.0,
    }


async def test_sound_begins_when_the_first_chunk_is_spoken_and_the_rest_follows_without_a_gap() -> None:
    voice = ScriptedVoice(first_byte_s=0.3)
    async with on_stage(voice, pace=Pace(first_chunk_chars=32)) as stage:
        stage.say(LONG, "a")
        spoken = await stage.spoken("a")
    assert voice.texts == [
        "one two three four five six",
        "seven eight nine ten eleven twelve thirteen fourteen fifteen",
    ]
    assert spoken.timeline.durations_ms()["d01"] == 300.0
    assert spoken.underruns == 0
    assert len(stage.sink.spans) == 1


async def test_a_voice_that_is_slow_after_a_stopped_line_is_counted_as_underrun() -> None:
    voice = ScriptedVoice()
    voice.play(tone(3000))
    voice.play(tone(100), 0.5, tone(100))
    async with on_stage(voice) as stage:
        stage.say("A line of which a second is handed over ahead.", "a")
        await asyncio.sleep(0.1)
        stage.speaker.stop()
        stage.say("Hello.", "b")
        spoken = await stage.spoken("b")
    assert (spoken.state, spoken.underruns) == ("done", 1)


async def test_a_voice_slower_than_the_sound_is_counted_as_underrun() -> None:
    voice = ScriptedVoice()
    voice.play(tone(100), 0.5, tone(100))
    async with on_stage(voice) as stage:
        stage.say("Hello.", "a")
        spoken = await stage.spoken("a")
    assert (spoken.state, spoken.underruns) == ("done", 1)


async def test_two_lines_are_spoken_in_order_and_never_together() -> None:
    async with on_stage() as stage:
        stage.say("First line.", "a")
        stage.say("Second line.", "b")
        await stage.spoken("b")
    (_, first_end), (second_start, _) = stage.sink.spans
    assert second_start >= first_end
    assert stage.voice.texts == ["First line.", "Second line."]


async def test_the_next_line_follows_at_once_because_it_was_fetched_meanwhile() -> None:
    async with on_stage(ScriptedVoice(first_byte_s=0.3)) as stage:
        stage.say("First line.", "a")
        stage.say("Second line.", "b")
        await stage.spoken("b")
    (_, first_end), (second_start, _) = stage.sink.spans
    assert second_start - first_end == pytest.approx(0, abs=1e-6)


async def test_a_line_that_comes_while_the_last_chunk_plays_is_fetched_ahead_too() -> None:
    async with on_stage(ScriptedVoice(first_byte_s=0.3)) as stage:
        stage.say("First line of some length.", "a")
        await asyncio.sleep(0.6)
        stage.say("Second line.", "b")
        await stage.spoken("b")
    (_, first_end), (second_start, _) = stage.sink.spans
    assert second_start - first_end == pytest.approx(0, abs=1e-6)


async def test_only_one_request_is_made_ahead() -> None:
    async with on_stage() as stage:
        for number in range(4):
            stage.say(f"Line number {number}.", str(number))
        await asyncio.sleep(0.5)
        assert len(stage.voice.texts) == 2
        await stage.spoken("3")
    assert len(stage.voice.texts) == 4


async def test_a_line_fetched_ahead_and_then_stopped_is_dropped() -> None:
    async with on_stage() as stage:
        stage.say("First line.", "a")
        stage.say("Second line.", "b")
        await asyncio.sleep(0.4)
        stage.speaker.stop()
        stage.say("Third line.", "c")
        await stage.spoken("c")
    assert stage.voice.closed_early == ["Second line."]
    assert stage.states("b") == ["accepted", "interrupted"]
    assert stage.states("c")[-1] == "done"


async def test_a_line_of_higher_priority_overtakes_the_one_fetched_ahead() -> None:
    async with on_stage() as stage:
        stage.say("First line.", "a")
        stage.say("Second line.", "b")
        await asyncio.sleep(0.4)
        stage.say("Urgent line.", "c", priority=1)
        await stage.spoken("b")
    assert [id for id, state in stage.changes if state == "done"] == ["a", "c", "b"]


async def test_stop_ends_the_sound_at_once() -> None:
    async with on_stage() as stage:
        stage.say("A line that would take a while to speak.", "a")
        await asyncio.sleep(0.5)
        assert [gone.id for gone in stage.speaker.stop()] == ["a"]
        spoken = await stage.spoken("a")
        assert asyncio.get_running_loop().time() < 0.51
    assert (spoken.state, spoken.reason, stage.sink.clears) == ("interrupted", "stopped", 1)


async def test_stop_in_the_moment_before_speech_begins_is_heard_too() -> None:
    async with on_stage() as stage:
        stage.say("Hello.", "a")
        await asyncio.sleep(0)
        assert stage.speaker.speaking
        stage.speaker.stop()
        assert (await stage.spoken("a")).state == "interrupted"


async def test_a_second_stop_does_not_cut_off_the_clear_of_the_first() -> None:
    async with on_stage() as stage:
        stage.sink.clear_s = 0.3
        stage.say("A line that would take a while to speak.", "a")
        await asyncio.sleep(0.5)
        assert [gone.id for gone in stage.speaker.stop()] == ["a"]
        await asyncio.sleep(0.1)
        assert [gone.id for gone in stage.speaker.stop(reason="again")] == ["a"]
        spoken = await stage.spoken("a")
        assert asyncio.get_running_loop().time() == pytest.approx(0.8)
    assert (spoken.state, spoken.reason, stage.sink.clears) == ("interrupted", "stopped", 1)


async def test_a_stop_does_not_cut_off_the_clear_after_a_failure() -> None:
    async with on_stage() as stage:
        stage.sink.clear_s = 0.3
        stage.sink.failure = SinkError("gone")
        stage.say("Hello.", "a")
        await asyncio.sleep(0.4)
        assert stage.sink.failure is None, "it has not failed yet"
        stage.speaker.stop()
        assert (await stage.spoken("a")).state == "failed"
    assert stage.sink.clears == 1


async def test_one_that_waits_can_be_stopped_and_what_is_spoken_goes_on() -> None:
    async with on_stage() as stage:
        for id in "abc":
            stage.say(f"This is line {id}.", id)
        await asyncio.sleep(0.5)
        assert [gone.id for gone in stage.speaker.stop_one("b")] == ["b"]
        await stage.spoken("c")
    assert {id: stage.states(id)[-1] for id in "abc"} == {"a": "done", "b": "interrupted", "c": "done"}
    assert (stage.sink.clears, stage.speaker.stops) == (0, 0)


async def test_the_one_that_is_spoken_can_be_stopped_and_what_waits_follows_at_once() -> None:
    async with on_stage() as stage:
        stage.say("A line that would take a while to speak.", "a")
        stage.say("Second line.", "b")
        await asyncio.sleep(0.5)
        assert [gone.id for gone in stage.speaker.stop_one("a")] == ["a"]
        await stage.spoken("b")
    assert {id: stage.states(id)[-1] for id in "ab"} == {"a": "interrupted", "b": "done"}
    assert stage.sink.clears == 1


async def test_one_that_is_over_or_unknown_is_not_stopped() -> None:
    async with on_stage() as stage:
        stage.say("Hello.", "a")
        await stage.spoken("a")
        assert stage.speaker.stop_one("a") == stage.speaker.stop_one("nobody") == []
    assert stage.states("a")[-1] == "done"


async def test_an_interrupting_request_is_spoken_instead_of_all_others() -> None:
    async with on_stage() as stage:
        stage.say("First line.", "a")
        stage.say("Second line.", "b")
        await asyncio.sleep(0.4)
        stage.say("Now this.", "c", interrupt=True)
        await stage.spoken("c")
    assert {id: stage.states(id)[-1] for id in "abc"} == {"a": "interrupted", "b": "interrupted", "c": "done"}


async def test_a_repeated_interrupting_request_interrupts_nothing() -> None:
    async with on_stage() as stage:
        stage.say("Now this.", "a", interrupt=True)
        await asyncio.sleep(0.4)
        stage.say("Now this.", "a", interrupt=True)
        assert (await stage.spoken("a")).state == "done"


async def test_fault_26_a_voice_that_breaks_off_is_heard_out_and_called_failed() -> None:
    voice = ScriptedVoice()
    voice.play(0.3, tone(200), VoiceError("the stream was cut"))
    async with on_stage(voice) as stage:
        stage.say("Hello there.", "a")
        spoken = await stage.spoken("a")
    assert (spoken.state, spoken.reason) == ("failed", "the stream was cut")
    assert stage.sink.segments == [tone(200) + TAIL]
    assert stage.sink.clears == 0


async def test_a_failed_line_does_not_silence_the_next() -> None:
    voice = ScriptedVoice()
    voice.play(VoiceStalledError("no sound came"))
    voice.play(RuntimeError("a bug"))
    async with on_stage(voice) as stage:
        for id in "abc":
            stage.say(f"Line {id}.", id)
        await stage.spoken("c")
    assert {id: stage.states(id)[-1] for id in "abc"} == {"a": "failed", "b": "failed", "c": "done"}


async def test_a_sink_that_breaks_fails_the_line_and_takes_the_next() -> None:
    sink = RecordingSink()
    sink.failure = SinkError("the track is gone")
    async with on_stage(sink=sink) as stage:
        stage.say("Hello.", "a")
        stage.say("Hello again.", "b")
        await stage.spoken("b")
    assert stage.states("a")[-1] == "failed"
    assert stage.states("b")[-1] == "done"


async def test_a_sink_that_takes_nothing_is_not_waited_for_longer_than_its_bound() -> None:
    sink = RecordingSink()
    sink.stalled = True
    async with on_stage(sink=sink, bounds=Bounds.derive(frame_s=2)) as stage:
        stage.say("Hello.", "a")
        spoken = await stage.spoken("a")
        assert asyncio.get_running_loop().time() == pytest.approx(2.3, abs=0.01)
    assert (spoken.state, spoken.reason) == ("failed", "the sink did not take the sound in time")


async def test_an_id_that_is_known_is_answered_and_spoken_once() -> None:
    async with on_stage() as stage:
        stage.say("Hello.", "a")
        assert stage.speaker.say(SayRequest("Hello.", id="a")).duplicate
        await stage.spoken("a")
        assert stage.speaker.say(SayRequest("Hello.", id="a")).duplicate
    assert len(stage.sink.segments) == 1


async def test_a_text_the_voice_cannot_say_is_refused_before_it_waits() -> None:
    voice = ScriptedVoice(objection=lambda text: "this voice speaks English only")
    async with on_stage(voice) as stage:
        with pytest.raises(RefusedError, match="English only") as caught:
            stage.say("你好", "a")
        assert caught.value.reason == "unsupported_text"
        assert stage.speaker.find("a") is None


async def test_the_voice_gets_what_it_can_read_and_the_author_keeps_his_spelling() -> None:
    async with on_stage(pronunciations=Pronunciations({"gif": "jif"})) as stage:
        stage.say("A GIF¹ [pause 1s] of ½ a 🎉 cat.", "a")
        spoken = await stage.spoken("a")
    assert stage.voice.texts == ["A jif", "of 1/2 a cat."]
    assert spoken.request.words == "A GIF¹ of ½ a 🎉 cat."
    assert spoken.report().chars == len("A GIF¹ of ½ a 🎉 cat.")


async def test_what_the_voice_objects_to_is_what_it_would_get() -> None:
    asked: list[str] = []

    def objection(text: str) -> None:
        asked.append(text)

    async with on_stage(ScriptedVoice(objection=objection)) as stage:
        stage.say("Ａ [pause 1s] 🎉 b", "a")
        await stage.spoken("a")
    assert asked == ["A b"]


async def test_markup_that_no_voice_reads_is_refused_before_it_waits() -> None:
    async with on_stage() as stage:
        with pytest.raises(RefusedError, match="<prosody> is not supported") as caught:
            stage.say('<prosody rate="slow">Hello.</prosody>', "a")
        assert caught.value.reason == "unsupported_markup"
        assert stage.speaker.find("a") is None


async def test_a_full_queue_refuses_and_forgets() -> None:
    async with on_stage(queue_limit=1) as stage:
        stage.say("One.", "a")
        await asyncio.sleep(0.1)
        stage.say("Two.", "b")
        with pytest.raises(RefusedError):
            stage.say("Three.", "c")
        await stage.spoken("b")
        stage.say("Three.", "c")
        assert (await stage.spoken("c")).state == "done"


async def test_a_line_that_waited_too_long_expires_unspoken() -> None:
    async with on_stage() as stage:
        stage.say("A line that takes its time to be spoken.", "a")
        stage.say("Too late.", "b", ttl_ms=500)
        assert (await stage.spoken("b")).state == "expired"
        await stage.spoken("a")
    assert len(stage.sink.segments) == 1


async def test_draining_finishes_what_was_accepted_and_refuses_the_rest() -> None:
    async with on_stage() as stage:
        stage.say("One.", "a")
        stage.say("Two.", "b")
        async with asyncio.timeout(60):
            await stage.speaker.drain()
        with pytest.raises(RefusedError, match="shutting down"):
            stage.say("Three.", "c")
    assert stage.states("b")[-1] == "done"


async def test_draining_an_idle_speaker_ends_at_once() -> None:
    async with on_stage() as stage, asyncio.timeout(0.01):
        await stage.speaker.drain()


async def test_the_end_of_the_speaker_interrupts_what_it_speaks() -> None:
    async with on_stage() as stage:
        stage.say("A line that would take a while to speak.", "a")
        await asyncio.sleep(0.5)
    assert stage.states("a")[-1] == "interrupted"
    assert stage.voice.closed_early == [] or stage.voice.closed_early == stage.voice.texts


async def test_texts_are_logged_by_length_alone(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    async with on_stage() as stage:
        stage.say("A canary sings.", "a")
        await stage.spoken("a")
    assert "canary" not in caplog.text
    assert "Synthesizing speech: 15 characters" in caplog.text
    assert "ROUTE=fallback | Reason=not configured" in caplog.text
    assert (
        "METRICS | uid=a | route=fallback | ms_tts_start=300 | ms_first_audio=300"
        " | ms_total_approx=1320 | frames=51" in caplog.text
    )


async def test_the_way_to_the_avatar_is_logged_with_its_name(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    sink = RecordingSink(route=Route("avatar", target="tavus-avatar-agent"))
    async with on_stage(sink=sink) as stage:
        stage.say("Hello.", "a")
        await stage.spoken("a")
    assert "ROUTE=tavus | Target=tavus-avatar-agent" in caplog.text


class CountingSink(RecordingSink):
    """Notes how much it is handed at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    async def write(self, frames: bytes) -> None:
        self.sizes.append(len(frames) // FRAME_BYTES)
        await super().write(frames)


async def test_the_first_sound_goes_frame_by_frame_and_what_follows_a_tenth_of_a_second_at_a_time() -> None:
    voice, sink = ScriptedVoice(), CountingSink()
    voice.play(tone(1000))
    async with on_stage(voice, sink) as stage:
        stage.say("hello", "a")
        spoken = await stage.spoken("a")
    assert sink.sizes == [1] * 10 + [5] * 8 + [5, 1]  # the last two are the silence at the end
    assert spoken.frames == 56
    assert spoken.speech_ms == pytest.approx(1000, abs=50)


async def test_sound_that_comes_frame_by_frame_is_not_kept_back_to_be_joined() -> None:
    voice, sink = ScriptedVoice(), CountingSink()
    voice.play(*(step for _ in range(20) for step in (tone(20), 0.02)))
    async with on_stage(voice, sink) as stage:
        stage.say("hello", "a")
        await stage.spoken("a")
    assert sink.sizes == [1] * 20 + [5, 1]
