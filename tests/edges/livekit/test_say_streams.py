"""Text streams as say requests, in a room without a server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from livekit import rtc

from libacli.core.protocol import CAN_SAY_ATTRIBUTE, CHAT_TOPIC, EVENTS_TOPIC, SAY_METHOD, STOP_METHOD
from libacli.edges.livekit.fake_streams import HANG
from tests.edges.livekit.test_room_transport import Booth
from tests.edges.livekit.test_room_transport import working as working_transport

pytestmark = pytest.mark.anyio

TOPICS = pytest.mark.parametrize("topic", ["say", CHAT_TOPIC])


@asynccontextmanager
async def working() -> AsyncIterator[Booth]:
    async with working_transport() as booth:
        await asyncio.sleep(0.01)  # it begins to listen
        yield booth


def texts(booth: Booth) -> list[str]:
    """What was queued, in this order, and is known of yet."""
    speaking = [booth.speaker.speaking] if booth.speaker.speaking else []
    return [utterance.request.text for utterance in (*speaking, *booth.speaker.waiting)]


def refusals(booth: Booth) -> list[tuple[list[str], str]]:
    """Who was told of a refusal, and its reason."""
    sent = booth.room.local_participant.data
    told = [(one.to, json.loads(one.payload)) for one in sent if one.topic == EVENTS_TOPIC]
    return [(to, event["rejected"]) for to, event in told if "rejected" in event]


async def until_all_is_done(booth: Booth) -> None:
    for _ in range(100):
        await asyncio.sleep(1)
    assert not booth.speaker.speaking


@TOPICS
async def test_a_text_that_is_sent_as_a_whole_is_one_line_with_the_id_of_its_stream(topic: str) -> None:
    async with working() as booth:
        text = "Hello there. How are you?"
        booth.room.receive_text(text, topic=topic, sender="vera", stream_id="s1", size=len(text))
        await asyncio.sleep(0.01)
        assert texts(booth) == [text]
        assert booth.room.open_readers == 0
        await until_all_is_done(booth)
    assert [(event["id"], event["state"]) for event in booth.told] == [
        ("s1", state) for state in ("accepted", "speaking", "audible", "done")
    ]


@TOPICS
async def test_a_sentence_is_spoken_before_the_next_one_is_written(topic: str) -> None:
    async with working() as booth:
        pieces = ("Hello the", "re. How ", 5.0, "are you", 5.0, "?")
        booth.room.receive_text(*pieces, topic=topic, sender="vera", stream_id="s1")
        await asyncio.sleep(0.01)
        assert texts(booth) == ["Hello there."]
        await asyncio.sleep(20)
        await until_all_is_done(booth)
    done = [event["id"] for event in booth.told if event["state"] == "done"]
    assert done == ["s1", "s1-2"]


async def test_a_sentence_that_nothing_follows_for_a_while_is_spoken() -> None:
    async with working() as booth:
        booth.room.receive_text("Hello there.", HANG, topic="say", sender="vera")
        await asyncio.sleep(0.2)
        assert texts(booth) == []
        await asyncio.sleep(0.15)
        assert texts(booth) == ["Hello there."]


async def test_on_the_topic_say_json_is_a_request_as_any_other_and_in_a_chat_it_is_text() -> None:
    async with working() as booth:
        request = json.dumps({"text": "Hello. You there.", "id": "mine", "voice": "nova"})
        for topic in ("say", CHAT_TOPIC):
            booth.room.receive_text(
                *request.partition("Hello"), topic=topic, sender="vera", size=len(request)
            )
        await asyncio.sleep(0.1)
        assert texts(booth) == ["Hello. You there.", request]
        assert booth.speaker.speaking and booth.speaker.speaking.request.voice == "nova"


async def test_a_long_text_is_spoken_whole_and_in_its_order_however_long_the_queue() -> None:
    async with working() as booth:
        sentences = [f"This is sentence number {number}." for number in range(60)]
        booth.room.receive_text(" ".join(sentences), topic="say", sender="vera", stream_id="s1")
        spoken: list[str] = []
        for _ in range(3000):
            await asyncio.sleep(0.1)
            if (now := booth.speaker.speaking) and now.request.text not in spoken[-1:]:
                spoken.append(now.request.text)
    assert spoken == sentences
    assert [to for to, _ in refusals(booth)] == [[]] * len(refusals(booth))  # the room's own, of a full queue


async def test_two_streams_of_one_sender_keep_their_order_where_the_queue_is_full() -> None:
    async with working() as booth:
        for _ in range(33):
            await booth.call(SAY_METHOD, text="Something that was there before.")
        for number in range(6):
            booth.room.receive_text(
                f"Text {number}.", topic="say", sender="vera", stream_id=f"s{number}", size=7
            )
        for _ in range(3000):
            await asyncio.sleep(0.1)
        done = [event["id"] for event in booth.told if event["state"] == "done"]
    assert done[-6:] == [f"s{number}" for number in range(6)]


@TOPICS
@pytest.mark.parametrize("attributes", [{}, {CAN_SAY_ATTRIBUTE: ""}], ids=["none", "empty"])
async def test_who_may_not_speak_is_refused_and_told_and_nobody_else(
    topic: str, attributes: dict[str, str]
) -> None:
    async with working() as booth:
        booth.joins("ann", attributes=attributes)
        booth.room.receive_text("Hello there.", topic=topic, sender="ann", stream_id="s1")
        await asyncio.sleep(5)
        assert refusals(booth) == [(["ann"], "unauthorized")]
        assert booth.room.open_readers == 0
        assert booth.speaker.speaking is None
    chat = [(sent.topic, sent.to, sent.text) for sent in booth.room.local_participant.texts]
    assert chat == ([(CHAT_TOPIC, ["ann"], "Not spoken: you may not.")] if topic == CHAT_TOPIC else [])


async def test_who_has_just_joined_is_waited_for() -> None:
    async with working() as booth:
        booth.room.receive_text("Hello.", topic="say", sender="ann", stream_id="s1", size=6)
        await asyncio.sleep(3)
        assert booth.told == []
        booth.joins("ann")
        await asyncio.sleep(0.1)
        assert texts(booth) == ["Hello."]


async def test_who_never_joins_is_nobody_and_refused() -> None:
    async with working() as booth:
        booth.room.receive_text("Hello.", topic="say", sender="ghost", stream_id="s1", size=6)
        booth.room.receive_text("Hello.", topic="say", sender="", stream_id="s2", size=6)
        await asyncio.sleep(6)
        assert (booth.speaker.speaking, booth.room.open_readers) == (None, 0)
        assert refusals(booth) == [(["ghost"], "unauthorized")]


async def test_who_chats_with_others_is_told_once_a_minute_that_it_is_not_spoken() -> None:
    async with working() as booth:
        booth.joins("ann", attributes={})
        for _ in range(3):
            booth.room.receive_text("Hello Bob.", topic=CHAT_TOPIC, sender="ann", size=10)
            await asyncio.sleep(5)
    assert len(booth.room.local_participant.texts) == 1


async def test_agents_are_refused_and_not_chatted_with() -> None:
    async with working() as booth:
        booth.joins("other", kind=rtc.ParticipantKind.PARTICIPANT_KIND_AGENT)
        booth.room.receive_text("Hello there.", topic=CHAT_TOPIC, sender="other")
        await asyncio.sleep(5)
        assert refusals(booth) == [(["other"], "unauthorized")]
    assert booth.room.local_participant.texts == []


@TOPICS
async def test_what_somebody_sends_in_anothers_name_is_passed_over_and_costs_nobody_anything(
    topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with working() as booth:
        booth.origin.forged = {f"f{number}" for number in range(2000)}
        for number in range(2000):
            booth.room.receive_text("Forged words.", topic=topic, sender="vera", stream_id=f"f{number}")
            await asyncio.sleep(0.005)
        await asyncio.sleep(5)
        assert (booth.told, booth.put_out, booth.speaker.speaking) == ([], [], None)
        assert (await booth.call(SAY_METHOD, text="Hello."))["position"] == 0
    assert "somebody else sent it in that name" in caplog.text


async def test_who_floods_is_put_out_and_what_is_too_much_is_not_read() -> None:
    async with working() as booth:
        booth.joins("ann", attributes={})
        for number in range(1200):
            booth.room.receive_text("Hi.", topic="say", sender="ann", stream_id=f"s{number}")
            await asyncio.sleep(0.005)
        await asyncio.sleep(1)
        assert [identity for identity, _ in booth.put_out] == ["ann"]
        assert booth.room.open_readers == 0
    assert booth.left_out > 0


async def test_streams_that_nobody_ends_are_few_and_end() -> None:
    async with working() as booth:
        for number in range(40):
            booth.room.receive_text("Some words", HANG, topic="say", sender="vera", stream_id=f"s{number}")
        await asyncio.sleep(1)
        assert (booth.room.open_readers, booth.left_out) == (16, 24)
        await asyncio.sleep(31)
        assert booth.room.open_readers == 0
        assert booth.speaker.find("s0") is not None  # what was written is spoken


async def test_a_stream_without_end_is_too_long_and_what_was_said_of_it_stays() -> None:
    async with working() as booth:
        booth.room.receive_text(
            "Hello. And ", *["x" * 1000] * 200, topic="say", sender="vera", stream_id="s1"
        )
        await asyncio.sleep(60)
        assert booth.room.open_readers == 0
    assert (["vera"], "text_too_long") in refusals(booth)
    assert "s1" in {event["id"] for event in booth.told if event["state"] == "done"}


async def test_of_a_stream_that_breaks_off_whole_sentences_are_spoken() -> None:
    async with working() as booth:
        booth.room.receive_text(
            "Hello there. And the", rtc.StreamError("gone"), topic="say", sender="vera", stream_id="s1"
        )
        await asyncio.sleep(20)
    assert [event["id"] for event in booth.told if event["state"] == "done"] == ["s1"]


@pytest.mark.parametrize("is_interrupt", [False, True])
async def test_when_silence_is_asked_for_the_rest_of_a_stream_is_dropped(is_interrupt: bool) -> None:
    async with working() as booth:
        pieces: list[Any] = [piece for number in range(20) for piece in (f"Sentence {number}. Next ", 1.0)]
        booth.room.receive_text(*pieces, topic="say", sender="vera", stream_id="s1")
        await asyncio.sleep(3)
        if is_interrupt:
            await booth.call(SAY_METHOD, text="Now this.", id="now", interrupt=True)
        else:
            await booth.call(STOP_METHOD)
        known = len({event["id"] for event in booth.told})
        await asyncio.sleep(60)
        assert booth.room.open_readers == 0
        after = {event["id"] for event in booth.told}
    assert len(after) == known + is_interrupt


async def test_nothing_to_say_is_told() -> None:
    async with working() as booth:
        booth.room.receive_text("🎉", topic="say", sender="vera", stream_id="s1", size=4)
        booth.room.receive_text(topic="say", sender="vera", stream_id="s2")
        await asyncio.sleep(1)
    assert {reason for to, reason in refusals(booth) if to == ["vera"]} == {"nothing_to_say"}


async def test_a_stream_that_breaks_the_desk_ends_nothing() -> None:
    async with working() as booth:
        booth.room.receive_text("BREAK", topic="say", sender="vera", stream_id="s1", size=5)
        booth.room.receive_text("Hello.", topic="say", sender="vera", stream_id="s2", size=6)
        await asyncio.sleep(0.1)
        assert texts(booth) == ["Hello."]
        assert booth.defects == 1
