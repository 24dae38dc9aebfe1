from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise
from typing import Any, cast

import pytest
from livekit import rtc
from pydantic import SecretStr

from libacli.config import LiveKitCredentials
from libacli.core.agent_status import AgentStatus
from libacli.core.event import AgentFacts, Event, QueueNews, Rejection, Report
from libacli.core.protocol import (
    AGENT_ATTRIBUTE,
    AT_ATTRIBUTE,
    CAPTION_TOPIC,
    EPOCH_ATTRIBUTE,
    EVENTS_TOPIC,
    SAY_METHOD,
    SIGNATURE_ATTRIBUTE,
    TEXT_ATTRIBUTE,
)
from libacli.core.room_update import (
    RECONNECTING,
    WELL,
    Caption,
    CaptionPart,
    NoAgent,
    RoomUpdate,
    Unreadable,
)
from libacli.edges.livekit.caption_signature import sign_caption
from libacli.edges.livekit.fake_streams import HANG, Step
from libacli.edges.livekit.fakes import FakeParticipant, FakeRoom
from libacli.edges.livekit.follower import RoomFollower
from libacli.edges.livekit.tokens import sign_request
from libacli.errors import CredentialsError, LibaError, NoAgentError, UnreachableError
from tests.belief_contract import BeliefContract, Watcher

CREDENTIALS = LiveKitCredentials("ws://127.0.0.1:1", "key", SecretStr("a-secret-of-thirty-two-characters"))
FACTS = AgentFacts("demo", "liba", "hibari", "ready", epoch="e1")
STATUS = AgentStatus(FACTS)
DONE = Event(FACTS, Report("u1", "done"), t0=1.0)
NOT_JOINED = rtc.ConnectError("the server is gone")


class House:
    """The rooms that a follower comes into, one after the other, and the agent that it asks."""

    def __init__(self) -> None:
        self.troubles: deque[Exception] = deque()
        """What goes wrong with the next attempts to join."""

        self.entered_at: list[float] = []
        self.answer: AgentStatus | LibaError = STATUS
        self.asked = 0
        self.previous: LiveKitCredentials | None = None
        self.room = FakeRoom()

    def new_room(self) -> rtc.Room:
        self.entered_at.append(asyncio.get_running_loop().time())
        self.room = FakeRoom("demo", is_connected=False)
        if self.troubles:
            self.room.script.play("connect", self.troubles.popleft())
        self.agent_comes()
        self.room.join("vera")
        return self.room.as_sdk()

    def agent_comes(self, identity: str = "agent-1", epoch: str = "e1") -> None:
        attributes = {AGENT_ATTRIBUTE: "liba", EPOCH_ATTRIBUTE: epoch}
        kind = rtc.ParticipantKind.PARTICIPANT_KIND_AGENT
        self.room.join(FakeParticipant(identity, kind=kind, attributes=attributes))

    def tell(self, told: bytes | Event | Rejection | QueueNews, *, sender: str | None = "agent-1") -> None:
        payload = told if isinstance(told, bytes) else json.dumps(told.encode()).encode()
        self.room.receive_data(payload, topic=EVENTS_TOPIC, sender=sender)

    def speak(
        self, *pieces: str | Step, sender: str = "agent-1", signed: str | None = None, **changes: str
    ) -> None:
        """A caption of `u1` comes, with a signature for the text `signed`; None: for its own."""
        text = "".join(piece for piece in pieces if isinstance(piece, str)) if signed is None else signed
        signature = sign_caption(CREDENTIALS, room="demo", agent="agent-1", segment_id="u1", text=text)
        attributes = {"lk.segment_id": "u1", SIGNATURE_ATTRIBUTE: signature} | changes
        self.room.receive_text(*pieces, topic=CAPTION_TOPIC, sender=sender, attributes=attributes)

    async def ask(self) -> AgentStatus:
        self.asked += 1
        if isinstance(self.answer, LibaError):
            raise self.answer
        return self.answer

    @asynccontextmanager
    async def followed(
        self,
        *,
        is_patient: bool = False,
        with_captions: bool = False,
        ask_every_s: float | None = None,
    ) -> AsyncIterator[AsyncGenerator[RoomUpdate]]:
        follower = RoomFollower(
            CREDENTIALS,
            room="demo",
            agent_name="liba",
            with_captions=with_captions,
            is_patient=is_patient,
            ask_every_s=ask_every_s,
            previous=self.previous,
            new_room=self.new_room,
            ask=self.ask,
        )
        updates = follower.updates()
        try:
            yield updates
        finally:
            await updates.aclose()


