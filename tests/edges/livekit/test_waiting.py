"""Waiting for a line: few calls, and the end is known as soon as the agent knows it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator

import pytest

from libacli.core.delivery import Delivery
from libacli.core.messages import SayRequest
from libacli.core.protocol import STATUS_METHOD
from libacli.edges.livekit.agent_client import AgentClient
from libacli.edges.livekit.agent_locator import AgentLocator
from libacli.edges.livekit.api import LiveKitApi
from libacli.errors import InterruptedSpeechError, TimedOutError
from tests.twirp_server import NO_RESPONSE, Answer, TwirpPeer, reply, rpc_error, twirp_error

pytestmark = pytest.mark.anyio


@pytest.fixture
def peer() -> TwirpPeer:
    return TwirpPeer()


@pytest.fixture
async def client(peer: TwirpPeer) -> AsyncGenerator[AgentClient]:
    async with LiveKitApi(peer.credentials, transport=peer) as api:
        yield AgentClient(api, AgentLocator(api, room="demo", agent_name="liba"))


def now() -> float:
    return asyncio.get_running_loop().time()


def waited_for(peer: TwirpPeer) -> list[int]:
    """How late the agent was to answer each question, in milliseconds."""
    asked = [call for call in peer.asked("PerformRpc") if call.body["method"] == STATUS_METHOD]
    return [call.rpc.get("wait_ms", 0) for call in asked]


async def said(client: AgentClient, utterance_id: str = "u1") -> Delivery:
    await client.reach(timeout_s=20)
    return await client.say(SayRequest("A long line.", id=utterance_id))


async def test_a_line_of_a_minute_is_waited_for_with_25_calls_and_its_end_is_known_at_once(
    peer: TwirpPeer, client: AgentClient
) -> None:
    peer.speech_s = 63.0  # what comes before the sound, included
    assert (await client.wait(await said(client), "done", timeout_s=120)).level == "done"
    assert now() == pytest.approx(63.0)
    assert len(peer.requests) <= 25


@pytest.mark.parametrize("ahead_s", [100.0, 400.0])
async def test_wait_ignores_queue_the_bound_grows_with_what_is_said_before(
    peer: TwirpPeer, client: AgentClient, ahead_s: float
) -> None:
    line = await said(client)
    waiting = reply(epoch="epoch-1", id="u1", state="accepted", ahead_s=ahead_s)
    peer.play("PerformRpc", *[waiting] * round(ahead_s))
    assert (await client.wait(line, "done", timeout_s=10, grows_to_s=math.inf)).level == "done"
    assert now() == pytest.approx(ahead_s, rel=0.05)


@pytest.mark.parametrize(("grows_to_s", "bound_s"), [(0.0, 10), (5.0, 10), (60.0, 60)])
async def test_wait_ignores_queue_the_bound_grows_no_further_than_it_may(
    peer: TwirpPeer, client: AgentClient, grows_to_s: float, bound_s: float
) -> None:
    line = await said(client)
    peer.play("PerformRpc", *[reply(epoch="epoch-1", id="u1", state="accepted", ahead_s=500.0)] * 100)
    with pytest.raises(TimedOutError, match=f"u1 was accepted but not done after {bound_s:g} s"):
        await client.wait(line, "done", timeout_s=10, grows_to_s=grows_to_s)
    assert now() == pytest.approx(bound_s)


async def test_wait_ignores_queue_a_line_that_is_stuck_in_its_own_turn_has_its_own_bound(
    peer: TwirpPeer, client: AgentClient
) -> None:
    line = await said(client)
    peer.play("PerformRpc", reply(epoch="epoch-1", id="u1", state="accepted", ahead_s=30.0))
    peer.play("PerformRpc", *[reply(epoch="epoch-1", id="u1", state="speaking")] * 100)
    with pytest.raises(TimedOutError, match="u1 was accepted but not done after 40 s"):
        await client.wait(line, "done", timeout_s=10, grows_to_s=math.inf)


async def test_an_older_agent_is_asked_once_a_second(peer: TwirpPeer, client: AgentClient) -> None:
    peer.speech_s, peer.answers_late = 60.0, False
    await client.wait(await said(client), "done", timeout_s=120)
    assert now() <= 61.0
    assert len(peer.requests) <= 63


async def test_an_agent_that_says_the_same_again_and_again_is_asked_once_a_second(
    peer: TwirpPeer, client: AgentClient
) -> None:
    line = await said(client)
    peer.play("PerformRpc", *[reply(epoch="epoch-1", id="u1", state="audible")] * 30)
    with pytest.raises(TimedOutError, match="u1 was audible but not done after 10 s"):
        await client.wait(line, "done", timeout_s=10)
    assert len(peer.asked("PerformRpc")) <= 12


async def test_how_far_it_came_is_asked_once_more_before_the_time_is_over(
    peer: TwirpPeer, client: AgentClient
) -> None:
    peer.speech_s = 60.0
    with pytest.raises(TimedOutError, match="u1 was audible"):
        await client.wait(await said(client), "done", timeout_s=4)
    waits = waited_for(peer)
    assert waits[0] == 2800
    assert waits[1] == pytest.approx(1000, abs=5)
    assert now() == pytest.approx(4.0)


TOO_LATE = [
    rpc_error(1502, "Response timeout", status=408, kind="canceled"),
    twirp_error(408, "deadline_exceeded", "request timed out"),
    twirp_error(504, "unavailable", "gateway timeout"),
    NO_RESPONSE,
]


@pytest.mark.parametrize("failure", TOO_LATE)
async def test_where_an_answer_comes_too_late_for_livekit_the_next_is_asked_for_sooner(
    peer: TwirpPeer, client: AgentClient, failure: Answer
) -> None:
    peer.speech_s = 20.0
    line = await said(client)
    peer.play("PerformRpc", failure, failure)
    assert (await client.wait(line, "done", timeout_s=60)).level == "done"
    waits = waited_for(peer)
    assert waits[:3] == [2800, 2380, 2380]
    assert waits[3] == 2380


async def test_an_agent_that_is_gone_is_looked_for_with_few_calls(
    peer: TwirpPeer, client: AgentClient
) -> None:
    line = await said(client)
    peer.participants = []
    peer.play("PerformRpc", NO_RESPONSE)
    before = len(peer.requests)
    with pytest.raises(InterruptedSpeechError, match="the agent left"):
        await client.wait(line, "done", timeout_s=60)
    assert 10 <= now() <= 11.5
    assert len(peer.requests) - before <= 30


async def test_an_agent_that_does_not_come_is_looked_for_with_few_calls(
    peer: TwirpPeer, client: AgentClient
) -> None:
    peer.participants = []
    with pytest.raises(Exception, match="came into room"):
        await client.reach(timeout_s=20)
    assert len(peer.requests) <= 54  # each of the dispatches makes its room first


async def test_an_agent_that_comes_is_found_within_a_tenth_of_the_time_it_took(
    peer: TwirpPeer, client: AgentClient
) -> None:
    peer.participants, there = [], peer.participants
    for after_s in (0.3, 1.0, 3.0, 8.0):
        peer.participants = []
        began_at = now()
        asyncio.get_running_loop().call_later(after_s, setattr, peer, "participants", there)
        await client.reach(timeout_s=20)
        assert now() - began_at <= 1.1 * after_s + 0.2
