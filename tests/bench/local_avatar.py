"""What the local avatar costs and adds: `python -m tests.bench.local_avatar [--utterances 20]`.

The avatar runs in a process of its own, as `liba avatar run` does it. A viewer hears the same sound on
a track of the agent's own and through the avatar; the difference is what the avatar adds. Also printed:
processor time and memory of that process, and how soon it is there.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import psutil

from libacli.config import LiveKitCredentials
from libacli.core.audio import FRAME_BYTES, silence
from libacli.edges.sinks.track import TrackSink
from libacli.speech.fakes import tone
from tests.bench.avatar_agents import AvatarService, avatar_service
from tests.bench.local_stack import local_server
from tests.live.avatar_peers import TavusClient, Viewer, agent_in, meeting, viewer_in

LINE = tone(400) + silence(120)
MEASURED_S = 6.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--utterances", type=int, default=20, help="on each of the two ways")
    parser.add_argument("--size", type=int, default=512, help="width and height of the picture")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, local_server(Path(folder)) as stack:
        began_at = time.monotonic()
        with avatar_service(Path(folder), size=arguments.size) as service:
            print(f"{'service ready after':<28}{time.monotonic() - began_at:6.2f} s")
            through = asyncio.run(_through_avatar(stack.credentials, service, arguments.utterances))
        own = asyncio.run(_on_own_track(stack.credentials, arguments.utterances))
    _tell("heard on the own track", own)
    _tell("heard through the avatar", through)


async def _through_avatar(
    credentials: LiveKitCredentials, service: AvatarService, utterances: int
) -> list[float]:
    began_at = time.monotonic()
    async with aiohttp.ClientSession() as session:
        tavus = TavusClient(session, service.base_url, service.key, credentials)
        async with meeting(credentials, tavus, "bench") as scene:
            print(f"{'heard and seen after':<28}{time.monotonic() - began_at:6.2f} s, all joins included")

            async def say() -> None:
                await scene.agent.send(LINE)
                await scene.agent.report()

            await _cost("idle", service.pid, scene.viewer)
            await scene.agent.send(tone(1000 * MEASURED_S + 2000))
            await _cost("speaking", service.pid, scene.viewer)
            await scene.agent.report()
            return await _delays(scene.viewer, say, utterances)


async def _on_own_track(credentials: LiveKitCredentials, utterances: int) -> list[float]:
    async with viewer_in(credentials, "own") as viewer, agent_in(credentials, "own") as agent:
        sink = TrackSink(agent.room, reason="bench")

        async def say() -> None:
            await sink.start(lambda: None)
            for start in range(0, len(LINE), FRAME_BYTES):
                await sink.write(LINE[start : start + FRAME_BYTES])
            await sink.finish()

        await sink.open()
        try:
            async with asyncio.timeout(10):
                await viewer.hears.wait()
            return await _delays(viewer, say, utterances)
        finally:
            await sink.aclose()


async def _delays(viewer: Viewer, say: Callable[[], Awaitable[None]], utterances: int) -> list[float]:
    """Milliseconds from the first frame given to the first sound heard, for each utterance."""
    clock = asyncio.get_running_loop().time
    found = []
    for number in range(utterances):
        await asyncio.sleep(0.7 + 0.0037 * number)
        viewer.listen_anew()
        began_at = clock()
        await say()
        await asyncio.sleep(0.2)
        assert viewer.capture.first_audible_at
        found.append(1000 * (viewer.capture.first_audible_at - began_at))
    return found


async def _cost(what: str, pid: int, viewer: Viewer) -> None:
    process = psutil.Process(pid)
    before, seen = process.cpu_times(), len(viewer.glimpses)
    await asyncio.sleep(MEASURED_S)
    after = process.cpu_times()
    used_s = after.user + after.system - before.user - before.system
    memory = process.memory_full_info()
    print(
        f"{what:<28}{used_s / MEASURED_S:6.1%} of a core, {(len(viewer.glimpses) - seen) / MEASURED_S:.1f} "
        f"pictures a second, {memory.pss / 1e6:.0f} MB PSS, {memory.rss / 1e6:.0f} MB RSS"
    )


def _tell(what: str, milliseconds: list[float]) -> None:
    median = statistics.median(milliseconds)
    print(f"{what:<28}{median:6.0f} ms median, {min(milliseconds):.0f} to {max(milliseconds):.0f}")


if __name__ == "__main__":
    main()
