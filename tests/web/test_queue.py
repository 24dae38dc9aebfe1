"""What is asked of a queue over HTTP; who may is in `test_access_matrix`."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from libacli.web.services import WebApp
from tests.web.conftest import connected, enter
from tests.web.fake_gateway import FakeGateway

QUEUE = "/api/rooms/demo/queue"


@pytest.fixture(autouse=True)
async def agent(client: httpx2.AsyncClient, gateway: FakeGateway) -> None:
    """One that speaks `u1`, and has two more wait."""
    for id in ("u1", "u2", "u3"):
        await client.post("/api/say", json={"text": "Hello.", "id": id})
    gateway.becomes("demo", "u1", "audible")


async def waiting(client: httpx2.AsyncClient) -> list[str]:
    return [report["id"] for report in (await client.get("/api/rooms/demo")).json()["waiting"]]


async def test_a_line_is_cancelled_and_who_asks_about_it_is_told(client: httpx2.AsyncClient) -> None:
    answer = await client.delete(f"{QUEUE}/u2")
    assert answer.status_code == 200
    assert (answer.json()["room"], answer.json()["id"]) == ("demo", "u2")
    assert answer.json()["report"]["reason"] == "cancelled"
    assert (await client.get("/api/say/u2")).json()["state"] == "interrupted"
    assert await waiting(client) == ["u3"]


@pytest.mark.parametrize(
    ("id", "status", "reason"),
    [("u1", 409, "being_spoken"), ("nobody", 404, "unknown_utterance"), ("gone", 409, "not_waiting")],
)
async def test_what_does_not_wait_is_neither_cancelled_nor_moved(
    client: httpx2.AsyncClient, gateway: FakeGateway, id: str, status: int, reason: str
) -> None:
    gateway.agents["demo"].reports["gone"] = {"id": "gone", "state": "done"}
    for answer in (
        await client.delete(f"{QUEUE}/{id}"),
        await client.post(f"{QUEUE}/{id}/move", json={"to": "first"}),
        await client.post(f"{QUEUE}/u3/move", json={"before": id}),
    ):
        assert (answer.status_code, answer.json()["reason"]) == (status, reason)
    assert await waiting(client) == ["u2", "u3"]


@pytest.mark.parametrize("where", [{"to": "first"}, {"before": "u2"}])
async def test_a_line_is_moved_and_its_place_is_told(
    client: httpx2.AsyncClient, where: dict[str, str]
) -> None:
    answer = await client.post(f"{QUEUE}/u3/move", json=where)
    assert answer.json() == {"room": "demo", "id": "u3", "position": 1, "priority": 0}
    assert await waiting(client) == ["u3", "u2"]


@pytest.mark.parametrize(
    "body", [None, {}, {"to": "up"}, {"to": "first", "before": "u2"}, {"before": ""}, {"first": True}]
)
async def test_a_move_to_nowhere_is_refused(
    client: httpx2.AsyncClient, gateway: FakeGateway, body: dict[str, Any] | None
) -> None:
    answer = await client.post(f"{QUEUE}/u3/move", json=body)
    assert answer.status_code == 422
    assert "move" not in gateway.calls


async def test_a_pause_is_told_to_who_asks_says_something_and_follows(client: httpx2.AsyncClient) -> None:
    told = {"room": "demo", "paused": True, "changed": True, "queue": 2, "journaled": None}
    assert (await client.post(f"{QUEUE}/pause")).json() == told
    assert (await client.post(f"{QUEUE}/pause")).json() == told | {"changed": False}
    assert (await client.get("/api/rooms/demo")).json()["paused"] is True
    assert (await client.post(f"{QUEUE}/resume")).json() == told | {"paused": False}
    assert (await client.get("/api/rooms/demo")).json()["paused"] is False


async def test_a_session_that_may_not_control_cancels_what_it_has_said_alone(
    app: WebApp, gateway: FakeGateway
) -> None:
    async with connected(app) as guest:
        headers = await enter(app, "demo", can_say=True)
        await guest.post("/api/say", json={"text": "Mine.", "id": "mine"}, headers=headers)
        refused = await guest.delete(f"{QUEUE}/u2", headers=headers)
        assert (refused.status_code, refused.json()["reason"]) == (403, "not_yours")
        assert (await guest.delete(f"{QUEUE}/mine", headers=headers)).status_code == 200
    assert gateway.agents["demo"].reports["u2"]["state"] == "accepted"


async def test_an_agent_that_is_too_old_is_named_as_such(
    client: httpx2.AsyncClient, gateway: FakeGateway
) -> None:
    from libacli.core.reasons import refusal

    gateway.failures["pause"] = refusal("old_agent", "the agent is too old: it has no liba.pause")
    answer = await client.post(f"{QUEUE}/pause")
    assert (answer.status_code, answer.json()["reason"]) == (502, "old_agent")
    assert answer.json()["hint"]


async def test_a_go_ahead_is_given_to_the_line_that_is_held_longest_or_to_one_of_them(
    client: httpx2.AsyncClient, gateway: FakeGateway
) -> None:
    for id in ("u2", "u3"):
        gateway.agents["demo"].reports[id]["standby"] = True
    answers = [
        await client.post("/api/rooms/demo/next", json=body) for body in ({"id": "u3"}, None, {"id": "u3"})
    ]
    assert [answer.json() for answer in answers] == [
        {"room": "demo", "id": "u3", "released": True},
        {"room": "demo", "id": "u2", "released": True},
        {"room": "demo", "id": "u3", "released": False},
    ]
    refused = await client.post("/api/rooms/demo/next")
    assert (refused.status_code, refused.json()["reason"]) == (409, "nothing_on_standby")


async def test_where_there_is_no_agent_there_is_no_queue(client: httpx2.AsyncClient) -> None:
    for answer in (
        await client.delete("/api/rooms/lobby/queue/u2"),
        await client.post("/api/rooms/lobby/queue/u2/move", json={"to": "last"}),
        await client.post("/api/rooms/lobby/queue/pause"),
        await client.post("/api/rooms/lobby/next"),
    ):
        assert (answer.status_code, answer.json()["reason"]) == (503, "no_agent")
