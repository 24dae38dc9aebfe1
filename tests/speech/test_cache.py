from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from libacli.errors import RefusedError, VoiceError, VoiceTruncatedError
from libacli.speech.breaker import BreakerVoice
from libacli.speech.cache import CachedVoice, Keeping, is_remembered
from libacli.speech.fakes import ScriptedVoice, tone
from libacli.speech.ports import Style, Take
from libacli.speech.sound_store import SoundMemory, SoundStore
from tests.contracts import PLAIN, SoundStoreContract, VoiceContract, now, pcm_of
from tests.speech.test_speaker import LONG, TAIL, on_stage

HELLO = "Hello there, this is a test."
ROOM = 40_000_000


def cached(service: ScriptedVoice, **options: object) -> CachedVoice:
    return CachedVoice(service, [SoundMemory(ROOM)], **options)  # type: ignore[arg-type]


@pytest.fixture
def service() -> ScriptedVoice:
    return ScriptedVoice(first_byte_s=0.9)


@pytest.fixture
def voice(service: ScriptedVoice) -> CachedVoice:
    return cached(service)


class TestSoundMemory(SoundStoreContract):
    @pytest.fixture
    def store(self) -> SoundMemory:
        return SoundMemory(self.ROOM)


class TestCachedVoice(VoiceContract):
    @pytest.fixture
    def voice(self) -> CachedVoice:
        return cached(ScriptedVoice())


class TestCachedVoiceThatRemembersSome(VoiceContract):
    @pytest.fixture
    def voice(self) -> CachedVoice:
        voice = cached(ScriptedVoice())
        for text in (HELLO, "Hello.", "One sentence.", "This one is stopped. It has more to say."):
            voice.keep(text, PLAIN, tone(60 * len(text)))
        return voice


async def said(voice: CachedVoice, text: str, style: Style = PLAIN) -> tuple[bytes, Take]:
    """A text's sound in one request, kept as a reader would, and what was noted."""
    take, keeping, sound = Take(), Keeping(text), b""
    async with aclosing(voice.synthesize(text, style, take)) as pieces:
        async for piece in pieces:
            keeping.add(piece, take)
            sound += piece
    keeping.end()
    return sound, take


async def test_what_was_said_is_said_again_at_once_and_the_voice_is_not_asked(
    voice: CachedVoice, service: ScriptedVoice
) -> None:
    first, take = await said(voice, HELLO)
    assert (take.is_cached, is_remembered(voice, HELLO, PLAIN)) == (False, True)
    asked_at = now()
    again, take = await said(voice, HELLO)
    assert (again, now()) == (first, asked_at)
    assert (take.is_cached, take.provider, take.model, take.voice) == (True, "scripted", "scripted", "tone")
    assert service.texts == [HELLO]


async def test_a_hit_tells_the_speaker_who_was_asked_for(voice: CachedVoice) -> None:
    nova = Style(voice="nova")
    await said(voice, HELLO, nova)
    assert (await said(voice, HELLO, nova))[1].voice == "nova"


@pytest.mark.parametrize(
    ("text", "style"),
    [
        (HELLO + " ", PLAIN),
        (HELLO.lower(), PLAIN),
        (HELLO, Style(voice="nova")),
        (HELLO, Style(speed=1.2)),
        (HELLO, Style(instructions="softly")),
    ],
)
async def test_another_text_or_manner_is_another_sound(voice: CachedVoice, text: str, style: Style) -> None:
    await said(voice, HELLO)
    assert not is_remembered(voice, text, style)
    assert not (await said(voice, text, style))[1].is_cached


async def test_who_names_what_is_the_voices_own_manner_asks_for_the_same(service: ScriptedVoice) -> None:
    voice = cached(service, own=Style(speed=1.5, instructions="calm"))
    await said(voice, HELLO)
    assert is_remembered(voice, HELLO, Style(voice="tone", speed=1.5, instructions="calm"))
    assert not is_remembered(voice, HELLO, Style(speed=1.0))
    assert not is_remembered(voice, HELLO, Style(instructions=""))


def test_another_voice_model_or_variety_finds_nothing_of_it() -> None:
    store = SoundMemory(ROOM)
    CachedVoice(ScriptedVoice(), [store]).keep(HELLO, PLAIN, tone(100))
    other_model = ScriptedVoice()
    other_model.model = "other"
    for voice in (
        CachedVoice(ScriptedVoice(provider="other"), [store]),
        CachedVoice(other_model, [store]),
        CachedVoice(ScriptedVoice(), [store], variety="other"),
    ):
        assert not voice.remembers(HELLO, PLAIN)
    assert CachedVoice(ScriptedVoice(), [store]).remembers(HELLO, PLAIN)


