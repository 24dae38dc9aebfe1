"""What anybody in the room may send: the agent lives on, keeps its memory and tasks, and speaks."""

from __future__ import annotations

import asyncio
import json
import re
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import jwt
import psutil
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from livekit import rtc
from livekit.rtc.participant import PublishDataError
from pydantic import SecretStr

from libacli.config import LiveKitCredentials
from libacli.core.audio import FRAME_MS
from libacli.core.delivery import Delivery
from libacli.core.gate import PER_SECOND
from libacli.core.messages import MAX_REQUEST_BYTES, SayRequest
from libacli.core.protocol import METHODS, SAY_METHOD, SAY_TOPIC, STOP_METHOD
from libacli.edges.livekit.agent_client import AgentClient
from libacli.edges.livekit.agent_locator import AgentLocator
from libacli.edges.livekit.api import LiveKitApi
from libacli.edges.livekit.joining import joined
from libacli.edges.livekit.tokens import Permissions, join_token, sign_request
from libacli.edges.viewer.listener import Listener
from libacli.errors import RefusedError
from libacli.local.guard import GuardedProcess
from tests.inside import Inside
from tests.live.conftest import READY_TIMEOUT_S, Listen, Shell, wait_for_line
from tests.live.reachable import until_called
from tests.live.test_access import agent_in
from tests.speech_server import SpeechServer

pytestmark = pytest.mark.live

T = TypeVar("T")

INPUTS = 2000
SIGNED = 600
WARM_UP = 500
GROWTH_MB = 15
BURST, FLOOD_PER_SECOND = 100, 2000
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
        b"a" * (MAX_REQUEST_BYTES - 1024),  # LiveKit carries little more than that
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


B64 = st.binary(max_size=40).map(lambda raw: urlsafe_b64encode(raw).rstrip(b"=").decode())
HEADERS = st.sampled_from(
    [
        b'{"alg":"HS256"}',
        b'{"alg":"none"}',
        b'{"alg":"RS256","typ":"JWT"}',
        b'{"alg":["HS256"]}',
        b'{"alg":"HS256","crit":["b64"],"b64":false}',
        b'{"alg":"HS256","kid":"' + b"k" * 3000 + b'"}',
        b'{"alg":"HS256","typ":"\\ud800"}',
        b"[" * 3000,
        b'{"a":' * 1500,
        b"null",
        b"\xff\xfe",
        b"9" * 6000,
    ]
).map(lambda header: urlsafe_b64encode(header).rstrip(b"=").decode())
AUTH = st.one_of(
    JSON,
    TEXT,
    st.sampled_from(["", ".", "..", "...", "a.b.c", "e30.e30.e30", "\ud800", "=" * 50, "e30." * 500]),
    st.tuples(HEADERS | B64, HEADERS | B64, B64).map(".".join),
    st.tuples(HEADERS, st.just("e30"), st.just("e30")).map(".".join),
)
"""What may stand where a signature should."""

WITH_AUTH = st.tuples(
    st.dictionaries(st.sampled_from(MEMBERS), JSON, max_size=3),
    AUTH,
    st.sampled_from(["hi", "...", "", None]),
).map(lambda parts: json.dumps(parts[0] | {"text": parts[2], "auth": parts[1]}).encode())

PAYLOADS = st.one_of(st.binary(max_size=60), TEXT.map(lambda text: text.encode("utf-8", "surrogatepass")))
PAYLOADS = st.one_of(PAYLOADS, REQUEST, REQUEST, WITH_AUTH, WITH_AUTH, damaged(), damaged(), damaged(), HUGE)

