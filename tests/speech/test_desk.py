from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.complaint_log import ComplaintLog
from libacli.core.agent_status import AgentStatus
from libacli.core.caps import SayCaps
from libacli.core.event import AgentFacts, Event, Rejection
from libacli.core.messages import MAX_REQUEST_BYTES
from libacli.core.protocol import MAX_ANSWER_BYTES, SAY_METHOD, STATUS_METHOD, STOP_METHOD
from libacli.core.reasons import REFUSALS
from libacli.core.trace_context import UNTRACED, TraceContext
from libacli.core.usage import Usage
from libacli.core.utterance import Utterance
from libacli.errors import RefusedError, VoiceError
from libacli.speech.announcer import Announcer
from libacli.speech.desk import Desk
from libacli.speech.fakes import RecordingSink, ScriptedVoice
from libacli.speech.permit import Permit, Sender
from libacli.speech.speaker import Speaker
from libacli.speech.waiters import Waiters
from tests.virtual_time import VirtualLoop

VIEWER = Sender("viewer", permission="say, control, as the owner")
OTHER = Sender("other", permission="say, control, as the owner")
GUEST, ANOTHER = Sender("guest", permission="say"), Sender("another", permission="say")
MODERATOR = Sender("moderator", permission="control")
STRANGER = Sender("stranger")
NOBODY = Sender()
FACTS = AgentFacts(epoch="e1")
TOLD = FACTS.encode()


class Counter:
    """An outlet that only counts."""

    def __init__(self, reasons: list[str]) -> None:
        self._reasons = reasons

    def take_event(self, event: Event | Rejection) -> None:
        assert isinstance(event, Rejection)
        self._reasons.append(event.reason)


class Office:
    """A desk in front of a speaker that is at work, and what it announced."""

    def __init__(self, voice: ScriptedVoice, queue_limit: int, caps: SayCaps, ttl_s: float) -> None:
        self.defect: Exception | None = None
        """What the rule who may speak fails with."""

        self.counted: list[str] = []
        """Reasons of refusals of which the room was told nothing."""

        self.asked: list[tuple[str, dict[str, Any], str | None, Sender]] = []
        self.events: list[dict[str, Any]] = []
        self.traces: list[TraceContext] = []
        self.news: list[str] = []
        """What the queue itself has become."""

        self.facts = FACTS
        self.waiters = Waiters()
        announcer = Announcer(
            lambda: self.facts,
            lambda at: 1_000_000_000 + at,
            [self, self.waiters],
            counters=[Counter(self.counted)],
            on_queue=[lambda news: self.news.append(news.change)],
        )
        self.caps = caps
        self.announcer = announcer
        self.speaker = Speaker(
            voice,
            RecordingSink(),
            on_change=self._on_change,
            on_ask=lambda utterance, chars: caps.ask(utterance.id, chars, asyncio.get_running_loop().time()),
            queue_limit=queue_limit,
        )
        self.desk = Desk(
            self.speaker,
            announcer,
            self,
            max_text_chars=50,
            caps=caps,
            other_caps=lambda: [Usage("avatar", 3.0, 240.0, "minutes", 3600.0)],
            ttl_s=ttl_s,
            waiters=self.waiters,
            worker="pod-1",
            log=ComplaintLog(
                logging.getLogger("liba.desk"), on_defect=lambda: self.counted.append("internal")
            ),
        )

    def say(self, body: object, sender: Sender = VIEWER, received_at: float | None = None) -> dict[str, Any]:
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        now = asyncio.get_running_loop().time()
        return self.desk.answer(SAY_METHOD, payload, sender, now if received_at is None else received_at)

    def status(self, **body: object) -> dict[str, Any]:
        return self.desk.answer(STATUS_METHOD, json.dumps(body).encode(), VIEWER, 0.0)

    def stop(self, sender: Sender = VIEWER, **body: object) -> dict[str, Any]:
        return self.desk.answer(STOP_METHOD, json.dumps(body).encode(), sender, 0.0)

    def states(self, id: str) -> list[str]:
        return [event["state"] for event in self.events if event.get("id") == id]

    def used(self) -> float:
        """Characters of the hour that count now."""
        return next(float(cap["used"]) for cap in self.status()["caps"] if cap["name"] == "speech")

    def _on_change(self, utterance: Utterance) -> None:
        if utterance.is_over:
            self.caps.end(utterance.id)
        self.announcer.announce(utterance)

    def take_event(self, event: Event | Rejection) -> None:
        self.events.append(event.encode())
        if isinstance(event, Event):
            self.traces.append(event.trace)

    def authorise(self, method: str, body: Mapping[str, Any], auth: str | None, sender: Sender) -> Permit:
        self.asked.append((method, dict(body), auth, sender))
        if self.defect:
            raise self.defect
        if not sender.permission:
            raise RefusedError("unauthorized", "you may not")
        rights = {"may_say": "say" in sender.permission, "may_control": "control" in sender.permission}
        return Permit(sender.identity, nonce=auth or "", is_owner="owner" in sender.permission, **rights)


