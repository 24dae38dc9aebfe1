from __future__ import annotations

import httpx2
import pytest

from tests.web.fake_gateway import FakeGateway


@pytest.mark.parametrize("body", [{}, {"room": "demo"}, {"room": None}, None])
async def test_it_stops_what_is_spoken_and_what_waits(
    client: httpx2.AsyncClient, gateway: FakeGateway, body: dict[str, str] | None
) -> None:
    for utterance_id in ("u1", "u2"):
        await client.post("/api/say", json={"text": "Hello.", "id": utterance_id})
    gateway.becomes("demo", "u1", "audible")
    answer = await client.post("/api/stop", json=body)
    assert answer.status_code == 200
    assert answer.json() == {"room": "demo", "stopped": ["u1", "u2"]}


async def test_with_an_id_it_ends_that_one_alone(client: httpx2.AsyncClient, gateway: FakeGateway) -> None:
    for utterance_id in ("u1", "u2", "u3"):
        await client.post("/api/say", json={"text": "Hello.", "id": utterance_id})
    assert (await client.post("/api/stop", json={"id": "u2"})).json()["stopped"] == ["u2"]
    assert (await client.post("/api/stop", json={"id": "u2"})).json()["stopped"] == []
    assert (await client.post("/api/stop")).json()["stopped"] == ["u1", "u3"]


async def test_an_empty_id_does_not_stop_everything(client: httpx2.AsyncClient, gateway: FakeGateway) -> None:
    await client.post("/api/say", json={"text": "Hello.", "id": "u1"})
    assert (await client.post("/api/stop", json={"id": ""})).status_code == 422
    assert (await client.post("/api/stop")).json()["stopped"] == ["u1"]


async def test_a_body_is_not_needed(client: httpx2.AsyncClient, gateway: FakeGateway) -> None:
    gateway.comes("demo")
    assert (await client.post("/api/stop")).json() == {"room": "demo", "stopped": []}


async def test_where_there_is_no_agent_nothing_can_be_stopped(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/api/stop", json={"room": "lobby"})
    assert (answer.status_code, answer.json()["reason"]) == (503, "no_agent")
