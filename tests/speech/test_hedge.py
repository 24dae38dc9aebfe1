from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from contextlib import aclosing

import pytest

from libacli.errors import VoiceError, VoiceRefusedError, VoiceStalledError, VoiceTruncatedError
from libacli.speech.fakes import ScriptedVoice, Step, tone
from libacli.speech.hedge import HedgedVoice
from libacli.speech.ports import Style, Take
from tests.contracts import PLAIN, VoiceContract, now, pcm_of, speak
from tests.speech.test_speaker import on_stage

USUAL_S = 1.0
LATE_S = 1.5
"""Of a voice that always takes `USUAL_S`: half as much again."""

SOUND = tone(100)
OTHER_SOUND = tone(100, 880)
OUTAGE = VoiceError("the speech service failed (503)")
REFUSAL = VoiceRefusedError("no such voice (400)")


@pytest.fixture
def service() -> ScriptedVoice:
    return ScriptedVoice(first_byte_s=USUAL_S)


@pytest.fixture
async def voice(service: ScriptedVoice) -> HedgedVoice:
    """One that knows the service, and may make a second request or two."""
    return await knowing(service)


async def knowing(service: ScriptedVoice, requests: int = 40) -> HedgedVoice:
    voice = HedgedVoice(service)
    for _ in range(requests):
        await pcm_of(voice, "Hi.")
    service.texts.clear()
    service.finished.clear()
    return voice


class TestHedgedVoice(VoiceContract):
    @pytest.fixture
    def voice(self) -> HedgedVoice:
        return HedgedVoice(ScriptedVoice())


class TestHedgedVoiceThatKnowsItsVoice(VoiceContract):
    @pytest.fixture
    async def voice(self) -> HedgedVoice:
        return await knowing(ScriptedVoice())


class HangingVoice(ScriptedVoice):
    """Each first request for a text of more than a word takes an hour."""

    def _tone(self, text: str) -> Iterator[Step]:
        if " " in text and self.texts.count(text) % 2:
            yield 3600.0
        yield from super()._tone(text)


class TestHedgedVoiceWhoseSecondRequestsWin(VoiceContract):
    @pytest.fixture
    async def voice(self) -> HedgedVoice:
        return await knowing(HangingVoice(), 100)


async def answer(voice: HedgedVoice) -> tuple[bytes, float, Take]:
    """The sound of a text, seconds until its first piece, and what was noted."""
    take, asked_at = Take(), now()
    async with aclosing(voice.synthesize("Hello.", PLAIN, take)) as pieces:
        first = await anext(pieces)
        took = now() - asked_at
        return first + b"".join([piece async for piece in pieces]), took, take


async def test_a_request_that_is_late_gets_a_second_one_and_the_first_to_sound_wins(
    voice: HedgedVoice, service: ScriptedVoice
) -> None:
    service.play(10.0, SOUND)
    service.play(1.0, OTHER_SOUND, 0.5, SOUND)
    sound, took, take = await answer(voice)
    assert (sound, took, take.is_hedged) == (OTHER_SOUND + SOUND, LATE_S + 1.0, True)
    assert service.texts == ["Hello."] * 2
    assert (service.finished, service.closed_early) == (["Hello."], ["Hello."])


async def test_a_first_request_that_sounds_before_the_second_is_not_hedged(
    voice: HedgedVoice, service: ScriptedVoice
) -> None:
    service.play(2.0, SOUND)
    service.play(1.0, OTHER_SOUND)
    sound, took, take = await answer(voice)
    assert (sound, took, take.is_hedged) == (SOUND, 2.0, False)
    assert (service.finished, service.closed_early) == (["Hello."], ["Hello."])


async def test_a_request_in_time_has_no_second(voice: HedgedVoice, service: ScriptedVoice) -> None:
    service.play(LATE_S - 0.01, SOUND)
    await answer(voice)
    assert len(service.texts) == 1


async def test_whoever_speaks_is_noted_for_a_second_request_too(
    voice: HedgedVoice, service: ScriptedVoice
) -> None:
    service.play(10.0, SOUND)
    _, _, take = await answer(voice)
    assert (take.provider, take.model, take.voice, take.is_hedged) == ("scripted", "scripted", "tone", True)


