from __future__ import annotations

import asyncio

import pytest
from aiohttp import web
from livekit import rtc

from libacli.edges.livekit.joining import joined, to_the_end
from libacli.errors import CredentialsError, LibaError, UnreachableError


async def test_what_the_step_returns_or_raises_is_passed_on() -> None:
    async def step(fails: bool) -> int:
        await asyncio.sleep(0)
        if fails:
            raise KeyError("missing")
        return 7

    assert await to_the_end(step(False)) == 7
    with pytest.raises(KeyError, match="missing"):
        await to_the_end(step(True))


@pytest.mark.parametrize("times", [1, 2, 5])
@pytest.mark.parametrize("fails", [False, True])
async def test_a_step_that_is_cancelled_however_often_runs_to_its_end(times: int, fails: bool) -> None:
    go_on, is_over = asyncio.Event(), False

    async def step() -> None:
        nonlocal is_over
        await go_on.wait()
        is_over = True
        if fails:
            raise ConnectionError

    task = asyncio.get_running_loop().create_task(to_the_end(step()))
    for _ in range(times):
        await asyncio.sleep(0)
        task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert is_over


@pytest.mark.parametrize(
    ("status", "words", "kind"),
    [
        (401, "invalid token: eyJhbGciOi, error: x", CredentialsError),
        (403, "no", CredentialsError),
        (404, "page 401 is not found", UnreachableError),
        (500, "client error: 401 unauthorized", UnreachableError),
    ],
)
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_server_that_does_not_let_in_is_told_by_its_status_and_not_by_its_words(
    status: int, words: str, kind: type[LibaError]
) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=status, text=words)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        with pytest.raises(kind) as caught:
            async with joined(rtc.Room(), f"ws://127.0.0.1:{runner.addresses[0][1]}", "eyJhbGciOi.e30.x"):
                pass
        assert "eyJ" not in str(caught.value)
    finally:
        await runner.cleanup()
