"""What metrics cost on the audio path: `python -m tests.bench.metrics`.

Two agents take turns in one run: one keeps no metrics at all; the other has the store, Prometheus, which is
scraped once a second, OpenTelemetry with a collector, and somebody who watches its room. What is compared is
d12, from the first PCM of the voice to the first frame handed to the sink, with sound that plays meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
from aiohttp import web

from libacli.core.timeline import percentile
from tests.bench.agents_and_seats import Kind, RunningAgents, Seat, calm, liba
from tests.bench.local_stack import Stack, local_server
from tests.bench.voice_process import voice_process
from tests.speech_server import Script

_LIMIT_MS = 0.2
_VOICE = Script(first_byte_s=0.05, ms_per_char=60.0)
_TEXT = "One two three."
_SCRAPE_EVERY_S = 1.0
_PAUSE_S = 0.1


async def main(rounds: int) -> bool:
    """Runs the bench, prints what it found, and says whether the limit was kept."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(local_server(folder))
        voice = await stack.enter_async_context(voice_process())
        await voice.become(_VOICE)
        collector = await stack.enter_async_context(_collector())
        port = _free_port()
        kinds = _kinds(port, collector)
        running_agents = RunningAgents(server, voice.base_url)
        seats = [
            (await stack.enter_async_context(running_agents.seats(kind, 1)))[0][0]
            for kind in (kinds["off"], kinds["on"])
        ]
        scrapes = await stack.enter_async_context(_scraping(port))
        await stack.enter_async_context(_watching(server, seats[1].room))
        await calm()
        found = await _measure(seats, rounds)
    print(f"{rounds} utterances each, Prometheus scraped {len(scrapes)} times")
    return _report(found, scrapes)


def _kinds(port: int, collector: str) -> dict[str, Kind]:
    return {
        "off": liba("process", "off", LIBA_METRICS_STORE="false"),
        "on": liba(
            "process",
            "on",
            LIBA_METRICS_STORE="true",
            LIBA_METRICS_PROMETHEUS_PORT=str(port),
            OTEL_EXPORTER_OTLP_ENDPOINT=collector,
            OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
        ),
    }


async def _measure(seats: list[Seat], rounds: int) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {seat.kind.name: [] for seat in seats}
    for number in range(rounds + 2):
        for seat in seats if number % 2 else reversed(seats):
            utterance, _ = await seat.send(_TEXT)
            event = await seat.outcome(utterance)
            if number >= 2:  # before that is the warm-up
                found[seat.kind.name].append(event["d12"])
            await asyncio.sleep(_PAUSE_S)
    return found


def _report(found: dict[str, list[float]], scrapes: list[int]) -> bool:
    for name, values in found.items():
        print(
            f"{name:12} d12 p50 {statistics.median(values):.3f} ms, p95 {percentile(values, 95):.3f} ms, "
            f"worst {max(values):.3f} ms"
        )
    off, on = (percentile(values, 95) for values in found.values())
    is_kept = on - off <= _LIMIT_MS and all(size > 0 for size in scrapes) and bool(scrapes)
    print(
        f"p95 with metrics - without: {on - off:+.3f} ms (limit {_LIMIT_MS}): {'pass' if is_kept else 'FAIL'}"
    )
    return is_kept


@asynccontextmanager
async def _collector() -> AsyncIterator[str]:
    """Takes what OpenTelemetry exports; its address."""

    async def accept(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(content_type="application/x-protobuf")

    app = web.Application()
    app.router.add_post("/v1/{kind}", accept)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def _scraping(port: int) -> AsyncIterator[list[int]]:
    """Sizes of the answers so far."""
    sizes: list[int] = []

    async def scrape() -> None:
        async with aiohttp.ClientSession() as session:
            while True:
                async with session.get(f"http://127.0.0.1:{port}/metrics") as answer:
                    sizes.append((await answer.text()).count("liba_"))
                await asyncio.sleep(_SCRAPE_EVERY_S)

    running = asyncio.get_running_loop().create_task(scrape())
    try:
        yield sizes
    finally:
        running.cancel()
        await asyncio.wait([running])


@asynccontextmanager
async def _watching(stack: Stack, room: str) -> AsyncIterator[None]:
    command = [sys.executable, "-m", "libacli", "metrics", "watch", "--room", room, "--json"]
    process = await asyncio.create_subprocess_exec(
        *command,
        env=stack.env | {"PYTHONPATH": str(Path.cwd())},
        cwd=stack.folder,
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=60)
    sys.exit(0 if asyncio.run(main(parser.parse_args().rounds)) else 1)
