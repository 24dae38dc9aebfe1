from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from livekit import rtc
from pydantic import SecretStr

from libacli.config import LiveKitCredentials
from libacli.core.caps import SayCaps
from libacli.core.event import AgentFacts, Event, Rejection, Report
from libacli.core.protocol import (
    CAN_SAY_ATTRIBUTE,
    CAPTION_TOPIC,
    EPOCH_ATTRIBUTE,
    EVENTS_TOPIC,
    SAY_METHOD,
    SAY_TOPIC,
    STATUS_METHOD,
    STOP_METHOD,
)
from libacli.edges.livekit.fake_streams import HANG
from libacli.edges.livekit.fakes import FakeParticipant, FakeRoom
from libacli.edges.livekit.room_transport import RoomTransport
from libacli.errors import RefusedError
from libacli.speech.announcer import Announcer
from libacli.speech.desk import Desk, Permit, Sender
from libacli.speech.fakes import RecordingSink, ScriptedVoice
from libacli.speech.speaker import Speaker

FACTS = AgentFacts("demo", "liba", epoch="e1")
DONE = Event(FACTS, Report("u1", "done"), t0=1.0)
REFUSED = Rejection(FACTS, "queue_full", "32 wait")
CREDENTIALS = LiveKitCredentials("ws://127.0.0.1:1", "key", SecretStr("a-secret-of-thirty-two-characters"))


class Booth:
    """A room, a transport that works in it, and a desk that notes who asks."""

    def __init__(self) -> None:
        self.room = FakeRoom("demo")
        self.takeovers = 0
        self.transport = RoomTransport(self.room.as_sdk(), on_takeover=self._on_takeover)
        self.senders: list[Sender] = []
        announcer = Announcer(lambda: FACTS, lambda at: at, [self.transport])
        self.speaker = Speaker(ScriptedVoice(), RecordingSink(), on_change=announcer.announce)
        caps = SayCaps(rate_per_minute=0, burst=1, max_chars_per_hour=0)
        self.desk = Desk(self.speaker, announcer, self, max_text_chars=100, caps=caps)

    def authorise(self, method: str, body: Mapping[str, Any], auth: str | None, sender: Sender) -> Permit:
        self.senders.append(sender)
        if not sender.permission:
            raise RefusedError("unauthorized", "you may not")
        return Permit(sender.identity, may_control=True)

    def joins(self, identity: str, **options: Any) -> None:
        self.room.join(FakeParticipant(identity, **{"attributes": {CAN_SAY_ATTRIBUTE: "given"}} | options))

    async def call(self, method: str, sender: str = "vera", **body: object) -> dict[str, Any]:
        return dict(json.loads(await self.room.call(sender, method, json.dumps(body))))

    @property
    def told(self) -> list[dict[str, Any]]:
        """Events that were sent."""
        return [json.loads(sent.payload) for sent in self.room.local_participant.data]

    def _on_takeover(self) -> None:
        self.takeovers += 1


@asynccontextmanager
async def working() -> AsyncIterator[Booth]:
    booth = Booth()
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(booth.transport.run()), tasks.create_task(booth.speaker.run())]
        await asyncio.sleep(0)
        booth.transport.serve(booth.desk)
        booth.joins("vera")
        yield booth
        for task in running:
            task.cancel()


async def test_calls_are_answered_by_the_desk() -> None:
    async with working() as booth:
        assert await booth.call(SAY_METHOD, text="Hello.", id="a") == {
            "epoch": "e1",
            "id": "a",
            "position": 0,
            "duplicate": False,
        }
        assert (await booth.call(STATUS_METHOD, id="a"))["state"] == "accepted"
        assert (await booth.call(STOP_METHOD))["stopped"] == ["a"]
        assert (await booth.call(SAY_METHOD, "stranger", text="Hello."))["rejected"] == "unauthorized"


async def test_a_packet_is_a_request_and_its_answer_is_an_event() -> None:
    async with working() as booth:
        booth.room.receive_data(b"Hello there.", topic=SAY_TOPIC, sender="vera")
        booth.room.receive_data(b"Hello there.", topic="chat", sender="vera")
        await asyncio.sleep(20)
    assert [event["state"] for event in booth.told] == ["accepted", "speaking", "audible", "done"]
    assert {sent.topic for sent in booth.room.local_participant.data} == {EVENTS_TOPIC}


AGENT_KIND = rtc.ParticipantKind.PARTICIPANT_KIND_AGENT


@pytest.mark.parametrize(
    ("options", "permission"),
    [
        ({}, "given"),
        ({"attributes": {"liba.agent": "liba"}}, ""),
        ({"attributes": {}}, ""),
        ({"can_update_metadata": True}, ""),
        ({"kind": AGENT_KIND}, ""),
    ],
    ids=["with one", "without one", "without attributes", "gave it to itself", "an agent"],
)
async def test_a_permission_is_read_from_what_the_server_vouches_for(
    options: dict[str, Any], permission: str
) -> None:
    async with working() as booth:
        booth.joins("guest", **options)
        await booth.call(STATUS_METHOD, "guest")
        booth.room.receive_data(b"Hello.", topic=SAY_TOPIC, sender="guest")
        await asyncio.sleep(1)
    assert booth.senders == [Sender("guest", permission)] * 2