BODIES = st.one_of(
    st.fixed_dictionaries({"text": st.just("Hi.")}, optional={"interrupt": st.just(True), "speed": NUMBER}),
    st.fixed_dictionaries({"text": st.just("Hi."), "id": st.uuids().map(str)}),
    st.dictionaries(st.sampled_from(MEMBERS[:-1]) | TEXT, JSON, max_size=5),
    st.fixed_dictionaries({"text": TEXT, "id": st.sampled_from(["\ud800", "a\udfff", "", "same", "x" * 65])}),
    st.sampled_from(
        [
            {"text": "hi", "\ud800": "\udc00"},
            {"text": "\ud83d", "id": "half"},
            {"text": "hi", "deep": json.loads("[" * 400 + "]" * 400)},
            {"text": "hi", "voice": "\ud800", "instructions": "\ud800", "speed": 10**400},
            {"id": ["same"]},
            {},
        ]
    ),
)
"""What a holder of a key may sign."""

CLAIMS = st.one_of(
    st.just({}),
    st.just({}),
    st.sampled_from(
        [
            {"room": "another"},
            {"room": {"a": "room"}},
            {"method": None},
            {"body": ["\ud800"]},
            {"agent": "liba-agent-0"},
            {"agent": ["\ud800"]},
            {"jti": ["a"]},
            {"jti": "\ud800"},
            {"jti": "x" * 5000},
            {"jti": json.loads("[" * 400 + "]" * 400)},
            {"exp": 4_000_000_000},
            {"exp": "soon", "nbf": True},
            {"nbf": -(10**400)},
            {"exp": 10**400},
            {"aud": ["liba", 5]},
            {"aud": {"liba": "liba"}},
            {"iss": ["key"]},
        ]
    ),
    st.dictionaries(st.sampled_from(["exp", "nbf", "iat", "jti", "aud", "room", "agent"]), JSON, max_size=2),
)
"""What a holder of a key may say of what he signs, instead of what `sign_request` says."""


def made_up(count: int, what: st.SearchStrategy[T]) -> list[T]:
    """So many of them, the same ones in every run."""
    found: list[T] = []

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(what)
    def collect(one: T) -> None:
        found.append(one)

    collect()
    return found


def signed(
    keys: Sequence[LiveKitCredentials], room: str, method: str, body: dict[str, Any], claims: dict[str, Any]
) -> bytes:
    """A request with a signature of each of `keys`, one after the other, whatever it says."""
    key = keys[len(json.dumps(body)) % len(keys)]
    secret = key.api_secret.get_secret_value()
    made = jwt.decode(
        sign_request(key, room=room, method=method, body=body), secret, algorithms=["HS256"], audience="liba"
    )
    auth = jwt.PyJWS().encode(json.dumps(made | claims).encode(), secret, algorithm="HS256")
    return json.dumps(body | {"auth": auth}).encode()


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


def method_of(number: int) -> str:
    """What `throw` asks for with an input: each fourth by a call, the others by packet."""
    return SAY_METHOD if number % 4 else METHODS[number % 3]


async def throw(inputs: Sequence[bytes], room: rtc.Room, agent: str, *, is_heard: bool) -> None:
    """Sends each input by packet or by call; what would be spoken is stopped at once.

    Not so fast that it would not even be read.
    """
    me = room.local_participant
    for number, payload in enumerate(inputs):
        await asyncio.sleep(1.3 / PER_SECOND)
        with suppress(rtc.RpcError, PublishDataError):  # too large for the SDK itself
            if number % 4:
                await me.publish_data(payload, topic=SAY_TOPIC)
            else:
                text = payload.decode(errors="replace")
                await me.perform_rpc(destination_identity=agent, method=method_of(number), payload=text)
            if is_heard and number % 4 == 3:
                await me.perform_rpc(destination_identity=agent, method=STOP_METHOD, payload="{}")


def left_to_the_net(log: str) -> list[str]:
    """Lines on what could not be dealt with. A voice that is passed over made nothing of an odd text."""
    return [line for line in log.splitlines() if re.search(r"(?<! is) passed over", line)]


