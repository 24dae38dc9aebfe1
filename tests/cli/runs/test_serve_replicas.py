"""Two `liba serve` behind a balancer that sends each request to the other one, and the Redis they share."""

from __future__ import annotations

import asyncio
import functools
import os
import random
import sys
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from ipaddress import IPv4Address
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from tests.cli.conftest import Shell
from tests.cli.runs.test_serve import ENTRY, Served, serving
from tests.redis_server import RedisServer
from tests.round_robin import RoundRobin
from tests.twirp_server import TwirpServer

pytestmark = pytest.mark.live

KEY = {"Authorization": f"Bearer liba_{'x' * 43}"}
WRONG = {"Authorization": f"Bearer liba_{'y' * 43}"}
PUBLIC = "https://speak.example.org"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # real sockets


@dataclass(frozen=True)
class Replicas:
    one: Served
    two: Served
    redis: RedisServer
    livekit: TwirpServer

    @property
    def urls(self) -> list[str]:
        return [f"http://127.0.0.1:{port_of(replica)}" for replica in (self.one, self.two)]

    def log(self) -> str:
        return self.one.log.read_text() + self.two.log.read_text()


def port_of(served: Served) -> int:
    """That it was told with its public address is of no use here."""
    import psutil

    (listening,) = [c for c in psutil.Process(served.process.pid).net_connections() if c.status == "LISTEN"]
    return int(listening.laddr.port)