@asynccontextmanager
async def open_office(
    *,
    voice: ScriptedVoice | None = None,
    queue_limit: int = 32,
    rate_per_minute: float = 0,
    burst: int = 1,
    max_chars_per_hour: int = 0,
    ttl_s: float = 0.0,
) -> AsyncIterator[Office]:
    caps = SayCaps(rate_per_minute=rate_per_minute, burst=burst, max_chars_per_hour=max_chars_per_hour)
    office = Office(voice or ScriptedVoice(), queue_limit, caps, ttl_s)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(office.speaker.run())
        await asyncio.sleep(0)
        yield office
        running.cancel()


async def test_on_which_machine_it_runs_the_owner_alone_is_told() -> None:
    async with open_office() as office:
        asked = json.dumps({}).encode()
        owners, guests = (office.desk.answer(STATUS_METHOD, asked, sender, 0.0) for sender in (VIEWER, GUEST))
    assert (owners["worker"], "worker" in guests) == ("pod-1", False)


async def test_the_callers_trace_is_known_to_who_counts_and_told_to_nobody_in_the_room() -> None:
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    async with open_office() as office:
        office.say({"text": "Hello.", "id": "a", "traceparent": parent})
        assert office.traces == [TraceContext(parent)]
        office.say({"text": "Hello.", "id": "b", "traceparent": 7})
        assert office.traces[1] == UNTRACED
        assert [event["state"] for event in office.events] == ["accepted", "accepted"]
        assert "4bf92f" not in json.dumps([office.events, office.status(), office.status(id="a")])


async def test_a_request_is_answered_with_its_place() -> None:
    async with open_office() as office:
        assert office.say({"text": "Hello.", "id": "a"}) == {
            "epoch": "e1",
            "id": "a",
            "position": 0,
            "duplicate": False,
        }
        await asyncio.sleep(0.1)
        assert office.say({"text": "Hello.", "id": "b"})["position"] == 1
        assert office.say({"text": "Hello.", "id": "b"}) == {
            "epoch": "e1",
            "id": "b",
            "position": 1,
            "duplicate": True,
        }


async def test_an_id_that_comes_again_with_another_text_is_refused_and_the_first_one_goes_on() -> None:
    async with open_office() as office:
        office.say({"text": "Hello.", "id": "a"})
        await asyncio.sleep(0.1)
        told = len(office.events)
        answer = office.say({"text": "Bye.", "id": "a", "interrupt": True})
        assert answer["rejected"] == "id_reused"
        assert office.say({"text": "Hello.", "id": "a"})["duplicate"]
        assert not any(event.get("id") for event in office.events[told:])  # none is taken for the first one's
        assert office.speaker.stops == 0


async def test_bare_text_is_spoken_under_an_id_of_the_agent() -> None:
    async with open_office() as office:
        answer = office.say(b"Hello there.")
        assert len(answer["id"]) == 12
        await asyncio.sleep(10)
    assert office.states(answer["id"])[-1] == "done"


async def test_the_first_mark_is_when_the_request_came() -> None:
    async with open_office() as office:
        await asyncio.sleep(5)
        office.say({"text": "Hello.", "id": "a"}, received_at=4.0)
        await asyncio.sleep(5)
        assert office.status(id="a")["waited"] == 1000.0


async def test_every_event_and_the_status_tell_what_else_is_to_be_told_of_the_agent() -> None:
    async with open_office() as office:
        office.facts = AgentFacts(room="r1", epoch="e1")
        office.say({"text": "Hello.", "id": "a"}, received_at=0.25)
        office.say(b"{")
        await asyncio.sleep(10)
        told = [*office.events, office.status()]
    assert all(event["room"] == "r1" for event in told)
    assert {event["t0"] for event in office.events if event["state"] != "rejected"} == {1_000_000_000.25}


async def test_events_tell_each_state_with_the_epoch_and_never_the_words() -> None:
    async with open_office() as office:
        office.say({"text": "A canary sings.", "id": "a"})
        await asyncio.sleep(10)
    assert office.states("a") == ["accepted", "speaking", "audible", "done"]
    assert {event["epoch"] for event in office.events} == {"e1"}
    assert office.events[-1]["t3_source"] == "observed"
    assert "canary" not in json.dumps(office.events)


async def test_the_rule_who_may_speak_is_asked_with_all_there_is_to_know() -> None:
    async with open_office() as office:
        office.say({"text": "Hello.", "id": "a", "auth": "signature"})
        office.say(b"Hello.", STRANGER)
        office.stop()
    assert office.asked == [
        ("liba.say", {"text": "Hello.", "id": "a"}, "signature", VIEWER),
        ("liba.say", {"text": "Hello."}, None, STRANGER),
        ("liba.stop", {}, None, VIEWER),
    ]


