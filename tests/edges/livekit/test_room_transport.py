from __future__ import annotations

import asyncio
import inspect
import json
import logging
from base64 import urlsafe_b64encode as b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

import pytest
from livekit import rtc
from pydantic import SecretStr

from libacli.complaint_log import ComplaintLog
from libacli.config import LiveKitCredentials
from libacli.core.caps import SayCaps
from libacli.core.event import AgentFacts, Event, Rejection, Report
from libacli.core.protocol import (
    CAN_SAY_ATTRIBUTE,
    EPOCH_ATTRIBUTE,
    EVENTS_TOPIC,
    METHODS,
    SAY_METHOD,
    SAY_TOPIC,
    STATUS_METHOD,
    STOP_METHOD,
)
from libacli.edges.livekit.fake_streams import HANG, FakeOrigin
from libacli.edges.livekit.fakes import FakeParticipant, FakeRoom
from libacli.edges.livekit.room_transport import RoomTransport
from libacli.errors import RefusedError, UnreachableError
from libacli.speech.announcer import Announcer
from libacli.speech.desk import Desk
from libacli.speech.fakes import RecordingSink, ScriptedVoice
from libacli.speech.permit import Permit, Sender
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
        self.defects = 0
        self.left_out = 0
        self.put_out: list[tuple[str, float]] = []
        self.origin = FakeOrigin()
        self.put_out_fails: Exception | None = None
        self.log = ComplaintLog(logging.getLogger("liba.room"), on_defect=self._on_defect)
        self.transport = RoomTransport(
            self.room.as_sdk(),
            CREDENTIALS,
            put_out=self._put_out,
            origin=self.origin,
            log=self.log,
            on_takeover=self._on_takeover,
            on_left_out=self._on_left_out,
        )
        self.senders: list[Sender] = []
        announcer = Announcer(lambda: FACTS, lambda at: at, [self.transport])
        self.speaker = Speaker(ScriptedVoice(), RecordingSink(), on_change=announcer.announce)
        caps = SayCaps(rate_per_minute=0, burst=1, max_chars_per_hour=0)
        self.desk = Desk(self.speaker, announcer, self, max_text_chars=100, caps=caps, log=self.log)

    def authorise(self, method: str, body: Mapping[str, Any], auth: str | None, sender: Sender) -> Permit:
        self.senders.append(sender)
        if body.get("text") == "BREAK":
            raise RuntimeError("broken")
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

    def _on_defect(self) -> None:
        self.defects += 1

    def _on_left_out(self) -> None:
        self.left_out += 1

    async def _put_out(self, identity: str) -> None:
        self.put_out.append((identity, asyncio.get_running_loop().time()))
        if self.put_out_fails:
            raise self.put_out_fails
        self.room.leave(identity)


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
    assert booth.left_out == 872
    told = [record.getMessage() for record in caplog.records if "left out" in record.getMessage()]
    assert told == ["requests from flooder left out: more than 50 requests a second"]
    assert [sender.identity for sender in booth.senders] == ["vera", "flooder"]


class BrokenDesk:
    """A desk with a defect of its own: it raises what a desk never should."""

    def __init__(self) -> None:
        self.asked = 0

    def answer(self, method: str, payload: bytes, sender: Sender, received_at: float) -> dict[str, Any]:
        self.asked += 1
        raise RecursionError("a canary")

    async def answer_late(self, *request: Any) -> dict[str, Any]:
        return self.answer(*request)


async def test_a_reader_that_fails_reads_on(caplog: pytest.LogCaptureFixture) -> None:
    booth, desk = Booth(), BrokenDesk()
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(booth.transport.run())
        booth.transport.serve(cast(Desk, desk))
        booth.joins("vera")
        for _ in range(10):
            booth.room.receive_data(b"Hello.", topic=SAY_TOPIC, sender="vera")
            assert (await booth.call(SAY_METHOD, text="Hello."))["rejected"] == "internal"
        await asyncio.sleep(1)
        booth.transport.take_event(DONE)
        await booth.transport.flush()
        assert not running.done()
        running.cancel()
    assert desk.asked == 20
    assert DONE.encode() in booth.told
    assert len([record for record in caplog.records if "RecursionError" in record.getMessage()]) == 2
    assert "canary" not in caplog.text
    assert booth.defects == 20


@pytest.mark.parametrize(
    "payload",
    [
        b'{"text": "hi", "auth": "' + b64encode(b"[" * 3000) + b'.e30.e30"}',
        b'{"text": "hi", "id": "\\ud800", "auth": "e30.e30.e30"}',
        b'{"text": "BREAK"}',
        b"[" * 12_000,
        b'{"text": ' * 1000,
        b"\xff" * 100,
        b"",
    ],
    ids=["deep header", "half a character", "a defect", "deep", "deep text", "no text", "nothing"],
)
async def test_no_packet_ends_the_reading_and_the_next_one_is_spoken(payload: bytes) -> None:
    async with working() as booth:
        for _ in range(3):
            booth.room.receive_data(payload, topic=SAY_TOPIC, sender="vera")
            booth.room.receive_data(payload, topic=SAY_TOPIC, sender=None)
        booth.room.receive_data(b'{"text": "Hello.", "id": "a"}', topic=SAY_TOPIC, sender="vera")
        await asyncio.sleep(20)
    assert "done" in [event["state"] for event in booth.told if event.get("id") == "a"]


