"""Captions of what a speaker says, under a virtual clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from pydantic import SecretStr

from libacli.config import LiveKitCredentials
from libacli.core.event import AgentFacts
from libacli.core.messages import SayRequest
from libacli.core.protocol import CAPTION_TOPIC, SIGNATURE_ATTRIBUTE, TEXT_ATTRIBUTE
from libacli.edges.livekit.background import in_background
from libacli.edges.livekit.caption_signature import check_caption
from libacli.edges.livekit.caption_writer import CaptionWriter
from libacli.edges.livekit.fake_streams import HANG, ScriptedTextWriter
from libacli.edges.livekit.fakes import FakeRoom
from libacli.speech.announcer import Announcer
from libacli.speech.fakes import RecordingSink, ScriptedVoice
from libacli.speech.pace import Pace
from libacli.speech.speaker import Speaker

pytestmark = pytest.mark.anyio

CREDENTIALS = LiveKitCredentials("ws://127.0.0.1:1", "key", SecretStr("a-secret-of-thirty-two-characters"))
FACTS = AgentFacts("demo", "liba", epoch="e1")
CHAR_S = 0.06
TEXT = "The first sentence is here. The second one follows it. And the third one is the last."


class Booth:
    """A speaker whose chunks are of 40 characters, and a room that is shown what it says."""

    def __init__(self) -> None:
        self.room = FakeRoom("demo")
        self.captions = CaptionWriter(
            self.room.as_sdk(), CREDENTIALS, spoken=lambda text: [text], track_sid=lambda utterance: "TR_1"
        )
        announcer = Announcer(lambda: FACTS, lambda at: at, [self.captions], on_begin=self.captions.begin)
        self.sink = RecordingSink()
        pace = Pace(max_chunk_chars=40, first_chunk_chars=40)
        self.speaker = Speaker(ScriptedVoice(), self.sink, on_change=announcer.announce, pace=pace)

    @property
    def streams(self) -> list[ScriptedTextWriter]:
        return self.room.local_participant.text_writers

    @property
    def shown(self) -> str:
        return "".join(stream.text for stream in self.streams)

    async def spoken(self, utterance_id: str) -> None:
        for _ in range(600):
            await asyncio.sleep(0.1)
            if (utterance := self.speaker.find(utterance_id)) and utterance.is_over:
                break
        await self.captions.flush()

    def check(self, stream: ScriptedTextWriter, attributes: dict[str, str], text: str) -> None:
        """Raises RefusedError unless the agent has signed that this stream says `text`."""
        check_caption(
            CREDENTIALS,
            attributes[SIGNATURE_ATTRIBUTE],
            room="demo",
            agent="agent",
            segment_id=attributes["lk.segment_id"],
            text=text,
        )


@asynccontextmanager
async def speaking() -> AsyncIterator[Booth]:
    booth = Booth()
    async with in_background(booth.speaker.run(), booth.captions.run()):
        await asyncio.sleep(0)
        yield booth


async def test_each_chunk_is_a_segment_and_all_of_them_are_the_text() -> None:
    async with speaking() as booth:
        booth.speaker.say(SayRequest(TEXT, id="a"))
        await booth.spoken("a")
    assert booth.shown == TEXT
    assert [stream.text.strip() for stream in booth.streams] == [
        "The first sentence is here.",
        "The second one follows it.",
        "And the third one is the last.",
    ]
    for number, stream in enumerate(booth.streams, 1):
        assert stream.topic == CAPTION_TOPIC
        assert stream.head["lk.segment_id"] == f"a/{number}"
        assert stream.head["lk.transcription_final"] == "false"
        assert stream.head["lk.transcribed_track_id"] == "TR_1"
        assert (stream.is_closed, stream.attributes["lk.transcription_final"]) == (True, "true")


async def test_a_segment_is_signed_as_a_whole_at_its_head_and_as_it_was_heard_at_its_end() -> None:
    async with speaking() as booth:
        booth.speaker.say(SayRequest(TEXT, id="a"))
        await booth.spoken("a")
    for stream in booth.streams:
        assert stream.head[TEXT_ATTRIBUTE] == stream.text
        booth.check(stream, stream.head, stream.text)
        booth.check(stream, stream.attributes, stream.text)


async def test_words_are_shown_while_they_are_heard() -> None:
    async with speaking() as booth:
        booth.speaker.say(SayRequest(TEXT, id="a"))
        await booth.spoken("a")
        began_at = booth.sink.spans[0][0]
    shown = 0
    for stream in booth.streams:
        for at, piece in stream.pieces:
            heard = (at - began_at) / CHAR_S
            # A word is there when it begins, or the step after; spaces make no difference here.
            assert heard - 0.3 / CHAR_S - 12 <= shown + len(piece) <= heard + 14, (piece, heard, shown)
            shown += len(piece)
    assert shown == len(TEXT)


@pytest.mark.parametrize("after_s", [0.5, 2.0, 3.5])
async def test_what_an_interruption_cuts_off_is_in_no_caption(after_s: float) -> None:
    async with speaking() as booth:
        booth.speaker.say(SayRequest(TEXT, id="a"))
        await asyncio.sleep(0.3 + after_s)
        booth.speaker.stop()
        await booth.spoken("a")
    heard = after_s / CHAR_S
    assert TEXT.startswith(booth.shown)
    assert heard - 12 <= len(booth.shown) <= heard + 14
    assert all(stream.is_closed for stream in booth.streams)
    last = booth.streams[-1]
    booth.check(last, last.attributes, last.text)
    assert last.attributes["lk.transcription_final"] == "true"


async def test_what_is_stopped_before_it_sounds_has_no_caption() -> None:
    async with speaking() as booth:
        booth.speaker.say(SayRequest(TEXT, id="a"))
        await asyncio.sleep(0.1)
        booth.speaker.stop()
        await booth.spoken("a")
    assert booth.streams == []


async def test_lines_follow_each_other_each_with_its_own_captions() -> None:
    async with speaking() as booth:
        for name in ("a", "b", "c"):
            booth.speaker.say(SayRequest(f"Line {name} is short.", id=name))
        await booth.spoken("c")
    assert [(stream.head["lk.segment_id"], stream.text) for stream in booth.streams] == [
        (f"{name}/1", f"Line {name} is short.") for name in ("a", "b", "c")
    ]


@pytest.mark.parametrize("trouble", [RuntimeError("reconnecting"), HANG], ids=["fails", "hangs"])
@pytest.mark.parametrize("call", ["stream_text", "write_text"])
async def test_a_caption_that_is_not_taken_costs_its_line_nothing_and_the_next_one_has_its_own(
    call: str, trouble: float | Exception, caplog: pytest.LogCaptureFixture
) -> None:
    async with speaking() as booth:
        booth.room.script.play("stream_text" if call == "stream_text" else "write_text", trouble)
        booth.speaker.say(SayRequest(TEXT, id="a"))
        booth.speaker.say(SayRequest("The next line.", id="b"))
        await booth.spoken("b")
        assert [(utterance.state) for name in "ab" if (utterance := booth.speaker.find(name))] == ["done"] * 2
    assert booth.streams[-1].text == "The next line."
    assert all(stream.is_closed for stream in booth.streams)
    assert "captions from agent passed over" in caplog.text