async def test_fault_57_two_thousand_made_up_inputs_leave_the_agent_as_it_was(
    agent: Agent, credentials: LiveKitCredentials, room: str, listen: Listen
) -> None:
    inputs = made_up(INPUTS, PAYLOADS)
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
    log = agent.log.read_text(errors="replace")
    assert "Traceback" not in log
    assert left_to_the_net(log) == []
    assert "FLOOD" not in log


async def test_whatever_a_holder_of_a_key_has_signed_the_agent_lives_and_speaks(
    shell: Shell, credentials: LiveKitCredentials, room: str, tmp_path: Path, listen: Listen
) -> None:
    previous = replace(
        credentials, api_key="APIprevious", api_secret=SecretStr("a-previous-secret-of-32-characters")
    )
    environment = {
        "LIVEKIT_PREVIOUS_API_KEY": previous.api_key,
        "LIVEKIT_PREVIOUS_API_SECRET": previous.api_secret.get_secret_value(),
    }
    requests = made_up(SIGNED, st.tuples(BODIES, CLAIMS))
    async with LiveKitApi(credentials) as api, listen() as listener:
        with ExitStack() as stack:
            running = working(shell, room, tmp_path, **environment)
            agent = await asyncio.to_thread(stack.enter_context, running)
            async with guests(credentials, room) as (permitted, other):
                identity = await agent_in(permitted)
                processes = {process.pid for process in agent.processes()}
                inputs = [
                    signed([credentials, previous], room, method_of(number // 2), body, claims)
                    for number, (body, claims) in enumerate(requests)
                ]
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(throw(inputs[::2], permitted, identity, is_heard=True))
                    tasks.create_task(throw(inputs[1::2], other, identity, is_heard=False))
                client = AgentClient(api, AgentLocator(api, room=room, agent_name=agent.name))
                await client.reach(timeout_s=READY_TIMEOUT_S)
                await client.stop()
                await asyncio.sleep(1)
                assert {process.pid for process in agent.processes()} == processes
                take = listener.start_capture()
                said = await client.say(SayRequest("Still here, and well.", id="after"))
                done = await client.wait(said, "done", timeout_s=20)
                await asyncio.sleep(0.3)
                log = agent.log.read_text(errors="replace")
    assert done.report and done.report["state"] == "done"
    assert take.speech_s > 0.5
    assert log.count("Received data packet") > 10  # some of it was fit to be spoken
    assert "Traceback" not in log
    assert left_to_the_net(log) == []


async def send_flood(room: rtc.Room) -> None:
    """As fast as a line of a few Mbit/s; any faster, and it is this machine's processor that is flooded."""
    with suppress(PublishDataError):  # it is put out after 5 s
        while True:
            for _ in range(BURST):
                await room.local_participant.publish_data(b'{"text": "Me, me!"}', topic=SAY_TOPIC)
            await asyncio.sleep(BURST / FLOOD_PER_SECOND)


async def heard(client: AgentClient, listener: Listener, name: str) -> tuple[float, Delivery]:
    """Says the line: the longest gap in what is heard of it, in seconds, and what became of it."""
    take = listener.start_capture()
    said = await client.wait(await client.say(SayRequest(LINE, id=name)), "audible", timeout_s=30)
    done = await client.wait(said, "done", timeout_s=60)
    await asyncio.sleep(0.3)
    return max(take.gaps_s, default=0.0), done


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
        calm_gap_s, _ = await heard(client, listener, "calm")
        async with asyncio.TaskGroup() as tasks:
            flood = tasks.create_task(send_flood(other))
            gap_s, done = await heard(client, listener, "through")
            flood.cancel()
    assert done.report
    assert done.report["d23"] < done.report["frames"] * FRAME_MS + SLACK_MS
    assert gap_s < calm_gap_s + SLACK_MS / 1000
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
        await until_called(there, api, room, "slow")
        assert await api.perform_rpc(room, "slow", "think", "", timeout_s=3) == "there you are"
        assert calls == 1
