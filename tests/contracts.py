"""What every implementation of a port must do: one suite per port, run on each of them and on the fakes.

A test class inherits a suite and gives the fixtures that it names.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Protocol

import pytest

from libacli.core.audio import FRAME_BYTES, FRAME_MS, duration_s, is_audible
from libacli.core.bounds import Bounds
from libacli.errors import SinkError, VoiceError
from libacli.speech.fakes import tone
from libacli.speech.ports import Sink, Style, Take, Voice
from libacli.speech.sound_store import SoundStore

PLAIN = Style()


def speak(voice: Voice, text: str, style: Style = PLAIN) -> AsyncGenerator[bytes, None]:
    """The iterator of `synthesize`, which can be closed, as every implementation's can."""
    pieces = voice.synthesize(text, style)
    assert isinstance(pieces, AsyncGenerator)
    return pieces


async def pcm_of(voice: Voice, text: str, style: Style = PLAIN) -> bytes:
    """All the sound of `text`; fails on an empty piece."""
    async with aclosing(speak(voice, text, style)) as pieces:
        sound = [piece async for piece in pieces]
    assert all(sound), "a piece was empty"
    return b"".join(sound)


class VoiceContract:
    """Fixture: `voice`, ready to speak English, with nothing scripted to go wrong."""

    async def test_text_becomes_whole_samples_of_audible_sound(self, voice: Voice) -> None:
        pcm = await pcm_of(voice, "Hello there, this is a test.")
        assert len(pcm) % 2 == 0
        assert is_audible(pcm)

    async def test_who_speaks_is_noted_before_the_first_piece(self, voice: Voice) -> None:
        take = Take()
        async with aclosing(voice.synthesize("Hello.", PLAIN, take)) as pieces:
            assert await anext(pieces)
            assert (take.provider, take.model, take.voice) == (voice.provider, voice.model, voice.name)

    async def test_a_longer_text_sounds_longer(self, voice: Voice) -> None:
        short = await pcm_of(voice, "Hello.")
        long = await pcm_of(voice, "Hello, and then a good deal more than that, to the end of it.")
        assert duration_s(len(long)) > 2 * duration_s(len(short))

    @pytest.mark.parametrize("text", ["Hi.", "OK", "1", "Yes!"])
    async def test_a_very_short_text_is_spoken_too(self, voice: Voice, text: str) -> None:
        assert is_audible(await pcm_of(voice, text))

    async def test_an_iterator_that_was_never_started_can_be_closed(self, voice: Voice) -> None:
        await speak(voice, "Never mind.").aclose()

    async def test_an_iterator_that_was_closed_early_yields_no_more(self, voice: Voice) -> None:
        pieces = speak(voice, "This one is stopped after its first piece. It has more to say.")
        assert await anext(pieces)
        await pieces.aclose()
        assert [piece async for piece in pieces] == []

    async def test_the_voice_goes_on_after_an_iterator_was_closed_early(self, voice: Voice) -> None:
        async with aclosing(speak(voice, "This one is stopped. It has more to say.")) as pieces:
            await anext(pieces)
        assert is_audible(await pcm_of(voice, "Still here."))

    async def test_the_voice_goes_on_after_a_request_was_cancelled(self, voice: Voice) -> None:
        async def drain() -> None:
            await pcm_of(voice, "This one is cancelled before its first piece.")

        async with asyncio.TaskGroup() as tasks:
            cancelled = tasks.create_task(drain())
            await asyncio.sleep(0)
            cancelled.cancel()
        assert cancelled.cancelled()
        assert is_audible(await pcm_of(voice, "Still here."))

    async def test_two_texts_at_once_do_not_mix(self, voice: Voice) -> None:
        alone = await pcm_of(voice, "One sentence.")
        async with asyncio.TaskGroup() as tasks:
            first = tasks.create_task(pcm_of(voice, "One sentence."))
            second = tasks.create_task(pcm_of(voice, "And quite another sentence beside it."))
        assert first.result() == alone
        assert len(second.result()) > len(alone)

    async def test_what_makes_no_sound_does_not_end_normally(self, voice: Voice) -> None:
        with pytest.raises(VoiceError):
            await pcm_of(voice, "")

    async def test_plain_english_meets_no_objection(self, voice: Voice) -> None:
        assert voice.objection("Hello, it is 7:30 — naïve, isn't it?") is None

    async def test_warming_up_leaves_it_ready(self, voice: Voice) -> None:
        await voice.warm_up()
        assert is_audible(await pcm_of(voice, "Ready."))

    async def test_it_can_be_closed_twice(self, voice: Voice) -> None:
        await voice.aclose()
        await voice.aclose()

    async def test_it_has_a_name_and_so_has_its_model(self, voice: Voice) -> None:
        assert voice.name
        assert voice.model


