from __future__ import annotations

import asyncio

import httpx2

from libacli.errors import UnreachableError
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
