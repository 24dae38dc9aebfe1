"""A sound that is given, on its way through the same speaker and desk as a text."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from libacli.core.audio import FRAME_BYTES, duration_s
from libacli.core.caps import SayCaps
from libacli.core.caption_cue import CaptionCue
from libacli.core.event import AgentFacts
from libacli.core.given_sound import GivenSound
from libacli.core.messages import SayRequest
from libacli.core.protocol import SAY_METHOD
from libacli.core.sound_shelf import SoundShelf
from libacli.core.utterance import Utterance
from libacli.errors import RefusedError, SinkError, VoiceError
from libacli.speech.announcer import Announcer
from libacli.speech.desk import Desk
from libacli.speech.fakes import RecordingSink, ScriptedVoice, tone
from libacli.speech.fallback import FallbackSink
from libacli.speech.given import GivenSounds
from libacli.speech.notes import NoNotes
from libacli.speech.permit import Permit, Sender
from libacli.speech.speaker import Speaker

pytestmark = pytest.mark.anyio

PCM = tone(5000)
SOUND = GivenSound("ab" * 32, 5000, (CaptionCue(0, 1500, "One."), CaptionCue(2000, 5000, "And two.")))
TAIL = bytes(6 * FRAME_BYTES)
REQUEST = SayRequest("", id="u1", sound=SOUND)


async def decode(data: bytes) -> AsyncGenerator[bytes]:
    """It is PCM already; what begins with BROKEN cannot be decoded behind its first second."""
    is_broken = data.startswith(b"BROKEN")
    for start in range(0, 48_000 if is_broken else len(data), 4_800):
        yield (PCM if is_broken else data)[start : start + 4_800]
    if is_broken:
        raise VoiceError("it cannot be decoded")


class Notes(NoNotes):
    """Of an agent with a journal."""

    def __init__(self) -> None:
        self.written: list[str] = []

    def accepted(self, utterance: Utterance) -> None:
        self.written.append(utterance.id)

    async def confirm(self) -> bool:
        return True


class Hall:
    """A speaker, a desk in front of it, and a shelf with one sound."""

    def __init__(self, sink: RecordingSink | FallbackSink | None = None, data: bytes = PCM) -> None:
        self.sink = sink or RecordingSink()
        self.voice = ScriptedVoice()
        self.states: list[tuple[str, str]] = []
        self.ended = asyncio.Event()
        self.notes = Notes()
        self.shelf = SoundShelf(kept_s=10)
        self.shelf.put(SOUND.sha256, data, 0)
        self.caps = SayCaps(rate_per_minute=0, burst=1, max_chars_per_hour=1)
        self.speaker = Speaker(
            self.voice,
            self.sink,
            on_change=self._on_change,
            notes=self.notes,
            given=GivenSounds(decode, self.shelf),
        )
        announcer = Announcer(lambda: AgentFacts(epoch="e1"), lambda at: at, [])
        self.desk = Desk(
            self.speaker, announcer, self, max_text_chars=50, max_sound_s=6, caps=self.caps, notes=self.notes
        )

    def authorise(self, method: str, body: Mapping[str, Any], auth: str | None, sender: Sender) -> Permit:
        return Permit("ann", may_say=auth != "watch only")

    async def ask(self, request: SayRequest) -> dict[str, Any]:
        payload = json.dumps(request.encode()).encode()
        now = asyncio.get_running_loop().time()
        return await self.desk.answer_late(SAY_METHOD, payload, Sender("ann"), now)

    async def over(self, utterance_id: str = "u1") -> Utterance:
        async with asyncio.timeout(600):
            while not (found := self.speaker.find(utterance_id)) or not found.is_over:
                self.ended.clear()
                await self.ended.wait()
        return found

    def _on_change(self, utterance: Utterance) -> None:
        self.states.append((utterance.id, utterance.state))
        self.ended.set()


@asynccontextmanager
async def opened(hall: Hall) -> AsyncIterator[Hall]:
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(hall.speaker.run())
        await asyncio.sleep(0)
        yield hall
        running.cancel()


async def test_a_given_sound_is_heard_whole_and_no_voice_is_asked() -> None:
    async with opened(Hall()) as hall:
        answer = await hall.ask(REQUEST)
        spoken = await hall.over()
    assert isinstance(hall.sink, RecordingSink)
    assert hall.sink.segments == [PCM + TAIL]
    assert hall.voice.texts == []
    assert [state for _, state in hall.states] == ["accepted", "speaking", "audible", "done"]
    assert (spoken.voice, spoken.provider, spoken.model, spoken.chunks) == ("given", "given", "given", 1)
    assert (answer["id"], answer["duplicate"]) == ("u1", False)
    assert spoken.timeline.durations_ms()["d01"] == 0.0


async def test_its_captions_are_passages_at_their_own_time() -> None:
    async with opened(Hall()) as hall:
        await hall.ask(REQUEST)
        spoken = await hall.over()
    assert [(one.text, one.begins_s, one.sound_s) for one in spoken.passages] == [
        ("One.", 0.0, 1.5),
        ("And two.", 2.0, 3.0),
    ]


async def test_it_costs_no_characters_of_a_voice() -> None:
    async with opened(Hall()) as hall:
        assert "rejected" not in await hall.ask(REQUEST)  # of one character an hour
        await hall.over()


async def test_one_that_was_not_sent_is_refused_and_taken_under_the_same_id_later() -> None:
    async with opened(Hall()) as hall:
        other = replace(REQUEST, sound=replace(SOUND, sha256="cd" * 32))
        assert (await hall.ask(other))["rejected"] == "unknown_sound"
        hall.shelf.put("cd" * 32, PCM, 0)
        assert (await hall.ask(other))["id"] == "u1"


async def test_the_same_id_is_heard_once_also_when_the_sound_is_forgotten() -> None:
    async with opened(Hall()) as hall:
        await hall.ask(REQUEST)
        await hall.over()
        await asyncio.sleep(60)
        assert hall.shelf.find(SOUND.sha256, 60) is None
        assert (await hall.ask(REQUEST))["duplicate"] is True
        other = replace(REQUEST, sound=replace(SOUND, sha256="cd" * 32))
        assert (await hall.ask(other))["rejected"] == "id_reused"


async def test_a_sound_that_a_line_waits_with_is_kept_until_the_line_is_over() -> None:
    async with opened(Hall()) as hall:
        hall.speaker.pause()
        await hall.ask(REQUEST)
        await asyncio.sleep(60)
        hall.speaker.resume()
        assert (await hall.over()).state == "done"


async def test_one_that_is_too_long_is_refused() -> None:
    async with opened(Hall()) as hall:
        answer = await hall.ask(replace(REQUEST, sound=replace(SOUND, ms=6001)))
    assert answer["rejected"] == "sound_too_long"


async def test_where_a_journal_is_kept_it_is_not_in_it_and_the_answer_says_so() -> None:
    async with opened(Hall()) as hall:
        assert (await hall.ask(REQUEST))["journaled"] is False
        assert hall.notes.written == []
        assert (await hall.ask(replace(REQUEST, id="u2")))["journaled"] is False


async def test_it_is_stopped_as_a_text_is() -> None:
    async with opened(Hall()) as hall:
        await hall.ask(REQUEST)
        await asyncio.sleep(1)
        assert [one.id for one in hall.speaker.stop()] == ["u1"]
        stopped = await hall.over()
        assert stopped.state == "interrupted"
        assert 0 < stopped.frames < 250
        assert hall.shelf.find(SOUND.sha256, 1) == PCM  # for the next time


async def test_one_that_cannot_be_decoded_to_its_end_fails() -> None:
    async with opened(Hall(data=b"BROKEN")) as hall:
        await hall.ask(REQUEST)
        spoken = await hall.over()
    assert (spoken.state, spoken.reason) == ("failed", "it cannot be decoded")
    assert spoken.frames == 50 + 6


async def test_one_that_is_shorter_than_was_told_fails_and_what_there_is_is_heard() -> None:
    async with opened(Hall(data=PCM[:48_000])) as hall:
        await hall.ask(REQUEST)
        spoken = await hall.over()
    assert (spoken.state, spoken.reason) == ("failed", "the sound has 1.0 of 5.0 s")
    assert duration_s(spoken.frames * FRAME_BYTES) == pytest.approx(1.12)


class Gated(RecordingSink):
    """An avatar that leaves after a second."""

    def __init__(self) -> None:
        super().__init__()
        self.taken = 0

    async def gate(self) -> str:
        return ""

    async def write(self, frames: bytes) -> None:
        self.taken += len(frames)
        if self.taken > 48_000:
            raise SinkError("left")
        await super().write(frames)


async def test_one_under_which_the_avatar_leaves_is_repeated_on_the_track() -> None:
    track = RecordingSink()
    async with opened(Hall(FallbackSink(Gated(), track))) as hall:
        await hall.ask(REQUEST)
        spoken = await hall.over()
    assert track.segments == [PCM + TAIL]
    assert (spoken.state, spoken.replayed, spoken.route, spoken.route_reason) == (
        "done",
        True,
        "track",
        "left",
    )


class Paced(RecordingSink):
    """Takes no more than it plays, as sinks do."""

    async def write(self, frames: bytes) -> None:
        await super().write(frames)
        await asyncio.sleep(duration_s(len(frames)))


async def test_the_text_behind_it_is_asked_for_shortly_before_its_end() -> None:
    async with opened(Hall(Paced())) as hall:
        await hall.ask(REQUEST)
        hall.speaker.say(SayRequest("Hello.", id="u2"))
        await asyncio.sleep(1)
        assert hall.voice.texts == []
        await hall.over()
        assert hall.voice.texts == ["Hello."]
        await hall.over("u2")


async def test_how_long_others_wait_for_it_is_told_by_its_length() -> None:
    async with opened(Hall()) as hall:
        await hall.ask(REQUEST)
        hall.speaker.say(SayRequest("Hello.", id="u2"))
        waiting = hall.speaker.find("u2")
        assert waiting
        assert hall.speaker.ahead_s(waiting) == 15.0


def test_who_may_not_speak_may_send_no_sound() -> None:
    hall = Hall()
    hall.desk.admit_sound({}, "signed")
    with pytest.raises(RefusedError) as caught:
        hall.desk.admit_sound({}, "watch only")
    assert caught.value.reason == "unauthorized"


async def test_an_agent_without_a_shelf_has_no_sound() -> None:
    speaker = Speaker(ScriptedVoice(), RecordingSink(), on_change=lambda utterance: None)
    with pytest.raises(RefusedError) as caught:
        speaker.say(REQUEST)
    assert caught.value.reason == "unknown_sound"


async def test_a_reading_that_is_given_up_closes_what_decodes() -> None:
    hall = Hall()
    reading = GivenSounds(decode, hall.shelf).read(
        SOUND, on_take=lambda take: None, on_all_asked=lambda: None
    )
    async with aclosing(reading.pcm()) as pieces:
        assert await anext(pieces) == PCM[:4_800]
    reading.cancel()
