from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import pytest

from libacli.config import Settings
from libacli.web.app import make_app
from libacli.web.keys import new_key
from libacli.web.services import WebApp
from tests.web.conftest import enter
from tests.web.fake_gateway import FakeGateway

KEY, ENTRY = new_key("laptop")
BY_KEY = {"Authorization": f"Bearer {KEY}"}


@pytest.fixture
def app(gateway: FakeGateway) -> WebApp:
    return make_app(Settings(serve_keys=(ENTRY,)), gateway)


async def listed(client: httpx2.AsyncClient) -> list[dict[str, Any]]:
    answer = await client.get("/api/sessions", headers=BY_KEY)
    assert answer.status_code == 200
    return list(answer.json()["sessions"])


async def watching(client: httpx2.AsyncClient, gateway: FakeGateway, headers: dict[str, str]) -> str:
    """Who the session is in its room, where it is now."""
    identity = str((await client.post("/api/token", headers=headers)).json()["identity"])
    gateway.present.add(identity)
    return identity


async def guest_of(client: httpx2.AsyncClient, headers: dict[str, str]) -> dict[str, str]:
    """The headers of somebody who comes by the link of a session."""
    url = (await client.post("/api/link", headers=headers)).json()["url"]
    told = (await client.post("/api/session", json={"code": url.partition("code=")[2]})).json()
    return {"Authorization": f"Bearer {told['session']}"}


async def test_whose_own_the_server_is_sees_whom_it_has_let_in_and_no_secret(
    app: WebApp, client: httpx2.AsyncClient, gateway: FakeGateway
) -> None:
    assert await listed(client) == []
    speaker = await enter(app, "lobby", can_say=True)
    identity = await watching(client, gateway, speaker)
    await guest_of(client, speaker)
    host, guest = await listed(client)
    assert host == {
        "name": host["name"],
        "room": "lobby",
        "can_say": True,
        "can_control": False,
        "is_guest": False,
        "identity": identity,
        "live_tokens": 1,
        "expires_in_s": 43200,
    }
    assert (guest["name"], guest["is_guest"], guest["can_say"]) == (host["name"], True, False)
    assert guest["identity"] != identity
    assert speaker["Authorization"].removeprefix("Bearer ") not in str(host)


async def test_a_session_that_is_ended_opens_nothing_any_more_and_its_viewers_are_put_out(
    app: WebApp, client: httpx2.AsyncClient, gateway: FakeGateway
) -> None:
    speaker, other = await enter(app, "demo", can_say=True), await enter(app, "demo", can_say=True)
    guest = await guest_of(client, speaker)
    identities = [await watching(client, gateway, headers) for headers in (speaker, guest)]
    name = (await listed(client))[0]["name"]
    answer = await client.delete(f"/api/sessions/{name}", headers=BY_KEY)
    assert (answer.status_code, answer.json()) == (200, {"identities": identities})
    assert sorted(gateway.removed) == sorted(("demo", identity) for identity in identities)
    for headers in (speaker, guest):
        assert (await client.post("/api/say", json={"text": "Hello."}, headers=headers)).status_code == 401
        assert (await client.post("/api/token", headers=headers)).status_code == 401
    assert (await client.post("/api/say", json={"text": "Hello."}, headers=other)).status_code == 202
    assert (await client.delete(f"/api/sessions/{name}", headers=BY_KEY)).status_code == 404


async def test_who_was_let_in_ends_his_own_session_and_nobody_elses(
    app: WebApp, client: httpx2.AsyncClient, gateway: FakeGateway
) -> None:
    hers, his = [await enter(app, "demo", can_say=True) for _ in range(2)]
    identity = await watching(client, gateway, hers)
    await watching(client, gateway, his)
    for refused in (
        await client.get("/api/sessions", headers=his),
        await client.delete(f"/api/sessions/{(await listed(client))[0]['name']}", headers=his),
    ):
        assert (refused.status_code, refused.json()["reason"]) == (403, "owner_only")
    assert (await client.delete("/api/session", headers=hers)).json() == {"identities": [identity]}
    assert gateway.removed == [("demo", identity)]
    assert (await client.get("/api/rooms/demo", headers=hers)).status_code == 401
    assert (await client.get("/api/rooms/demo", headers=his)).status_code == 200


async def test_a_key_is_no_session_and_ends_none(app: WebApp, client: httpx2.AsyncClient) -> None:
    await enter(app, "demo", can_say=False)
    assert (await client.delete("/api/session", headers=BY_KEY)).json() == {"identities": []}
    assert len(await listed(client)) == 1


async def test_the_server_puts_out_whose_session_is_over_without_being_asked(
    app: WebApp, client: httpx2.AsyncClient, gateway: FakeGateway
) -> None:
    identity = await watching(client, gateway, await enter(app, "demo", can_say=False))
    await app.services.sessions.end_named((await app.services.sessions.all())[0].name)
    await asyncio.sleep(6)
    assert gateway.removed == [("demo", identity)]
