from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx2
import pytest

from libacli.config import Settings
from libacli.web.app import make_app
from libacli.web.auth import Authenticator
from libacli.web.keys import new_key
from libacli.web.rate_limits import WRONG_ATTEMPTS_PER_MINUTE as MOST_WRONG
from libacli.web.services import WebApp
from libacli.web.sessions import SESSION_VALID_S, Sessions
from tests.web.conftest import connected, enter
from tests.web.fake_gateway import FakeGateway

KEY, ENTRY = new_key("laptop")
BY_KEY = {"Authorization": f"Bearer {KEY}"}
PUBLIC = "https://speak.example.org"


@pytest.fixture
def settings() -> Settings:
    return Settings(serve_keys=(ENTRY,), serve_public_url=PUBLIC)


@pytest.fixture
def app(settings: Settings, gateway: FakeGateway) -> WebApp:
    return make_app(settings, gateway, address=PUBLIC, host_is_loopback=False)


async def link(client: httpx2.AsyncClient, headers: dict[str, str], **members: Any) -> dict[str, str]:
    """What stands behind `#` in the link that the client gets."""
    answer = await client.post("/api/link", json=members, headers=headers)
    assert answer.status_code == 200, answer.text
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.json()["url"]).fragment).items()}


NAMES = (
    "first floor/hall",
    "100%20",
    "a+b c",
    "demo#room=other&code=1?x=y",
    "'single\" and \"double'",
    "../../etc/passwd",
    "caf\N{LATIN SMALL LETTER E WITH ACUTE} \N{GRINNING FACE}",
    "n" * 128,
)


@pytest.mark.parametrize("name", NAMES)
async def test_a_room_of_any_name_stands_in_its_link_and_the_link_leads_there(
    client: httpx2.AsyncClient, gateway: FakeGateway, name: str
) -> None:
    told = await link(client, BY_KEY, room=name)
    assert told["room"] == name
    gateway.comes(name)
    answer = await client.get(
        f"/api/rooms/{quote(name, safe='')}", headers=await redeem(client, told["code"])
    )
    assert (answer.status_code, answer.json()["room"]) == (200, name)


async def redeem(client: httpx2.AsyncClient, code: str) -> dict[str, str]:
    """The headers of the session that `code` gives."""
    answer = await client.post("/api/session", json={"code": code})
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['session']}"}