async def test_the_first_store_that_holds_it_is_asked_and_all_keep_it(service: ScriptedVoice) -> None:
    quick, slow = SoundMemory(ROOM), SoundMemory(ROOM)
    voice = CachedVoice(service, [quick, slow])
    await said(CachedVoice(service, [slow]), HELLO)
    assert (await said(voice, HELLO))[1].is_cached
    await said(voice, "Another one.")
    for store in (quick, slow):
        assert CachedVoice(service, [store]).remembers("Another one.", PLAIN)


async def test_a_sound_that_has_gone_meanwhile_is_asked_of_the_voice(service: ScriptedVoice) -> None:
    class Forgetful(SoundMemory):
        def holds(self, name: bytes) -> bool:
            return True

    voice = CachedVoice(service, [Forgetful(ROOM)])
    sound, take = await said(voice, HELLO)
    assert (sound, take.is_cached) == (tone(60 * len(HELLO)), False)


async def test_a_sound_that_proves_damaged_after_its_beginning_is_not_kept_under_another_name(
    service: ScriptedVoice,
) -> None:
    class Damaged(SoundMemory):
        async def pieces(self, name: bytes) -> AsyncGenerator[bytes, None]:
            yield tone(100)
            raise VoiceTruncatedError("the sound that was kept of it is damaged")

    take = Take()
    with pytest.raises(VoiceTruncatedError):
        async for _ in CachedVoice(service, [Damaged(ROOM)]).synthesize(HELLO, PLAIN, take):
            pass
    assert (take.is_cached, take.shelf, service.texts) == (True, None, [])


async def test_what_was_said_is_said_while_the_voice_is_left_alone(service: ScriptedVoice) -> None:
    voice = CachedVoice(BreakerVoice(service), [SoundMemory(ROOM)])
    await said(voice, HELLO)
    for _ in range(3):
        service.play(VoiceError("the speech service failed (503)"))
        with pytest.raises(VoiceError):
            await pcm_of(voice, "Something new.")
    with pytest.raises(RefusedError):
        voice.objection("Something new.")
    assert voice.objection(HELLO) is None
    assert (await said(voice, HELLO))[1].is_cached


async def test_what_a_voice_cannot_say_is_objected_to(service: ScriptedVoice) -> None:
    assert cached(ScriptedVoice(objection=lambda text: "no")).objection("x") == "no"


class TestKeeping:
    """What is kept, and what is not, of a line that was read in two requests."""

    @pytest.fixture
    async def takes(self, voice: CachedVoice) -> tuple[Take, Take]:
        one, two = Take(), Take()
        for take in (one, two):
            async for _ in voice.synthesize("Part.", PLAIN, take):
                pass
        return one, two

    def read(self, *parts: tuple[bytes, Take]) -> None:
        keeping = Keeping(HELLO)
        for piece, take in parts:
            keeping.add(piece, take)
        keeping.end()

    async def test_the_whole_is_kept_as_it_was_heard(
        self, voice: CachedVoice, takes: tuple[Take, Take]
    ) -> None:
        one, two = takes
        self.read((tone(100), one), (tone(60), one), (tone(200, 880), two))
        assert await pcm_of(voice, HELLO) == tone(100) + tone(60) + tone(200, 880)

    async def test_nothing_is_kept_of_one_that_was_not_read_to_its_end(
        self, voice: CachedVoice, takes: tuple[Take, Take]
    ) -> None:
        Keeping(HELLO).add(tone(100), takes[0])
        assert not voice.remembers(HELLO, PLAIN)

    async def test_nothing_is_kept_that_two_voices_said(
        self, voice: CachedVoice, takes: tuple[Take, Take]
    ) -> None:
        other = Take()
        async for _ in cached(ScriptedVoice()).synthesize("Part.", PLAIN, other):
            pass
        self.read((tone(100), takes[0]), (tone(100), other))
        self.read((tone(100), takes[0]), (tone(100), Take()))
        self.read((tone(100), Take()))
        self.read()
        assert not voice.remembers(HELLO, PLAIN)

    async def test_nothing_is_kept_that_was_said_in_two_manners(
        self, voice: CachedVoice, takes: tuple[Take, Take]
    ) -> None:
        other = Take()
        async for _ in voice.synthesize("Part.", Style(voice="nova"), other):
            pass
        self.read((tone(100), takes[0]), (tone(100), other))
        assert not voice.remembers(HELLO, PLAIN)

    async def test_nothing_is_kept_that_was_said_in_other_words(
        self, voice: CachedVoice, takes: tuple[Take, Take]
    ) -> None:
        takes[1].is_reworded = True
        self.read((tone(100), takes[0]), (tone(100), takes[1]))
        assert not voice.remembers(HELLO, PLAIN)

    async def test_nothing_is_kept_of_which_a_part_broke_off(
        self, voice: CachedVoice, service: ScriptedVoice, takes: tuple[Take, Take]
    ) -> None:
        cut = Take()
        service.play(0.1, tone(100), VoiceTruncatedError("it broke off"))
        with pytest.raises(VoiceTruncatedError):
            async for _ in voice.synthesize("Part.", PLAIN, cut):
                pass
        self.read((tone(100), takes[0]), (tone(100), cut))
        assert not voice.remembers(HELLO, PLAIN)

    async def test_half_a_sample_too_many_is_not_kept(
        self, voice: CachedVoice, takes: tuple[Take, Take]
    ) -> None:
        self.read((tone(100) + b"\0", takes[0]))
        assert not voice.remembers(HELLO, PLAIN)

    async def test_what_is_longer_than_is_kept_is_not_even_collected(self, service: ScriptedVoice) -> None:
        voice = CachedVoice(service, [SoundMemory(40_000)])
        take, keeping = Take(), Keeping(HELLO)
        async for _ in voice.synthesize("Part.", PLAIN, take):
            pass
        for _ in range(3):
            keeping.add(bytes(5_000), take)
        assert keeping._pieces == []
        keeping.end()
        assert not voice.remembers(HELLO, PLAIN)


