from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from libacli.core.audio import duration_s, first_audible_s
from libacli.errors import VoiceStalledError
from libacli.speech.fakes import RecordingSink, ScriptedVoice, tone
from tests.contracts import FaultySinkContract, VoiceContract, pcm_of, speak


class TestScriptedVoice(VoiceContract):
    @pytest.fixture
    def voice(self) -> ScriptedVoice:
        return ScriptedVoice()


class RecordingSinkFaults:
    """The faults that a recording sink can be told to have."""

    def __init__(self, sink: RecordingSink) -> None:
        self._sink = sink

    def hang_writes(self) -> None:
        self._sink.stalled = True

    def fail_close(self) -> None:
        self._sink.lost = "left"

    def heal(self) -> None:
        self._sink.stalled = False


class TestRecordingSink(FaultySinkContract):
    SLACK_S = 0.001

    @pytest.fixture
    def sink(self) -> RecordingSink:
        return RecordingSink()

    @pytest.fixture
    def faults(self, sink: RecordingSink) -> RecordingSinkFaults:
        return RecordingSinkFaults(sink)


async def test_sound_begins_after_the_first_byte_delay_and_not_a_moment_later() -> None:
    voice = ScriptedVoice(first_byte_s=0.3)
    started = asyncio.get_running_loop().time()
    async with aclosing(speak(voice, "hello")) as pieces:
        await anext(pieces)
        assert asyncio.get_running_loop().time() - started == pytest.approx(0.3)


async def test_each_character_sounds_for_the_time_asked() -> None:
    assert duration_s(len(await pcm_of(ScriptedVoice(ms_per_char=50), "12345678"))) == pytest.approx(0.4)


async def test_a_script_is_played_once_and_in_order() -> None:
    voice = ScriptedVoice(first_byte_s=0)
    voice.play(b"\1", 2.5, b"\2\3")
    started = asyncio.get_running_loop().time()
    assert await pcm_of(voice, "scripted") == b"\1\2\3"
    assert asyncio.get_running_loop().time() - started == pytest.approx(2.5)
    assert await pcm_of(voice, "x") == tone(60)


async def test_a_scripted_error_is_raised_where_it_stands() -> None:
    voice = ScriptedVoice()
    voice.play(b"\1\2", VoiceStalledError("it went quiet"))
    async with aclosing(speak(voice, "hello")) as pieces:
        assert await anext(pieces) == b"\1\2"
        with pytest.raises(VoiceStalledError, match="it went quiet"):
            await anext(pieces)
    assert voice.closed_early == voice.finished == []


async def test_it_remembers_what_was_finished_and_what_was_closed_early() -> None:
    voice = ScriptedVoice()
    await pcm_of(voice, "to the end")
    async with aclosing(speak(voice, "only the beginning")) as pieces:
        await anext(pieces)
    assert voice.texts == ["to the end", "only the beginning"]
    assert voice.finished == ["to the end"]
    assert voice.closed_early == ["only the beginning"]


async def test_a_wait_that_is_cancelled_counts_as_closed_early() -> None:
    voice = ScriptedVoice(first_byte_s=60)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await pcm_of(voice, "too slow")
    assert voice.closed_early == ["too slow"]


def test_the_tone_can_be_heard_from_its_first_sample() -> None:
    assert first_audible_s(tone(20)) == 0.0


def test_the_tone_is_as_long_as_asked_and_the_same_each_time() -> None:
    assert duration_s(len(tone(1234, 880))) == pytest.approx(1.234)
    assert tone(1234, 880) == tone(1234, 880) != tone(1234, 440)
