"""F3: what waiting and looking after rooms costs a real LiveKit server in calls, and how soon one knows."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from livekit import rtc

from libacli.config import LiveKitCredentials
from libacli.core.delivery import Delivery
from libacli.core.messages import MAX_WAIT_MS, SayRequest
from libacli.edges.livekit.agent_client import AgentClient
from libacli.edges.livekit.agent_locator import AgentLocator
from libacli.edges.livekit.api import LiveKitApi
from libacli.edges.livekit.joining import joined
from libacli.edges.livekit.tokens import Permissions, join_token
from libacli.errors import InterruptedSpeechError
from tests.bench.calls import wire_to
from tests.live.conftest import ReadyRoom, Shell, wait_for_line
from tests.live.reachable import until_called

pytestmark = pytest.mark.live

LINE = "This line takes a good while to be spoken. " * 4


class Counting(httpx2.AsyncHTTPTransport):
    """Counts the calls by their names."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.calls[request.url.path.rpartition("/")[2]] += 1
        return await super().handle_async_request(request)


@pytest.fixture
def counting() -> Counting:
    return Counting()


@pytest.fixture
async def client(
    credentials: LiveKitCredentials, ready_room: ReadyRoom, counting: Counting, agent_name: str
) -> AsyncIterator[AgentClient]:
    async with LiveKitApi(credentials, transport=counting) as api:
        yield AgentClient(api, AgentLocator(api, room=ready_room.room, agent_name=agent_name))


@pytest.mark.parametrize("level", ["audible", "done"])
async def test_who_waits_asks_every_3_s_and_knows_of_it_at_once(
    ready_room: ReadyRoom, client: AgentClient, counting: Counting, level: str
) -> None:
    await client.reach(timeout_s=10)
    began_at = time.monotonic()
    said = await client.say(SayRequest(LINE, id=uuid.uuid4().hex[:8]))

    async def told_at() -> float:
        await ready_room.listener.wait_for(said.id, level)
        return time.monotonic()

    async with asyncio.TaskGroup() as tasks, asyncio.timeout(60):
        event = tasks.create_task(told_at())
        reached = await client.wait(said, level, timeout_s=60)
        returned_at = time.monotonic()
        lateness_s = returned_at - await event
    assert reached.level == level
    assert lateness_s < 0.3
    assert counting.calls.total() <= 2 + (returned_at - began_at) / 2.5 + 1


async def test_what_is_stopped_is_known_at_once(client: AgentClient) -> None:
    await client.reach(timeout_s=10)
    said = await client.say(SayRequest(LINE, id=uuid.uuid4().hex[:8]))
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(_end_of(client, said))
        await asyncio.sleep(1)
        stopped_at = time.monotonic()
        assert await client.stop() == [said.id]
        assert "stopped" in await waiting
    assert time.monotonic() - stopped_at < 0.5


async def _end_of(client: AgentClient, said: Delivery) -> str:
    with pytest.raises(InterruptedSpeechError) as ended:
        await client.wait(said, "done", timeout_s=30)
    return str(ended.value)


@pytest.mark.parametrize(("late_s", "asked"), [(MAX_WAIT_MS / 1000, 1), (3.6, 2)])
async def test_livekit_asks_once_for_an_answer_that_comes_within_3_s_and_again_for_a_later_one(
    credentials: LiveKitCredentials, room: str, late_s: float, asked: int
) -> None:
    """The second one is what our bound is for."""
    count = 0

    async def answer(_: rtc.RpcInvocationData) -> str:
        nonlocal count
        count += 1
        await asyncio.sleep(late_s)
        return "late"

    token = join_token(credentials, room=room, identity="late", permissions=Permissions(can_say=True))
    async with joined(rtc.Room(), credentials.ws_url, token) as there, LiveKitApi(credentials) as api:
        there.local_participant.register_rpc_method("late", answer)
        await until_called(there, api, room, "late")
        assert await api.perform_rpc(room, "late", "late", "", timeout_s=late_s + 3) == "late"
    assert count == asked


async def test_a_quiet_room_costs_a_call_now_and_then(
    credentials: LiveKitCredentials, shell: Shell, room: str, tmp_path: Path
) -> None:
    wire, name = wire_to(credentials), f"quiet-{room}"
    async with wire.laid(credentials) as near:
        arguments = ("agent", "run", "--agent-name", name, "--url", near.url)
        with shell.running(*arguments, log=tmp_path / "worker.log") as process:
            await asyncio.to_thread(wait_for_line, tmp_path / "worker.log", "worker is ready", process)
            async with LiveKitApi(credentials) as api:
                await AgentClient(api, AgentLocator(api, room=room, agent_name=name)).reach(timeout_s=60)
            await asyncio.sleep(15)
            wire.calls.clear()
            await asyncio.sleep(30)
            # One is its agent's to answer, as it shows by itself that it lives; the other one looks for rooms
            # whose worker has died.
            assert set(wire.calls) == {"PerformRpc", "ListRooms"}
            assert max(wire.calls.values()) <= 4
            process.terminate()
            await asyncio.to_thread(process.wait, 60)