async def test_nobody_to_name_is_nobody_to_trust() -> None:
    async with working() as booth:
        booth.room.receive_data(b"Hello.", topic=SAY_TOPIC, sender=None)
        await booth.call(STATUS_METHOD, "hidden")
        await asyncio.sleep(1)
    assert booth.senders == [Sender(), Sender()]


async def test_one_who_floods_is_read_in_part_and_others_in_whole(caplog: pytest.LogCaptureFixture) -> None:
    async with working() as booth:
        booth.joins("flooder")
        for _ in range(1000):
            booth.room.receive_data(b"{", topic=SAY_TOPIC, sender="flooder")
        booth.room.receive_data(b"Hello.", topic=SAY_TOPIC, sender="vera")
        await asyncio.sleep(1)
        booth.room.receive_data(b"Hello.", topic=SAY_TOPIC, sender="flooder")
        await asyncio.sleep(1)
    assert "872 are left out" in caplog.text
    assert [sender.identity for sender in booth.senders] == ["vera", "flooder"]


async def test_the_words_of_a_packet_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with working() as booth:
        caplog.set_level(logging.INFO, "liba")
        booth.room.receive_data(b"A canary.", topic=SAY_TOPIC, sender="vera")
        await asyncio.sleep(0.1)
    assert "Received data packet from vera: topic='say'" in caplog.text
    assert "canary" not in caplog.text


async def test_events_go_out_in_order_and_flush_waits_for_them() -> None:
    async with working() as booth:
        booth.room.script.play("publish_data", 2.0)
        booth.transport.take_event(DONE)
        booth.transport.take_event(REFUSED)
        await booth.transport.flush()
        assert asyncio.get_running_loop().time() == 2.0
        assert booth.told == [DONE.encode(), REFUSED.encode()]


@pytest.mark.parametrize(
    ("trouble", "told"),
    [(rtc.participant.PublishDataError("no"), "not sent: no"), (HANG, "not sent within 60 s")],
)
async def test_an_event_that_cannot_be_sent_is_told_and_the_next_one_is_sent(
    trouble: float | Exception, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with working() as booth:
        booth.room.script.play("publish_data", trouble)
        booth.transport.take_event(REFUSED)
        booth.transport.take_event(DONE)
        await booth.transport.flush()
    assert booth.told == [DONE.encode()]
    assert told in caplog.text


async def test_many_refusals_keep_nobody_from_learning_what_became_of_a_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with working() as booth:
        booth.room.script.play("publish_data", 1.0)
        for _ in range(2000):
            booth.transport.take_event(REFUSED)
        booth.transport.take_event(DONE)
        await booth.transport.flush()
    assert booth.told == [REFUSED.encode()] * 100 + [DONE.encode()]
    assert not caplog.records


async def test_what_the_room_does_not_take_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    async with working() as booth:
        booth.room.script.play("publish_data", 1.0)
        for _ in range(1001):
            booth.transport.take_event(DONE)
        await booth.transport.flush()
    assert len(booth.told) == 1000
    assert "one is left out" in caplog.text


async def test_a_caption_is_a_transcription_that_any_client_shows() -> None:
    async with working() as booth:
        booth.transport.caption("Hello.", utterance_id="a", track_sid="TR_1")
        await booth.transport.flush()
    (sent,) = booth.room.local_participant.texts
    assert (sent.text, sent.topic) == ("Hello.", CAPTION_TOPIC)
    assert sent.attributes == {
        "lk.transcription_final": "true",
        "lk.segment_id": "a",
        "lk.transcribed_track_id": "TR_1",
    }


async def test_one_who_takes_the_agents_identity_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    async with working() as booth:
        for _ in range(2):
            booth.room.emit("disconnected", rtc.DisconnectReason.DUPLICATE_IDENTITY)
    assert booth.takeovers == 1
    assert caplog.text.count("TAKEOVER") == 1


@pytest.mark.parametrize(
    "prepare",
    [
        lambda room: room.emit("disconnected", rtc.DisconnectReason.SERVER_SHUTDOWN),
        lambda room: None,
    ],
    ids=["the server ended", "it was not made known"],
)
async def test_another_end_is_no_takeover(prepare: Callable[[FakeRoom], None]) -> None:
    async with working() as booth:
        prepare(booth.room)
        await booth.transport.look_for_takeover(CREDENTIALS, "e1")
    assert booth.takeovers == 0


async def test_who_cannot_ask_livekit_does_not_call_it_a_takeover() -> None:
    async with working() as booth:
        await booth.room.local_participant.set_attributes({EPOCH_ATTRIBUTE: "e1"})
        await booth.transport.look_for_takeover(CREDENTIALS, "e1")
    assert booth.takeovers == 0
