"""What a say request costs over HTTP: `python -m tests.bench.http`.

One process serves two apps: liba's, whose requests go on to a real agent and come back accepted, and a bare
FastAPI route that answers the same at once. Two more processes serve liba's behind a balancer, and share a
Redis: `two`. Rounds of requests to each take turns. Meanwhile a long text is spoken in another room by the
same worker: it must play without an underrun.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from libacli.core.timeline import percentile
from tests.bench.agents_and_seats import calm
from tests.bench.local_stack import Stack, local_server, worker
from tests.redis_server import RedisServer

CONCURRENCY = 32
_ROOM, _STAGE = "bench-load", "bench-stage"
_TEXT = "Hi."
_LONG = "While many others ask, this voice goes on and on, and nobody hears a gap in it. " * 40
_READY_TIMEOUT_S = 60.0
_SERVERS = "tests.bench.http_servers"
_UNBOUNDED = {
    "LIBA_SAY_RATE_PER_MINUTE": "0",
    "LIBA_SAY_MAX_CHARS_PER_HOUR": "0",
    "LIBA_SAY_QUEUE_LIMIT": "1000",
    "LIBA_SERVE_RATE_PER_MINUTE": "1000000",  # counted, and never too many
    "LIBA_VOICE_PROVIDER": "embedded",
}


async def main(rounds: int, requests: int) -> bool:
    """Runs the bench, prints what it found, and says whether sound went on without an underrun."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(local_server(folder))
        stack.enter_context(worker(server, env=_UNBOUNDED))
        liba, bare = await stack.enter_async_context(_printing_urls(server, _SERVERS))
        redis = stack.enter_context(RedisServer(folder))
        sharing = {"LIBA_REDIS_URL": redis.url}
        replicas = [
            (await stack.enter_async_context(_printing_urls(server, _SERVERS, **sharing)))[0]
            for _ in range(2)
        ]
        two, *_ = await stack.enter_async_context(_printing_urls(server, "tests.round_robin", *replicas))
        session = await stack.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONCURRENCY))
        )
        await _agents_are_there(session, liba)
        await calm()
        spoken = await _say(session, liba, _STAGE, _LONG)
        urls = {"bare": bare, "liba": liba, "two": two}
        found: dict[str, list[float]] = {name: [] for name in urls}
        seconds = dict.fromkeys(found, 0.0)
        for _ in range(rounds):
            for name, url in urls.items():
                began = time.perf_counter()
                found[name] += await _round(session, url, requests)
                seconds[name] += time.perf_counter() - began
            await _stop(session, liba, _ROOM)
        report = await _report(session, liba, _STAGE, spoken["id"])
        await _stop(session, liba, _STAGE)
    for name, values in found.items():
        print(
            f"{name:5} {len(values)} requests, {CONCURRENCY} at a time: "
            f"p50 {statistics.median(values):.1f} ms, p95 {percentile(values, 95):.1f} ms, "
            f"{len(values) / seconds[name]:.0f} requests/s"
        )
    is_kept = report["state"] == "audible" and not report.get("underruns", 0)
    print(f"meanwhile: {report['state']}, {report.get('underruns', 0)} underruns: {_verdict(is_kept)}")
    return is_kept


async def _round(session: aiohttp.ClientSession, url: str, requests: int) -> list[float]:
    """Milliseconds of each of so many requests."""
    waits: list[float] = []
    left = iter(range(requests))

    async def client() -> None:
        for _ in left:
            began = time.perf_counter()
            await _say(session, url, _ROOM, _TEXT)
            waits.append((time.perf_counter() - began) * 1000)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(CONCURRENCY):
            tasks.create_task(client())
    return waits


async def _say(session: aiohttp.ClientSession, url: str, room: str, text: str) -> dict[str, Any]:
    body = {"text": text, "room": room, "id": uuid.uuid4().hex[:12]}
    async with session.post(f"{url}/api/say", json=body) as answer:
        told: dict[str, Any] = await answer.json()
        if answer.status != 202:
            raise RuntimeError(f"{answer.status}: {told}")
        return told


async def _stop(session: aiohttp.ClientSession, url: str, room: str) -> None:
    async with session.post(f"{url}/api/stop", json={"room": room}) as answer:
        answer.raise_for_status()


async def _report(session: aiohttp.ClientSession, url: str, room: str, utterance_id: str) -> dict[str, Any]:
    async with session.get(f"{url}/api/say/{utterance_id}", params={"room": room}) as answer:
        answer.raise_for_status()
        report: dict[str, Any] = (await answer.json())["report"]
        return report


async def _agents_are_there(session: aiohttp.ClientSession, url: str) -> None:
    """Brings an agent into both rooms; the worker may not be ready yet."""
    async with asyncio.timeout(_READY_TIMEOUT_S):
        for room in (_ROOM, _STAGE):
            while True:
                try:
                    await _say(session, url, room, _TEXT)
                    break
                except RuntimeError:
                    await asyncio.sleep(0.5)


@asynccontextmanager
async def _printing_urls(
    stack: Stack, module: str, *arguments: str, **environment: str
) -> AsyncIterator[list[str]]:
    """Addresses that a process of its own serves, and prints."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", module, *arguments),
        env=stack.env | _UNBOUNDED | {"PYTHONPATH": str(Path.cwd())} | environment,
        cwd=stack.folder,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout
    try:
        async with asyncio.timeout(_READY_TIMEOUT_S):
            urls: list[str] = json.loads(await process.stdout.readline())
        yield urls
    finally:
        process.terminate()
        await process.wait()


def _verdict(is_kept: bool) -> str:
    return "pass" if is_kept else "FAIL"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--requests", type=int, default=500, help="In each round; the queue takes 1000")
    chosen = parser.parse_args()
    sys.exit(0 if asyncio.run(main(chosen.rounds, chosen.requests)) else 1)
