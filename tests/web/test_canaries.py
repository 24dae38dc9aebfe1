"""What a server tells over HTTP: no secret to anybody, and to strangers nothing about what is behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx2
import pytest

from libacli.config_sources import load
from libacli.errors import CredentialsError, LibaError, NoAgentError, RefusedError, UnreachableError
from libacli.web.app import make_app
from tests.canaries import KEYS, PASSWORDS, secret_settings, secrets_in
from tests.web.conftest import connected, enter
from tests.web.fake_gateway import FakeGateway
from tests.web.test_access_matrix import CALLERS, ENTRY, ROWS, SERVERS, Row, calling, headers_of

INNER = "livekit-17.inner.example"
"""The host that only this server reaches."""

TOLD = (
    f"cannot reach http://user:{PASSWORDS['LIVEKIT_URL']}@{INNER}:7880 with {KEYS['LIVEKIT_API_SECRET']} and "
    f"eyJhbGciOi.eyJzdWIi.c2ln, Bearer {KEYS['OPENAI_API_KEY']}, x-api-key: {KEYS['TAVUS_API_KEY']}, "
    f"{KEYS['LIVEKIT_PREVIOUS_API_SECRET']}"
)
ERRORS: dict[str, LibaError] = {
    "unreachable": UnreachableError(TOLD, hint=TOLD),
    "credentials": CredentialsError(TOLD, hint=TOLD),
    "no agent": NoAgentError(TOLD, hint=TOLD),
    "refused": RefusedError("odd", TOLD, hint=TOLD),
    "other": LibaError(TOLD, hint=TOLD),
}
METHODS = (
    *("say", "wait", "report", "stop", "status", "updates", "join", "check"),
    *("cancel", "move", "pause", "next"),
)


def check(answer: httpx2.Response) -> None:
    told = f"{answer.text} {answer.headers}"
    assert not secrets_in(told), told
    assert "eyJhbGciOi" not in told


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in secret_settings(openai="127.0.0.1:9", tavus="127.0.0.1:9").items():
        monkeypatch.setenv(name, value)


@pytest.fixture(params=sorted(ERRORS))
def broken(gateway: FakeGateway, request: pytest.FixtureRequest) -> FakeGateway:
    """A gateway that says everything it knows, whatever it is asked for."""
    gateway.failures = dict.fromkeys(METHODS, ERRORS[request.param])
    return gateway


@pytest.fixture
async def owner(broken: FakeGateway) -> AsyncIterator[httpx2.AsyncClient]:
    """Somebody on this machine, with the real settings, all of whose secrets are canaries."""
    settings = load(flags={"livekit_url": "ws://127.0.0.1:9", "livekit_api_key": "k"}).settings
    async with connected(make_app(settings, broken)) as client:
        yield client


@pytest.mark.parametrize("row", ROWS, ids=str)
async def test_no_body_and_no_header_tells_a_secret_whatever_goes_wrong(
    owner: httpx2.AsyncClient, row: Row
) -> None:
    answer = await owner.request(row.method, row.path or row.route, json=row.body)
    check(answer)


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("server", SERVERS)
async def test_no_caller_of_any_server_is_told_why_it_is_not_ready_without_a_key(
    broken: FakeGateway, server: str, caller: str
) -> None:
    async with calling(server, broken) as (app, client):
        answer = await client.get("/readyz", headers=await headers_of(caller, app))
    is_owner = caller == ("no key" if server == SERVERS[0] else "right key")
    problem = answer.json()
    assert answer.status_code == 503
    assert (INNER in answer.text) == is_owner
    assert ("hint" in problem) == is_owner
    assert problem["reason"]


async def test_to_ask_again_and_again_whether_it_is_ready_is_no_wrong_key(gateway: FakeGateway) -> None:
    gateway.failures["check"] = ERRORS["unreachable"]
    async with calling(SERVERS[1], gateway) as (app, client):
        for _ in range(50):
            assert (await client.get("/readyz")).status_code == 503
        answer = await client.get("/api/rooms/demo", headers=await headers_of("right key", app))
    assert answer.status_code == 200


async def test_after_many_wrong_keys_a_right_one_is_still_told_why_it_is_not_ready(
    gateway: FakeGateway,
) -> None:
    gateway.failures["check"] = ERRORS["unreachable"]
    async with calling(SERVERS[1], gateway) as (app, client):
        for _ in range(30):
            guess = await client.get("/readyz", headers=await headers_of("wrong key", app))
            assert INNER not in guess.text
        told = await client.get("/readyz", headers=await headers_of("right key", app))
    assert INNER in told.text


@pytest.mark.parametrize("can_say", [False, True])
async def test_a_guest_is_given_the_address_of_livekit_and_no_more(
    gateway: FakeGateway, can_say: bool
) -> None:
    settings = load(flags={"livekit_url": "ws://127.0.0.1:9", "serve_keys": (ENTRY,)}).settings
    app = make_app(settings, gateway)
    async with connected(app) as client:
        headers = await enter(app, "demo", can_say=can_say)
        answer = await client.post("/api/token", headers=headers, json={"can_say": can_say})
    check(answer)
    assert "@" not in answer.json()["url"]


async def test_a_stream_of_events_tells_no_secret(broken: FakeGateway, owner: httpx2.AsyncClient) -> None:
    broken.failures.pop("updates")
    app = owner._transport.app  # type: ignore[attr-defined]
    asyncio.get_running_loop().call_later(1, app.services.feeds.end)
    check(await owner.get("/api/events?room=demo"))
