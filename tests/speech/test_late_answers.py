"""A question that may wait is answered when there is something to say: nobody has to ask again and again."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from libacli.core.protocol import SAY_METHOD, STATUS_METHOD, STOP_METHOD
from libacli.speech.fakes import ScriptedVoice
from libacli.speech.permit import Sender
from tests.speech.test_desk import OTHER, STRANGER, VIEWER, Office, open_office

pytestmark = pytest.mark.anyio


def now() -> float:
    return asyncio.get_running_loop().time()


async def ask(office: Office, sender: Sender = VIEWER, **body: Any) -> tuple[dict[str, Any], float]:
    """The answer, and after how many seconds it came."""
    asked_at = now()
    answer = await office.desk.answer_late(STATUS_METHOD, json.dumps(body).encode(), sender, asked_at)
    return answer, now() - asked_at


@pytest.mark.parametrize(("level", "state"), [("audible", "audible"), ("done", "done")])
async def test_the_answer_comes_when_the_level_is_reached(level: str, state: str) -> None:
    async with open_office() as office:
        office.say({"text": "Hello there.", "id": "a"})
        answer, took_s = await ask(office, id="a", level=level, wait_ms=2900)
        utterance = office.speaker.find("a")
        assert utterance
        assert utterance.state == answer["state"] == state
        assert 0 < took_s < 2.9
        if level == "done":
            assert utterance.ended_at == now()


async def test_the_answer_comes_when_the_time_is_over_and_says_how_far_it_is() -> None:
    async with open_office() as office:
        office.say({"text": "A text that takes a good while to be spoken.", "id": "a"})
        office.say({"text": "The next one.", "id": "b"})
        answer, took_s = await ask(office, id="b", level="audible", wait_ms=300)
        assert (answer["state"], answer["id"], answer["epoch"]) == ("accepted", "b", "e1")
        assert took_s == pytest.approx(0.3)


async def test_no_answer_is_later_than_livekit_lets_it_be() -> None:
    async with open_office() as office:
        office.say({"text": "A text that takes a good while to be spoken.", "id": "a"})
        office.say({"text": "And another one that takes as long again.", "id": "b"})
        office.say({"text": "The next one.", "id": "c"})
        _, took_s = await ask(office, id="c", level="done", wait_ms=60_000)
        assert took_s <= 2.9


@pytest.mark.parametrize("how", ["stopped", "interrupted"])
async def test_an_end_before_the_level_is_told_at_once(how: str) -> None:
    async with open_office() as office, asyncio.TaskGroup() as tasks:
        office.say({"text": "A text that takes a good while to be spoken.", "id": "a"})
        waiting = tasks.create_task(ask(office, id="a", level="done", wait_ms=2900))
        await asyncio.sleep(0.5)
        if how == "stopped":
            office.stop()
        else:
            office.say({"text": "Me first.", "id": "b", "interrupt": True})
        answer, took_s = await waiting
        assert answer["state"] == "interrupted"
        assert took_s == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(
    "body",
    [
        {"id": "a", "level": "done"},
        {"id": "a", "level": "done", "wait_ms": 0},
        {"id": "a", "level": "accepted", "wait_ms": 2000},
        {"id": "a", "level": "of another version", "wait_ms": 2000},
        {"id": "a", "wait_ms": 2000},
        {"id": "nobody", "level": "done", "wait_ms": 2000},
        {"level": "done", "wait_ms": 2000},
        {"id": "a", "level": None, "wait_ms": None},
    ],
)
async def test_what_nothing_is_to_be_waited_for_is_answered_at_once(body: dict[str, Any]) -> None:
    async with open_office() as office:
        office.say({"text": "Hello there.", "id": "a"})
        answer, took_s = await ask(office, **body)
        assert took_s == 0
        assert answer["epoch"] == "e1"
        assert "rejected" not in answer


async def test_what_is_over_already_is_answered_at_once() -> None:
    async with open_office() as office:
        office.say({"text": "Hello.", "id": "a"})
        await asyncio.sleep(10)
        answer, took_s = await ask(office, id="a", level="done", wait_ms=2000)
        assert (answer["state"], took_s) == ("done", 0)


@pytest.mark.parametrize("wait_ms", ["2000", True, -1, [2000]])
async def test_a_time_that_is_none_is_refused(wait_ms: object) -> None:
    async with open_office() as office:
        office.say({"text": "Hello there.", "id": "a"})
        answer, took_s = await ask(office, id="a", level="done", wait_ms=wait_ms)
        assert (answer["rejected"], took_s) == ("malformed", 0)


async def test_a_stranger_waits_for_nothing() -> None:
    async with open_office() as office:
        office.say({"text": "Hello there.", "id": "a"})
        answer, took_s = await ask(office, STRANGER, id="a", level="done", wait_ms=2000)
        assert (answer["rejected"], took_s) == ("unauthorized", 0)


async def test_of_one_sender_so_many_wait_and_the_next_is_answered_at_once_and_others_wait_still() -> None:
    async with open_office() as office, asyncio.TaskGroup() as tasks:
        office.say({"text": "A text that takes a good while to be spoken.", "id": "a"})
        office.say({"text": "The next one.", "id": "b"})
        waiting = [tasks.create_task(ask(office, id="b", level="done", wait_ms=1000)) for _ in range(64)]
        await asyncio.sleep(0.1)
        _, took_s = await ask(office, id="b", level="done", wait_ms=1000)
        assert took_s == 0
        _, took_s = await ask(office, OTHER, id="b", level="done", wait_ms=100)
        assert took_s == pytest.approx(0.1)
        assert {round((await one)[1], 6) for one in waiting} == {1.0}
        _, took_s = await ask(office, id="b", level="done", wait_ms=100)
        assert took_s == pytest.approx(0.1)


async def test_altogether_no_more_wait_than_may() -> None:
    async with open_office() as office, asyncio.TaskGroup() as tasks:
        office.say({"text": "A text that takes a good while to be spoken.", "id": "a"})
        office.say({"text": "The next one.", "id": "b"})
        for number in range(512):
            sender = Sender(f"viewer-{number % 16}", permission="say")
            tasks.create_task(ask(office, sender, id="b", level="done", wait_ms=1000))
        await asyncio.sleep(0.1)
        _, took_s = await ask(office, id="b", level="done", wait_ms=1000)
        assert took_s == 0


async def test_who_gives_up_waiting_leaves_nothing_behind() -> None:
    async with open_office() as office:
        office.say({"text": "A text that takes a good while to be spoken.", "id": "a"})
        for _ in range(100):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.001):
                    await ask(office, id="a", level="done", wait_ms=2000)
        _, took_s = await ask(office, id="a", level="audible", wait_ms=100)
        assert took_s > 0 or office.states("a")[-1] == "audible"


@pytest.mark.parametrize("method", [SAY_METHOD, STOP_METHOD])
async def test_other_requests_are_answered_at_once_whatever_they_say(method: str) -> None:
    async with open_office(voice=ScriptedVoice()) as office:
        body = json.dumps({"text": "Hello.", "id": "a", "level": "done", "wait_ms": 2000}).encode()
        await office.desk.answer_late(method, body, VIEWER, now())
        assert now() == 0
