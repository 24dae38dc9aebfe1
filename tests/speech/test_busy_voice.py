"""A voice that asks to be asked later: a text waits for it while its sound plays."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from libacli.core.acquaintance import Acquaintances
from libacli.errors import VoiceBusyError, VoiceLoadingError
from libacli.speech.breaker import BreakerVoice
from libacli.speech.fakes import ScriptedVoice
from libacli.speech.pace import Pace
from libacli.speech.ports import Style
from libacli.speech.reading import Reading
from tests.contracts import pcm_of
from tests.speech.test_speaker import on_stage

LINE = "The first of them. The second of them. The third of them. And the fourth."


def busy(seconds: float) -> VoiceBusyError:
    return VoiceBusyError("the speech service limits the rate of requests (429)", retry_after_s=seconds)


async def read(voice: ScriptedVoice, *, patience_s: float = 30.0) -> None:
    """Has `LINE` read in a loop that consumes it at once."""
    async with asyncio.TaskGroup() as tasks:
        pace = Pace(patience_s=patience_s)
        reading = Reading(tasks, voice, [LINE], Style(), pace=pace, known=Acquaintances())
        async with aclosing(reading.pcm()) as pcm:
            async for _ in pcm:
                pass


async def test_it_waits_as_often_as_it_is_told_to_within_its_patience() -> None:
    voice = ScriptedVoice(first_byte_s=0)
    for _ in range(3):
        voice.play(busy(8))
    await read(voice)
    assert asyncio.get_running_loop().time() == pytest.approx(24)


@pytest.mark.parametrize(("seconds", "patience_s"), [(31, 30.0), (0.5, 0.0)])
async def test_it_does_not_wait_longer_than_its_patience(seconds: float, patience_s: float) -> None:
    voice = ScriptedVoice(first_byte_s=0)
    voice.play(busy(seconds))
    with pytest.raises(ExceptionGroup) as caught:
        await read(voice, patience_s=patience_s)
    assert caught.group_contains(VoiceBusyError)
    assert asyncio.get_running_loop().time() == 0


async def test_a_voice_that_is_busy_for_ever_fails_the_line_with_its_words() -> None:
    voice = ScriptedVoice()
    for _ in range(20):
        voice.play(busy(4))
    async with on_stage(voice, pace=Pace(patience_s=10)) as stage:
        stage.say("Hello.", "a")
        spoken = await stage.spoken("a")
        assert (spoken.state, spoken.reason) == (
            "failed",
            "the speech service limits the rate of requests (429)",
        )
        assert asyncio.get_running_loop().time() == pytest.approx(8)


async def test_a_voice_that_loads_is_not_taken_for_one_that_is_out() -> None:
    service = ScriptedVoice()
    voice = BreakerVoice(service)
    for _ in range(5):
        service.play(VoiceLoadingError("not yet", retry_after_s=1))
        with pytest.raises(VoiceLoadingError):
            await pcm_of(voice, "Hello.")
    assert voice.objection("Hello.") is None


async def test_a_voice_that_asks_for_time_again_and_again_is_left_alone() -> None:
    service = ScriptedVoice()
    for _ in range(3):
        service.play(busy(2))
    async with on_stage(BreakerVoice(service)) as stage:  # type: ignore[arg-type]
        stage.say("Hello.", "a")
        spoken = await stage.spoken("a")
    assert (spoken.state, len(service.texts)) == ("failed", 3)
    assert "tried again in" in spoken.reason
