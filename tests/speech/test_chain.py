from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from libacli.core.audio import duration_s
from libacli.errors import (
    RefusedError,
    VoiceError,
    VoiceRefusedError,
    VoiceStalledError,
    VoiceTruncatedError,
)
from libacli.speech.breaker import BreakerVoice
from libacli.speech.chain import ChainVoice, Link
from libacli.speech.fakes import ScriptedVoice, tone
from libacli.speech.pace import Pace
from libacli.speech.ports import Style, Take
from tests.contracts import PLAIN, VoiceContract, pcm_of, speak
from tests.speech.test_speaker import on_stage

OUTAGE = VoiceError("the speech service failed (503)")
WRONG_KEY = VoiceRefusedError("the speech service refused the API key (401)", status=401)
SHUT_DOWN = VoiceRefusedError("the speech service knows no such model (404)", status=404)
NO_QUOTA = VoiceRefusedError("the speech service has no quota left for this key (429)", status=429)


def english_only(text: str) -> str | None:
    return "this voice speaks English only" if "ß" in text else None


class Duo:
    """A chain of two voices whose sound lasts 60 and 80 ms a character, the second one of English alone."""

    def __init__(self) -> None:
        self.first = ScriptedVoice(provider="cloud")
        self.second = ScriptedVoice(provider="local", ms_per_char=80, objection=english_only)
        links = [
            Link(BreakerVoice(self.first, trial_s=2)),
            Link(BreakerVoice(self.second), frozenset({"heart"})),
        ]
        self.chain = ChainVoice(links)

    async def read(self, text: str = "Hello.", style: Style = PLAIN) -> tuple[str, str, float]:
        """Who speaks, why, and for how many milliseconds."""
        take = Take()
        async with aclosing(self.chain.synthesize(text, style, take)) as pieces:
            pcm = b"".join([piece async for piece in pieces])
        return take.provider, take.reason, duration_s(len(pcm)) * 1000


@pytest.fixture
def duo() -> Duo:
    return Duo()


class TestChainVoice(VoiceContract):
    @pytest.fixture
    def voice(self, duo: Duo) -> ChainVoice:
        return duo.chain


class TestChainWhoseFirstVoiceIsGone(VoiceContract):
    @pytest.fixture
    async def voice(self, duo: Duo) -> ChainVoice:
        duo.first.play(WRONG_KEY)
        await duo.read()
        return duo.chain


async def test_the_first_voice_speaks_and_nobody_asks_the_second(duo: Duo) -> None:
    assert await duo.read() == ("cloud", "", 360)
    assert (duo.chain.provider, duo.chain.reason, duo.second.texts) == ("cloud", "", [])


@pytest.mark.parametrize("refusal", [WRONG_KEY, SHUT_DOWN, NO_QUOTA])
async def test_a_refusal_for_good_moves_on_in_the_same_text_and_is_not_asked_for_again(
    duo: Duo, refusal: VoiceRefusedError
) -> None:
    duo.first.play(refusal)
    assert await duo.read("One.") == ("local", f"cloud: {refusal}", 320)
    assert await duo.read("Two.") == ("local", f"cloud: {refusal} and is tried again in 30 s", 320)
    assert duo.first.texts == ["One."]
    assert (duo.chain.provider, duo.chain.name) == ("local", "tone")
    assert duo.chain.reason == f"cloud: {refusal} and is tried again in 30 s"


async def test_three_outages_move_on_and_each_text_is_spoken_all_the_same(duo: Duo) -> None:
    for _ in range(3):
        duo.first.play(OUTAGE)
        assert await duo.read() == ("local", f"cloud: {OUTAGE}", 480)
    assert (await duo.read())[0] == "local"
    assert len(duo.first.texts) == 3


async def test_what_was_heard_is_not_said_again(duo: Duo) -> None:
    duo.first.play(tone(100), VoiceTruncatedError("it broke"))
    with pytest.raises(VoiceTruncatedError):
        await duo.read()
    assert duo.second.texts == []


async def test_silence_is_nothing_that_was_heard(duo: Duo) -> None:
    duo.first.play(bytes(4_801), VoiceRefusedError("the voice made 0.10 s of silence of this text"))
    assert (await duo.read())[0] == "local"


async def test_after_a_pause_the_first_voice_speaks_again(duo: Duo) -> None:
    duo.first.play(WRONG_KEY)
    await duo.read()
    await asyncio.sleep(30)
    assert await duo.read() == ("cloud", "", 360)


async def test_the_pause_doubles_with_each_trial_that_fails_and_ends_with_a_success(
    duo: Duo,
) -> None:
    for pause_s in (30, 60, 120, 240, 480, 600, 600):
        duo.first.play(WRONG_KEY)
        assert (await duo.read())[0] == "local"
        assert duo.chain.reason.endswith(f"tried again in {pause_s} s")
        await asyncio.sleep(pause_s)
    await duo.read()
    duo.first.play(WRONG_KEY)
    await duo.read()
    assert duo.chain.reason.endswith("tried again in 30 s")


