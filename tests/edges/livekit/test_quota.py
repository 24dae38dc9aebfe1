"""A project that has had its calls: who asks is held back as long as LiveKit says, and no command fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from libacli.core.messages import SayRequest
from libacli.edges.livekit.agent_client import AgentClient
from libacli.edges.livekit.agent_locator import AgentLocator
from libacli.edges.livekit.api import LiveKitApi
from libacli.edges.livekit.leader import pulse
from libacli.errors import OverQuotaError, UnreachableError
from tests.twirp_server import TokenBucket, TwirpPeer, agent, over_quota, people, twirp_error

pytestmark = pytest.mark.anyio


@pytest.fixture
def peer() -> TwirpPeer:
    return TwirpPeer()


@pytest.fixture
async def api(peer: TwirpPeer) -> AsyncGenerator[LiveKitApi]:
    async with LiveKitApi(peer.credentials, transport=peer) as api:
        yield api


def client_of(api: LiveKitApi) -> AgentClient:
    return AgentClient(api, AgentLocator(api, room="demo", agent_name="liba"))


def now() -> float:
    return asyncio.get_running_loop().time()


@pytest.mark.parametrize(
    ("retry_after", "least_s"),
    [("7", 7), ("0", 0.25), ("2.5", 2.5), (None, 1), ("soon", 1), ("nan", 1), ("inf", 1)],
)
async def test_a_call_that_came_too_soon_is_made_again_when_livekit_said(
    peer: TwirpPeer, api: LiveKitApi, retry_after: str | None, least_s: float
) -> None:
    peer.play("ListParticipants", over_quota(retry_after))
    assert len(await api.participants("demo")) == 1
    assert least_s <= now() <= 1.1 * least_s
    assert len(peer.requests) == 2


async def test_a_date_says_when_as_well(peer: TwirpPeer, api: LiveKitApi) -> None:
    peer.play(
        "ListParticipants",
        over_quota(format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)),
    )
    await api.participants("demo")
    assert 28 <= now() <= 33


async def test_twirps_older_status_for_it_is_no_refusal_of_the_credentials(
    peer: TwirpPeer, api: LiveKitApi
) -> None:
    peer.play("ListParticipants", twirp_error(403, "resource_exhausted", "too many requests"))
    assert len(await api.participants("demo")) == 1


async def test_who_is_not_told_when_asks_less_and_less_often_and_then_gives_up(
    peer: TwirpPeer, api: LiveKitApi
) -> None:
    peer.play("ListParticipants", *[over_quota()] * 20)
    with pytest.raises(OverQuotaError, match="quota") as caught:
        await api.participants("demo")
    assert isinstance(caught.value, UnreachableError)
    assert 50 < now() <= 75
    assert 6 <= len(peer.requests) <= 9


async def test_a_pause_longer_than_anybody_waits_is_told_at_once(peer: TwirpPeer, api: LiveKitApi) -> None:
    peer.play("ListParticipants", over_quota("3600"))
    with pytest.raises(OverQuotaError) as caught:
        await api.participants("demo")
    assert (now(), caught.value.retry_in_s, caught.value.exit_code) == (0, 3600, 4)
    assert "3600 s" in caught.value.hint


async def test_while_one_call_is_held_back_so_are_all_others(peer: TwirpPeer, api: LiveKitApi) -> None:
    peer.play("ListParticipants", over_quota("5"))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(api.participants("one"))
        await asyncio.sleep(1)
        for _ in range(20):
            tasks.create_task(api.participants("two"))
        await asyncio.sleep(3.9)
        assert len(peer.requests) == 1
    assert len(peer.requests) == 22


async def test_what_livekit_makes_wait_takes_nothing_from_the_time_for_bringing_an_agent(
    peer: TwirpPeer, api: LiveKitApi
) -> None:
    peer.play("ListParticipants", people(), over_quota("50"), people(), people(agent()))
    await client_of(api).reach(timeout_s=5)
    assert now() > 50
    assert peer.asked("DeleteDispatch") == []


async def test_an_agent_that_could_not_be_asked_in_time_is_not_taken_for_dead(
    peer: TwirpPeer, api: LiveKitApi
) -> None:
    peer.play("PerformRpc", over_quota("20"))
    assert await pulse(api, peer.credentials, "demo", "liba-agent-1") == "ready"


@pytest.mark.parametrize("tells_when", [True, False])
async def test_three_lines_are_waited_for_when_others_have_used_up_the_quota(
    peer: TwirpPeer, tells_when: bool
) -> None:
    """F3: three commands side by side, each with a connection of its own, as in three shells."""
    peer.speech_s = 60.0
    peer.bucket = TokenBucket(1000, tells_when=tells_when)

    async def command(number: int) -> str:
        async with LiveKitApi(peer.credentials, transport=peer) as api:
            client = client_of(api)
            await client.reach(timeout_s=20)
            said = await client.say(SayRequest("A long line.", id=f"u{number}"))
            return (await client.wait(said, "done", timeout_s=120)).level

    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(command(number)) for number in range(3)]
        for pause_s in (0, 10, 20):
            await asyncio.sleep(pause_s)
            peer.bucket.drain()
    assert [task.result() for task in running] == ["done"] * 3
    assert peer.bucket.refused > 0
    assert now() < 65
