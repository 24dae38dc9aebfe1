from __future__ import annotations

import httpx2

from libacli.errors import CredentialsError
from tests.web.fake_gateway import FakeGateway


async def test_a_room_tells_its_agent_and_what_is_spoken_and_waits(
    client: httpx2.AsyncClient, gateway: FakeGateway
) -> None:
    for utterance_id in ("u1", "u2"):
        await client.post("/api/say", json={"text": "Hello.", "id": utterance_id})
    gateway.becomes("demo", "u1", "speaking")
    answer = await client.get("/api/rooms/demo")
    assert answer.status_code == 200
    assert answer.json() == {
        "room": "demo",
        "agent": {"name": "liba", "model": "hibari", "voice_state": "", "epoch": "epoch1"},
        "avatar": "ready",
        "queue": 1,
        "paused": False,
        "speaking": {"id": "u1", "state": "speaking"},
        "waiting": [{"id": "u2", "state": "accepted"}],
        "waiting_left_out": 0,
        "caps": [],
    }


async def test_a_room_without_an_agent_is_a_room_too(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/api/rooms/lobby")
    assert answer.status_code == 200
    assert answer.json() == {
        "room": "lobby",
        "agent": None,
        "avatar": None,
        "queue": 0,
        "paused": False,
        "speaking": None,
        "waiting": [],
        "waiting_left_out": 0,
        "caps": [],
    }


async def test_a_room_may_have_a_slash_in_its_name(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/api/rooms/first%20floor%2Fhall")).json()["room"] == "first floor/hall"


async def test_a_room_that_cannot_be_is_refused(client: httpx2.AsyncClient) -> None:
    for name in ("%20demo", "a%00b", "a" * 129):
        answer = await client.get(f"/api/rooms/{name}")
        assert (answer.status_code, answer.json()["reason"]) == (422, "malformed")


async def test_credentials_that_livekit_refuses_are_no_fault_of_the_caller(
    client: httpx2.AsyncClient, gateway: FakeGateway
) -> None:
    gateway.failures["status"] = CredentialsError("LiveKit refused the key", hint="check LIVEKIT_API_KEY")
    answer = await client.get("/api/rooms/demo")
    assert (answer.status_code, answer.json()["reason"]) == (502, "livekit_credentials")