async def test_the_first_piece_does_not_wait_until_the_loser_is_closed(
    voice: HedgedVoice, service: ScriptedVoice
) -> None:
    class SlowToClose(ScriptedVoice):
        async def synthesize(self, text: str, style: Style, take: Take | None = None):  # type: ignore[no-untyped-def]
            try:
                async with aclosing(super().synthesize(text, style, take)) as pieces:
                    async for piece in pieces:
                        yield piece
            except asyncio.CancelledError:
                await asyncio.sleep(2.0)
                raise

    slow = SlowToClose(first_byte_s=USUAL_S)
    voice = await knowing(slow)
    slow.play(10.0, SOUND)
    slow.play(1.0, OTHER_SOUND)
    _, took, take = await answer(voice)
    assert (took, take.is_hedged) == (LATE_S + 1.0, True)


async def test_before_it_knows_the_voice_it_makes_no_second_request(service: ScriptedVoice) -> None:
    voice = await knowing(service, 19)
    service.play(10.0, SOUND)
    assert (await answer(voice))[1] == 10.0
    service.play(10.0, SOUND)
    assert (await answer(voice))[1] == LATE_S + USUAL_S


async def test_at_most_one_in_twenty_has_a_second_request_however_many_are_late(
    service: ScriptedVoice,
) -> None:
    voice, chance = HedgedVoice(service), random.Random(13)
    for number in range(1, 1001):
        service.play(chance.lognormvariate(0, 1), SOUND)
        service.play(0.5, SOUND)
        await pcm_of(voice, "Hello.")
        service._scripts.clear()
        assert len(service.texts) <= number * 21 / 20
    assert len(service.texts) > 1040


@pytest.mark.parametrize("error", [REFUSAL, OUTAGE, VoiceTruncatedError("it broke off")])
async def test_an_error_before_a_second_request_is_raised_at_once(
    voice: HedgedVoice, service: ScriptedVoice, error: VoiceError
) -> None:
    service.play(1.2, error)
    with pytest.raises(VoiceError) as caught:
        await answer(voice)
    assert caught.value is error
    assert len(service.texts) == 1


@pytest.mark.parametrize("refused", ["first", "second"])
async def test_a_refusal_for_good_of_one_ends_both(
    voice: HedgedVoice, service: ScriptedVoice, refused: str
) -> None:
    outcomes: list[tuple[Step, ...]] = [(1.6, REFUSAL), (10.0, SOUND)]
    for steps in outcomes if refused == "first" else outcomes[::-1]:
        service.play(*steps)
    began_at = now()
    with pytest.raises(VoiceRefusedError):
        await answer(voice)
    assert now() - began_at == pytest.approx(1.6 if refused == "first" else LATE_S + 1.6)
    assert service.closed_early == ["Hello."]


async def test_after_an_outage_of_the_first_the_second_may_still_succeed(
    voice: HedgedVoice, service: ScriptedVoice
) -> None:
    service.play(1.6, OUTAGE)
    service.play(1.0, SOUND)
    _, took, take = await answer(voice)
    assert (took, take.is_hedged) == (LATE_S + 1.0, True)


async def test_an_outage_of_the_second_takes_nothing_from_the_first(
    voice: HedgedVoice, service: ScriptedVoice
) -> None:
    service.play(3.0, SOUND)
    service.play(OUTAGE)
    _, took, take = await answer(voice)
    assert (took, take.is_hedged) == (3.0, False)


async def test_when_both_fail_the_error_of_the_first_is_raised(
    voice: HedgedVoice, service: ScriptedVoice
) -> None:
    service.play(2.0, OUTAGE)
    service.play(VoiceError("the second failed"))
    with pytest.raises(VoiceError) as caught:
        await answer(voice)
    assert caught.value is OUTAGE