@pytest.fixture
def house() -> House:
    return House()


async def take(updates: AsyncGenerator[RoomUpdate], count: int) -> list[RoomUpdate]:
    async with asyncio.timeout(300):
        return [await anext(updates) for _ in range(count)]


async def is_silent(updates: AsyncGenerator[RoomUpdate]) -> bool:
    """Whether nothing comes for a while. It cannot be read from any more then."""
    try:
        async with asyncio.timeout(10):
            await anext(updates)
    except TimeoutError:
        return True
    return False


async def test_it_begins_with_the_connection_and_the_agents_status(house: House) -> None:
    async with house.followed() as updates:
        assert await take(updates, 2) == [WELL, STATUS]
        assert await is_silent(updates)
    assert not house.room.isconnected()


async def test_an_agent_that_is_silent_is_asked_whether_it_is_there_still(house: House) -> None:
    async with house.followed(ask_every_s=2) as updates:
        await take(updates, 2)
        began_at = asyncio.get_running_loop().time()
        house.answer = NoAgentError("it does not answer")
        assert await take(updates, 1) == [NoAgent()]
        assert asyncio.get_running_loop().time() == pytest.approx(began_at + 2, abs=0.01)
        house.answer = STATUS
        await asyncio.sleep(1.5)
        house.tell(DONE)
        assert await take(updates, 2) == [DONE, STATUS]
        assert asyncio.get_running_loop().time() == pytest.approx(began_at + 5.5, abs=0.01)
        assert house.asked == 3


async def test_who_is_silent_and_no_agent_of_ours_is_not_asked(house: House) -> None:
    async with house.followed(ask_every_s=2) as updates:
        await take(updates, 2)
        house.room.leave("agent-1")
        house.answer = NoAgentError("it has left")
        assert await take(updates, 1) == [NoAgent()]
        assert await is_silent(updates)
    assert house.asked == 2


async def test_what_agents_tell_is_read_in_order(house: House) -> None:
    refused = Rejection(FACTS, "queue_full", "32 wait", retry_in_s=3)
    async with house.followed() as updates:
        await take(updates, 2)
        for told in (DONE, refused, b"{", b"\xff", b'{"state": "done"}', b" " * 20_000, DONE):
            house.tell(told)
        assert await take(updates, 7) == [DONE, refused, *[Unreadable()] * 4, DONE]


async def test_a_queue_that_has_changed_is_a_reason_to_ask_the_agent_for_it(house: House) -> None:
    async with house.followed() as updates:
        await take(updates, 2)
        for change in ("paused", "moved", "what a later version has"):
            house.tell(QueueNews(FACTS, change))
        assert await take(updates, 3) == [house.answer] * 3
        house.tell(QueueNews(replace(FACTS, epoch="another"), "paused"))
        house.tell(QueueNews(FACTS, "paused"), sender="vera")
        house.tell(b'{"queue_change": 7}')
        assert await take(updates, 1) == [Unreadable()]
        house.answer = UnreachableError("nobody answers")
        house.tell(QueueNews(FACTS, "resumed"))
        assert await is_silent(updates)


async def test_only_agents_are_believed_and_only_on_their_topic(house: House) -> None:
    async with house.followed() as updates:
        await take(updates, 2)
        house.tell(DONE, sender="vera")
        house.tell(DONE, sender=None)
        house.room.receive_data(b"{}", topic="chat", sender="agent-1")
        assert await is_silent(updates)


async def test_captions_come_where_they_are_asked_for_and_from_agents_only(house: House) -> None:
    async with house.followed(with_captions=True) as updates:
        await take(updates, 2)
        house.speak("Forged.", sender="vera")
        house.speak("x" * 9000)
        house.speak("Of nothing.", **{"lk.segment_id": ""})
        house.speak("Half", rtc.StreamError("gone"))
        await asyncio.sleep(1)
        house.speak("Hello.")
        assert await take(updates, 1) == [Caption("u1", "Hello.")]
    async with house.followed() as updates:
        await take(updates, 2)
        house.speak("Hello.")
        assert await is_silent(updates)


ANOTHER_KEY = LiveKitCredentials("ws://127.0.0.1:1", "other", SecretStr("another-secret-of-32-characters!"))


def signature(credentials: LiveKitCredentials = CREDENTIALS, **changes: str) -> str:
    said = {"room": "demo", "agent": "agent-1", "segment_id": "u1", "text": "Forged."} | changes
    return sign_caption(credentials, **said)


