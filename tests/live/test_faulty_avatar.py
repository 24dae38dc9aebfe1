"""The misbehaving avatar misbehaves as told, and only so: tests of what other tests rely on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from livekit import rtc

from libacli.config import LiveKitCredentials
from libacli.core.audio import FRAME_BYTES, silence
from libacli.speech.fakes import tone
from tests.faulty_avatar import Create, FaultyAvatar, Script
from tests.live.avatar_peers import Agent, TavusClient, agent_in, viewer_in
from tests.live.heard import assert_heard_once, quiet

pytestmark = pytest.mark.live

SOUND = tone(600) + silence(120)
WAY_S = 1.0
"""A report may take so long to get here on a busy machine; before it is due it may not come."""


@pytest.fixture
async def faulty() -> AsyncIterator[FaultyAvatar]:
    async with FaultyAvatar() as faulty:
        yield faulty


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def tavus(
    faulty: FaultyAvatar, session: aiohttp.ClientSession, credentials: LiveKitCredentials
) -> TavusClient:
    return TavusClient(session, faulty.base_url, faulty.api_key, credentials)


@pytest.fixture
async def agent(credentials: LiveKitCredentials, room: str) -> AsyncIterator[Agent]:
    async with agent_in(credentials, room) as agent:
        yield agent


@pytest.mark.parametrize(
    ("create", "status", "said"),
    [
        ("too many", 400, "maximum concurrent conversations"),
        (401, 401, "Invalid access token"),
        (402, 402, "credits"),
        (429, 429, "Too many"),
        (500, 500, "error"),
    ],
)
async def test_it_refuses_as_told_and_then_no_more(
    faulty: FaultyAvatar,
    session: aiohttp.ClientSession,
    tavus: TavusClient,
    room: str,
    create: Create,
    status: int,
    said: str,
) -> None:
    faulty.play(Script(create=create), Script(joins=False))
    async with _create(faulty, session) as answer:
        assert (answer.status, said in await answer.text()) == (status, True)
    assert not faulty.active
    one = await tavus.create(room)
    assert (faulty.active, faulty.creates) == ([one], 2)
    for _ in range(2):
        await tavus.end(one)
    assert (faulty.active, faulty.ends) == ([], [one, one])
    assert faulty.bodies[1]["conversation_name"] == room


async def test_it_accepts_the_port_and_never_answers(
    faulty: FaultyAvatar, session: aiohttp.ClientSession
) -> None:
    faulty.play(Script(create="hang"))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5), _create(faulty, session):
            pass
    assert (faulty.creates, faulty.active) == (1, [])


async def test_a_lost_answer_leaves_a_conversation_behind(
    faulty: FaultyAvatar, session: aiohttp.ClientSession
) -> None:
    faulty.play(Script(create="lost", joins=False))
    with pytest.raises(aiohttp.ClientError):
        async with _create(faulty, session):
            pass
    assert (faulty.creates, len(faulty.active)) == (1, 1)


async def test_it_never_joins(faulty: FaultyAvatar, tavus: TavusClient, agent: Agent, room: str) -> None:
    faulty.play(Script(joins=False))
    await tavus.create(room)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await agent.avatar_ready(with_video=False)


async def test_it_joins_late(faulty: FaultyAvatar, tavus: TavusClient, agent: Agent, room: str) -> None:
    faulty.play(Script(join_after_s=1.0))
    began_at = asyncio.get_running_loop().time()
    await tavus.create(room)
    await agent.avatar_ready()
    assert asyncio.get_running_loop().time() - began_at > 1.0


async def test_it_joins_without_a_picture(
    faulty: FaultyAvatar, tavus: TavusClient, agent: Agent, room: str
) -> None:
    faulty.play(Script(has_video=False))
    await tavus.create(room)
    await agent.avatar_ready(with_video=False)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await agent.avatar_ready()


async def test_its_sound_is_real(
    faulty: FaultyAvatar, tavus: TavusClient, agent: Agent, credentials: LiveKitCredentials, room: str
) -> None:
    async with viewer_in(credentials, room) as viewer:
        await tavus.create(room)
        await agent.avatar_ready()
        async with asyncio.timeout(60):
            await viewer.hears.wait()
        await agent.send(SOUND)
        assert (await agent.report()).position_s == pytest.approx(0.72, abs=0.001)
        await quiet(viewer)
        assert_heard_once(viewer.capture.speech_s, 0.48)
    assert faulty.frames == len(SOUND) // FRAME_BYTES


async def test_it_leaves_in_the_middle(
    faulty: FaultyAvatar, tavus: TavusClient, agent: Agent, room: str
) -> None:
    faulty.play(Script(leaves_after_frames=10))
    one = await tavus.create(room)
    await agent.avatar_ready()
    await agent.send(SOUND)
    async with asyncio.timeout(60):
        await agent.avatar_left.wait()
    assert faulty.frames >= 10
    assert await tavus.ended(one) == "room_closed"


@pytest.mark.parametrize(
    ("script", "count", "earliest_s", "latest_s"),
    [
        (Script(), 1, 0.0, WAY_S),
        (Script(report_shift_s=-0.5), 1, -0.5, 0.0),
        (Script(report_shift_s=0.5), 1, 0.5, 0.5 + WAY_S),
        (Script(report="twice"), 2, 0.0, WAY_S),
        (Script(report="never"), 0, 0.0, 0.0),
        (Script(report="malformed"), 1, 0.0, WAY_S),
    ],
    ids=["on time", "early", "late", "twice", "never", "malformed"],
)
async def test_it_reports_the_end_as_told(
    faulty: FaultyAvatar,
    tavus: TavusClient,
    agent: Agent,
    room: str,
    script: Script,
    count: int,
    earliest_s: float,
    latest_s: float,
) -> None:
    faulty.play(script)
    await tavus.create(room)
    await agent.avatar_ready()
    await agent.send(SOUND)
    reports = [await agent.report() for _ in range(count)]
    await asyncio.sleep(1.6)
    assert agent.reports.empty()
    (played_at,) = faulty.played_at
    for report in reports:
        assert earliest_s <= report.came_at - played_at < latest_s
    expected = {"playback_position": pytest.approx(0.72, abs=0.001), "interrupted": False}
    for report in reports:
        if script.report == "malformed":
            assert report.payload == "not json"
        else:
            assert json.loads(report.payload) == expected


async def test_it_can_be_interrupted(
    faulty: FaultyAvatar, tavus: TavusClient, agent: Agent, room: str
) -> None:
    await tavus.create(room)
    await agent.avatar_ready()
    clock = asyncio.get_running_loop().time
    began_at = clock()
    await agent.send(tone(4000))
    await asyncio.sleep(0.5)
    await agent.clear()
    report = await agent.report()
    assert report.is_interrupted
    # No more than there was time for: the way of the sound and of the report are within it.
    assert 0.2 < report.position_s < min(4.0, report.came_at - began_at)


async def test_it_can_be_deaf_to_interruptions(
    faulty: FaultyAvatar, tavus: TavusClient, agent: Agent, room: str
) -> None:
    faulty.play(Script(hears_clear=False))
    await tavus.create(room)
    await agent.avatar_ready()
    await agent.send(tone(400))
    with pytest.raises(rtc.RpcError):
        await agent.clear()
    assert not (await agent.report()).is_interrupted


def _create(faulty: FaultyAvatar, session: aiohttp.ClientSession) -> Any:
    return session.post(
        f"{faulty.base_url}/v2/conversations",
        json={
            "pal_id": "p1",
            "properties": {"livekit_ws_url": "ws://127.0.0.1:1", "livekit_room_token": "token"},
        },
        headers={"x-api-key": faulty.api_key.get_secret_value()},
    )