SILENT_FRAME = bytes(FRAME_BYTES)
LOUD_FRAME = tone(FRAME_MS)


def now() -> float:
    return asyncio.get_running_loop().time()


class SinkContract:
    """Fixture: `sink`, open, with somebody there to hear."""

    SLACK_S = 0.2
    """How much later than the exact time an implementation may be."""

    EARLY_S = 0.2
    """How much earlier: what has been handed over may be called played so long before its last sample is."""

    @pytest.fixture
    def audible(self) -> asyncio.Queue[float]:
        """The times at which `on_audible` was called."""
        return asyncio.Queue()

    async def play(self, sink: Sink, audible: asyncio.Queue[float], *frames: bytes) -> None:
        await sink.start(lambda: audible.put_nowait(now()))
        for frame in frames:
            await sink.write(frame)

    def silent_since(self, moment: float, audible: asyncio.Queue[float], *, not_before: float) -> None:
        """On a busy machine sound may have begun in its time while the rest of it was handed over."""
        while not audible.empty():
            assert not_before - self.EARLY_S <= audible.get_nowait() <= moment

    def took(self, seconds: float, wanted_s: float) -> None:
        """No less than it has to, and not much more."""
        assert wanted_s - self.EARLY_S <= seconds <= wanted_s + self.SLACK_S

    async def test_it_says_which_way_it_is(self, sink: Sink, audible: asyncio.Queue[float]) -> None:
        route = await sink.start(lambda: None)
        assert route.name in ("avatar", "track")
        assert route.target
        assert bool(route.reason) == (route.name == "track")

    async def test_finishing_takes_as_long_as_the_sound(
        self, sink: Sink, audible: asyncio.Queue[float]
    ) -> None:
        started = now()
        await self.play(sink, audible, *[LOUD_FRAME] * 50)
        playback = await sink.finish()
        self.took(now() - started, 1.0)
        assert playback.source in ("reported", "observed")

    async def test_sound_that_can_be_heard_is_told_once_and_when_it_plays(
        self, sink: Sink, audible: asyncio.Queue[float]
    ) -> None:
        started = now()
        await self.play(sink, audible, *[SILENT_FRAME] * 10, *[LOUD_FRAME] * 10)
        await sink.finish()
        assert audible.qsize() == 1
        self.took(await audible.get() - started, 0.2)

    async def test_silence_is_never_called_audible(self, sink: Sink, audible: asyncio.Queue[float]) -> None:
        await self.play(sink, audible, *[SILENT_FRAME] * 10)
        await sink.finish()
        assert audible.empty()

    async def test_a_writer_that_is_far_ahead_has_to_wait(
        self, sink: Sink, audible: asyncio.Queue[float]
    ) -> None:
        started = now()
        await self.play(sink, audible, *[LOUD_FRAME] * 150)
        assert now() - started > 0.5
        await sink.clear()

    async def test_what_is_cleared_is_not_played(self, sink: Sink, audible: asyncio.Queue[float]) -> None:
        sounds_at = now() + 0.5
        await self.play(sink, audible, *[SILENT_FRAME] * 25, *[LOUD_FRAME] * 20)
        began_at = now()
        await sink.clear()
        cleared_at = now()
        await asyncio.sleep(1)
        self.silent_since(cleared_at, audible, not_before=sounds_at)
        assert cleared_at - began_at < self.SLACK_S

    async def test_an_utterance_after_a_cleared_one_is_played_whole(
        self, sink: Sink, audible: asyncio.Queue[float]
    ) -> None:
        await self.play(sink, audible, *[LOUD_FRAME] * 20)
        await sink.clear()
        started = now()
        await self.play(sink, audible, *[LOUD_FRAME] * 25)
        await sink.finish()
        self.took(now() - started, 0.5)

    async def test_an_utterance_after_one_that_was_far_ahead_is_played_whole(
        self, sink: Sink, audible: asyncio.Queue[float]
    ) -> None:
        async with asyncio.TaskGroup() as tasks:
            playing = tasks.create_task(self.play(sink, audible, *[LOUD_FRAME * 5] * 50))
            await asyncio.sleep(0.3)
            playing.cancel()
        await self.clear(sink)
        await self.is_as_before(sink, audible)

    async def test_a_finish_that_is_given_up_is_heard_no_further(
        self, sink: Sink, audible: asyncio.Queue[float]
    ) -> None:
        sounds_at = now() + 0.5
        await self.play(sink, audible, *[SILENT_FRAME] * 25, *[LOUD_FRAME] * 20)
        async with asyncio.TaskGroup() as tasks:
            finishing = tasks.create_task(sink.finish())
            await asyncio.sleep(0.1)
            finishing.cancel()
        await self.clear(sink)
        cleared_at = now()
        await asyncio.sleep(1)
        self.silent_since(cleared_at, audible, not_before=sounds_at)
        await self.is_as_before(sink, audible)

    async def test_clearing_ends_a_finish_that_waits(self, sink: Sink, audible: asyncio.Queue[float]) -> None:
        await self.play(sink, audible, *[LOUD_FRAME] * 45)
        async with asyncio.TaskGroup() as tasks:
            finishing = tasks.create_task(self.finished_or_not(sink))
            await asyncio.sleep(0.1)
            await self.clear(sink)
            cleared = now()
            await finishing
        assert now() - cleared < 0.1 + self.SLACK_S
        await self.is_as_before(sink, audible)

    async def test_clearing_while_it_clears_is_done_once(
        self, sink: Sink, audible: asyncio.Queue[float]
    ) -> None:
        await self.play(sink, audible, *[LOUD_FRAME] * 20)
        async with asyncio.TaskGroup() as tasks:
            for _ in range(3):
                tasks.create_task(self.clear(sink))
        await self.is_as_before(sink, audible)

    async def test_a_clear_that_is_given_up_can_be_made_again(
        self, sink: Sink, audible: asyncio.Queue[float]
    ) -> None:
        await self.play(sink, audible, *[LOUD_FRAME] * 20)
        async with asyncio.TaskGroup() as tasks:
            clearing = tasks.create_task(sink.clear())
            await asyncio.sleep(0)
            clearing.cancel()
        await self.clear(sink)
        await self.is_as_before(sink, audible)

    async def clear(self, sink: Sink) -> None:
        """Clears it, as the port has it: without an error, within its bound."""
        async with asyncio.timeout(Bounds().clear_s + self.SLACK_S):
            await sink.clear()

    async def finished_or_not(self, sink: Sink) -> None:
        with suppress(SinkError):
            await sink.finish()

    async def is_as_before(self, sink: Sink, audible: asyncio.Queue[float]) -> None:
        """Another utterance is played whole, and its sound is told once."""
        while not audible.empty():
            audible.get_nowait()
        started = now()
        await self.play(sink, audible, *[LOUD_FRAME] * 25)
        assert (await sink.finish()).source in ("reported", "observed")
        self.took(now() - started, 0.5)
        assert audible.qsize() == 1

    async def test_clearing_nothing_does_nothing(self, sink: Sink, audible: asyncio.Queue[float]) -> None:
        await sink.clear()
        await sink.clear()
        await self.play(sink, audible, LOUD_FRAME)
        await sink.finish()

    async def test_a_closed_one_takes_nothing_more(self, sink: Sink, audible: asyncio.Queue[float]) -> None:
        await sink.aclose()
        await sink.aclose()
        with pytest.raises(SinkError):
            await sink.write(LOUD_FRAME)