@pytest.mark.parametrize("text", ["Hello.", LONG], ids=["one chunk", "two chunks"])
async def test_a_line_is_heard_a_second_time_at_once_whole_and_as_the_first_time(
    service: ScriptedVoice, text: str
) -> None:
    async with on_stage(cached(service)) as stage:  # type: ignore[arg-type]
        for id in "ab":
            stage.say(text, id)
            await stage.spoken(id)
    first, second = stage.speaker.find("a"), stage.speaker.find("b")
    assert first and second
    assert stage.sink.segments[0] == stage.sink.segments[1]
    assert len(stage.sink.segments[0]) >= len(tone(60 * len(text.replace(" ", "")))) + len(TAIL)
    assert first.timeline.durations_ms()["d01"] == 900.0
    assert second.timeline.durations_ms()["d01"] == 0.0
    assert (first.cached, second.cached, second.chunks) == (False, True, 1)
    cost = sum(stage.asked_chars)
    assert cost == sum(map(len, service.texts)) <= len(text)
    assert (first.report().cached, second.report().cached) == (False, True)
    assert (first.asked_chars, second.asked_chars) == (cost, 0)
    assert first.asked_s == pytest.approx(0.06 * cost, abs=0.01)
    assert second.asked_s == 0


async def test_a_line_that_was_stopped_is_not_remembered(service: ScriptedVoice) -> None:
    voice = cached(service)
    async with on_stage(voice) as stage:  # type: ignore[arg-type]
        stage.say(LONG, "a")
        await asyncio.sleep(2)
        stage.speaker.stop()
        assert (await stage.spoken("a")).state == "interrupted"
    assert not voice.remembers(LONG, PLAIN)


async def test_a_line_that_broke_off_is_not_remembered(service: ScriptedVoice) -> None:
    voice = cached(service)
    service.play(0.1, tone(500), VoiceTruncatedError("it broke off"))
    async with on_stage(voice) as stage:  # type: ignore[arg-type]
        stage.say("Hello.", "a")
        assert (await stage.spoken("a")).state == "failed"
    assert not voice.remembers("Hello.", PLAIN)


async def test_what_was_closed_early_is_on_no_shelf(voice: CachedVoice) -> None:
    take = Take()
    async with aclosing(voice.synthesize(HELLO, PLAIN, take)) as pieces:
        await anext(pieces)
        assert take.shelf
    assert take.shelf is None


async def test_closing_the_voice_closes_its_stores(service: ScriptedVoice) -> None:
    class Closing(SoundMemory):
        is_closed = False

        async def aclose(self) -> None:
            self.is_closed = True

    store: SoundStore = Closing(ROOM)
    await CachedVoice(service, [store]).aclose()
    assert (service.is_closed, store.is_closed) == (True, True)  # type: ignore[attr-defined]


def test_a_voice_without_a_memory_remembers_nothing(service: ScriptedVoice) -> None:
    assert not is_remembered(service, HELLO, PLAIN)
