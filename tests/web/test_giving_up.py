"""Over real HTTP: who hangs up is waited for no more."""

from __future__ import annotations

import asyncio
import json

import pytest

from libacli.web.bounded_http import HALF_CLOSED_S
from libacli.web.giving_up import unless_given_up
from tests.web.fake_gateway import FakeGateway
from tests.web.serving import serving

REACTION_S = HALF_CLOSED_S + 2.0
"""On a busy machine; it takes milliseconds, once it is clear that he has not only closed his side."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def ask(port: int, query: str) -> asyncio.StreamWriter:
    """Somebody who asks that something be said and reads no answer."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    body = json.dumps({"text": "Hello.", "id": "u1"})
    writer.write(
        f"POST /api/say{query} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
    )
    await writer.drain()
    return writer


async def until_waiting(gateway: FakeGateway, number: int) -> None:
    async with asyncio.timeout(REACTION_S):
        await gateway.until_waiting(number)


async def test_when_the_client_hangs_up_nobody_waits_any_more_and_the_server_can_end(
    gateway: FakeGateway,
) -> None:
    async with serving(gateway) as (port, server):
        leaving, staying = await ask(port, "?wait=done"), await ask(port, "?wait=done")
        await until_waiting(gateway, 2)
        leaving.close()
        await until_waiting(gateway, 1)
        gateway.becomes("demo", "u1", "speaking")
        await asyncio.sleep(0.05)
        assert gateway.waiting == 1  # the other one is not disturbed
        staying.close()
        await until_waiting(gateway, 0)
        server.should_exit = True
        began = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began < REACTION_S
    assert len(gateway.agents["demo"].requests) == 1


async def test_work_that_is_cancelled_from_outside_is_cancelled_with_all_that_watches_it() -> None:
    ended = []

    async def forever(name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(name)

    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(unless_given_up(forever("work"), forever("a"), forever("b")))
        await asyncio.sleep(0.01)
        waiting.cancel()
    assert waiting.cancelled()
    assert sorted(ended) == ["a", "b", "work"]


async def test_what_fails_keeps_its_cause() -> None:
    async def fail() -> None:
        raise RuntimeError("no answer") from ConnectionError("refused")

    with pytest.raises(RuntimeError, match="no answer") as raised:
        await unless_given_up(fail(), asyncio.sleep(10))
    assert str(raised.value.__cause__) == "refused"