async def test_who_may_not_is_told_and_the_room_is_not() -> None:
    async with open_office() as office:
        refusal = {"epoch": "e1", "id": "a", "rejected": "unauthorized", "message": "you may not"}
        assert office.say({"text": "Hello.", "id": "a"}, STRANGER) == refusal
        assert office.events == []
        assert office.counted == ["unauthorized"]
        assert office.speaker.find("a") is None


@pytest.mark.parametrize("reason", [*REFUSALS, "a_word_of_the_future"])
async def test_whatever_keeps_somebody_from_speaking_is_no_event(reason: str) -> None:
    async with open_office() as office:
        office.defect = RefusedError(reason, "you may not")
        assert office.say({"text": "Hello.", "id": "a"})["rejected"] == reason
    assert office.events == []
    assert office.counted == [reason]


@pytest.mark.parametrize(
    "body",
    [
        {"text": "Hello."},
        {"text": "..."},
        {"text": ""},
        {"text": "x" * 51},
        {"text": 5},
        {"text": "Hello.", "speed": 1000},
        {},
    ],
    ids=str,
)
@pytest.mark.parametrize("sender", [STRANGER, NOBODY, VIEWER, OTHER], ids=lambda sender: sender.identity)
async def test_no_request_has_a_line_of_another_called_rejected(body: dict[str, Any], sender: Sender) -> None:
    async with open_office() as office:
        office.say({"text": "Hello there.", "id": "victims"})
        await asyncio.sleep(0.5)
        for _ in range(3):
            office.say(body | {"id": "victims"}, sender)
        await asyncio.sleep(10)
        office.say(body | {"id": "victims"}, sender)
    assert office.states("victims") == ["accepted", "speaking", "audible", "done"]


async def test_refusals_of_one_who_may_speak_are_told_to_all_in_bounded_number() -> None:
    async with open_office() as office:
        for number in range(1000):
            assert office.say({"text": "...", "id": f"u{number}"})["rejected"] == "nothing_to_say"
        assert office.say({"text": "...", "id": "o"}, OTHER)["rejected"] == "nothing_to_say"
        told = [event["id"] for event in office.events]
        assert told == [*(f"u{number}" for number in range(100)), "o"]
        assert office.counted == ["nothing_to_say"] * 900
        await asyncio.sleep(60)
        for number in range(1000):
            office.say({"text": "...", "id": f"v{number}"})
    assert len(office.events) == 101 + 60


async def test_who_may_not_speak_may_not_look_or_stop_either() -> None:
    async with open_office() as office:
        office.say({"text": "Hello.", "id": "a"})
        assert office.stop(STRANGER)["rejected"] == "unauthorized"
        assert office.desk.answer(STATUS_METHOD, b"{}", STRANGER, 0.0) == {
            "epoch": "e1",
            "rejected": "unauthorized",
            "message": "you may not",
        }
        assert office.status(id="a")["state"] == "accepted"


async def test_who_asks_is_told_of_as_many_that_ended_last() -> None:
    async with open_office() as office:
        for number in range(4):
            office.say({"text": "Hello.", "id": f"u{number}"})
        await asyncio.sleep(60)
        assert "ended" not in office.status()
        ended = AgentStatus.read(office.status(ended=3)).ended
        assert [(report.id, report.state) for report in ended] == [(f"u{n}", "done") for n in (1, 2, 3)]
        assert all(report.total for report in ended)
        for wrong in (-1, 51, "3", 1e9):
            assert office.status(ended=wrong)["rejected"] == "malformed"


async def test_a_refused_question_is_no_event() -> None:
    async with open_office() as office:
        office.stop(STRANGER)
        office.desk.answer(STATUS_METHOD, b"[]", VIEWER, 0.0)
    assert office.events == []


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "nothing_to_say"),
        (b"   ", "nothing_to_say"),
        ("🎉🎉".encode(), "nothing_to_say"),
        (b'{"text": "..."}', "nothing_to_say"),
        (b"x" * 51, "text_too_long"),
    ],
)
async def test_what_cannot_be_spoken_is_answered_and_announced_with_the_reason(
    payload: bytes, reason: str
) -> None:
    async with open_office() as office:
        answer = office.say(payload)
        assert answer["rejected"] == reason
        assert office.events == [{"state": "rejected"} | TOLD | answer]
        assert office.say(b"Still here.")["position"] == 0


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"{", "malformed"),
        (b"[1]", "malformed"),
        (b"null", "malformed"),
        (b'"Hello."', "malformed"),
        (b"{}", "malformed"),
        (b'{"text": null}', "malformed"),
        (b'{"text": 5}', "malformed"),
        (b'{"text": "a", "text": "b"}', "malformed"),
        (b'{"text": "a", "auth": 5}', "malformed"),
        (b'{"text": "a", "id": ""}', "malformed"),
        (b'{"text": "a", "speed": NaN}', "malformed"),
        (b'{"text": "\\ud800"}', "malformed"),
        (b"\xff", "malformed"),
        (b'{"a":' * 2000, "malformed"),
        (b"x" * (MAX_REQUEST_BYTES + 1), "too_large"),
    ],
)
async def test_what_cannot_be_read_is_answered_and_counted_and_the_room_is_told_nothing(
    payload: bytes, reason: str
) -> None:
    async with open_office() as office:
        assert office.say(payload)["rejected"] == reason
        assert (office.events, office.counted) == ([], [reason])
        assert office.say(b"Still here.")["position"] == 0


