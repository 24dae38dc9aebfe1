"""How a line is read by voices that are slow, unsteady, limited or padded, through the whole speaker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from libacli.core.acquaintance import Acquaintances
from libacli.core.audio import BYTES_PER_SECOND, duration_s
from libacli.core.backlog import Utterance
from libacli.core.messages import SayRequest
from libacli.core.script import Pause
from libacli.errors import RefusedError, VoiceBusyError, VoiceError
from libacli.speech.breaker import BreakerVoice
from libacli.speech.chain import ChainVoice, Link
from libacli.speech.fakes import ScriptedVoice, tone
from libacli.speech.pace import Pace
from libacli.speech.ports import Style, Take, Voice
from libacli.speech.reading import Reading
from libacli.speech.speaker import Speaker
from tests.bench.voice_process import steady_tone
from tests.unsteady_voice import FRAME_S, LOGNORMAL, MS_PER_CHAR, Listener, Manner, UnsteadyVoice

SENTENCE = "The quick brown fox jumps over the lazy dog while it rains. "
SHORT = "Hello there, friend."
LINE = (SENTENCE * 4).strip()
LONG = (SENTENCE * 17).strip()
UNPUNCTUATED = LONG.lower().replace(".", "")
CLAUSE = (
    "the total that we owe you is one hundred and twenty three euros and we will send all of it by Friday"
)

SLOW = Manner(pace=0.8)


class Stage:
    """A speaker between a voice and a listener, one line after the other."""

    def __init__(self, voice: Voice, pace: Pace | None = None) -> None:
        self.voice = voice
        self.sink = Listener()
        self.known = Acquaintances()
        self.asked: list[int] = []
        self._over = asyncio.Event()
        self.speaker = Speaker(
            voice, self.sink, on_change=self._on_change, on_ask=self._on_ask, pace=pace, known=self.known
        )

    async def say(self, text: str, id: str = "") -> Utterance:
        """The line, once it is over."""
        self._over.clear()
        told = self.speaker.say(SayRequest(text, id=id))
        async with asyncio.timeout(600):
            await self._over.wait()
        utterance = self.speaker.find(told.id)
        assert utterance
        return utterance

    async def learned(self, *texts: str) -> None:
        """Has these texts said before."""
        for text in texts:
            await self.say(text)

    def _on_change(self, utterance: Utterance) -> None:
        if utterance.is_over:
            self._over.set()

    def _on_ask(self, utterance: Utterance, chars: int) -> None:
        self.asked.append(chars)


@asynccontextmanager
async def on_stage(voice: Voice, pace: Pace | None = None) -> AsyncIterator[Stage]:
    stage = Stage(voice, pace)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(stage.speaker.run())
        await asyncio.sleep(1)
        yield stage
        running.cancel()


@asynccontextmanager
async def reading(
    script: Sequence[str | Pause],
    voice: Voice,
    *,
    known: Acquaintances | None = None,
    on_take: Callable[[Take], None] = lambda take: None,
    is_at_once: bool = False,
) -> AsyncIterator[Reading]:
    async with asyncio.TaskGroup() as tasks:
        read = Reading(
            tasks,
            voice,
            script,
            Style(),
            pace=Pace(),
            known=known or Acquaintances(),
            on_ask=lambda chars: None,
            on_last_request=lambda: None,
            on_take=on_take,
            is_at_once=is_at_once,
        )
        yield read
        read.cancel()


async def played(read: Reading) -> bytes:
    """All of its sound, taken as fast as it plays."""
    pcm = b""
    async for piece in read.pcm():
        pcm += piece
        await asyncio.sleep(duration_s(len(piece)))
    return pcm


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_an_unsteady_voice_reads_lines_without_a_hole() -> None:
    async with on_stage(UnsteadyVoice(LOGNORMAL)) as stage:
        for text in [LINE, LONG, SHORT] * 4:
            assert (await stage.say(text)).underruns == 0
            assert stage.sink.holes() == []


async def test_a_voice_that_does_not_grow_is_asked_for_whole_sentences() -> None:
    voice = UnsteadyVoice(Manner())
    async with on_stage(voice) as stage:
        await stage.learned(SHORT, LINE, SHORT, LINE, CLAUSE)
        voice.texts.clear()
        assert (await stage.say(LINE)).chunks == 1
        assert (await stage.say(UNPUNCTUATED)).chunks == 1
        assert (await stage.say(LONG)).chunks == 4
    assert all(text.endswith(".") for text in voice.texts if text != UNPUNCTUATED)
    assert " ".join(voice.texts) == f"{LINE} {UNPUNCTUATED} {LONG}"


@pytest.mark.parametrize("text", [LONG, UNPUNCTUATED])
async def test_a_voice_that_grows_is_heard_about_as_soon_as_with_one_clause(text: str) -> None:
    async with on_stage(UnsteadyVoice(Manner(per_char_s=0.002))) as stage:
        for _ in range(8):  # the first one, too
            asked_at = now()
            spoken = await stage.say(text)
            assert stage.sink.heard[0] - asked_at < 0.3 + 0.002 * len(SENTENCE) + 0.1
            assert (spoken.underruns, spoken.hold) == (0, 0)


async def test_a_voice_that_works_for_long_before_it_sounds_is_asked_for_more_each_time() -> None:
    voice = UnsteadyVoice(Manner(first_s=lambda chance: 0.1, per_char_s=0.025, is_serial=True))
    async with on_stage(voice) as stage:
        await stage.learned(LINE, SHORT, CLAUSE)
        voice.texts.clear()
        spoken = await stage.say(UNPUNCTUATED)
    lengths = [len(text) for text in voice.texts]
    assert lengths[0] < lengths[2] < lengths[3] < 2 * lengths[2]
    assert (spoken.underruns, voice.most_open) == (0, 2)


async def test_even_its_first_line_has_no_hole_where_there_are_sentences() -> None:
    voice = UnsteadyVoice(Manner(first_s=lambda chance: 0.1, per_char_s=0.025, is_serial=True))
    async with on_stage(voice) as stage:
        assert (await stage.say(LINE)).underruns == 0


async def test_no_more_than_one_request_is_ahead_where_that_is_enough() -> None:
    voice = UnsteadyVoice(Manner(per_char_s=0.025, is_serial=True))
    async with on_stage(voice) as stage:
        stage.speaker.say(SayRequest(LONG * 2, id="a"))
        await asyncio.sleep(6)
        stage.speaker.stop()
        assert voice.most_open == 2
        await asyncio.sleep(0.1)
        asked_at = now()
        await stage.say(SHORT)
        assert stage.sink.heard[0] - asked_at < 10


async def test_the_next_chunk_is_asked_for_as_soon_as_a_late_answer_makes_it_needful() -> None:
    voice = UnsteadyVoice(Manner())
    async with on_stage(voice) as stage:
        await stage.learned(SHORT, LINE, SHORT, LINE, *[SHORT] * 20)
        voice.texts.clear()
        voice.asked_at.clear()
        await stage.say(LONG)
        first_chunk_ends_at = stage.sink.heard[0] + len(voice.texts[0]) * MS_PER_CHAR / 1000
        habits = stage.known.expected(("unsteady", "unsteady", "tone")).habits
    ahead_s = first_chunk_ends_at - voice.asked_at[1]
    assert habits.p99 * 0.3 < ahead_s == pytest.approx(8, abs=0.2)


async def test_sound_that_comes_in_one_piece_does_not_keep_the_next_chunk_from_being_asked_for() -> None:
    voice = ScriptedVoice()
    for _ in range(4):
        voice.play(0.3, steady_tone(15_000))
    async with on_stage(voice) as stage:
        spoken = await stage.say(LONG)
        assert (spoken.underruns, stage.sink.holes()) == (0, [])
    assert len(voice.texts) > 1


async def test_a_slow_voice_is_held_back_until_the_rest_follows_without_a_break() -> None:
    async with on_stage(UnsteadyVoice(SLOW)) as stage:
        first = await stage.say(CLAUSE)
        assert first.underruns > 0, "nobody could know"
        assert first.hold == 0
        for text in [LINE, CLAUSE, LONG, SHORT]:
            spoken = await stage.say(text)
            assert (spoken.underruns, stage.sink.holes()) == (0, [])
            assert 0 < spoken.hold < 3000
            assert spoken.report().encode()["hold"] == spoken.hold
            durations = spoken.timeline.durations_ms()
            assert durations["d12"] == pytest.approx(spoken.hold), "the voice itself was as quick as ever"


async def test_bursts_are_waited_for_once_they_have_come_time_and_again() -> None:
    async with on_stage(UnsteadyVoice(Manner(pace=1.2, burst_s=2.0))) as stage:
        assert (await stage.say(LINE)).underruns == 0, "each burst is there before the last one has ended"
    voice = ScriptedVoice()
    async with on_stage(voice) as stage:
        for number in range(4):
            voice.play(0.3, steady_tone(300), 1.0, steady_tone(4000))
            spoken = await stage.say(SHORT)
            assert (spoken.underruns, spoken.hold) == ((1, 0) if number < 2 else (0, pytest.approx(720)))


async def test_a_steady_voice_is_not_held_back() -> None:
    async with on_stage(UnsteadyVoice(Manner(pace=1.0))) as stage:
        for _ in range(5):
            assert (await stage.say(LINE)).hold == 0


async def test_nothing_is_held_back_once_all_of_it_is_there() -> None:
    voice = ScriptedVoice()
    async with on_stage(voice) as stage:
        for _ in range(3):
            voice.play(0.3, steady_tone(300), 1.0, steady_tone(4000))
            await stage.say(SHORT)
        voice.play(0.3, steady_tone(300), 0.1, steady_tone(1000))
        assert (await stage.say(SHORT)).hold == pytest.approx(100)
        voice.play(0.3, steady_tone(1300))
        assert (await stage.say(SHORT)).hold == 0


async def test_nobody_waits_longer_for_a_whole_line_than_the_settings_allow() -> None:
    voice = UnsteadyVoice(SLOW)
    async with on_stage(voice, Pace(max_hold_s=0.1)) as stage:
        await stage.learned(LINE, LINE)
        assert (await stage.say(LINE)).hold == 100
    async with on_stage(UnsteadyVoice(SLOW), Pace(max_hold_s=0)) as stage:
        await stage.learned(CLAUSE, CLAUSE)
        assert (await stage.say(CLAUSE)).hold == 0


async def test_a_line_that_waited_its_turn_with_its_sound_in_hand_is_not_held_back_again() -> None:
    async with on_stage(UnsteadyVoice(SLOW)) as stage:
        await stage.learned(CLAUSE)
        stage.speaker.say(SayRequest(CLAUSE, id="a"))
        stage.speaker.say(SayRequest(CLAUSE, id="b"))
        await asyncio.sleep(30)
        second = stage.speaker.find("b")
        assert second
        assert (second.state, second.hold, second.underruns) == ("done", 0, 0)


async def test_chunk_seam_has_none_of_the_silence_around_the_answers_of_a_server() -> None:
    voice = UnsteadyVoice(Manner(pad_s=0.3))
    async with on_stage(voice, Pace(max_chunk_chars=60)) as stage:
        asked_at = now()
        spoken = await stage.say(CLAUSE)
        assert spoken.chunks == 2
        assert stage.sink.heard[0] - asked_at == pytest.approx(0.3, abs=FRAME_S)
        assert max(stage.sink.holes()) < 0.1
        await stage.say("It is one sentence, that much is clear. And this is another one, as you hear.")
        (pause_s,) = stage.sink.holes()
        assert 0.2 < pause_s < 0.3


async def test_a_pause_of_a_voice_in_real_time_stays_as_long_as_it_was() -> None:
    voice = ScriptedVoice()
    paused: list[bytes | float] = []
    for part in (steady_tone(100), bytes(4800), steady_tone(100)):
        paused += [0.1, part] * 8
    voice.play(*paused)
    async with on_stage(voice) as stage:
        spoken = await stage.say(SHORT)
        (hole_s,) = stage.sink.holes(0.1)
        assert hole_s == pytest.approx(0.8, abs=2 * FRAME_S)
        assert spoken.underruns == 0


async def test_a_pause_is_silence_of_that_length_between_what_is_read() -> None:
    async with reading(["Hello.", Pause(1.5), "World.", Pause(0.5)], UnsteadyVoice(Manner())) as read:
        pcm = await played(read)
    word = steady_tone(6 * MS_PER_CHAR)
    assert pcm == word + bytes(int(1.5 * BYTES_PER_SECOND)) + word + bytes(BYTES_PER_SECOND // 2)
    assert read.chunks == 2


async def test_a_line_may_begin_with_a_pause_in_which_the_voice_is_asked_already() -> None:
    voice = UnsteadyVoice(Manner())
    async with reading([Pause(1.0), "World."], voice) as read:
        assert len(await played(read)) == BYTES_PER_SECOND + len(steady_tone(6 * MS_PER_CHAR))
        assert voice.asked_at == [0.0]


@pytest.mark.parametrize("script", [[], ["…"], [Pause(0.1)]])
async def test_a_script_without_a_word_asks_for_nothing(script: list[str | Pause]) -> None:
    voice = UnsteadyVoice(Manner())
    async with reading(script, voice) as read:
        assert not any(await played(read))
    assert voice.texts == []


async def test_who_speaks_is_told_when_it_is_about_to_be_heard() -> None:
    told: list[tuple[float, str]] = []

    def on_take(take: Take) -> None:
        told.append((now(), take.provider))

    voice = UnsteadyVoice(Manner())
    async with reading(["Hello.", Pause(1.0), "World."], voice, on_take=on_take) as read:
        await played(read)
    assert [provider for _, provider in told] == ["unsteady", "unsteady"]
    assert [at for at, _ in told] == pytest.approx([0.3, 0.3 + 0.36 + 1.0])


async def test_what_is_remembered_is_asked_for_at_once() -> None:
    voice = UnsteadyVoice(Manner(per_char_s=0.025))
    async with reading([LONG * 3], voice, is_at_once=True) as read:
        await asyncio.sleep(1)
        assert voice.texts == [LONG * 3]
        assert read.chunks == 1


async def test_a_voice_that_fails_in_the_middle_is_asked_for_nothing_more() -> None:
    voice = ScriptedVoice()
    voice.play(0.3, tone(2000))
    voice.play(0.1, VoiceError("gone"))
    pace = Pace(max_chunk_chars=60)
    async with on_stage(voice, pace) as stage:
        spoken = await stage.say(LONG)
        assert (spoken.state, spoken.reason) == ("failed", "gone")
        assert spoken.speech_ms > 1900
    assert len(voice.texts) == 2


async def test_where_another_voice_is_left_all_is_read_that_comes_behind_what_broke_off() -> None:
    first, second = ScriptedVoice(provider="first"), ScriptedVoice(provider="second")
    first.play(0.3, tone(20_000), VoiceError("gone"))
    for _ in range(3):
        first.play(VoiceError("gone"))
    chain = ChainVoice([Link(BreakerVoice(first)), Link(BreakerVoice(second))])
    async with on_stage(chain) as stage:
        spoken = await stage.say(LONG)
    assert (spoken.state, spoken.reason) == ("failed", "gone")
    assert len(second.texts) > 0
    assert " ".join([first.texts[0], *second.texts]) == LONG


async def test_after_a_failure_the_next_line_is_asked_for_while_the_rest_of_this_one_plays() -> None:
    voice = ScriptedVoice()
    voice.play(0.3, tone(5000))
    voice.play(0.1, VoiceError("gone"))
    async with on_stage(voice, Pace(max_chunk_chars=60)) as stage:
        stage.speaker.say(SayRequest(LONG, id="a"))
        stage.speaker.say(SayRequest(SHORT, id="b"))
        await asyncio.sleep(5.25)
        assert voice.texts[-1] == SHORT
        assert stage.speaker.speaking and stage.speaker.speaking.id == "a"
        await asyncio.sleep(10)
        second = stage.speaker.find("b")
        assert second and second.state == "done"


async def test_rpm_limit_is_waited_for_while_sound_plays_and_larger_pieces_follow() -> None:
    voice = ScriptedVoice()
    voice.play(0.3, steady_tone(25_000))
    voice.play(VoiceBusyError("limited", retry_after_s=3))
    async with on_stage(voice) as stage:
        spoken = await stage.say(LONG)
        assert (spoken.state, spoken.underruns) == ("done", 0)
        assert sum(stage.asked) >= len(voice.texts[0] + voice.texts[2])
    first, refused, larger, *rest = voice.texts
    assert larger.startswith(refused)
    assert len(larger) > 1.5 * len(refused)
    assert f"{first} {larger}" == LONG
    assert not rest


async def test_rpm_limit_of_few_requests_a_minute_leaves_no_text_unread() -> None:
    voice = UnsteadyVoice(Manner(limit=(3, 30.0)))
    async with on_stage(voice) as stage:
        await stage.learned(SHORT)
        spoken = await stage.say(LONG)
        assert (spoken.state, spoken.chunks) == ("done", 3)
        spoken = await stage.say(LONG)
        assert (spoken.state, spoken.chunks, spoken.underruns) == ("done", 1, 0)


@pytest.mark.parametrize(("retry_after_s", "state"), [(20, "done"), (40, "failed")])
async def test_a_line_that_is_limited_before_anything_was_heard_waits_as_long_as_its_patience_lasts(
    retry_after_s: float, state: str
) -> None:
    voice = ScriptedVoice()
    voice.play(VoiceBusyError("limited", retry_after_s=retry_after_s))
    async with on_stage(voice) as stage:
        assert (await stage.say(LINE)).state == state


async def test_a_limit_that_lasts_too_long_ends_the_line() -> None:
    voice = ScriptedVoice()
    voice.play(0.3, steady_tone(2000))
    voice.play(VoiceBusyError("limited", retry_after_s=3600))
    async with on_stage(voice) as stage:
        spoken = await stage.say(LONG)
        assert (spoken.state, spoken.reason) == ("failed", "limited")


async def test_what_one_speaker_learns_another_one_knows() -> None:
    async with on_stage(UnsteadyVoice(SLOW)) as stage:
        await stage.learned(CLAUSE)
        other, sink = UnsteadyVoice(SLOW), Listener()
        speaker = Speaker(other, sink, on_change=lambda _: None, known=stage.known)
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(speaker.run())
            await asyncio.sleep(0)
            speaker.say(SayRequest(CLAUSE, id="b"))
            await asyncio.sleep(20)
            spoken = speaker.find("b")
            running.cancel()
        assert spoken
        assert (spoken.hold > 0, spoken.underruns) == (True, 0)


async def test_a_speaker_that_is_ended_in_the_middle_asks_for_nothing_more() -> None:
    voice = UnsteadyVoice(Manner())
    async with on_stage(voice) as stage:
        stage.speaker.say(SayRequest(LONG * 3, id="a"))
        await asyncio.sleep(5)
    asked = len(voice.texts)
    await asyncio.sleep(60)
    assert len(voice.texts) == asked


def two_voices(*, second: frozenset[str] | None) -> ChainVoice:
    """The first has alloy and nova, the second those; None: it may have any."""
    first = Link(BreakerVoice(ScriptedVoice()), frozenset({"alloy", "nova"}))
    return ChainVoice([first, Link(BreakerVoice(ScriptedVoice()), second)])


async def test_a_speaker_that_no_voice_has_is_refused_with_those_that_there_are() -> None:
    async with on_stage(two_voices(second=frozenset({"heart"}))) as stage:
        with pytest.raises(RefusedError, match="no voice 'nobody'; there are alloy, heart, nova") as caught:
            stage.speaker.say(SayRequest("Hello.", id="a", voice="nobody"))
        assert caught.value.reason == "unknown_voice"
        assert stage.speaker.find("a") is None
        assert not stage.speaker.say(SayRequest("Hello.", id="b", voice="heart")).duplicate


async def test_where_one_voice_may_have_any_speaker_none_is_unknown() -> None:
    async with on_stage(two_voices(second=None)) as stage:
        assert not stage.speaker.say(SayRequest("Hello.", id="a", voice="somebody")).duplicate