class SinkFaults(Protocol):
    """Makes whatever a sink plays on misbehave."""

    def hang_writes(self) -> None:
        """From now on it takes no frame."""

    def fail_close(self) -> None:
        """The end of the utterance that plays cannot be marked."""

    def heal(self) -> None:
        """It does its part again, or something else in its place."""


class FaultySinkContract(SinkContract):
    """For sinks that can be made to fail. Fixture: `faults`, beside `sink`."""

    async def test_a_frame_that_is_never_taken_is_not_waited_for(
        self, sink: Sink, faults: SinkFaults, audible: asyncio.Queue[float]
    ) -> None:
        await self.play(sink, audible, *[LOUD_FRAME] * 20)
        faults.hang_writes()
        bounds = Bounds.derive(frame_s=5, gate_s=5)
        with suppress(SinkError, TimeoutError):  # an error of its own, or the bound of who waits
            async with asyncio.timeout(bounds.speaker_write_s):
                await sink.write(LOUD_FRAME)
        await self.clear(sink)
        faults.heal()
        await self.is_as_before(sink, audible)

    async def test_a_write_that_is_given_up_can_be_cleared(
        self, sink: Sink, faults: SinkFaults, audible: asyncio.Queue[float]
    ) -> None:
        await self.play(sink, audible, *[LOUD_FRAME] * 20)
        faults.hang_writes()
        async with asyncio.TaskGroup() as tasks:
            writing = tasks.create_task(sink.write(LOUD_FRAME))
            await asyncio.sleep(0.1)
            writing.cancel()
        await self.clear(sink)
        faults.heal()
        await self.is_as_before(sink, audible)

    async def test_an_end_that_cannot_be_marked_is_a_sink_error_or_made_good(
        self, sink: Sink, faults: SinkFaults, audible: asyncio.Queue[float]
    ) -> None:
        await self.play(sink, audible, *[LOUD_FRAME] * 20)
        faults.fail_close()
        await self.finished_or_not(sink)
        await self.clear(sink)
        faults.heal()
        await self.is_as_before(sink, audible)