@given(payload=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_bytes_make_the_desk_raise(payload: bytes) -> None:
    async def offer() -> None:
        async with open_office() as office:
            for method in (SAY_METHOD, STATUS_METHOD, STOP_METHOD):
                json.dumps(office.desk.answer(method, payload, VIEWER, 0.0))

    asyncio.run(offer())


@pytest.mark.parametrize(
    "defect",
    [
        RecursionError("maximum recursion depth exceeded"),
        UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"),
        KeyError("canary"),
        AssertionError(),
        MemoryError(),
        asyncio.QueueFull(),
        RuntimeError("a canary sings"),
    ],
    ids=lambda defect: type(defect).__name__,
)
async def test_whatever_a_request_does_to_the_agent_its_sender_is_answered_and_others_are_heard(
    defect: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_office() as office:
        office.defect = defect
        for number in range(50):
            for method in (SAY_METHOD, STATUS_METHOD, STOP_METHOD):
                payload = json.dumps({"text": "A canary sings.", "id": f"u{number}"}).encode()
                answer = office.desk.answer(method, payload, STRANGER, 0.0)
                assert (answer["rejected"], answer["epoch"]) == ("internal", "e1")
        office.defect = None
        assert office.say({"text": "Hello.", "id": "a"})["position"] == 0
        await asyncio.sleep(10)
    assert office.states("a")[-1] == "done"
    assert [event["state"] for event in office.events] == ["accepted", "speaking", "audible", "done"]
    assert office.counted == ["internal"] * 150
    told = [record for record in caplog.records if record.levelno > logging.DEBUG]
    assert len(told) == 3  # one for each method
    assert all(type(defect).__name__ in record.getMessage() for record in told)
    assert all("test_desk.py" not in record.getMessage() or record.levelname == "ERROR" for record in told)
    assert "canary" not in " ".join(record.getMessage() for record in told)


async def test_an_id_is_repeated_in_a_refusal_as_far_as_an_id_may_be_long() -> None:
    async with open_office() as office:
        assert office.say({"text": "", "id": "x" * 100})["id"] == "x" * 64
        for unfit in ("\ud800", "a\x1b[2J", "", 5, ["a"], None):
            assert "id" not in office.say({"text": 5, "id": unfit})


async def test_fault_50_a_full_queue_refuses_with_an_event_until_something_was_spoken() -> None:
    async with open_office(queue_limit=1) as office:
        office.say({"text": "One.", "id": "a"})
        await asyncio.sleep(0.1)
        office.say({"text": "Two.", "id": "b"})
        assert office.say({"text": "Three.", "id": "c"})["rejected"] == "queue_full"
        assert office.states("c") == ["rejected"]
        await asyncio.sleep(5)
        assert "rejected" not in office.say({"text": "Three.", "id": "c"})


async def test_who_tries_again_and_again_is_answered_each_time_and_announced_and_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with open_office(queue_limit=1) as office:
        for number in range(2):
            office.say({"text": "A line of some length, to speak.", "id": f"a{number}"})
            await asyncio.sleep(0.1)
        for _ in range(5):
            assert office.say({"text": "Me too.", "id": "b"})["rejected"] == "queue_full"
            await asyncio.sleep(0.2)
        assert office.say({"text": "And me.", "id": "c"})["rejected"] == "queue_full"
        assert office.say({"text": "And I.", "id": "b"}, Sender("another", permission="say"))["rejected"]
        await asyncio.sleep(10)
        assert "rejected" not in office.say({"text": "Me too.", "id": "b"})
    rejected = [event["id"] for event in office.events if event["state"] == "rejected"]
    assert rejected == ["b", "c", "b"]
    told = [record for record in caplog.records if "rejected" in record.message]
    assert len([record for record in told if record.levelname == "WARNING"]) == 3


async def test_a_text_the_voice_cannot_say_is_refused_in_its_words() -> None:
    voice = ScriptedVoice(objection=lambda text: "it speaks English only")
    async with open_office(voice=voice) as office:
        answer = office.say({"text": "你好", "id": "a"})
        assert (answer["rejected"], answer["message"]) == ("unsupported_text", "it speaks English only")


async def test_the_status_of_one_utterance_is_its_report() -> None:
    async with open_office() as office:
        office.say({"text": "Hello.", "id": "a"})
        await asyncio.sleep(10)
        status = office.status(id="a")
        assert (status["epoch"], status["id"], status["state"], status["chars"]) == ("e1", "a", "done", 6)
        assert status["total"] == 780.0


async def test_wait_ignores_queue_a_line_that_waits_is_told_how_long_what_is_before_it_may_take() -> None:
    async with open_office() as office:
        for name, text in {"a": "a" * 50, "b": "Hello. [pause 9s] Bye.", "c": "c", "d": "d"}.items():
            office.say({"text": text, "id": name})
        await asyncio.sleep(0.05)
        assert "ahead_s" not in office.status(id="a")
        ahead_s = [office.status(id=name)["ahead_s"] for name in "bcd"]
        assert ahead_s == pytest.approx([20.0, 41.0, 51.2])
        office.say({"text": "First.", "id": "e", "priority": 1})
        assert office.status(id="d")["ahead_s"] == pytest.approx(62.4)


async def test_the_status_of_an_id_that_nobody_knows_is_unknown() -> None:
    async with open_office() as office:
        assert office.status(id="z") == {"epoch": "e1", "id": "z", "state": "unknown"}


async def test_the_status_without_an_id_is_who_speaks_and_who_waits() -> None:
    async with open_office() as office:
        caps = [{"name": "avatar", "used": 3.0, "limit": 240.0, "unit": "minutes", "resets_in_s": 3600.0}]
        assert office.status() == TOLD | {"speaking": None, "waiting": [], "caps": caps, "worker": "pod-1"}
        for id in "abc":
            office.say({"text": "A canary sings.", "id": id})
        await asyncio.sleep(0.5)
        status = office.status()
        assert (status["speaking"]["id"], status["speaking"]["state"]) == ("a", "audible")
        assert [waiting["id"] for waiting in status["waiting"]] == ["b", "c"]
        assert "canary" not in json.dumps(status)


async def crowded(office: Office) -> None:
    """A thousand lines, with ids and voices that are as long as may be."""
    for number in range(1001):
        answer = office.say({"text": "Hello.", "id": f"{number:\N{SNOWMAN}>64}", "voice": "v" * 64})
        assert "rejected" not in answer
    await asyncio.sleep(0.1)
    office.facts = AgentFacts(epoch="e1", queue=office.speaker.queue_length)


async def test_the_status_of_a_thousand_lines_fits_into_one_answer() -> None:
    async with open_office(queue_limit=1001) as office:
        await crowded(office)
        answer = json.dumps(office.status())
        assert len(answer) <= MAX_ANSWER_BYTES
        status = AgentStatus.read(json.loads(answer))
        assert status.speaking and status.speaking.id.endswith("\N{SNOWMAN}0")
        assert len(status.waiting) >= 20
        assert [report.id for report in status.waiting] == [
            f"{number:\N{SNOWMAN}>64}" for number in range(1, len(status.waiting) + 1)
        ]
        assert len(status.waiting) + status.waiting_left_out == status.facts.queue == 1000


async def test_a_stop_of_a_thousand_lines_fits_into_one_answer() -> None:
    async with open_office(queue_limit=1001) as office:
        await crowded(office)
        answer = office.stop()
        assert len(json.dumps(answer)) <= MAX_ANSWER_BYTES
        assert len(answer["stopped"]) + answer["stopped_left_out"] == 1001
        assert office.speaker.queue_length == 0


async def test_stop_names_what_it_stopped_what_spoke_first() -> None:
    async with open_office() as office:
        for id in "abc":
            office.say({"text": "Hello there.", "id": id})
        await asyncio.sleep(0.5)
        assert office.stop() == {"epoch": "e1", "stopped": ["a", "b", "c"]}
        await asyncio.sleep(0.1)
        assert [office.states(id)[-1] for id in "abc"] == ["interrupted"] * 3
        assert office.stop() == {"epoch": "e1", "stopped": []}


async def test_stop_with_an_id_ends_that_one_alone() -> None:
    async with open_office() as office:
        for id in "abc":
            office.say({"text": "Hello there.", "id": id})
        await asyncio.sleep(0.5)
        assert office.stop(id="b") == {"epoch": "e1", "stopped": ["b"]}
        assert office.stop(id="nobody") == {"epoch": "e1", "stopped": []}
        await asyncio.sleep(20)
        assert [office.states(id)[-1] for id in "abc"] == ["done", "interrupted", "done"]


@pytest.mark.parametrize("wanted", ["", 7, ["a"], "x" * 65, True])
async def test_a_stop_of_what_is_no_id_stops_nothing(wanted: object) -> None:
    async with open_office() as office:
        office.say({"text": "Hello there.", "id": "a"})
        assert office.stop(id=wanted)["rejected"] == "malformed"
        await asyncio.sleep(10)
        assert office.states("a")[-1] == "done"


async def test_a_rejection_is_logged_without_the_words(caplog: pytest.LogCaptureFixture) -> None:
    async with open_office() as office:
        office.say({"text": "A canary sings.", "id": "a"}, STRANGER)
        office.say({"text": "canary " * 20})
        office.say(b'{"text": "canary", }')
    assert "liba.say from stranger rejected: you may not" in caplog.text
    assert len(caplog.records) == 3
    assert "canary" not in caplog.text


async def test_fault_31_a_signed_request_that_comes_three_times_is_carried_out_once() -> None:
    async with open_office() as office:
        first = office.say({"text": "Hello.", "auth": "s1"})
        assert [office.say({"text": "Hello.", "auth": "s1"}) for _ in range(2)] == [first, first]
        await asyncio.sleep(10)
        assert office.say({"text": "Hello.", "auth": "s1"}) == first
        await asyncio.sleep(10)
    assert [event["state"] for event in office.events] == ["accepted", "speaking", "audible", "done"]


async def test_a_stop_that_was_recorded_and_comes_again_stops_nothing_more() -> None:
    async with open_office() as office:
        office.say({"text": "Hello.", "id": "a"})
        recorded = b'{"auth": "s1"}'
        stopped = office.desk.answer(STOP_METHOD, recorded, VIEWER, 0.0)
        assert stopped["stopped"] == ["a"]
        office.say({"text": "Hello.", "id": "b"})
        assert office.desk.answer(STOP_METHOD, recorded, VIEWER, 0.0) == stopped
        await asyncio.sleep(10)
        assert office.states("b")[-1] == "done"


async def test_a_refusal_that_comes_again_is_the_same_and_is_announced_once() -> None:
    async with open_office() as office:
        refusal = office.say({"text": "...", "id": "a", "auth": "s1"})
        assert office.say({"text": "...", "id": "a", "auth": "s1"}) == refusal
    assert office.states("a") == ["rejected"]


async def test_what_is_known_of_an_utterance_is_told_anew_however_often_it_is_asked_for() -> None:
    async with open_office() as office:
        office.say({"text": "Hello.", "id": "a"})
        assert office.status(id="a", auth="s1")["state"] == "accepted"
        await asyncio.sleep(10)
        assert office.status(id="a", auth="s1")["state"] == "done"


async def test_signed_requests_are_remembered_in_bounded_number() -> None:
    async with open_office() as office:
        for number in range(5000):
            office.desk.answer(STOP_METHOD, json.dumps({"auth": f"s{number}"}).encode(), VIEWER, 0.0)
    assert len(office.desk._answered) == 4096


@given(order=st.permutations([0, 0, 0, 1, 1, 2, 2, 3]))
def test_fault_32_an_id_that_is_sent_again_at_any_time_has_the_same_answer_and_one_utterance(
    order: list[int],
) -> None:
    async def send() -> None:
        async with open_office() as office:
            answers: dict[int, dict[str, Any]] = {}
            for number in order:
                answer = office.say({"text": "Hello.", "id": f"u{number}"})
                assert answer["duplicate"] == (number in answers)
                first = answers.setdefault(number, answer)
                assert (answer["id"], answer["epoch"]) == (first["id"], first["epoch"])
                await asyncio.sleep(0.3)
            await asyncio.sleep(20)
            for number in range(4):
                assert office.states(f"u{number}").count("accepted") == 1
                assert office.states(f"u{number}").count("done") == 1

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(send())


async def test_fault_09_a_sender_that_is_too_fast_is_refused_and_told_when_to_try_again() -> None:
    async with open_office(rate_per_minute=6, burst=2) as office:
        for id in "ab":
            assert "rejected" not in office.say({"text": "Hello.", "id": id})
        refusal = office.say({"text": "Hello.", "id": "c"})
        assert (refusal["rejected"], refusal["retry_in_s"]) == ("rate_limited", 10)
        assert refusal["message"].endswith("try again in 10 s")
        assert office.states("c") == ["rejected"]
        assert "rejected" not in office.say(
            {"text": "Hello.", "id": "d"}, Sender("another", permission="say")
        )
        await asyncio.sleep(10)
        assert "rejected" not in office.say({"text": "Hello.", "id": "c"})


async def test_fault_09_ten_thousand_requests_cost_no_more_than_the_caps_allow(
    caplog: pytest.LogCaptureFixture,
) -> None:
    voice = ScriptedVoice()
    async with open_office(voice=voice, rate_per_minute=120, burst=33, max_chars_per_hour=500) as office:
        for number in range(10_000):
            office.say({"text": "0123456789", "id": f"u{number}", "interrupt": number % 2 == 0})
            await asyncio.sleep(0.01)
        await asyncio.sleep(60)
    assert 1 <= len(voice.texts) <= 50
    told = {event["rejected"] for event in office.events if event["state"] == "rejected"}
    assert told == {"rate_limited", "spend_cap"}
    assert 6 <= sum("rejected" in record.message for record in caplog.records) <= 6 + 3 * 6


async def test_a_request_that_is_known_or_refused_otherwise_uses_nothing_up() -> None:
    async with open_office(rate_per_minute=1, burst=2, queue_limit=1) as office:
        office.say({"text": "Hello.", "id": "a"})
        for _ in range(5):
            assert office.say({"text": "Hello.", "id": "a"})["duplicate"]
            assert office.say({"text": "..."})["rejected"] == "nothing_to_say"
            assert "rejected" not in office.status(id="a")
        await asyncio.sleep(0.1)
        assert "rejected" not in office.say({"text": "Hello.", "id": "b"})


async def test_an_interruption_is_no_way_around_a_cap_and_interrupts_nothing_then() -> None:
    async with open_office(rate_per_minute=1, burst=1) as office:
        office.say({"text": "Hello.", "id": "a"})
        refusal = office.say({"text": "Hello.", "id": "b", "interrupt": True})
        assert refusal["rejected"] == "rate_limited"
        await asyncio.sleep(10)
    assert office.states("a")[-1] == "done"


async def test_stop_works_whatever_is_used_up() -> None:
    async with open_office(rate_per_minute=1, burst=1, max_chars_per_hour=6) as office:
        office.say({"text": "Hello.", "id": "a"})
        for _ in range(100):
            assert "rejected" not in office.stop()


async def test_characters_that_never_reached_the_voice_are_given_back() -> None:
    async with open_office(max_chars_per_hour=50) as office:
        for id in "abc":
            office.say({"text": "x" * 16, "id": id})
        await asyncio.sleep(0.1)
        refusal = office.say({"text": "x" * 16, "id": "d"})
        assert (refusal["rejected"], refusal["retry_in_s"]) == ("spend_cap", 3660)
        office.stop()
        await asyncio.sleep(0.1)
        speech = next(cap for cap in office.status()["caps"] if cap["name"] == "speech")
        assert (speech["used"], speech["limit"], speech["unit"]) == (16, 50, "characters")
        assert "rejected" not in office.say({"text": "x" * 16, "id": "d"})


async def test_a_line_that_is_interrupted_costs_what_the_voice_was_asked_for() -> None:
    voice = ScriptedVoice()
    async with open_office(voice=voice, max_chars_per_hour=2000) as office:
        for number in range(30):
            answer = office.say({"text": "word " * 10, "id": f"u{number}", "interrupt": True})
            assert "rejected" not in answer
            await asyncio.sleep(0.1)
        office.stop()
        await asyncio.sleep(5)
        assert office.used() == sum(map(len, voice.texts)) < 30 * 50


async def test_a_line_that_is_spoken_costs_its_characters_from_when_it_is_taken() -> None:
    voice = ScriptedVoice()
    async with open_office(voice=voice, max_chars_per_hour=2000) as office:
        text = "A line of some length. And more."
        for number in range(3):
            office.say({"text": text, "id": f"u{number}"})
        assert office.used() == 3 * len(text)
        await asyncio.sleep(60)
        assert office.used() == sum(map(len, voice.texts))
        assert 3 * len(text) - office.used() < 10  # spaces between chunks


async def test_a_line_whose_voice_fails_costs_what_it_was_asked_for() -> None:
    voice = ScriptedVoice()
    voice.play(VoiceError("no sound"))
    async with open_office(voice=voice, max_chars_per_hour=2000) as office:
        office.say({"text": "A line of some length. " * 2, "id": "a"})
        await asyncio.sleep(20)
        assert office.states("a")[-1] == "failed"
        assert office.used() == sum(map(len, voice.texts)) < 46


async def test_what_guests_use_up_leaves_the_owner_a_quarter() -> None:
    async with open_office(max_chars_per_hour=400, queue_limit=100) as office:
        taken = {GUEST: 0, ANOTHER: 0}
        for number in range(20):
            for guest in taken:
                answer = office.say({"text": "x" * 20, "id": f"{guest.identity}{number}"}, guest)
                taken[guest] += "rejected" not in answer
        assert sum(taken.values()) * 20 == 300
        refused = office.say({"text": "x" * 20}, GUEST)
        assert (refused["rejected"], refused["retry_in_s"]) == ("spend_cap", 3660)
        assert "not kept for the owner" in refused["message"]
        for number in range(5):
            assert "rejected" not in office.say({"text": "x" * 20, "id": f"owner{number}"})
        assert office.say({"text": "x"})["rejected"] == "spend_cap"


async def test_one_guest_alone_leaves_the_others_something() -> None:
    async with open_office(max_chars_per_hour=400, queue_limit=100) as office:
        answers = [office.say({"text": "x" * 20, "id": f"a{number}"}, GUEST) for number in range(20)]
        assert [answer.get("rejected") for answer in answers] == [None] * 10 + ["spend_cap"] * 10
        assert "that one caller may use" in answers[-1]["message"]
        assert "rejected" not in office.say({"text": "x" * 20, "id": "b"}, ANOTHER)
        own = {cap["name"]: cap for cap in office.desk.answer(STATUS_METHOD, b"{}", GUEST, 0.0)["caps"]}
        assert (own["your speech"]["used"], own["your speech"]["limit"]) == (200, 200)


async def test_a_guest_that_is_too_fast_and_fills_the_queue_keeps_the_owner_out_of_nothing() -> None:
    async with open_office(rate_per_minute=120, burst=9, queue_limit=8) as office:
        for number in range(100):
            office.say({"text": "A line of some length.", "id": f"g{number}"}, GUEST)
            await asyncio.sleep(0.08)
        for guest in (GUEST, ANOTHER):
            assert office.say({"text": "Hello."}, guest)["rejected"] == "queue_full"
        for id in "ab":
            assert "rejected" not in office.say({"text": "The owner speaks.", "id": id})
        assert office.say({"text": "Hello.", "id": "c"})["rejected"] == "queue_full"
        await asyncio.sleep(60)
        assert [office.states(id)[-1] for id in "ab"] == ["done"] * 2


@pytest.mark.parametrize(
    "wish", [{"interrupt": True}, {"priority": 1}, {"priority": 100, "interrupt": True}], ids=str
)
async def test_who_may_only_say_waits_its_turn(wish: dict[str, Any]) -> None:
    async with open_office() as office:
        office.say({"text": "Hello.", "id": "a"})
        refused = office.say({"text": "Me first.", "id": "b"} | wish, GUEST)
        assert refused["rejected"] == "unauthorized"
        assert "--can-control" not in refused["message"]
        assert office.stop(GUEST)["rejected"] == "unauthorized"
        for harmless in ({}, {"priority": 0}, {"priority": -5}, {"interrupt": False}):
            assert "rejected" not in office.say({"text": "Hello."} | harmless, GUEST)
        assert "rejected" not in office.say({"text": "Me first.", "id": "c"} | wish)
        await asyncio.sleep(60)
    assert office.states("b") == []  # it is told that, and nobody else


async def test_who_may_only_control_says_nothing() -> None:
    async with open_office() as office:
        office.say({"text": "Hello.", "id": "a"})
        for wish in ({}, {"interrupt": True}, {"priority": 1}):
            assert office.say({"text": "And I.", "id": "b"} | wish, MODERATOR)["rejected"] == "unauthorized"
        assert office.stop(MODERATOR)["stopped"] == ["a"]
        assert "rejected" not in office.desk.answer(STATUS_METHOD, b"{}", MODERATOR, 0.0)


async def test_characters_of_what_has_just_expired_are_given_back_to_the_next_request() -> None:
    async with open_office(max_chars_per_hour=50) as office:
        office.say({"text": "x" * 16, "id": "a"})
        office.say({"text": "x" * 16, "id": "b", "ttl_ms": 100})
        office.say({"text": "x" * 16, "id": "c"})
        await asyncio.sleep(0.2)
        assert "rejected" not in office.say({"text": "x" * 16, "id": "d"})
    assert office.states("b") == ["accepted", "expired"]


async def test_fault_51_what_waited_longer_than_its_sender_or_the_setting_says_is_not_spoken() -> None:
    async with open_office(ttl_s=2.0) as office:
        office.say({"text": "x" * 50, "id": "long"})
        office.say({"text": "Hello.", "id": "default"})
        office.say({"text": "Hello.", "id": "patient", "ttl_ms": 60_000})
        office.say({"text": "Hello.", "id": "hasty", "ttl_ms": 500})
        await asyncio.sleep(20)
    ends = {id: office.states(id)[-1] for id in ("long", "default", "patient", "hasty")}
    assert ends == {"long": "done", "default": "expired", "patient": "done", "hasty": "expired"}


async def test_fault_51_without_a_bound_an_utterance_waits_as_long_as_it_takes() -> None:
    async with open_office(ttl_s=0.0) as office:
        for number in range(20):
            office.say({"text": "x" * 50, "id": f"u{number}"})
        await asyncio.sleep(600)
    assert office.states("u19")[-1] == "done"


async def test_fault_33_two_senders_are_spoken_in_the_order_in_which_they_were_accepted() -> None:
    async with open_office() as office:
        senders = [Sender("one", permission="say"), Sender("two", permission="say")]
        positions = [
            office.say({"text": "Hello.", "id": f"u{number}"}, senders[number % 3 % 2])["position"]
            for number in range(9)
        ]
        await asyncio.sleep(60)
    assert positions == list(range(9))
    spoken = [event["id"] for event in office.events if event["state"] == "speaking"]
    assert spoken == [f"u{number}" for number in range(9)]
