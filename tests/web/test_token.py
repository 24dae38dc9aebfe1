from __future__ import annotations

import re
from typing import Any

import httpx2
import pytest

from libacli.config import Settings
from libacli.core.connection_details import ConnectionDetails
from libacli.web.app import make_app
from libacli.web.auth import Caller
from libacli.web.models.token import TokenBody
from libacli.web.problems import Problem
from libacli.web.services import WebApp
from libacli.web.token import make_token
from tests.web.conftest import connected, enter
from tests.web.fake_gateway import FakeGateway


async def test_a_token_is_for_one_watcher_of_the_room_of_the_settings(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/api/token")
    assert answer.status_code == 200
    told = answer.json()
    assert re.fullmatch("viewer-[0-9a-f]{6}", told["identity"])
    assert told == {
        "url": "ws://127.0.0.1:7880",
        "room": "demo",
        "identity": told["identity"],
        "token": f"token of {told['identity']} for demo",
        "valid_for_s": 600,
        "can_say": False,
        "can_control": False,
    }


async def test_the_key_of_an_encrypted_room_comes_with_the_token(
    client: httpx2.AsyncClient, gateway: FakeGateway
) -> None:
    gateway.e2ee_key = "a key"
    assert (await client.post("/api/token")).json()["e2ee_key"] == "a key"
    assert (await client.get("/token")).json()["e2ee_key"] == "a key"


async def test_what_is_asked_for_comes_to_the_gateway(
    client: httpx2.AsyncClient, gateway: FakeGateway
) -> None:
    wanted = {"room": "lobby", "identity": "ann", "can_say": True, "valid_for_s": 86400}
    told = (await client.post("/api/token", json=wanted | {"name": "Ann"})).json()
    assert {key: told[key] for key in wanted} == wanted
    assert gateway.joined == [("lobby", "ann", "Ann", 86400, True)]


async def test_a_session_gets_an_identity_and_cannot_put_another_viewer_out_by_taking_his(
    app: WebApp, client: httpx2.AsyncClient, gateway: FakeGateway
) -> None:
    headers = await enter(app, "demo", can_say=True)
    refused = await client.post("/api/token", json={"identity": "ann"}, headers=headers)
    assert (refused.status_code, refused.json()["reason"]) == (403, "identity_given")
    assert gateway.joined == []
    assert (await client.post("/api/token", headers=headers)).json()["identity"].startswith("viewer-")


async def test_what_a_session_has_spoken_in_the_room_is_on_its_account(
    app: WebApp, client: httpx2.AsyncClient, gateway: FakeGateway
) -> None:
    await client.post("/api/token", json={"can_say": True, "can_control": True})
    await client.post("/api/token", json={"can_say": True}, headers=await enter(app, "demo", can_say=True))
    (session,) = await app.services.sessions.all()
    assert gateway.rights == [(True, True, ""), (True, False, session.name)]


async def test_a_session_is_one_viewer_however_often_it_asks(
    app: WebApp, client: httpx2.AsyncClient, gateway: FakeGateway
) -> None:
    hers, his = [await enter(app, "demo", can_say=False) for _ in range(2)]
    told = [(await client.post("/api/token", headers=headers)).json() for headers in (hers, hers, his)]
    identities = [answer["identity"] for answer in told]
    assert identities[0] == identities[1] != identities[2]
    assert [joined[1] for joined in gateway.joined] == identities


@pytest.mark.parametrize(
    ("wanted", "given"), [({}, 600), ({"valid_for_s": 90}, 90), ({"valid_for_s": 86400}, 600)]
)
async def test_a_token_of_a_session_lives_no_longer_than_is_needed_to_join(
    app: WebApp, client: httpx2.AsyncClient, gateway: FakeGateway, wanted: dict[str, int], given: int
) -> None:
    headers = await enter(app, "demo", can_say=True)
    told = (await client.post("/api/token", json=wanted, headers=headers)).json()
    assert (told["valid_for_s"], gateway.joined[0][3]) == (given, given)


async def test_the_setting_says_how_long_that_is(gateway: FakeGateway) -> None:
    app = make_app(Settings(serve_token_ttl=30), gateway)
    async with connected(app) as client:
        told = (await client.post("/api/token", headers=await enter(app, "demo", can_say=False))).json()
    assert told["valid_for_s"] == 30


async def test_a_session_that_ends_while_it_asks_gets_none_and_its_viewer_has_to_leave(app: WebApp) -> None:
    services = app.services
    await enter(app, "demo", can_say=False)
    (session,) = await services.sessions.all()
    await services.sessions.end(session)
    caller = Caller(session.name, "demo", False, session=session)
    with pytest.raises(Problem) as refused:
        await make_token(services, caller, TokenBody())
    assert refused.value.status == 401
    assert [leaving.identity for leaving in await services.viewers._store.leaving()] == [session.identity]


async def test_of_the_tokens_of_a_session_five_may_be_valid_and_the_sixth_is_refused(
    app: WebApp, client: httpx2.AsyncClient, gateway: FakeGateway
) -> None:
    hers, his = [await enter(app, "demo", can_say=True) for _ in range(2)]
    for path in ("/api/token", "/token", "/api/token", "/token", "/api/token"):
        assert (await client.post(path, headers=hers)).status_code == 200
    for refused in (
        await client.post("/api/token", headers=hers),
        await client.post("/api/token", json={"can_say": True, "valid_for_s": 1}, headers=hers),
        await client.get("/token", headers=hers),
    ):
        assert (refused.status_code, refused.json()["reason"]) == (429, "too_many_tokens")
        assert 590 <= int(refused.headers["retry-after"]) <= 600
    assert len(gateway.joined) == 5
    assert (await client.post("/api/token", headers=his)).status_code == 200


async def test_whose_own_the_server_is_gets_as_many_as_he_asks_for(
    client: httpx2.AsyncClient, gateway: FakeGateway
) -> None:
    for _ in range(20):
        assert (await client.post("/api/token")).status_code == 200
    assert len({joined[1] for joined in gateway.joined}) == 20


async def test_no_answer_may_be_kept_by_a_browser(client: httpx2.AsyncClient) -> None:
    assert (await client.post("/api/token", json={})).headers["cache-control"] == "no-store"


async def test_a_reserved_identity_is_refused(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/api/token", json={"identity": "liba-avatar"})
    assert (answer.status_code, answer.json()["reason"]) == (403, "reserved_identity")


@pytest.mark.parametrize(
    "members",
    [
        {"valid_for_s": 0},
        {"valid_for_s": 86401},
        {"valid_for_s": "600"},
        {"identity": "a" * 129},
        {"identity": " ann"},
        {"name": "a" * 129},
        {"can_say": 1},
        {"can_publish": True},
    ],
)
async def test_a_wish_that_makes_no_sense_is_refused(
    client: httpx2.AsyncClient, members: dict[str, Any]
) -> None:
    answer = await client.post("/api/token", json=members)
    assert (answer.status_code, answer.json()["reason"]) == (422, "malformed")


async def test_the_older_addresses_give_the_same(client: httpx2.AsyncClient, gateway: FakeGateway) -> None:
    posted = await client.post("/token", json={"room": "lobby", "identity": "ann"})
    asked = await client.get("/token?room=lobby&identity=ann")
    assert posted.status_code == asked.status_code == 200
    assert posted.json() == asked.json()
    assert gateway.joined == [("lobby", "ann", "", 600, False)] * 2


@pytest.mark.parametrize("query", ["identity=" + "a" * 129, "room=" + "a" * 129, "room="])
async def test_the_older_address_refuses_the_same(client: httpx2.AsyncClient, query: str) -> None:
    answer = await client.get(f"/token?{query}")
    assert (answer.status_code, answer.json()["reason"]) == (422, "malformed")


async def test_the_older_address_says_too(client: httpx2.AsyncClient, gateway: FakeGateway) -> None:
    answer = await client.post("/say", json={"text": "Hello."})
    assert answer.status_code == 202
    assert gateway.agents["demo"].requests[0].text == "Hello."


def test_a_token_is_no_part_of_what_is_printed_of_a_join() -> None:
    assert "eyJ" not in repr(ConnectionDetails("ws://127.0.0.1:7880", "eyJ"))
