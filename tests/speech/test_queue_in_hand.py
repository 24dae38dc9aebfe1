"""What is asked of the queue itself at the desk: one line is cancelled or moved, all of them pause."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from libacli.core.protocol import (
    CANCEL_METHOD,
    MOVE_METHOD,
    PAUSE_METHOD,
    RESUME_METHOD,
    STATUS_METHOD,
)
from libacli.speech.fakes import ScriptedVoice
from libacli.speech.permit import Sender
from tests.speech.test_desk import ANOTHER, GUEST, MODERATOR, NOBODY, STRANGER, VIEWER, Office, open_office

METHODS = (CANCEL_METHOD, MOVE_METHOD, PAUSE_METHOD, RESUME_METHOD)
BODIES: dict[str, dict[str, Any]] = {CANCEL_METHOD: {"id": "b"}, MOVE_METHOD: {"id": "b", "to": "first"}}


def ask(office: Office, method: str, sender: Sender = VIEWER, **body: Any) -> dict[str, Any]:
    return office.desk.answer(method, json.dumps(body).encode(), sender, asyncio.get_running_loop().time())


def say(office: Office, *ids: str, sender: Sender = VIEWER, **members: Any) -> None:
    for id in ids:
        answer = office.say({"text": "Hello.", "id": id} | members, sender)
        assert "rejected" not in answer, answer


def waiting(office: Office) -> list[str]:
    return [report["id"] for report in office.status()["waiting"]]


async def test_a_line_that_is_cancelled_ends_as_interrupted_and_the_others_are_spoken() -> None:
    async with open_office() as office:
        say(office, "a", "b", "c")
        await asyncio.sleep(0.1)
        answer = ask(office, CANCEL_METHOD, id="b")
        assert (answer["id"], answer["state"], answer["reason"]) == ("b", "interrupted", "cancelled")
        await asyncio.sleep(10)
        assert office.states("a") == office.states("c") == ["accepted", "speaking", "audible", "done"]
        assert office.states("b") == ["accepted", "interrupted"]


async def test_who_waits_for_a_line_that_is_cancelled_is_told_at_once() -> None:
    async with open_office() as office, asyncio.TaskGroup() as tasks:
        say(office, "a", "b")
        await asyncio.sleep(0.1)
        asked = json.dumps({"id": "b", "level": "done", "wait_ms": 2900}).encode()
        told = tasks.create_task(office.desk.answer_late(STATUS_METHOD, asked, VIEWER, 0.0))
        await asyncio.sleep(0.1)
        ask(office, CANCEL_METHOD, id="b")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert told.done()
        assert (told.result()["state"], told.result()["reason"]) == ("interrupted", "cancelled")


async def test_what_does_not_wait_is_neither_cancelled_nor_moved_and_it_is_said_why() -> None:
    async with open_office() as office:
        say(office, "a")
        await asyncio.sleep(5)
        say(office, "b", "c")
        await asyncio.sleep(0.1)
        for id, reason in (("a", "not_waiting"), ("b", "being_spoken"), ("nobody", "unknown_utterance")):
            assert ask(office, CANCEL_METHOD, id=id)["rejected"] == reason
            assert ask(office, MOVE_METHOD, id=id, to="first")["rejected"] == reason
            assert ask(office, MOVE_METHOD, id="c", before=id)["rejected"] == reason
        assert office.states("b")[-1] == "speaking"
        assert waiting(office) == ["c"]


async def test_a_guest_cancels_his_own_lines_alone_and_moves_and_pauses_nothing() -> None:
    async with open_office() as office:
        say(office, "a")
        say(office, "mine", sender=GUEST)
        say(office, "b")
        await asyncio.sleep(0.1)
        assert ask(office, CANCEL_METHOD, ANOTHER, id="mine")["rejected"] == "not_yours"
        assert ask(office, CANCEL_METHOD, GUEST, id="b")["rejected"] == "not_yours"
        for method in (MOVE_METHOD, PAUSE_METHOD, RESUME_METHOD):
            refused = ask(office, method, GUEST, **BODIES.get(method, {}))
            assert refused["rejected"] == "unauthorized"
        assert waiting(office) == ["mine", "b"]
        assert ask(office, CANCEL_METHOD, GUEST, id="mine")["state"] == "interrupted"
        assert waiting(office) == ["b"]


async def test_who_may_control_cancels_anybodys_unless_he_asks_for_his_own_alone() -> None:
    async with open_office() as office:
        say(office, "a")
        say(office, "b", "c", sender=GUEST)
        await asyncio.sleep(0.1)
        assert ask(office, CANCEL_METHOD, VIEWER, id="b", own=True)["rejected"] == "not_yours"
        assert ask(office, CANCEL_METHOD, VIEWER, id="b")["state"] == "interrupted"
        assert ask(office, CANCEL_METHOD, MODERATOR, id="c")["state"] == "interrupted"


@pytest.mark.parametrize("sender", [STRANGER, NOBODY], ids=["a stranger", "nobody"])
@pytest.mark.parametrize("method", METHODS)
async def test_who_may_not_even_speak_may_nothing_of_it(method: str, sender: Sender) -> None:
    async with open_office() as office:
        say(office, "a", "b", "c")
        assert ask(office, method, sender, **BODIES.get(method, {}))["rejected"] == "unauthorized"
        assert waiting(office)[-2:] == ["b", "c"]
        assert not office.speaker.is_paused


@pytest.mark.parametrize(
    ("method", "body"),
    [
        (CANCEL_METHOD, {}),
        (CANCEL_METHOD, {"id": ""}),
        (CANCEL_METHOD, {"id": 7}),
        (CANCEL_METHOD, {"id": "b", "own": "yes"}),
        (MOVE_METHOD, {"id": "b"}),
        (MOVE_METHOD, {"to": "first"}),
        (MOVE_METHOD, {"id": "b", "to": "up"}),
        (MOVE_METHOD, {"id": "b", "to": ["first"]}),
        (MOVE_METHOD, {"id": "b", "to": "last", "before": "c"}),
        (MOVE_METHOD, {"id": "b", "before": ""}),
    ],
)
async def test_what_is_not_as_it_should_be_changes_nothing(method: str, body: dict[str, Any]) -> None:
    async with open_office() as office:
        say(office, "a", "b", "c")
        await asyncio.sleep(0.1)
        assert ask(office, method, **body)["rejected"] == "malformed"
        assert waiting(office) == ["b", "c"]


async def test_a_line_that_is_moved_takes_the_priority_of_its_place() -> None:
    async with open_office() as office:
        say(office, "a")
        await asyncio.sleep(0.1)
        say(office, "high", priority=5)
        say(office, "b", "c")
        say(office, "low", priority=-5)
        moved = ask(office, MOVE_METHOD, id="c", to="first")
        assert (moved["position"], moved["priority"], moved["state"]) == (1, 5, "accepted")
        assert waiting(office) == ["c", "high", "b", "low"]
        assert ask(office, MOVE_METHOD, id="high", before="b")["priority"] == 0
        assert ask(office, MOVE_METHOD, id="c", to="last")["priority"] == -5
        assert waiting(office) == ["high", "b", "low", "c"]
        say(office, "ordinary")
        assert waiting(office) == ["high", "b", "ordinary", "low", "c"]
        assert office.news == ["moved"] * 3


async def test_a_line_that_is_moved_where_it_is_stays_there() -> None:
    async with open_office() as office:
        say(office, "a", "b")
        await asyncio.sleep(0.1)
        places: list[dict[str, Any]] = [{"to": "first"}, {"to": "last"}, {"before": "b"}]
        for where in places:
            assert ask(office, MOVE_METHOD, id="b", **where)["position"] == 1
        assert waiting(office) == ["b"]


async def test_a_line_that_is_next_after_a_move_is_prepared_for_and_no_other() -> None:
    voice = ScriptedVoice()
    async with open_office(voice=voice) as office:
        office.say({"text": "Hello.", "id": "a"})
        for text in ("Second.", "Third."):
            office.say({"text": text, "id": text})
        await asyncio.sleep(0.5)
        ask(office, MOVE_METHOD, id="Third.", to="first")
        await asyncio.sleep(10)
        spoken = [event["id"] for event in office.events if event["state"] == "speaking"]
        assert spoken == ["a", "Third.", "Second."]


async def test_a_pause_lets_what_is_spoken_end_takes_what_comes_and_begins_nothing() -> None:
    async with open_office() as office:
        say(office, "a", "b")
        await asyncio.sleep(0.1)
        assert ask(office, PAUSE_METHOD) == {"epoch": "e1", "paused": True, "changed": True, "queue": 1}
        assert ask(office, PAUSE_METHOD)["changed"] is False
        assert office.say({"text": "Hello.", "id": "c"})["paused"] is True
        assert ask(office, STATUS_METHOD, id="c")["paused"] is True
        await asyncio.sleep(3600)
        assert office.states("a")[-1] == "done"
        assert "paused" not in ask(office, STATUS_METHOD, id="a")
        assert office.states("b") == office.states("c") == ["accepted"]
        assert ask(office, RESUME_METHOD) == {"epoch": "e1", "paused": False, "changed": True, "queue": 2}
        assert ask(office, RESUME_METHOD)["changed"] is False
        await asyncio.sleep(10)
        assert office.states("b")[-1] == office.states("c")[-1] == "done"
        assert office.news == ["paused", "resumed"]


async def test_nothing_expires_because_of_a_pause_and_what_was_left_of_its_time_runs_after_it() -> None:
    async with open_office(voice=ScriptedVoice(ms_per_char=1000)) as office:
        say(office, "a")  # six seconds
        await asyncio.sleep(0.1)
        say(office, "short", ttl_ms=4000)
        say(office, "long", ttl_ms=20_000)
        await asyncio.sleep(2)
        ask(office, PAUSE_METHOD)
        await asyncio.sleep(3600)
        assert office.states("short") == ["accepted"]
        say(office, "b", priority=1)
        ask(office, RESUME_METHOD)
        await asyncio.sleep(1.9)
        assert waiting(office) == ["short", "long"]
        await asyncio.sleep(0.2)
        assert waiting(office) == ["long"]
        await asyncio.sleep(20)
        assert office.states("short") == ["accepted", "expired"]
        assert office.states("long")[-1] == "done"


async def test_what_was_asked_for_in_advance_is_not_kept_open_over_a_pause() -> None:
    voice = ScriptedVoice()
    async with open_office(voice=voice) as office:
        say(office, "a", "b")
        await asyncio.sleep(0.5)
        asked = len(voice.texts)
        assert asked == 2  # for `b` too
        ask(office, PAUSE_METHOD)
        await asyncio.sleep(60)
        assert len(voice.texts) == asked
        ask(office, RESUME_METHOD)
        await asyncio.sleep(5)
        assert office.states("b")[-1] == "done"


async def test_a_stop_clears_a_paused_queue_which_stays_paused() -> None:
    async with open_office() as office:
        say(office, "a")
        ask(office, PAUSE_METHOD)
        assert office.stop()["stopped"] == ["a"]
        office.say({"text": "Hello.", "id": "b", "interrupt": True})
        await asyncio.sleep(60)
        assert office.states("b") == ["accepted"]


async def test_a_queue_that_is_full_and_paused_says_both() -> None:
    async with open_office(queue_limit=1) as office:
        ask(office, PAUSE_METHOD)
        office.say({"text": "Hello."}, GUEST)
        refused = office.say({"text": "Hello."}, GUEST)
        assert refused["message"] == "1 utterances are waiting already, and the queue is paused"


async def test_an_agent_that_is_told_to_go_waits_for_nothing_that_is_paused_and_says_what_became_of_it() -> (
    None
):
    async with open_office() as office:
        say(office, "a", "b")
        await asyncio.sleep(0.1)
        ask(office, PAUSE_METHOD)
        async with asyncio.timeout(5):
            await office.speaker.drain()
        assert office.states("a")[-1] == "done"
        assert office.states("b")[-1] == "interrupted"
        (ended,) = [event for event in office.events if event["state"] == "interrupted"]
        assert (ended["id"], ended["reason"]) == ("b", "the agent stopped while paused")
        assert ask(office, PAUSE_METHOD)["rejected"] == "draining"


async def test_a_signed_request_that_comes_again_moves_nothing_again() -> None:
    async with open_office() as office:
        say(office, "a", "b", "c")
        await asyncio.sleep(0.1)
        first = ask(office, MOVE_METHOD, id="c", to="first", auth="s1")
        ask(office, MOVE_METHOD, id="b", to="first", auth="s2")
        assert ask(office, MOVE_METHOD, id="c", to="first", auth="s1") == first
        assert waiting(office) == ["b", "c"]