@pytest.fixture(scope="module")
def replicas(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replicas]:
    with ExitStack() as stack:
        livekit = stack.enter_context(TwirpServer())
        redis = stack.enter_context(RedisServer(tmp_path_factory.mktemp("redis")))
        served = []
        for _ in range(2):
            folder = tmp_path_factory.mktemp("replica")
            own = {name: str(folder) for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME")}
            shell = Shell(folder, own | livekit.env | {"LIBA_REDIS_URL": redis.url})
            shell.env |= {"LIBA_SERVE_KEYS": ENTRY, "LIBA_SERVE_PUBLIC_URL": PUBLIC}
            shell.env |= {"LIBA_SERVE_TRUSTED_PROXIES": "127.0.0.0/8"}
            served.append(stack.enter_context(serving(shell)))
        yield Replicas(served[0], served[1], redis, livekit)


@pytest.fixture
async def client(replicas: Replicas) -> AsyncIterator[httpx2.AsyncClient]:
    """Somebody at an address of his own. Each request goes to the other replica than the one before."""
    headers = {"Connection": "close", "X-Forwarded-For": str(IPv4Address(random.randrange(2**24, 2**31)))}
    async with (
        RoundRobin(replicas.urls) as balancer,
        httpx2.AsyncClient(base_url=balancer.url, headers=headers, trust_env=False, timeout=15) as client,
    ):
        yield client


async def enter(client: httpx2.AsyncClient, **rights: bool) -> dict[str, str]:
    """The headers of a session; its link is made by one replica, and redeemed by the other."""
    made = await client.post("/api/link", json=rights, headers=KEY)
    assert made.status_code == 200, made.text
    code = parse_qs(urlsplit(made.json()["url"]).fragment)["code"][0]
    answers = [await client.post("/api/session", json={"code": code}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 401]
    return {"Authorization": f"Bearer {answers[0].json()['session']}"}


async def until(client: httpx2.AsyncClient, shared: str) -> None:
    """Returns once both replicas tell this of what they share."""
    deadline = time.monotonic() + 15
    seen: list[str] = []
    while seen[-2:] != [shared] * 2:
        assert time.monotonic() < deadline, seen
        answer = await client.get("/readyz")
        assert answer.status_code == 200
        seen.append(answer.json()["shared"])
        await asyncio.sleep(0.05)


async def test_a_link_of_one_lets_in_at_the_other_and_what_one_takes_the_other_knows(
    client: httpx2.AsyncClient,
) -> None:
    session = await enter(client, can_say=True)
    for number in range(4):
        said = await client.post("/api/say", json={"text": f"Line {number}."}, headers=session)
        assert said.status_code == 202, said.text
        told = await client.get(f"/api/say/{said.json()['id']}", headers=session)
        assert (told.status_code, told.json()["state"]) == (200, "done")
        await client.get("/healthz")  # so the next line goes to the other one


async def test_of_a_code_that_both_get_at_once_one_makes_a_session(client: httpx2.AsyncClient) -> None:
    for _ in range(5):
        made = await client.post("/api/link", headers=KEY)
        code = parse_qs(urlsplit(made.json()["url"]).fragment)["code"][0]
        async with asyncio.TaskGroup() as tasks:
            trade = functools.partial(client.post, "/api/session", json={"code": code})
            trades = [tasks.create_task(trade()) for _ in range(4)]
        assert sorted(trade.result().status_code for trade in trades) == [200, 401, 401, 401]


async def test_a_key_that_one_has_taken_is_refused_by_the_other_with_another_text(
    client: httpx2.AsyncClient, replicas: Replicas
) -> None:
    again = KEY | {"Idempotency-Key": uuid.uuid4().hex}
    answers = [
        await client.post("/api/say", json={"text": text}, headers=again)
        for text in ("Hello.", "Hello.", "Hello.", "Bye.", "Bye.")
    ]
    assert [answer.status_code for answer in answers] == [202] * 3 + [422] * 2
    assert [answer.json()["duplicate"] for answer in answers[:3]] == [False, True, True]
    assert {answer.json()["reason"] for answer in answers[3:]} == {"id_reused"}
    assert replicas.livekit.queued.count(again["Idempotency-Key"]) == 1


async def test_five_tokens_of_a_session_are_five_wherever_they_are_asked_for(
    client: httpx2.AsyncClient,
) -> None:
    session = await enter(client)
    tokens = [await client.post("/api/token", headers=session) for _ in range(7)]
    assert [token.status_code for token in tokens] == [200] * 5 + [429] * 2


async def test_a_session_that_one_has_ended_is_over_at_the_other_and_so_are_its_streams(
    client: httpx2.AsyncClient, replicas: Replicas
) -> None:
    session = await enter(client, can_say=True)
    identity = (await client.post("/api/token", headers=session)).json()["identity"]
    watching = {"sid": "PA_v", "identity": identity, "state": "ACTIVE", "tracks": [], "attributes": {}}
    replicas.livekit.participants.append(watching)
    one, two = replicas.urls
    async with httpx2.AsyncClient(trust_env=False, timeout=15) as direct:
        async with direct.stream("GET", f"{two}/api/events", headers=session) as events:
            lines = events.aiter_lines()
            assert await anext(lines) == "retry: 2000"
            ended = await direct.delete(f"{one}/api/session", headers=session)
            assert ended.json() == {"identities": [identity]}
            began = time.monotonic()
            async for _ in lines:
                pass
            assert time.monotonic() - began < 3  # it looks once a second
        assert (await direct.get(f"{two}/metrics", headers=session)).status_code == 401
    assert identity in [asked.body["identity"] for asked in replicas.livekit.asked("RemoveParticipant")]
    replicas.livekit.participants.remove(watching)


async def test_guess_lockout_a_flood_of_guesses_through_the_proxy_locks_out_nobody_who_is_right(
    client: httpx2.AsyncClient,
) -> None:
    session = await enter(client)
    guesser, other = {"X-Forwarded-For": "203.0.113.5"}, {"X-Forwarded-For": "198.51.100.1, 203.0.113.9"}
    guesses = [await client.get("/metrics", headers=WRONG | guesser) for _ in range(40)]
    told = [guess.status_code for guess in guesses]
    assert told[:20] == [401] * 20
    assert told[-1] == 429  # both count together
    for right in (KEY, session):
        for address in (guesser, other):
            assert (await client.get("/metrics", headers=right | address)).status_code == 200
    assert (await client.get("/metrics", headers=WRONG | other)).status_code == 401


async def test_without_redis_keys_go_on_sessions_wait_and_when_it_is_back_all_works(
    client: httpx2.AsyncClient, replicas: Replicas
) -> None:
    session = await enter(client, can_say=True)
    replicas.redis.kill()
    try:
        for _ in range(4):
            answer = await client.get("/metrics", headers=session)
            assert (answer.status_code, answer.json()["reason"]) == (503, "store_unreachable")
            assert int(answer.headers["Retry-After"]) >= 1
        for number in range(4):
            said = await client.post("/api/say", json={"text": f"Line {number}."}, headers=KEY)
            assert said.status_code == 202
        assert (await client.get("/metrics", headers=WRONG)).status_code == 401
        assert (await client.post("/api/link", headers=KEY)).status_code == 503
        assert (await client.post("/api/session", json={"code": "guess"})).status_code == 503
        await until(client, "unreachable")
    finally:
        replicas.redis.start()
    await until(client, "ok")
    assert (await client.get("/metrics", headers=session)).status_code == 401  # it was forgotten
    await client.post("/api/say", json={"text": "Hello."}, headers=await enter(client, can_say=True))
    log = replicas.log()
    assert log.count("Keys go on working") == log.count("Redis is back") == 2  # each says so once
    assert "Traceback" not in log


def test_it_starts_without_redis_and_without_the_client_it_says_what_to_install(
    shell: Shell, server: TwirpServer
) -> None:
    shell.env |= {"LIBA_SERVE_KEYS": ENTRY, "LIBA_REDIS_URL": "redis://127.0.0.1:1"}
    with serving(shell) as served:
        assert served.get("/metrics", **KEY).status_code == 200
        assert served.get("/readyz").json() == {"status": "ok", "shared": "unreachable"}
        assert served.end() == 0
    hidden = shell.folder / "redis.py"
    hidden.write_text("raise ModuleNotFoundError('none', name='redis')")
    path = os.pathsep.join([str(shell.folder), *sys.path])
    ended = shell.spawn("serve", "--port", "0", env={"PYTHONPATH": path})
    assert (ended.code, "pip install 'libacli[redis]'" in ended.stderr) == (3, True)


def test_a_proxy_that_is_none_is_told_before_anything_is_bound(shell: Shell) -> None:
    ended = shell.run("serve", "--port", "0", env={"LIBA_SERVE_TRUSTED_PROXIES": "10.0.0.0/8,*"})
    assert ended.code == 3
    assert "serve.trusted_proxies: '*' is neither an address nor a network" in ended.stderr