class SoundStoreContract:
    """Fixture: `store`, empty, with room for `ROOM` bytes and a little."""

    ROOM = 400_000

    async def settle(self, store: SoundStore) -> None:
        """Waits until what was put is kept, where that takes a moment."""

    async def sound(self, store: SoundStore, name: bytes) -> bytes:
        async with aclosing(store.pieces(name)) as pieces:
            found = [piece async for piece in pieces]
        assert all(found), "a piece was empty"
        return b"".join(found)

    async def put(self, store: SoundStore, name: bytes, pcm: bytes) -> None:
        store.put(name, pcm)
        await self.settle(store)

    @pytest.mark.parametrize("length", [2, 24_000, 65_536, 65_538, 100_000])
    async def test_what_was_put_is_there_whole(self, store: SoundStore, length: int) -> None:
        pcm = tone(length / 48)[:length]
        await self.put(store, b"hello", pcm)
        assert store.holds(b"hello")
        assert await self.sound(store, b"hello") == pcm

    async def test_it_is_there_again_and_again_and_for_several_at_once(self, store: SoundStore) -> None:
        await self.put(store, b"hello", tone(1000))
        async with asyncio.TaskGroup() as tasks:
            hearing = [tasks.create_task(self.sound(store, b"hello")) for _ in range(5)]
        assert {heard.result() for heard in hearing} == {tone(1000)}

    async def test_what_was_not_put_is_not_there(self, store: SoundStore) -> None:
        await self.put(store, b"hello", tone(100))
        for name in (b"", b"hell", b"Hello", b"hello\n"):
            assert not store.holds(name)
            assert await self.sound(store, name) == b""

    async def test_of_two_under_one_name_the_later_is_kept(self, store: SoundStore) -> None:
        await self.put(store, b"hello", tone(100))
        await self.put(store, b"hello", tone(200, 880))
        assert await self.sound(store, b"hello") == tone(200, 880)

    async def test_what_is_longer_than_it_takes_is_not_kept(self, store: SoundStore) -> None:
        assert self.ROOM // 4 <= store.most_bytes <= self.ROOM // 3
        await self.put(store, b"long", bytes(store.most_bytes + 2))
        assert not store.holds(b"long")

    async def test_when_there_is_no_room_what_nobody_wanted_for_longest_goes(self, store: SoundStore) -> None:
        for number in range(5):
            await self.put(store, b"%d" % number, bytes(80_000))
        await self.sound(store, b"0")
        await self.put(store, b"5", bytes(80_000))
        await self.put(store, b"6", bytes(80_000))
        assert [number for number in range(7) if store.holds(b"%d" % number)] == [0, 3, 4, 5, 6]

    async def test_an_iterator_may_be_closed_early(self, store: SoundStore) -> None:
        await self.put(store, b"hello", tone(2000))
        async with aclosing(store.pieces(b"hello")) as pieces:
            assert await anext(pieces)
        assert await self.sound(store, b"hello") == tone(2000)

    async def test_it_is_closed_twice_and_keeps_nothing_afterwards(self, store: SoundStore) -> None:
        await store.aclose()
        await store.aclose()
        store.put(b"late", tone(100))
