from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from libacli.core.messages import SayRequest
from libacli.errors import RefusedError, VoiceError, VoiceRefusedError, VoiceStalledError, VoiceTruncatedError
from libacli.speech.breaker import BreakerVoice
from libacli.speech.fakes import ScriptedVoice, tone
from tests.contracts import VoiceContract, pcm_of, speak
from tests.speech.test_speaker import on_stage

OUTAGE = VoiceError("the speech service failed (503)")


class TestBreakerVoice(VoiceContract):
    @pytest.fixture
    def voice(self) -> BreakerVoice:
        return BreakerVoice(ScriptedVoice())


@pytest.fixture
def service() -> ScriptedVoice:
    return ScriptedVoice(objection=lambda text: "it is not English" if text == "你好" else None)


@pytest.fixture
def voice(service: ScriptedVoice) -> BreakerVoice:
    return BreakerVoice(service)


async def fail(voice: BreakerVoice, service: ScriptedVoice, *errors: Exception) -> None:
    for error in errors:
        service.play(error)
        with pytest.raises(type(error)):
            await pcm_of(voice, "Hello.")


def refusal(voice: BreakerVoice) -> tuple[str, str] | None:
    """Reason and words of the refusal of a new text; None when it is taken."""
    try:
        assert voice.objection("Hello.") is None
    except RefusedError as refused:
        return refused.reason, str(refused)
    return None


@pytest.mark.parametrize("outage", [OUTAGE, VoiceStalledError("the voice sent nothing for 10 s")])
async def test_fault_45_three_outages_in_a_row_refuse_what_is_new_for_30_s(
    voice: BreakerVoice, service: ScriptedVoice, outage: VoiceError
) -> None:
    await fail(voice, service, outage, outage)
    assert refusal(voice) is None
    await fail(voice, service, outage)
    told = "the voice failed 3 times in a row and is tried again in"
    assert refusal(voice) == ("voice_unavailable", f"{told} 30 s")
    await asyncio.sleep(29.5)
    assert refusal(voice) == ("voice_unavailable", f"{told} 1 s")
    await asyncio.sleep(0.5)
    assert refusal(voice) is None


async def test_fault_45_nothing_is_asked_of_a_voice_that_is_left_alone(
    voice: BreakerVoice, service: ScriptedVoice
) -> None:
    await fail(voice, service, OUTAGE, OUTAGE, OUTAGE)
    with pytest.raises(VoiceError, match="tried again in 30 s"):
        await pcm_of(voice, "Hello.")
    with pytest.raises(VoiceError, match="tried again in 30 s"):
        await voice.warm_up()
    assert (len(service.texts), service.warm_ups) == (3, 0)


async def test_fault_45_after_the_pause_one_request_is_let_through_and_its_sound_ends_it(
    voice: BreakerVoice, service: ScriptedVoice
) -> None:
    await fail(voice, service, OUTAGE, OUTAGE, OUTAGE)
    await asyncio.sleep(30)
    async with asyncio.TaskGroup() as tasks:
        trial = tasks.create_task(pcm_of(voice, "Hello."))
        await asyncio.sleep(0.1)
        assert refusal(voice) == (
            "voice_unavailable",
            "the voice failed 3 times in a row and is being tried again",
        )
        with pytest.raises(VoiceError, match="being tried again"):
            await pcm_of(voice, "Meanwhile.")
    assert trial.result() == tone(360)
    assert service.texts[3:] == ["Hello."]
    await fail(voice, service, OUTAGE, OUTAGE)
    assert refusal(voice) is None


async def test_fault_45_a_trial_that_fails_begins_another_pause_twice_as_long(
    voice: BreakerVoice, service: ScriptedVoice
) -> None:
    await fail(voice, service, OUTAGE, OUTAGE, OUTAGE)
    await asyncio.sleep(40)
    await fail(voice, service, OUTAGE)
    await asyncio.sleep(59)
    assert refusal(voice)
    await asyncio.sleep(1)
    assert refusal(voice) is None


async def test_the_first_sound_of_a_trial_lets_the_next_request_through_and_a_stall_behind_it_none(
    voice: BreakerVoice, service: ScriptedVoice
) -> None:
    await fail(voice, service, OUTAGE, OUTAGE, OUTAGE)
    await asyncio.sleep(30)
    service.play(tone(100), VoiceStalledError("it went quiet"))
    async with aclosing(speak(voice, "First.")) as pieces:
        await anext(pieces)
        assert refusal(voice) is None
        with pytest.raises(VoiceStalledError):
            await anext(pieces)
    assert refusal(voice)


async def test_a_trial_that_was_cancelled_leaves_the_next_one_its_turn(
    voice: BreakerVoice, service: ScriptedVoice
) -> None:
    await fail(voice, service, OUTAGE, OUTAGE, OUTAGE)
    await asyncio.sleep(30)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await pcm_of(voice, "Cancelled.")
    assert await pcm_of(voice, "Hello.") == tone(360)


@pytest.mark.parametrize(
    "answer", [VoiceRefusedError("no such voice (400)"), VoiceTruncatedError("the sound ended early")]
)
async def test_a_voice_that_answers_is_not_left_alone_whatever_it_answers(
    voice: BreakerVoice, service: ScriptedVoice, answer: VoiceError
) -> None:
    await fail(voice, service, answer, answer, answer)
    assert refusal(voice) is None
    await fail(voice, service, OUTAGE, OUTAGE, answer, OUTAGE, OUTAGE)
    assert refusal(voice) is None


async def test_outages_with_speech_between_them_are_not_in_a_row(
    voice: BreakerVoice, service: ScriptedVoice
) -> None:
    await fail(voice, service, OUTAGE, OUTAGE)
    await pcm_of(voice, "Hello.")
    await fail(voice, service, OUTAGE, OUTAGE)
    assert refusal(voice) is None


async def test_an_objection_to_a_text_is_passed_on(voice: BreakerVoice) -> None:
    assert voice.objection("你好") == "it is not English"


async def test_a_failed_warm_up_counts() -> None:
    class Cold(ScriptedVoice):
        async def warm_up(self) -> None:
            raise OUTAGE

    service = Cold()
    voice = BreakerVoice(service)
    with pytest.raises(VoiceError):
        await voice.warm_up()
    await fail(voice, service, OUTAGE, OUTAGE)
    assert refusal(voice)


async def test_fault_45_what_waits_in_the_queue_fails_at_once_and_nobody_is_interrupted_in_vain(
    caplog: pytest.LogCaptureFixture,
) -> None:
    service = ScriptedVoice()
    for _ in range(3):
        service.play(10.0, VoiceStalledError("the voice sent nothing for 10 s"))
    async with on_stage(BreakerVoice(service)) as stage:  # type: ignore[arg-type]
        for number in range(8):
            stage.say("Hello.", str(number))
        last = await stage.spoken("7")
        assert asyncio.get_running_loop().time() == pytest.approx(30.0)
        assert [stage.states(str(number))[-1] for number in range(8)] == ["failed"] * 8
        assert last.reason == "the voice failed 3 times in a row and is tried again in 30 s"
        with pytest.raises(RefusedError) as refused:
            stage.say("And now?", "new", interrupt=True)
        assert refused.value.reason == "voice_unavailable"
        assert stage.speaker.say(SayRequest("Hello.", id="7")).duplicate
        await asyncio.sleep(30)
        stage.say("And now?", "new")
        assert (await stage.spoken("new")).state == "done"
    assert caplog.text.count("left alone for 30 s") == 1
