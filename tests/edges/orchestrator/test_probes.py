"""What probes are answered, over real HTTP."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from libacli.edges.orchestrator.probes import Part, Probes
from libacli.errors import ConfigError

WELL = {"livekit": Part(True, "registered"), "rooms": Part(True, "0 of 8 taken")}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def test_a_worker_that_lives_and_has_all_it_needs_is_ready(http: aiohttp.ClientSession) -> None:
    probes = Probes()
    async with probes.answering("127.0.0.1", 0) as port:
        url = f"http://127.0.0.1:{port}"
        async with http.get(f"{url}/healthz") as answer:
            assert (answer.status, await answer.json()) == (200, {"status": "ok"})
        async with http.get(f"{url}/readyz") as answer:
            parts = {"worker": {"ok": False, "why": "it is starting"}}
            assert (answer.status, await answer.json()) == (503, {"status": "not ready", "parts": parts})
        probes.parts = lambda: WELL
        async with http.get(f"{url}/readyz") as answer:
            told = await answer.json()
            assert (answer.status, told["status"]) == (200, "ok")
            assert told["parts"]["livekit"] == {"ok": True, "why": "registered"}
        probes.parts = lambda: WELL | {"voice": Part(False, "it is being loaded")}
        async with http.get(f"{url}/readyz") as answer:
            assert answer.status == 503


@pytest.mark.parametrize(("host", "asked_at"), [("127.0.0.2", "127.0.0.2"), ("0.0.0.0", "127.0.0.3")])
async def test_probe_loopback_is_left_for_the_address_that_is_set(
    http: aiohttp.ClientSession, host: str, asked_at: str
) -> None:
    async with Probes().answering(host, 0) as port, http.get(f"http://{asked_at}:{port}/healthz") as answer:
        assert answer.status == 200


async def test_what_the_sdk_answers_is_passed_on_and_nothing_else(http: aiohttp.ClientSession) -> None:
    async def of_sdk(request: web.Request) -> web.Response:
        return web.Response(status=503 if request.path == "/" else 200, text=request.path)

    app = web.Application()
    app.router.add_get("/{rest:.*}", of_sdk)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    probes = Probes()
    async with probes.answering("127.0.0.1", 0) as port:
        url = f"http://127.0.0.1:{port}"
        async with http.get(url) as answer:
            assert (answer.status, await answer.text()) == (503, "the worker is starting, or ending")
        probes.sdk_port = lambda: int(runner.addresses[0][1])
        for path, status in (("/", 503), ("/worker", 200)):
            async with http.get(url + path) as answer:
                assert (answer.status, await answer.text()) == (status, path)
        async with http.get(f"{url}/other") as answer:
            assert answer.status == 404
    await runner.cleanup()


async def test_a_port_that_is_taken_is_told_with_its_settings() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"health checks on 127.0.0.1 port {port}: ") as caught:
            async with Probes().answering("127.0.0.1", port):
                pass
    assert str(caught.value).count("127.0.0.1") == 1
    assert "agent.health_port" in caught.value.hint


async def test_an_address_that_is_none_of_this_machine_is_told() -> None:
    for host in ("192.0.2.1", "no.such.host.invalid"):
        with pytest.raises(ConfigError, match=f"cannot answer health checks on {host} port 0"):
            async with Probes().answering(host, 0):
                pass


async def test_whoever_opens_many_connections_and_says_little_loses_the_oldest_and_probes_are_answered(
    http: aiohttp.ClientSession,
) -> None:
    async with Probes().answering("127.0.0.1", 0) as port:
        opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(200)]
        for _, writer in opened:
            writer.write(b"GET /healthz HTTP/1.1\r\nX-")
        async with http.get(f"http://127.0.0.1:{port}/healthz") as answer:
            assert answer.status == 200
        async with asyncio.timeout(5):
            for reader, _ in opened[:130]:
                assert await reader.read() == b""
        assert not any(reader.at_eof() for reader, _ in opened[-30:])
        for _, writer in opened:
            writer.close()