@pytest.mark.parametrize(
    "auth",
    [
        "",
        "e30.e30.e30",
        signature(text="Hello."),
        signature(segment_id="u2"),
        signature(room="another"),
        signature(agent="agent-2"),
        signature(ANOTHER_KEY),
        sign_request(
            CREDENTIALS,
            room="demo",
            method=SAY_METHOD,
            body={"id": "u1", "text": "Forged."},
            agent="agent-1",
        ),
    ],
    ids=["none", "rubbish", "text", "id", "room", "agent", "key", "of a request"],
)
async def test_a_text_in_the_agents_name_that_it_has_not_signed_is_passed_over(
    house: House, auth: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The server lets an avatar send texts in the name of anybody."""
    async with house.followed(with_captions=True) as updates:
        await take(updates, 2)
        for _ in range(10):
            house.speak("Forged.", **{SIGNATURE_ATTRIBUTE: auth})
            await asyncio.sleep(0.1)
        house.speak("Hello.")
        assert await take(updates, 1) == [Caption("u1", "Hello.")]
    assert caplog.text.count("caption from agent-1 passed over") == 1
    assert "Forged" not in caplog.text


async def test_captions_by_the_key_before_are_believed_while_keys_are_changed(house: House) -> None:
    house.previous = ANOTHER_KEY
    text = {SIGNATURE_ATTRIBUTE: signature(ANOTHER_KEY, text="Hello.")}
    async with house.followed(with_captions=True) as updates:
        await take(updates, 2)
        house.speak("Hello.", **text)
        assert await take(updates, 1) == [Caption("u1", "Hello.")]


@pytest.mark.parametrize("sender", ["vera", "nobody", ""])
async def test_streams_of_whom_nobody_believes_are_closed_at_once(house: House, sender: str) -> None:
    async with house.followed(with_captions=True) as updates:
        await take(updates, 2)
        for number in range(500):
            pieces = ("x", HANG) if number % 2 else ("x",)
            house.room.receive_text(
                *pieces, topic=CAPTION_TOPIC, sender=sender, attributes={"lk.segment_id": "u1"}
            )
            assert house.room.open_readers == 0
        house.speak("Hello.")
        assert await take(updates, 1) == [Caption("u1", "Hello.")]
        assert house.room.open_readers == 0


@pytest.mark.parametrize(
    "pieces",
    [
        ("never ended", HANG),
        (*["drop by drop", 0.5] * 100,),
        (*["x" * 1000] * 100_000,),
        ("x" * 10_000_000, HANG),
        ("half", rtc.StreamError("aborted")),
        ("a defect", KeyError("canary")),
        (),
    ],
    ids=["never ended", "drop by drop", "without end", "one piece", "aborted", "a defect", "empty"],
)
async def test_a_stream_of_an_agent_is_bounded_in_size_number_and_time_and_closed(
    house: House, pieces: tuple[str | float | Exception, ...]
) -> None:
    async with house.followed(with_captions=True) as updates:
        await take(updates, 2)
        for _ in range(50):
            house.room.receive_text(*pieces, topic=CAPTION_TOPIC, sender="agent-1", attributes={})
            assert house.room.open_readers <= 4
        await asyncio.sleep(2.1)
        assert house.room.open_readers == 0
        house.speak("Hello.")
        assert await take(updates, 1) == [Caption("u1", "Hello.")]


@pytest.mark.parametrize("is_lost", [False, True], ids=["leaves", "loses the connection"])
async def test_who_leaves_has_no_stream_open(house: House, is_lost: bool) -> None:
    async with house.followed(with_captions=True) as updates:
        await take(updates, 2)
        room = house.room
        for _ in range(3):
            room.receive_text("x", HANG, topic=CAPTION_TOPIC, sender="agent-1")
        assert room.open_readers == 3
        if is_lost:
            room.lose_connection()
            await take(updates, 2)
    assert room.open_readers == 0


async def test_a_text_that_is_still_coming_holds_up_nothing_else(house: House) -> None:
    async with house.followed(with_captions=True) as updates:
        await take(updates, 2)
        house.speak("Hel", 1.0, "lo.")
        house.tell(DONE)
        assert await take(updates, 2) == [DONE, Caption("u1", "Hello.")]


def announced(number: int, text: str, **changes: str) -> dict[str, str]:
    """The head of a segment of `u1`."""
    segment_id = f"u1/{number}"
    auth = signature(segment_id=segment_id, text=text)
    return {"lk.segment_id": segment_id, TEXT_ATTRIBUTE: text, SIGNATURE_ATTRIBUTE: auth} | changes


def part(number: int, text: str, offset_ms: int | None = None, *, is_over: bool = False) -> CaptionPart:
    return CaptionPart("u1", number, text, offset_ms, is_over)


async def test_a_segment_that_says_at_its_head_what_it_is_comes_at_once_and_with_those_before(
    house: House,
) -> None:
    async with house.followed(with_captions=True) as updates:
        await take(updates, 2)
        house.speak("One ", 5.0, "two. ", **announced(1, "One two. "))
        assert await take(updates, 2) == [Caption("u1", "One two. "), part(1, "One two. ")]
        await asyncio.sleep(6.0)
        assert await take(updates, 1) == [part(1, "One two. ", is_over=True)]
        house.speak("Three.", **announced(2, "Three.", **{AT_ATTRIBUTE: "700"}))
        assert await take(updates, 3) == [
            Caption("u1", "One two. Three."),
            part(2, "Three.", 700),
            part(2, "Three.", 700, is_over=True),
        ]
        await asyncio.sleep(1.0)
        house.tell(DONE)
        assert await take(updates, 1) == [DONE]


async def test_where_a_segment_was_cut_off_less_of_it_is_left(house: House) -> None:
    async with house.followed(with_captions=True) as updates:
        await take(updates, 2)
        head = announced(1, "One two. ")
        house.speak("One ", 1.0, **head)
        assert await take(updates, 2) == [Caption("u1", "One two. "), part(1, "One two. ")]
        reader = house.room.readers[-1]
        assert reader.info.attributes
        reader.info.attributes[SIGNATURE_ATTRIBUTE] = signature(segment_id="u1/1", text="One ")
        assert await take(updates, 2) == [Caption("u1", "One "), part(1, "One ", is_over=True)]


async def test_a_head_that_was_copied_or_changed_adds_nothing(house: House) -> None:
    async with house.followed(with_captions=True) as updates:
        await take(updates, 2)
        house.speak("One ", 5.0, "two. ", **announced(1, "One two. "))
        assert await take(updates, 2) == [Caption("u1", "One two. "), part(1, "One two. ")]
        house.speak("Forged.", **announced(1, "One two. "))
        house.speak("Forged.", **announced(2, "Forged.", **{TEXT_ATTRIBUTE: "Other words."}))
        house.speak("Forged.", **announced(2, "Forged.", **{"lk.segment_id": "u1/3"}))
        assert await take(updates, 1) == [part(1, "One two. ", is_over=True)]
        assert await is_silent(updates)


async def test_the_agent_is_asked_again_when_another_one_is_there_and_not_for_others(house: House) -> None:
    async with house.followed() as updates:
        await take(updates, 2)
        house.room.join("guest")
        house.room.leave("vera")
        house.room.change_attributes("agent-1", mood="good")
        house.tell(DONE)
        assert await take(updates, 1) == [DONE]
        assert house.asked == 1
        house.agent_comes(epoch="e2")
        assert await take(updates, 1) == [STATUS]
        house.answer = NoAgentError("nobody")
        house.room.leave("agent-1")
        assert await take(updates, 1) == [NoAgent()]
        assert house.asked == 3


async def test_a_status_that_cannot_be_had_is_passed_over(house: House) -> None:
    house.answer = UnreachableError("LiveKit does not answer")
    async with house.followed() as updates:
        assert await take(updates, 1) == [WELL]
        house.tell(DONE)
        assert await take(updates, 1) == [DONE]


async def test_after_a_short_break_the_agent_is_asked_what_was_missed(house: House) -> None:
    async with house.followed() as updates:
        await take(updates, 2)
        house.room.emit("reconnecting")
        house.room.emit("reconnected")
        assert await take(updates, 3) == [RECONNECTING, WELL, STATUS]
    assert len(house.entered_at) == 1


async def test_a_connection_that_is_lost_is_made_again(house: House) -> None:
    async with house.followed() as updates:
        await take(updates, 2)
        house.tell(DONE)
        house.room.lose_connection()
        assert await take(updates, 4) == [DONE, RECONNECTING, WELL, STATUS]
    assert house.entered_at == [0, 0.5]


@pytest.mark.parametrize(
    ("trouble", "error"),
    [
        (NOT_JOINED, UnreachableError),
        (rtc.ConnectError("engine: signal failure: client error: 401 unauthorized"), CredentialsError),
    ],
)
async def test_without_a_connection_to_begin_with_it_ends(
    house: House, trouble: Exception, error: type[LibaError]
) -> None:
    house.troubles.append(trouble)
    async with house.followed() as updates:
        with pytest.raises(error):
            await anext(updates)


async def test_once_it_was_there_it_tries_for_ever(house: House) -> None:
    async with house.followed() as updates:
        await take(updates, 2)
        house.troubles.extend([NOT_JOINED] * 3)
        house.room.lose_connection()
        assert await take(updates, 6) == [*[RECONNECTING] * 4, WELL, STATUS]
    assert house.entered_at == pytest.approx([0, 0.5, 1.5, 3.5, 7.5])


async def test_one_who_is_patient_tries_again_with_growing_pauses(house: House) -> None:
    house.troubles.extend([NOT_JOINED] * 3)
    async with house.followed(is_patient=True) as updates:
        assert await take(updates, 5) == [*[RECONNECTING] * 3, WELL, STATUS]
    assert house.entered_at == pytest.approx([0, 0.5, 1.5, 3.5])


async def test_after_it_was_well_the_pauses_begin_anew(house: House) -> None:
    house.troubles.extend([NOT_JOINED] * 8)
    async with house.followed(is_patient=True) as updates:
        await take(updates, 10)
        house.room.lose_connection()
        assert await take(updates, 3) == [RECONNECTING, WELL, STATUS]
    times = house.entered_at
    pauses = [after - before for before, after in pairwise(times)]
    assert pauses == pytest.approx([0.5, 1, 2, 4, 8, 15, 15, 15, 0.5])


async def test_a_defect_is_logged_and_one_who_is_patient_goes_on(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.troubles.append(RuntimeError("a defect"))
    async with house.followed(is_patient=True) as updates:
        assert await take(updates, 3) == [RECONNECTING, WELL, STATUS]
    assert "a defect" in caplog.text


async def test_a_defect_ends_one_who_is_not_patient(house: House) -> None:
    house.troubles.append(RuntimeError("a defect"))
    async with house.followed() as updates:
        with pytest.raises(RuntimeError, match="a defect"):
            await anext(updates)


async def test_when_nobody_reads_the_oldest_is_lost_and_not_the_memory(house: House) -> None:
    async with house.followed() as updates:
        await take(updates, 2)
        for number in range(2100):
            house.tell(Event(FACTS, Report(f"u{number}", "done"), t0=1.0))
        told = await take(updates, 2000)
        assert [event.report.id for event in told if isinstance(event, Event)] == [
            f"u{number}" for number in range(100, 2100)
        ]
        assert await is_silent(updates)


async def test_changes_of_others_push_out_nothing_that_was_told_and_are_looked_at(house: House) -> None:
    async with house.followed() as updates:
        await take(updates, 2)
        house.tell(DONE)
        for number in range(3000):
            house.room.change_attributes("vera", mood=str(number))
        assert await take(updates, 1) == [DONE]
        house.agent_comes("agent-0", epoch="e0")
        house.room.leave("agent-1")
        house.agent_comes()
        for number in range(2100):
            house.tell(Event(FACTS, Report(f"u{number}", "done"), t0=1.0))
        assert STATUS in await take(updates, 2000)


async def test_an_event_that_the_reader_fails_at_is_passed_over(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    async with house.followed() as updates:
        await take(updates, 2)
        for _ in range(10):
            packet = rtc.DataPacket(
                cast(bytes, 5),
                rtc.DataPacketKind.KIND_RELIABLE,
                cast(rtc.RemoteParticipant, house.room.remote_participants["agent-1"]),
                EVENTS_TOPIC,
            )
            house.room.emit("data_received", packet)
        house.tell(DONE)
        assert await take(updates, 11) == [*[Unreadable()] * 10, DONE]
    assert len(caplog.records) == 1


class TestFollower(BeliefContract):
    """A follower, as one who watches a room."""

    @pytest.fixture
    async def watcher(self, house: House) -> AsyncIterator[Watcher]:
        async with house.followed() as updates:
            await take(updates, 2)
            yield FollowerThatWatches(house, updates)


class FollowerThatWatches:
    def __init__(self, house: House, updates: AsyncGenerator[RoomUpdate]) -> None:
        self.room = house.room
        self._house = house
        self._updates = updates

    async def told(self) -> list[dict[str, Any]]:
        """All up to the connection's next state, which the room is made to tell."""
        self.room.emit("reconnecting")
        told: list[dict[str, Any]] = []
        while (update := (await take(self._updates, 1))[0]) != RECONNECTING:
            assert not isinstance(update, Unreadable)
            if isinstance(update, Event | Rejection):
                members = update.encode()
                told.append({name: members[name] for name in ("state", "id", "epoch")})
        return told