async def test_a_packet_of_a_form_that_the_sdk_never_gives_ends_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with working() as booth:
        broken = booth.room.join(FakeParticipant("broken"))
        broken.attributes = None  # type: ignore[assignment]
        for _ in range(5):
            booth.room.receive_data(b"Hello.", topic=SAY_TOPIC, sender="broken")
            assert (await booth.call(SAY_METHOD, "broken", text="Hello."))["rejected"] == "internal"
        booth.room.receive_data(b'{"text": "Hello.", "id": "a"}', topic=SAY_TOPIC, sender="vera")
        await asyncio.sleep(20)
    assert "done" in [event["state"] for event in booth.told if event.get("id") == "a"]
    assert len([record for record in caplog.records if record.levelname == "ERROR"]) == 2


async def send_for(booth: Booth, for_s: float, per_second: int, send: Callable[[], Any]) -> None:
    """Has `send` called evenly; what it gives to await is awaited."""
    for _ in range(round(for_s * per_second)):
        if inspect.isawaitable(sent := send()):
            await sent
        await asyncio.sleep(1 / per_second)


@pytest.mark.parametrize("method", [*METHODS, "lk.playback_finished", "nonsense"])
async def test_a_call_beyond_what_one_sender_may_ask_is_answered_before_anything_of_it_is_read(
    method: str,
) -> None:
    async with working() as booth:
        booth.joins("flooder")
        booth.room.local_participant.register_rpc_method("lk.playback_finished", lambda _: "ok")
        refused = 0
        for _ in range(1000):
            try:
                answer = await booth.room.call("flooder", method, '{"text": "...", "id": "a"}')
                refused += "too_many_requests" in answer
            except rtc.RpcError as error:
                refused += "more than 50" in error.message
        assert (refused, booth.left_out) == (872, 872)
        assert len(booth.senders) <= 128
        assert "rejected" not in await booth.call(SAY_METHOD, text="Hello.")


async def test_packets_and_calls_are_counted_together_and_others_topics_are_not() -> None:
    async with working() as booth:
        booth.joins("flooder")
        for _ in range(1000):
            booth.room.receive_data(b"{", topic="chat", sender="flooder")
        for _ in range(64):
            booth.room.receive_data(b"{", topic=SAY_TOPIC, sender="flooder")
            await booth.call(STATUS_METHOD, "flooder")
        assert booth.left_out == 0
        assert (await booth.call(STATUS_METHOD, "flooder"))["rejected"] == "too_many_requests"


async def test_calls_over_the_servers_api_are_not_kept_out_by_any_participant() -> None:
    async def by_the_server(number: int) -> dict[str, Any]:
        call = f"call-{number}"
        return dict(json.loads(await booth.room.call(call, STATUS_METHOD, "{}", request_id=call)))

    async with working() as booth:
        for _ in range(1000):
            booth.room.receive_data(b"{", topic=SAY_TOPIC, sender=None)  # one who is hidden
            await booth.room.call("newcomer", STATUS_METHOD, "{}", request_id="newcomer")
            await booth.room.call("", STATUS_METHOD, "{}", request_id="")
        answers = [await by_the_server(number) for number in range(500)]
        assert {answer["rejected"] for answer in answers} == {"unauthorized"}
        answers = [await by_the_server(number) for number in range(500, 5000)]
        assert {answer["rejected"] for answer in answers} == {"unauthorized", "too_many_requests"}


