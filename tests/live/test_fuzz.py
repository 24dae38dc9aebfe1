"""What anybody in the room may send: the agent lives on, keeps its memory and tasks, and speaks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import jwt
import psutil
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from livekit import rtc
from livekit.rtc.participant import PublishDataError

from libacli.config import LiveKitCredentials
from libacli.core.audio import FRAME_MS
from libacli.core.messages import SayRequest
from libacli.core.protocol import SAY_METHOD, SAY_TOPIC, STATUS_METHOD, STOP_METHOD
from libacli.edges.livekit.agent_client import AgentClient
from libacli.edges.livekit.agent_locator import AgentLocator
from libacli.edges.livekit.api import LiveKitApi
from libacli.edges.livekit.joining import joined
from libacli.edges.livekit.tokens import Permissions, join_token
from libacli.errors import RefusedError
from libacli.local.guard import GuardedProcess
from tests.inside import Inside
from tests.live.conftest import READY_TIMEOUT_S, Listen, Shell, wait_for_line
from tests.live.test_access import agent_in
from tests.speech_server import SpeechServer

pytestmark = pytest.mark.live

INPUTS = 2000
WARM_UP = 500
GROWTH_MB = 15
FLOOD = 10_000
SLACK_MS = 500
"""A pause of the voice's own is at most 200."""

LINE = "However much is thrown at it, this sentence is spoken from its beginning to its end, without a gap."