async def test_a_link_carries_its_code_where_no_server_and_no_log_sees_it(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/api/link", json={"room": "a & b"}, headers=BY_KEY)
    told = answer.json()
    address = urlsplit(told["url"])
    assert f"{address.scheme}://{address.netloc}" == PUBLIC
    assert (address.path, address.query) == ("/", "")
    assert address.fragment.startswith("room=a%20%26%20b&code=")
    assert told["expires_in_s"] == 600
    assert answer.headers["cache-control"] == "no-store"


async def test_a_link_to_the_picture_alone_lets_in_by_the_same_code(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/api/link", json={"room": "lobby", "view": "stage"}, headers=BY_KEY)
    address = urlsplit(answer.json()["url"])
    assert (address.path, address.query) == ("/", "view=stage")
    await redeem(client, parse_qs(address.fragment)["code"][0])
    assert (await client.post("/api/link", json={"view": "x"}, headers=BY_KEY)).status_code == 422


async def test_a_link_is_drawn_too_without_scripts_and_without_a_word_of_its_code(
    client: httpx2.AsyncClient,
) -> None:
    told = (await client.post("/api/link", headers=BY_KEY)).json()
    assert told["qr_svg"].startswith("<svg ")
    assert told["qr_svg"].endswith("</svg>")
    assert "#fff" in told["qr_svg"]  # a quiet zone that is light on a dark page
    assert "script" not in told["qr_svg"]
    assert parse_qs(urlsplit(told["url"]).fragment)["code"][0] not in told["qr_svg"]


async def test_the_longest_name_of_a_room_still_fits_into_a_drawing(client: httpx2.AsyncClient) -> None:
    assert (await link(client, BY_KEY, room="🦜" * 128))["room"] == "🦜" * 128


async def test_a_code_is_traded_for_a_session_that_watches(
    client: httpx2.AsyncClient, gateway: FakeGateway
) -> None:
    code = (await link(client, BY_KEY, room="lobby"))["code"]
    answer = await client.post("/api/session", json={"code": code})
    told = answer.json()
    assert told == {
        "session": told["session"],
        "room": "lobby",
        "can_say": False,
        "can_control": False,
        "expires_in_s": 43200,
    }
    session = {"Authorization": f"Bearer {told['session']}"}
    assert (await client.post("/api/token", headers=session)).json()["room"] == "lobby"
    refused = await client.post("/api/say", json={"text": "Hello."}, headers=session)
    assert (refused.status_code, refused.json()["reason"]) == (403, "watch_only")
    assert gateway.calls == ["join"]


async def test_a_session_that_may_speak_makes_the_agent_of_its_room_speak(
    client: httpx2.AsyncClient, gateway: FakeGateway
) -> None:
    session = await redeem(client, (await link(client, BY_KEY, room="lobby", can_say=True))["code"])
    assert (await client.post("/api/say", json={"text": "Hello."}, headers=session)).status_code == 202
    assert [request.text for request in gateway.agents["lobby"].requests] == ["Hello."]


async def test_a_code_that_was_used_is_refused(client: httpx2.AsyncClient) -> None:
    code = (await link(client, BY_KEY))["code"]
    await redeem(client, code)
    answer = await client.post("/api/session", json={"code": code})
    assert (answer.status_code, answer.json()["reason"]) == (401, "bad_code")
    assert code not in answer.text


@pytest.mark.parametrize(
    "body", [{}, {"code": ""}, {"code": 1}, {"code": "a" * 65}, {"code": "a", "room": "b"}]
)
async def test_what_cannot_be_a_code_is_refused_and_not_repeated(
    client: httpx2.AsyncClient, body: dict[str, Any]
) -> None:
    answer = await client.post("/api/session", json=body)
    assert (answer.status_code, answer.json()["reason"]) == (422, "malformed")
    assert "a" * 65 not in answer.text


async def test_guesses_are_bounded_and_keep_nobody_out_who_has_a_right_code(
    app: WebApp, client: httpx2.AsyncClient
) -> None:
    guesses = [await client.post("/api/session", json={"code": "guess"}) for _ in range(MOST_WRONG + 2)]
    assert [guess.status_code for guess in guesses[:MOST_WRONG]] == [401] * MOST_WRONG
    assert (guesses[-1].status_code, guesses[-1].json()["reason"]) == (429, "rate_limited")
    code = (await app.services.sessions.new_code("demo", can_say=True)).secret
    assert (await client.post("/api/session", json={"code": code})).status_code == 200


async def test_wrong_codes_and_wrong_keys_are_counted_together(client: httpx2.AsyncClient) -> None:
    wrong = {"Authorization": "Bearer guess"}
    for _ in range(MOST_WRONG // 2 + 1):
        await client.post("/api/session", json={"code": "guess"})
        await client.post("/api/token", headers=wrong)
    assert (await client.post("/api/token", headers=wrong)).status_code == 429
    assert (await client.post("/api/token", headers=BY_KEY)).status_code == 200


async def test_guesses_count_as_requests_of_their_address(gateway: FakeGateway) -> None:
    async with connected(make_app(Settings(serve_rate_per_minute=3), gateway)) as client:
        guesses = [await client.post("/api/session", json={"code": "guess"}) for _ in range(5)]
        assert (await client.get("/api/rooms/demo")).status_code == 429
    assert [guess.status_code for guess in guesses[:3]] == [401] * 3
    assert guesses[-1].status_code == 429


async def test_a_session_makes_links_for_its_own_room_alone(client: httpx2.AsyncClient) -> None:
    session = await redeem(client, (await link(client, BY_KEY, room="lobby"))["code"])
    assert (await link(client, session))["room"] == "lobby"
    answer = await client.post("/api/link", json={"room": "demo"}, headers=session)
    assert (answer.status_code, answer.json()["reason"]) == (403, "other_room")


async def test_a_link_of_a_session_that_ends_soon_tells_how_long_it_works(
    app: WebApp, settings: Settings, client: httpx2.AsyncClient
) -> None:
    clock = [0.0]
    sessions = Sessions(lambda: clock[0])
    authenticator = Authenticator(settings, sessions, app.services.rate_limits, host_is_loopback=False)
    app.services = replace(app.services, sessions=sessions, authenticator=authenticator)
    session = await enter(app, "lobby", can_say=False)
    clock[0] = SESSION_VALID_S - 240
    told = (await client.post("/api/link", headers=session)).json()
    assert told["expires_in_s"] == 240
    code = parse_qs(urlsplit(told["url"]).fragment)["code"][0]
    clock[0] = SESSION_VALID_S + 240
    answer = await client.post("/api/session", json={"code": code})
    assert (answer.status_code, answer.json()["reason"]) == (401, "bad_code")


async def test_a_session_gives_no_right_away_that_it_has_not(client: httpx2.AsyncClient) -> None:
    watcher = await redeem(client, (await link(client, BY_KEY))["code"])
    refused = await client.post("/api/link", json={"can_say": True}, headers=watcher)
    assert (refused.status_code, refused.json()["reason"]) == (403, "watch_only")
    speaker = await redeem(client, (await link(client, BY_KEY, can_say=True))["code"])
    assert (await link(client, speaker, can_say=True))["code"]


async def test_where_no_key_is_needed_a_link_has_no_code(gateway: FakeGateway) -> None:
    async with connected(make_app(Settings(), gateway)) as client:
        assert await link(client, {}, room="lobby") == {"room": "lobby"}


async def test_a_session_gets_no_more_requests_by_letting_itself_in_again(gateway: FakeGateway) -> None:
    app = make_app(Settings(serve_keys=(ENTRY,), serve_rate_per_minute=20), gateway)
    session, statuses = await enter(app, "demo", can_say=False), []
    for number in range(25):
        async with connected(app, client=f"192.0.2.{number}") as client:
            answer = await client.post("/api/link", headers=session)
            statuses.append(answer.status_code)
            if answer.is_success:
                session = await redeem(client, answer.json()["url"].rpartition("code=")[2])
    assert statuses[0] == 200
    assert statuses[-1] == 429