@pytest.mark.parametrize("way", ["packet", "call", "another method"])
async def test_who_goes_on_with_too_many_for_five_seconds_is_put_out_with_one_line(
    way: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with working() as booth:
        booth.joins("mallory", attributes={})

        def send() -> Any:
            if way == "packet":
                return booth.room.receive_data(b"Hello.", topic=SAY_TOPIC, sender="mallory")
            method = STATUS_METHOD if way == "call" else "nonsense"
            return _ignoring_refusals(booth.room.call("mallory", method, "{}"))

        await send_for(booth, 4.0, 200, send)
        assert booth.put_out == []
        await send_for(booth, 2.5, 200, send)
        ((identity, at),) = booth.put_out
        assert (identity, 5.0 <= at <= 6.2) == ("mallory", True)
        assert "mallory" not in booth.room.remote_participants
    floods = [record.getMessage() for record in caplog.records if "FLOOD" in record.getMessage()]
    assert floods == ["FLOOD from mallory of more than 50 requests a second for 5 s: put out of the room"]


async def _ignoring_refusals(call: Awaitable[str]) -> None:
    with suppress(rtc.RpcError):
        await call


@pytest.mark.parametrize(
    "error", [UnreachableError("no server"), RuntimeError("a defect"), TimeoutError()], ids=str
)
async def test_one_who_cannot_be_put_out_ends_nothing_and_is_told_of_once_a_minute(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    async with working() as booth:
        booth.put_out_fails = error
        booth.joins("mallory", attributes={})
        await send_for(
            booth, 30, 100, lambda: booth.room.receive_data(b"Hello.", topic=SAY_TOPIC, sender="mallory")
        )
        assert 4 <= len(booth.put_out) <= 6
        assert "rejected" not in await booth.call(SAY_METHOD, text="Hello.", id="a")
        await asyncio.sleep(10)
        assert (await booth.call(STATUS_METHOD, id="a"))["state"] == "done"
    assert caplog.text.count("FLOOD") == 1


async def test_nobody_whom_nobody_can_name_is_put_out() -> None:
    async with working() as booth:
        await send_for(
            booth, 12, 200, lambda: booth.room.receive_data(b"Hello.", topic=SAY_TOPIC, sender=None)
        )
        assert booth.put_out == []


async def test_whatever_comes_a_minute_has_thirty_lines_at_most(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "liba")
    payloads = (b"Hello.", b"{", b'{"text": "...", "id": "a"}', b'{"text": "BREAK"}', b"x" * 20_000)
    async with working() as booth:
        for number in range(20):
            booth.joins(f"stranger-{number}", attributes={})
            booth.joins(f"guest-{number}")
        for step in range(300):
            for number in range(20):
                for who in ("stranger", "guest"):
                    payload = payloads[(step + number) % len(payloads)]
                    if who == "guest" and payload == b"Hello.":
                        payload = b'{"text": "Hello.", "id": "known"}'
                    booth.room.receive_data(payload, topic=SAY_TOPIC, sender=f"{who}-{number}")
            await asyncio.sleep(0.4)
    at = [record.created for record in caplog.records]
    assert 5 < len(at) <= 2 * 30


async def test_the_words_of_a_packet_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with working() as booth:
        caplog.set_level(logging.INFO, "liba")
        booth.room.receive_data(b"A canary.", topic=SAY_TOPIC, sender="vera")
        await asyncio.sleep(0.1)
        for _ in range(20):  # a request that comes again is no other one
            booth.room.receive_data(b'{"text": "Hello.", "id": "a"}', topic=SAY_TOPIC, sender="vera")
        await asyncio.sleep(0.1)
    assert caplog.text.count("Received data packet from vera: topic='say'") == 2
    assert "canary" not in caplog.text


async def test_a_packet_that_nobody_else_is_told_of_is_answered_to_its_sender_alone() -> None:
    async with working() as booth:
        booth.joins("stranger", attributes={})
        booth.room.receive_data(b'{"text": "Hello.", "id": "a"}', topic=SAY_TOPIC, sender="stranger")
        booth.room.receive_data(b"{", topic=SAY_TOPIC, sender="vera")
        booth.room.receive_data(b'{"text": "Hello.", "id": "b"}', topic=SAY_TOPIC, sender=None)
        booth.room.receive_data(b'{"text": "...", "id": "c"}', topic=SAY_TOPIC, sender="vera")
        assert (await booth.call(SAY_METHOD, "stranger", text="Hello."))["rejected"] == "unauthorized"
        await asyncio.sleep(1)
    sent = [(one.to, json.loads(one.payload)) for one in booth.room.local_participant.data]
    assert [(to, told["state"], told["rejected"], told.get("id")) for to, told in sent] == [
        (["stranger"], "rejected", "unauthorized", "a"),
        (["vera"], "rejected", "malformed", None),
        ([], "rejected", "nothing_to_say", "c"),
    ]


async def test_what_only_its_sender_is_told_is_bounded_for_each_and_costs_others_no_event() -> None:
    async with working() as booth:
        for sender in ("one", "two"):
            booth.joins(sender, attributes={})
            for _ in range(100):
                booth.room.receive_data(b"Hello.", topic=SAY_TOPIC, sender=sender)
        await asyncio.sleep(1)
        assert len(booth.told) == 10
        for _ in range(100):
            booth.room.receive_data(b"Hello.", topic=SAY_TOPIC, sender="one")
        await asyncio.sleep(1)
        assert len(booth.told) == 11
        booth.room.receive_data(b"Hello.", topic=SAY_TOPIC, sender="vera")
        await asyncio.sleep(20)
    assert [event["state"] for event in booth.told[11:]] == ["accepted", "speaking", "audible", "done"]


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
    assert "events from agent left out" in caplog.text


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
        await booth.transport.look_for_takeover("e1")
    assert booth.takeovers == 0


async def test_who_cannot_ask_livekit_does_not_call_it_a_takeover() -> None:
    async with working() as booth:
        await booth.room.local_participant.set_attributes({EPOCH_ATTRIBUTE: "e1"})
        await booth.transport.look_for_takeover("e1")
    assert booth.takeovers == 0