TEXT = st.text(max_size=12) | st.sampled_from(
    ["", "hi", "🎉", "\u202ehi", "a\u200b", "e\u0301", "\x00\x1b[2J"]
)
NUMBER = st.floats() | st.integers() | st.sampled_from([1e308, 10**400, -0.0, 2**63, 1e-320])
JSON = st.recursive(
    st.none() | st.booleans() | NUMBER | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
MEMBERS = ("text", "id", "voice", "speed", "instructions", "interrupt", "priority", "ttl_ms", "auth")
REQUEST = st.dictionaries(st.sampled_from(MEMBERS) | TEXT, JSON, max_size=6).map(
    lambda members: json.dumps(members).encode()
)
HUGE = st.sampled_from(
    [
        b"[" * 12_000,
        b'{"text":' * 1500,
        b'{"text": ' + b"[" * 6000 + b"]" * 6000 + b"}",
        b'{"speed": ' + b"9" * 12_000 + b', "text": "hi"}',
        b'{"text": "' + b"\\ud83d" * 2000 + b'"}',
        "é".encode() * 7000,
        b"a" * (16 * 1024),
        b"a" * (16 * 1024 + 1),
        b"\xff" * 30_000,
        b'{"id": "' + b"x" * 12_000 + b'", "text": "hi"}',
        b'{"auth": "' + b"eyJ." * 3000 + b'", "text": "hi"}',
    ]
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """JSON with a piece of it cut out, doubled, or overwritten."""
    source = draw(REQUEST)
    start = draw(st.integers(0, len(source)))
    end = draw(st.integers(start, len(source)))
    return source[:start] + draw(st.binary(max_size=3) | st.just(source[start:end] * 2)) + source[end:]


PAYLOADS = st.one_of(st.binary(max_size=60), TEXT.map(lambda text: text.encode("utf-8", "surrogatepass")))
PAYLOADS = st.one_of(PAYLOADS, REQUEST, REQUEST, damaged(), damaged(), damaged(), HUGE)


def made_up(count: int) -> list[bytes]:
    """So many inputs, the same ones in every run."""
    found: list[bytes] = []

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(PAYLOADS)
    def collect(payload: bytes) -> None:
        found.append(payload)

    collect()
    return found


@dataclass(frozen=True)
class Agent:
    """A worker with an agent in the test's room."""

    name: str
    process: GuardedProcess
    log: Path
    inside: Inside

    def processes(self) -> list[psutil.Process]:
        """The worker, its room processes, and what else it consists of."""
        return self.inside.processes(self.process.pid)

    def rss_mb(self) -> float:
        return float(sum(process.memory_info().rss for process in self.processes())) / 1e6

    async def tasks(self) -> int:
        """How many asyncio tasks there are in all of them."""
        return sum((await self.inside.tasks(self.processes())).values())


@contextmanager
def working(shell: Shell, room: str, folder: Path, **environment: str) -> Iterator[Agent]:
    log, inside = folder / "agent.log", Inside(folder / "inside")
    environment |= {
        "LIBA_SAY_RATE_PER_MINUTE": "0",
        "LIBA_SAY_MAX_CHARS_PER_HOUR": "0",
    }
    there = Shell(shell.folder, shell.environment | environment | inside.env)
    with there.running("agent", "run", "--agent-name", room, "--room", room, log=log) as process:
        wait_for_line(log, "ready in room", process)
        yield Agent(room, process, log, inside)


@pytest.fixture
def agent(shell: Shell, room: str, tmp_path: Path) -> Iterator[Agent]:
    with working(shell, room, tmp_path) as agent:
        yield agent


@asynccontextmanager
async def guests(credentials: LiveKitCredentials, room: str) -> AsyncIterator[tuple[rtc.Room, rtc.Room]]:
    """Two participants that may send data: one that may make the agent speak, and one that may not."""
    permissions = Permissions(can_say=True, can_control=True)
    permitted = join_token(credentials, room=room, identity="permitted", permissions=permissions)
    claims = {
        "iss": credentials.api_key,
        "sub": "not-permitted",
        "exp": 4_000_000_000,
        "video": {"roomJoin": True, "room": room, "canPublishData": True},
    }
    other = jwt.encode(claims, credentials.api_secret.get_secret_value(), algorithm="HS256")
    async with AsyncExitStack() as stack:
        first, second = [
            await stack.enter_async_context(
                joined(rtc.Room(), credentials.ws_url, token, auto_subscribe=False)
            )
            for token in (permitted, other)
        ]
        await agent_in(first)
        await agent_in(second)
        yield first, second


async def throw(inputs: list[bytes], room: rtc.Room, agent: str, *, is_heard: bool) -> None:
    """Sends each input by packet or by call; what would be spoken is stopped at once."""
    me = room.local_participant
    for number, payload in enumerate(inputs):
        method = (SAY_METHOD, STATUS_METHOD, STOP_METHOD)[number % 3]
        with suppress(rtc.RpcError, PublishDataError):  # too large for the SDK itself
            if number % 4:
                await me.publish_data(payload, topic=SAY_TOPIC)
            else:
                text = payload.decode(errors="replace")
                await me.perform_rpc(destination_identity=agent, method=method, payload=text)
            if is_heard and number % 4 == 3:
                await me.perform_rpc(destination_identity=agent, method=STOP_METHOD, payload="{}")


async def test_fault_57_two_thousand_made_up_inputs_leave_the_agent_as_it_was(
    agent: Agent, credentials: LiveKitCredentials, room: str, listen: Listen
) -> None:
    inputs = made_up(INPUTS)
    assert len(inputs) >= INPUTS * 0.95
    async with (
        LiveKitApi(credentials) as api,
        listen() as listener,
        guests(credentials, room) as (permitted, other),
    ):
        client = AgentClient(api, AgentLocator(api, room=room, agent_name=agent.name))
        await client.reach(timeout_s=READY_TIMEOUT_S)
        identity = await agent_in(permitted)
        processes = {process.pid for process in agent.processes()}

        async def throw_all(some: list[bytes]) -> tuple[float, int]:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(throw(some[::2], permitted, identity, is_heard=True))
                tasks.create_task(throw(some[1::2], other, identity, is_heard=False))
            await client.stop()
            await asyncio.sleep(1)
            return agent.rss_mb(), await agent.tasks()

        rss_before, tasks_before = await throw_all(inputs[:WARM_UP])
        rss_after, tasks_after = await throw_all(inputs[WARM_UP:])

        assert {process.pid for process in agent.processes()} == processes
        assert rss_after - rss_before < GROWTH_MB
        assert tasks_after <= tasks_before + 2
        take = listener.start_capture()
        said = await client.say(SayRequest("Still here, and well.", id="after"))
        done = await client.wait(said, "done", timeout_s=20)
        await asyncio.sleep(0.3)
    assert done.report and done.report["state"] == "done"
    assert take.speech_s > 0.5
    assert "Traceback" not in agent.log.read_text(errors="replace")


async def test_a_flood_of_packets_makes_no_gap_in_what_is_being_spoken(
    agent: Agent, credentials: LiveKitCredentials, room: str, listen: Listen
) -> None:
    async with (
        LiveKitApi(credentials) as api,
        listen() as listener,
        guests(credentials, room) as (_, other),
    ):
        client = AgentClient(api, AgentLocator(api, room=room, agent_name=agent.name))
        await client.reach(timeout_s=READY_TIMEOUT_S)
        async with asyncio.timeout(60):
            await listener.subscribed.wait()
        take = listener.start_capture()
        said = await client.wait(await client.say(SayRequest(LINE, id="through")), "audible", timeout_s=10)
        for _ in range(FLOOD):
            await other.local_participant.publish_data(b'{"text": "Me, me!"}', topic=SAY_TOPIC)
        done = await client.wait(said, "done", timeout_s=30)
        await asyncio.sleep(0.3)
    assert done.report
    assert done.report["d23"] < done.report["frames"] * FRAME_MS + SLACK_MS
    assert max(take.gaps_s, default=0.0) < SLACK_MS / 1000
    assert agent.process.poll() is None


async def test_fault_60_what_makes_no_sound_is_refused_before_the_voice_is_asked(
    shell: Shell, credentials: LiveKitCredentials, room: str, tmp_path: Path
) -> None:
    async with SpeechServer() as speech, LiveKitApi(credentials) as api:
        with ExitStack() as stack:
            running = working(shell, room, tmp_path, OPENAI_BASE_URL=speech.base_url)
            agent = await asyncio.to_thread(stack.enter_context, running)
            async with guests(credentials, room) as (permitted, _):
                asked_to_warm_up = speech.calls
                client = AgentClient(api, AgentLocator(api, room=room, agent_name=agent.name))
                await client.reach(timeout_s=READY_TIMEOUT_S)
                for text in ("", " \n\t", "...", "?!", "🎉👩‍🚀", "\u200b\u202e", "—"):
                    with pytest.raises(RefusedError) as caught:
                        await client.say(SayRequest(text, id="nothing"))
                    assert caught.value.reason == "nothing_to_say"
                    body = json.dumps({"text": text})
                    await permitted.local_participant.publish_data(body, topic=SAY_TOPIC)
                assert (await client.queue()).waiting == ()
                assert speech.calls == asked_to_warm_up
                said = await client.say(SayRequest("Something.", id="something"))
                await client.wait(said, "done", timeout_s=20)
                assert speech.calls == asked_to_warm_up + 1


async def test_fault_62_a_reply_that_takes_its_time_arrives_within_the_bound(
    credentials: LiveKitCredentials, room: str
) -> None:
    calls = 0

    async def think(_: rtc.RpcInvocationData) -> str:
        nonlocal calls
        calls += 1
        await asyncio.sleep(2)
        return "there you are"

    token = join_token(credentials, room=room, identity="slow", permissions=Permissions(can_say=True))
    async with LiveKitApi(credentials) as api, joined(rtc.Room(), credentials.ws_url, token) as there:
        there.local_participant.register_rpc_method("think", think)
        assert await api.perform_rpc(room, "slow", "think", "", timeout_s=3) == "there you are"
        assert calls == 1
