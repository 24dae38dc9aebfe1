"""Lines that wait for somebody's go-ahead, at the desk: what passes them, and how soon they are heard."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from libacli.core.messages import SayRequest
from libacli.core.protocol import CANCEL_METHOD, MOVE_METHOD, NEXT_METHOD, PAUSE_METHOD, RESUME_METHOD
from libacli.core.timeline import Timeline
from libacli.core.utterance import Utterance
from libacli.errors import VoiceError
from libacli.speech.fakes import ScriptedVoice
from libacli.speech.permit import Sender
from tests.speech.test_desk import GUEST, VIEWER, Office, open_office

SPOKEN = ["accepted", "speaking", "audible", "done"]


def ask(office: Office, method: str, sender: Sender = VIEWER, **body: Any) -> dict[str, Any]:
    return office.desk.answer(method, json.dumps(body).encode(), sender, asyncio.get_running_loop().time())


def stand_by(office: Office, id: str, text: str = "Hello.", sender: Sender = VIEWER) -> dict[str, Any]:
    return office.say({"text": text, "id": id, "standby": True}, sender)


async def test_a_held_line_waits_for_its_go_ahead_however_long_that_takes() -> None:
    async with open_office(ttl_s=5.0) as office:
        assert stand_by(office, "a") == {
            "epoch": "e1",
            "id": "a",
            "position": 0,
            "duplicate": False,
            "standby": True,
        }
        await asyncio.sleep(3600)
        assert office.status(id="a")["standby"] is True
        assert ask(office, NEXT_METHOD) == {"epoch": "e1", "id": "a", "released": True}
        await asyncio.sleep(5)
        assert office.states("a") == SPOKEN
        assert office.news == ["released"]


async def test_a_line_that_was_held_is_heard_without_waiting_for_the_voice() -> None:
    async with open_office(voice=ScriptedVoice(first_byte_s=0.9)) as office:
        stand_by(office, "a")
        office.say({"text": "Hello.", "id": "b"})
        await asyncio.sleep(10)
        ask(office, NEXT_METHOD)
        await asyncio.sleep(10)
        first, later = office.status(id="b"), office.status(id="a")
        assert (first["d01"], later["d01"]) == (900.0, 0.0)
        assert later["total"] < 2000  # its time begins with the go-ahead


async def test_what_others_say_meanwhile_passes_it() -> None:
    async with open_office() as office:
        stand_by(office, "a")
        office.say({"text": "Hello.", "id": "b"})
        await asyncio.sleep(5)
        assert office.states("b") == SPOKEN
        assert office.states("a") == ["accepted"]
        assert [report["id"] for report in office.status()["waiting"]] == ["a"]


async def test_without_an_id_the_one_goes_that_is_held_longest() -> None:
    async with open_office() as office:
        for id in ("a", "b", "c"):
            stand_by(office, id)
        assert ask(office, NEXT_METHOD, id="b")["id"] == "b"
        assert [ask(office, NEXT_METHOD)["id"] for _ in range(2)] == ["a", "c"]
        assert ask(office, NEXT_METHOD)["rejected"] == "nothing_on_standby"


async def test_a_go_ahead_that_comes_twice_is_given_once() -> None:
    async with open_office() as office:
        stand_by(office, "a")
        assert [ask(office, NEXT_METHOD, id="a")["released"] for _ in range(2)] == [True, False]
        await asyncio.sleep(5)
        assert ask(office, NEXT_METHOD, id="a")["released"] is False
        assert office.states("a") == SPOKEN
        assert ask(office, NEXT_METHOD, id="nobody")["rejected"] == "unknown_utterance"


async def test_who_may_only_speak_holds_nothing_and_gives_no_go_ahead() -> None:
    async with open_office() as office:
        stand_by(office, "a")
        assert stand_by(office, "b", sender=GUEST)["rejected"] == "unauthorized"
        assert ask(office, NEXT_METHOD, GUEST)["rejected"] == "unauthorized"


async def test_a_line_does_not_both_interrupt_and_wait() -> None:
    async with open_office() as office:
        answer = office.say({"text": "Hello.", "standby": True, "interrupt": True})
        assert answer["rejected"] == "malformed"


async def test_a_stop_ends_what_is_held_and_a_cancel_one_of_them() -> None:
    async with open_office() as office:
        for id in ("a", "b", "c"):
            stand_by(office, id)
        assert ask(office, CANCEL_METHOD, id="b")["state"] == "interrupted"
        assert office.stop()["stopped"] == ["a", "c"]
        assert office.states("c") == ["accepted", "interrupted"]


async def test_a_held_line_has_no_place_that_another_could_go_before() -> None:
    async with open_office() as office:
        stand_by(office, "a")
        ask(office, PAUSE_METHOD)
        office.say({"text": "Hello.", "id": "b"})
        assert ask(office, MOVE_METHOD, id="a", to="first")["rejected"] == "on_standby"
        assert ask(office, MOVE_METHOD, id="b", before="a")["rejected"] == "on_standby"
        assert ask(office, MOVE_METHOD, id="b", to="last")["position"] == 0


async def test_a_go_ahead_in_a_paused_queue_waits_for_the_queue() -> None:
    async with open_office() as office:
        ask(office, PAUSE_METHOD)
        stand_by(office, "a")
        ask(office, NEXT_METHOD)
        await asyncio.sleep(5)
        assert office.states("a") == ["accepted"]
        ask(office, RESUME_METHOD)
        await asyncio.sleep(5)
        assert office.states("a") == SPOKEN


async def test_held_lines_count_among_those_that_wait() -> None:
    async with open_office(queue_limit=1) as office:
        stand_by(office, "a")
        refused = [office.say({"text": "Hello.", "id": id}) for id in ("b", "c")]
        assert refused[-1]["rejected"] == "queue_full"


async def test_a_voice_that_failed_while_it_was_held_is_asked_again() -> None:
    voice = ScriptedVoice()
    voice.play(0.1, VoiceError("the voice is away"))
    async with open_office(voice=voice) as office:
        stand_by(office, "a")
        await asyncio.sleep(60)
        ask(office, NEXT_METHOD)
        await asyncio.sleep(5)
        assert office.states("a") == SPOKEN
        assert voice.texts == ["Hello.", "Hello."]


async def test_a_line_that_an_agent_before_this_one_held_is_held_on() -> None:
    async with open_office() as office:
        request = SayRequest("Hello.", id="a", standby=True)
        office.speaker.take_up(Utterance(request, Timeline(t0=asyncio.get_running_loop().time())))
        await asyncio.sleep(60)
        assert office.states("a") == ["accepted"]
        ask(office, NEXT_METHOD)
        await asyncio.sleep(5)
        assert office.states("a") == SPOKEN


@pytest.mark.parametrize("others", [0, 3])
async def test_an_agent_that_ends_waits_for_no_go_ahead(others: int) -> None:
    async with open_office() as office:
        stand_by(office, "a")
        for number in range(others):
            office.say({"text": "Hello.", "id": f"{number}"})
        async with asyncio.timeout(20):
            await office.speaker.drain()
        assert office.states("a") == ["accepted", "interrupted"]
        assert all(office.states(f"{number}") == SPOKEN for number in range(others))
