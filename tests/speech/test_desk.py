from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.core.messages import MAX_REQUEST_BYTES
from libacli.errors import RefusedError
from libacli.speech.desk import Desk, Sender
from libacli.speech.fakes import RecordingSink, ScriptedVoice
from libacli.speech.speaker import Speaker

VIEWER = Sender("viewer", may_say=True)
STRANGER = Sender("stranger")


class Office:
    """A desk in front of a speaker that is at work, and what it announced."""

    def __init__(self, voice: ScriptedVoice, queue_limit: int) -> None:
        self.asked: list[tuple[str, dict[str, Any], str | None, Sender]] = []
        self.events: list[dict[str, Any]] = []
        self.described: dict[str, Any] = {}
        self.speaker = Speaker(
            voice,
            RecordingSink(),
            on_change=lambda changed: self.desk.report(changed),
            queue_limit=queue_limit,
        )
        self.desk = Desk(
            self.speaker,
            epoch="e1",
            describe=lambda: self.described,
            wall_clock=lambda at: 1_000_000_000 + at,
            authorise=self._authorise,
            announce=self.events.append,
            max_text_chars=50,
        )

    def say(self, body: object, sender: Sender = VIEWER, received_at: float = 0.0) -> dict[str, Any]:
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.desk.say(payload, sender, received_at)

    def status(self, **body: object) -> dict[str, Any]:
        return self.desk.status(json.dumps(body).encode(), VIEWER, 0.0)

    def stop(self, sender: Sender = VIEWER) -> dict[str, Any]:
        return self.desk.stop(b"{}", sender, 0.0)

    def states(self, id: str) -> list[str]:
        return [event["state"] for event in self.events if event.get("id") == id]

    def _authorise(self, method: str, body: Mapping[str, Any], auth: str | None, sender: Sender) -> None:
        self.asked.append((method, dict(body), auth, sender))
        if not sender.may_say:
            raise RefusedError("you may not", reason="unauthorized")


@asynccontextmanager
async def open_office(*, voice: ScriptedVoice | None = None, queue_limit: int = 32) -> AsyncIterator[Office]:
    office = Office(voice or ScriptedVoice(), queue_limit)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(office.speaker.run())
        await asyncio.sleep(0)
        yield office
        running.cancel()


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
        office.described = {"room": "r1", "queue": 0}
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


async def test_who_may_not_is_told_and_so_is_the_room() -> None:
    async with open_office() as office:
        refusal = {"epoch": "e1", "id": "a", "rejected": "unauthorized", "message": "you may not"}
        assert office.say({"text": "Hello.", "id": "a"}, STRANGER) == refusal
        assert office.events == [{"state": "rejected"} | refusal]
        assert office.speaker.find("a") is None


async def test_who_may_not_speak_may_not_look_or_stop_either() -> None:
    async with open_office() as office:
        office.say({"text": "Hello.", "id": "a"})
        assert office.stop(STRANGER)["rejected"] == "unauthorized"
        assert office.desk.status(b"{}", STRANGER, 0.0) == {
            "epoch": "e1",
            "rejected": "unauthorized",
            "message": "you may not",
        }
        assert office.status(id="a")["state"] == "accepted"


async def test_a_refused_question_is_no_event() -> None:
    async with open_office() as office:
        office.stop(STRANGER)
        office.desk.status(b"[]", VIEWER, 0.0)
    assert office.events == []


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "nothing_to_say"),
        (b"   ", "nothing_to_say"),
        ("🎉🎉".encode(), "nothing_to_say"),
        (b'{"text": "..."}', "nothing_to_say"),
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
        (b"x" * 51, "text_too_long"),
        (b"x" * (MAX_REQUEST_BYTES + 1), "too_large"),
    ],
)
async def test_what_cannot_be_spoken_is_answered_and_announced_with_the_reason(
    payload: bytes, reason: str
) -> None:
    async with open_office() as office:
        answer = office.say(payload)
        assert answer["rejected"] == reason
        assert office.events == [{"state": "rejected"} | answer]
        assert office.say(b"Still here.")["position"] == 0


@given(payload=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_bytes_make_the_desk_raise(payload: bytes) -> None:
    async def offer() -> None:
        async with open_office() as office:
            for ask in (office.desk.say, office.desk.status, office.desk.stop):
                json.dumps(ask(payload, VIEWER, 0.0))

    asyncio.run(offer())


async def test_an_id_is_repeated_in_a_refusal_as_far_as_an_id_may_be_long() -> None:
    async with open_office() as office:
        assert office.say({"text": "", "id": "x" * 100})["id"] == "x" * 64


async def test_a_full_queue_refuses_until_something_was_spoken() -> None:
    async with open_office(queue_limit=1) as office:
        office.say({"text": "One.", "id": "a"})
        await asyncio.sleep(0.1)
        office.say({"text": "Two.", "id": "b"})
        assert office.say({"text": "Three.", "id": "c"})["rejected"] == "queue_full"
        assert office.states("c") == ["rejected"]
        await asyncio.sleep(5)
        assert "rejected" not in office.say({"text": "Three.", "id": "c"})


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


async def test_the_status_of_an_id_that_nobody_knows_is_unknown() -> None:
    async with open_office() as office:
        assert office.status(id="z") == {"epoch": "e1", "id": "z", "state": "unknown"}


async def test_the_status_without_an_id_is_who_speaks_and_who_waits() -> None:
    async with open_office() as office:
        assert office.status() == {"epoch": "e1", "speaking": None, "waiting": []}
        for id in "abc":
            office.say({"text": "A canary sings.", "id": id})
        await asyncio.sleep(0.5)
        status = office.status()
        assert (status["speaking"]["id"], status["speaking"]["state"]) == ("a", "audible")
        assert [waiting["id"] for waiting in status["waiting"]] == ["b", "c"]
        assert "canary" not in json.dumps(status)


async def test_stop_names_what_it_stopped_what_spoke_first() -> None:
    async with open_office() as office:
        for id in "abc":
            office.say({"text": "Hello there.", "id": id})
        await asyncio.sleep(0.5)
        assert office.stop() == {"epoch": "e1", "stopped": ["a", "b", "c"]}
        await asyncio.sleep(0.1)
        assert [office.states(id)[-1] for id in "abc"] == ["interrupted"] * 3
        assert office.stop() == {"epoch": "e1", "stopped": []}


async def test_a_rejection_is_logged_without_the_words(caplog: pytest.LogCaptureFixture) -> None:
    async with open_office() as office:
        office.say({"text": "A canary sings.", "id": "a"}, STRANGER)
        office.say({"text": "canary " * 20})
        office.say(b'{"text": "canary", }')
    assert "liba.say from stranger rejected: you may not" in caplog.text
    assert len(caplog.records) == 3
    assert "canary" not in caplog.text