async def test_a_trial_that_hangs_costs_two_seconds_and_not_the_whole_bound(duo: Duo) -> None:
    duo.first.play(WRONG_KEY)
    await duo.read()
    await asyncio.sleep(30)
    duo.first.play(60, tone(100))
    began_at = asyncio.get_running_loop().time()
    async with aclosing(speak(duo.chain, "Hello.")) as pieces:
        await anext(pieces)
    assert asyncio.get_running_loop().time() - began_at == pytest.approx(2.3)
    assert duo.chain.reason.endswith("tried again in 60 s")


async def test_what_one_voice_cannot_say_goes_to_the_next_that_can() -> None:
    english = ScriptedVoice(provider="local", objection=english_only)
    every = ScriptedVoice(provider="cloud")
    chain = ChainVoice([Link(BreakerVoice(english)), Link(BreakerVoice(every))])
    assert chain.objection("Grüß dich") is None
    take = Take()
    async with aclosing(chain.synthesize("Grüß dich", PLAIN, take)) as pieces:
        await anext(pieces)
    assert (take.provider, take.reason) == ("cloud", "local: this voice speaks English only")
    assert english.texts == []


async def test_a_text_is_refused_when_no_voice_can_say_it(duo: Duo) -> None:
    duo.first.play(WRONG_KEY)
    await duo.read()
    assert duo.chain.objection("Hello.") is None
    assert duo.chain.objection("Grüß dich") == "this voice speaks English only"


async def test_a_text_is_refused_with_every_reason_when_no_voice_is_left(duo: Duo) -> None:
    duo.first.play(WRONG_KEY)
    duo.second.play(VoiceStalledError("it hangs"))
    with pytest.raises(VoiceStalledError):
        await duo.read()
    for _ in range(2):
        duo.second.play(OUTAGE)
        with pytest.raises(VoiceError):
            await duo.read()
    with pytest.raises(RefusedError) as refused:
        duo.chain.objection("Hello.")
    assert refused.value.reason == "voice_unavailable"
    assert "cloud: the speech service refused the API key (401) and is tried again" in str(refused.value)
    assert "local: the voice failed 3 times in a row and is tried again" in str(refused.value)


async def test_a_speaker_is_looked_for_where_it_is_known_and_left_out_where_it_is_not() -> None:
    cloud, local = ScriptedVoice(provider="cloud"), ScriptedVoice(provider="local")
    chain = ChainVoice(
        [
            Link(BreakerVoice(cloud), frozenset({"alloy"})),
            Link(BreakerVoice(local), frozenset({"heart"})),
        ]
    )
    take = Take()
    async with aclosing(chain.synthesize("Hello.", Style(voice="heart"), take)) as pieces:
        await anext(pieces)
    assert (take.provider, take.voice) == ("local", "heart")
    cloud.play(WRONG_KEY)
    await pcm_of(chain, "Hello.", Style(voice="alloy"))
    assert local.styles[-1].voice is None


async def test_warming_up_goes_on_to_the_voice_that_will_speak(duo: Duo) -> None:
    class Refuses(ScriptedVoice):
        async def warm_up(self) -> None:
            raise WRONG_KEY

    chain = ChainVoice([Link(BreakerVoice(Refuses())), Link(BreakerVoice(duo.second))])
    await chain.warm_up()
    assert (duo.second.warm_ups, chain.provider) == (1, "local")


LINE = "The first sentence of it breaks off. The second one is read by another voice."


async def test_a_line_that_breaks_off_goes_on_with_its_next_chunk_in_another_voice(duo: Duo) -> None:
    duo.first.play(tone(200), VoiceTruncatedError("it broke"))
    duo.first.play(WRONG_KEY)
    async with on_stage(duo.chain, pace=Pace(max_chunk_chars=40)) as stage:  # type: ignore[arg-type]
        stage.say(LINE, "a")
        spoken = await stage.spoken("a")
    assert duo.second.texts == ["The second one is read by another voice."]
    assert (spoken.state, spoken.reason) == ("failed", "it broke")
    assert spoken.voice_reason == f"cloud: {WRONG_KEY}"
    assert spoken.speech_ms > 200 + 80 * 30


async def test_a_line_whose_last_chunk_breaks_off_ends_there(duo: Duo) -> None:
    duo.first.play(tone(200), VoiceTruncatedError("it broke"))
    async with on_stage(duo.chain) as stage:  # type: ignore[arg-type]
        stage.say("One sentence.", "a")
        spoken = await stage.spoken("a")
    assert (spoken.state, spoken.reason, duo.second.texts) == ("failed", "it broke", [])
