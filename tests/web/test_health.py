from __future__ import annotations

import asyncio

import httpx2

from libacli.config import Settings
from libacli.core.entry import Session
from libacli.errors import StoreError, UnreachableError
from libacli.web.app import make_app
from libacli.web.memory_stores import MemorySessions
from libacli.web.stores import Stores
from tests.web.conftest import connected
from tests.web.fake_gateway import FakeGateway


async def test_it_is_alive_whatever_livekit_does(client: httpx2.AsyncClient, gateway: FakeGateway) -> None:
    gateway.failures["check"] = UnreachableError("nobody there")
    answer = await client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert not gateway.calls


async def test_it_is_ready_while_livekit_can_be_used(
    client: httpx2.AsyncClient, gateway: FakeGateway
) -> None:
    assert (await client.get("/readyz")).json() == {"status": "ok"}
    gateway.failures["check"] = UnreachableError("nobody there", hint="start it")
    await asyncio.sleep(2)
    answer = await client.get("/readyz")
    assert answer.status_code == 503
    assert (answer.json()["reason"], answer.json()["hint"]) == ("livekit_unreachable", "start it")
    gateway.failures.clear()
    await asyncio.sleep(2)
    assert (await client.get("/readyz")).status_code == 200


class Watch:
    state: str | None = "unreachable"

    async def run(self) -> None:
        await asyncio.Event().wait()


class Gone(MemorySessions):
    async def find(self, digest: str) -> Session | None:
        raise StoreError("gone")


async def test_what_servers_share_is_a_part_of_it_and_makes_it_no_less_ready(gateway: FakeGateway) -> None:
    app = make_app(Settings(), gateway, stores=Stores(sessions=Gone(), watch=Watch()))
    async with connected(app) as client:
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.json()) == (200, {"status": "ok", "shared": "unreachable"})
        assert (await client.get("/healthz")).json() == {"status": "ok"}
        gateway.failures["check"] = UnreachableError("nobody there")
        await asyncio.sleep(2)
        session = {"Authorization": "Bearer lss_" + "x" * 43}
        assert (await client.get("/readyz", headers=session)).json()["reason"] == "livekit_unreachable"


async def test_a_session_that_cannot_be_looked_up_is_not_told_that_it_is_over(gateway: FakeGateway) -> None:
    app = make_app(Settings(), gateway, stores=Stores(sessions=Gone(), watch=Watch()))
    async with connected(app) as client:
        answer = await client.post("/api/token", headers={"Authorization": "Bearer lss_" + "x" * 43})
        assert (answer.status_code, answer.json()["reason"]) == (503, "store_unreachable")
        assert (answer.headers["retry-after"], answer.json()["retry_in_s"]) == ("2", 2)
        assert (await client.post("/api/token")).status_code == 200


async def test_livekit_is_asked_every_two_seconds_at_most(
    client: httpx2.AsyncClient, gateway: FakeGateway
) -> None:
    async with asyncio.TaskGroup() as tasks:
        for _ in range(5):
            tasks.create_task(client.get("/readyz"))
    await asyncio.sleep(1.9)
    await client.get("/readyz")
    assert gateway.calls == ["check"]
    await asyncio.sleep(0.2)
    await client.get("/readyz")
    assert gateway.calls == ["check"] * 2


async def test_who_does_not_answer_in_five_seconds_is_not_there(
    client: httpx2.AsyncClient, gateway: FakeGateway
) -> None:
    gateway.delay_s = 60
    clock = asyncio.get_running_loop().time
    started = clock()
    answer = await client.get("/readyz")
    assert clock() - started == 5
    assert (answer.status_code, answer.json()["reason"]) == (503, "livekit_unreachable")