async def test_the_bound_of_the_first_is_that_of_both(voice: HedgedVoice, service: ScriptedVoice) -> None:
    stall = VoiceStalledError("the voice sent nothing for 10 s")
    service.play(10.0, stall)
    service.play(60.0, SOUND)
    began_at = now()
    with pytest.raises(VoiceStalledError):
        await answer(voice)
    assert now() - began_at == 10.0
    assert service.closed_early == ["Hello."]


async def test_nobody_asks_twice_into_a_rate_limit(voice: HedgedVoice) -> None:
    class Limited(ScriptedVoice):
        async def synthesize(self, text: str, style: Style, take: Take | None = None):  # type: ignore[no-untyped-def]
            if take and text == "Hello.":
                take.is_held = True
            async with aclosing(super().synthesize(text, style, take)) as pieces:
                async for piece in pieces:
                    yield piece

    limited = Limited(first_byte_s=USUAL_S)
    voice = await knowing(limited)
    limited.play(20.0, SOUND)
    _, took, _ = await answer(voice)
    assert (took, len(limited.texts)) == (20.0, 1)


async def test_a_service_that_is_down_gets_no_second_requests_until_they_are_earned_anew(
    voice: HedgedVoice, service: ScriptedVoice
) -> None:
    service.play(OUTAGE)
    with pytest.raises(VoiceError):
        await answer(voice)
    for _ in range(19):
        service.play(10.0, SOUND)
        assert (await answer(voice))[1] == 10.0
    service.texts.clear()
    for _ in range(200):
        await pcm_of(voice, "Hi.")
    service.play(10.0, SOUND)
    assert (await answer(voice))[1] < 10.0


async def test_what_is_refused_says_nothing_of_the_load(voice: HedgedVoice, service: ScriptedVoice) -> None:
    service.play(REFUSAL)
    with pytest.raises(VoiceRefusedError):
        await answer(voice)
    service.play(10.0, SOUND)
    assert (await answer(voice))[1] == LATE_S + USUAL_S


async def test_a_voice_as_quick_as_nobody_hears_is_never_hedged() -> None:
    service = ScriptedVoice(first_byte_s=0.03)
    voice = await knowing(service)
    service.play(0.24, SOUND)
    await answer(voice)
    assert len(service.texts) == 1


async def test_both_requests_are_closed_when_nobody_wants_the_sound_any_more(
    voice: HedgedVoice, service: ScriptedVoice
) -> None:
    service.play(10.0, SOUND)
    service.play(10.0, SOUND)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(5):
            await pcm_of(voice, "Never mind.")
    assert service.closed_early == ["Never mind."] * 2


async def test_a_winner_that_is_closed_early_is_closed(voice: HedgedVoice, service: ScriptedVoice) -> None:
    service.play(10.0, SOUND)
    service.play(0.5, *[SOUND] * 100)
    async with aclosing(speak(voice, "Never mind.")) as pieces:
        await anext(pieces)
    assert service.closed_early == ["Never mind."] * 2


async def test_a_winner_that_breaks_off_says_so_after_its_sound(
    voice: HedgedVoice, service: ScriptedVoice
) -> None:
    service.play(10.0, SOUND)
    service.play(0.5, SOUND, VoiceTruncatedError("it broke off"))
    async with aclosing(speak(voice, "Hello.")) as pieces:
        assert await anext(pieces) == SOUND
        with pytest.raises(VoiceTruncatedError):
            await anext(pieces)


async def test_an_objection_to_a_text_is_passed_on() -> None:
    assert HedgedVoice(ScriptedVoice(objection=lambda text: "no")).objection("x") == "no"


async def test_an_utterance_tells_that_a_second_request_was_the_quicker_one(
    voice: HedgedVoice, service: ScriptedVoice
) -> None:
    async with on_stage(voice) as stage:  # type: ignore[arg-type]
        service.play(10.0, SOUND)
        for id in "ab":
            stage.say("Hello.", id)
            await stage.spoken(id)
        first, second = stage.speaker.find("a"), stage.speaker.find("b")
    assert first and second
    assert (first.hedged, second.hedged) == (True, False)
    assert first.timeline.durations_ms()["d01"] == (LATE_S + USUAL_S) * 1000
