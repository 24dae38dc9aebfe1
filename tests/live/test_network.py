"""A line that a viewer hears over a bad network is heard whole."""

from __future__ import annotations

import asyncio
import secrets
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from livekit import rtc
from pydantic import SecretStr

from libacli.child_environment import environment_of
from libacli.config import LiveKitCredentials
from libacli.core.audio import FRAME_BYTES
from libacli.edges.livekit.joining import joined
from libacli.edges.livekit.tokens import listener_token
from libacli.edges.sinks.track import TrackSink
from tests.bench.agents_and_seats import agent_token
from tests.bench.far_viewer import Kept
from tests.edges.voices.test_recognition import by_the_voice
from tests.far import Far, far_from
from tests.hearing import words_in, words_of
from tests.impairment import Conditions
from tests.live.cluster.nodes import ROOT, Node, node
from tests.live.conftest import wait_for_line
from tests.machines import Network

pytestmark = pytest.mark.live

BAD = Conditions(delay_ms=80, jitter_ms=40, loss=0.03, reorder=0.02)
SEED = 1
LINE = "The boy was there when the sun rose."
LATE_S = 1.0
"""What is longer on its way than this is not waited for."""

Place = tuple[Node, Far, LiveKitCredentials]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A server, a machine far from it, and its keys."""
    keys = {"far": secrets.token_hex(32)}
    with Network() as network:
        server = node(network.machine(), tmp_path, keys)
        server.start()
        try:
            with far_from(server.machine, network, tmp_path, BAD, seed=SEED) as far:
                yield server, far, LiveKitCredentials(server.ws_url, "far", SecretStr(keys["far"]))
        finally:
            server.end()


async def test_a_line_over_a_bad_network_is_heard_whole(place: Place, tmp_path: Path) -> None:
    _, far, credentials = place
    room = f"far-{uuid.uuid4().hex[:6]}"
    env = environment_of("python") | {
        "LIVEKIT_URL": credentials.ws_url,
        "LIVEKIT_TOKEN": listener_token(credentials, room=room, identity="far"),
        "HEARD_FROM": "agent",
    }
    (voice,) = await asyncio.to_thread(by_the_voice, [LINE])
    command = [sys.executable, "-m", "tests.bench.far_viewer", str(tmp_path)]
    async with joined(rtc.Room(), credentials.ws_url, agent_token(credentials, room)) as there:
        sink = TrackSink(there, reason="no avatar")
        await sink.open()
        with (
            (tmp_path / "viewer.log").open("wb") as log,
            far.machine.start(command, log, env=env, cwd=ROOT, grace_s=5) as viewer,
        ):
            await asyncio.to_thread(wait_for_line, tmp_path / "viewer.log", "ready", viewer)
            began_at = asyncio.get_running_loop().time()
            await say(sink, voice)
            await asyncio.sleep(LATE_S)
            await asyncio.to_thread(viewer.terminate)
        await sink.aclose()
    kept = await asyncio.to_thread(Kept.read, tmp_path)
    heard = kept.between(began_at, asyncio.get_running_loop().time())
    counts = await asyncio.to_thread(far.end)
    assert await asyncio.to_thread(words_in, bytes(heard.pcm)) == words_of(LINE)
    assert counts["downlink"].lost > 0
    assert counts["downlink"].delayed_ms > 60
    assert counts["uplink"].delayed_ms > 60


async def say(sink: TrackSink, pcm: bytes) -> None:
    await sink.start(lambda: None)
    for start in range(0, len(pcm), FRAME_BYTES):
        await sink.write(pcm[start : start + FRAME_BYTES].ljust(FRAME_BYTES, b"\0"))
    await sink.finish()
