"""A chain whose voices say again what they have said before, each in its turn."""

from __future__ import annotations

from contextlib import aclosing

import pytest

from libacli.errors import RefusedError, VoiceError, VoiceRefusedError
from libacli.speech.breaker import BreakerVoice
from libacli.speech.cache import CachedVoice, Keeping, is_remembered
from libacli.speech.chain import ChainVoice, Link
from libacli.speech.fakes import ScriptedVoice
from libacli.speech.ports import Style, Take
from libacli.speech.sound_store import SoundMemory
from tests.contracts import PLAIN, VoiceContract
from tests.speech.test_speaker import on_stage

HELLO, NEWS = "Hello there.", "This is new."
WRONG_KEY = VoiceRefusedError("the speech service refused the API key (401)", status=401)


class Duo:
    """Two voices that share a memory."""

    def __init__(self) -> None:
        self.first = ScriptedVoice(provider="cloud")
        self.second = ScriptedVoice(provider="local")
        memory = SoundMemory(40_000_000)
        links = []
        for service, speakers in ((self.first, None), (self.second, frozenset({"heart"}))):
            breaker = BreakerVoice(service)
            links.append(Link(breaker, speakers, CachedVoice(breaker, [memory])))
        self.chain = ChainVoice(links)

    async def read(self, text: str, style: Style = PLAIN) -> tuple[str, str, bool]:
        """Who speaks, why, and whether from memory; as a reader would, it is kept."""
        take, keeping = Take(), Keeping(text)
        async with aclosing(self.chain.synthesize(text, style, take)) as pieces:
            async for piece in pieces:
                keeping.add(piece, take)
        keeping.end()
        return take.provider, take.reason, take.is_cached

    async def lose_the_first(self) -> None:
        self.first.play(WRONG_KEY)
        await self.read("Whatever.")


@pytest.fixture
def duo() -> Duo:
    return Duo()


class TestChainThatRemembers(VoiceContract):
    @pytest.fixture
    async def voice(self, duo: Duo) -> ChainVoice:
        for text in ("Hello.", "One sentence."):
            await duo.read(text)
        return duo.chain


async def test_the_first_voice_says_again_what_it_said_also_while_it_is_left_alone(duo: Duo) -> None:
    assert await duo.read(HELLO) == ("cloud", "", False)
    await duo.lose_the_first()
    assert is_remembered(duo.chain, HELLO, PLAIN)
    assert await duo.read(HELLO) == ("cloud", "", True)
    assert (duo.first.texts, duo.second.texts) == ([HELLO, "Whatever."], ["Whatever."])


async def test_what_the_second_voice_said_is_not_said_again_where_the_first_one_would_be_asked(
    duo: Duo,
) -> None:
    duo.first.play(VoiceError("the speech service failed (503)"))
    assert (await duo.read(HELLO))[0] == "local"
    assert not is_remembered(duo.chain, HELLO, PLAIN)
    assert await duo.read(HELLO) == ("cloud", "", False)


async def test_what_the_second_voice_said_is_said_again_while_the_first_one_is_left_alone(duo: Duo) -> None:
    await duo.lose_the_first()
    assert is_remembered(duo.chain, "Whatever.", PLAIN)
    provider, reason, is_cached = await duo.read("Whatever.")
    assert (provider, is_cached) == ("local", True)
    assert reason.startswith("cloud: the speech service refused the API key (401)")


async def test_who_has_the_speaker_that_is_asked_for_is_asked_first_here_too(duo: Duo) -> None:
    heart = Style(voice="heart")
    await duo.read(HELLO, heart)
    assert is_remembered(duo.chain, HELLO, heart)
    assert not is_remembered(duo.chain, HELLO, PLAIN)


async def test_a_line_that_is_remembered_is_taken_and_spoken_when_no_voice_is_left(duo: Duo) -> None:
    await duo.read(HELLO)
    duo.second.play(WRONG_KEY)
    duo.first.play(WRONG_KEY)
    with pytest.raises(VoiceError):
        await duo.read("Whatever.")
    async with on_stage(duo.chain) as stage:  # type: ignore[arg-type]
        with pytest.raises(RefusedError):
            stage.say(NEWS, "a")
        stage.say(HELLO, "b")
        spoken = await stage.spoken("b")
    assert (spoken.state, spoken.cached) == ("done", True)
