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
from libacli.local.avatar_manners import Manners
from libacli.speech.fakes import tone
from tests.faulty_avatar import REPORTS, Create, FaultyAvatar, Script
from tests.faulty_participant import GREETING_HZ
from tests.live.avatar_peers import AVATAR, Agent, TavusClient, agent_in, viewer_in
from tests.live.heard import assert_heard_once, quiet, tones_in

pytestmark = pytest.mark.live

PLAYER_FRAME_S = 0.1
"""livekit-agents' player counts a frame as played when it begins to play it."""

SOUND = tone(600) + silence(120)
WAY_S = 1.0
"""A report may take so long to get here on a busy machine; before it is due it may not come."""


@pytest.fixture
async def faulty(room: str) -> AsyncIterator[FaultyAvatar]:
    """Ends before its room does: livekit-agents' avatar leaves things open when it is put out."""
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
        ("vague", 400, "support@tavus.io"),
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


async def test_a_conversation_that_is_late_exists_only_then_whether_or_not_somebody_waits(
    faulty: FaultyAvatar, session: aiohttp.ClientSession
) -> None:
    faulty.play(Script(create="late", create_after_s=1.0, joins=False))
    asked_at = asyncio.get_running_loop().time()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5), _create(faulty, session):
            pass
    assert (faulty.creates, faulty.created) == (1, 0)
    async with asyncio.timeout(60):
        while not faulty.active:  # noqa: ASYNC110 - it happens in the service
            await asyncio.sleep(0.05)
    assert asyncio.get_running_loop().time() - asked_at >= 1.0


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
    ("mode", "count", "earliest_s", "latest_s", "position_s"),
    [
        ("on time", 1, 0.0, WAY_S, 0.72),
        ("early", 1, -0.5, 0.0, 0.72),
        ("when all has arrived", 1, -0.72, -0.2, 0.72),
        ("late", 1, 1.0, 1.0 + WAY_S, 0.72),
        ("padded", 1, 1.0, 1.0 + WAY_S, 1.72),
        ("zero", 1, 0.0, WAY_S, 0.0),
        ("interrupted", 1, 0.0, WAY_S, 0.72),
        ("double", 2, 0.0, WAY_S, 0.72),
        ("missing", 0, 0.0, 0.0, 0.0),
        ("malformed", 1, 0.0, WAY_S, None),
    ],
)
async def test_it_reports_the_end_as_told(
    faulty: FaultyAvatar,
    tavus: TavusClient,
    agent: Agent,
    room: str,
    mode: str,
    count: int,
    earliest_s: float,
    latest_s: float,
    position_s: float | None,
) -> None:
    faulty.play(REPORTS[mode])
    await tavus.create(room)
    await agent.avatar_ready()
    await agent.send(SOUND)
    reports = [await agent.report() for _ in range(count)]
    await asyncio.sleep(1.6)
    assert agent.reports.empty()
    (played_at,) = faulty.played_at
    for report in reports:
        assert earliest_s <= report.came_at - played_at < latest_s
    expected = {
        "playback_position": pytest.approx(position_s, abs=0.001),
        "interrupted": mode == "interrupted",
    }
    for report in reports:
        if position_s is None:
            assert report.payload == "not json"
        else:
            assert json.loads(report.payload) == expected


async def test_it_greets_though_nobody_asked(
    faulty: FaultyAvatar, tavus: TavusClient, credentials: LiveKitCredentials, room: str
) -> None:
    faulty.play(Script(greets_s=2.0))
    async with viewer_in(credentials, room) as viewer:
        await tavus.create(room)
        async with asyncio.timeout(60):
            await viewer.hears.wait()
        await quiet(viewer, for_s=1.0)
        assert tones_in(viewer.capture.pcm, [GREETING_HZ, 450])[GREETING_HZ] > 1.0


@pytest.mark.parametrize("moment", ["frames", "lines"])
async def test_it_freezes_and_is_there_for_good(
    faulty: FaultyAvatar,
    tavus: TavusClient,
    agent: Agent,
    credentials: LiveKitCredentials,
    room: str,
    moment: str,
) -> None:
    faulty.play(Script(freezes_after_frames=20) if moment == "frames" else Script(freezes_after_lines=1))
    async with viewer_in(credentials, room) as viewer:
        await tavus.create(room)
        await agent.avatar_ready()
        async with asyncio.timeout(60):
            await viewer.hears.wait()
        if moment == "lines":
            await agent.send(SOUND)
            await agent.report()
            await quiet(viewer)
        viewer.listen_anew()
        await agent.send(SOUND)
        with pytest.raises(TimeoutError):
            await agent.report(timeout_s=2.0)
        assert viewer.capture.speech_s < 0.48
        assert AVATAR in agent.room.remote_participants


async def test_it_leaves_between_two_lines(
    faulty: FaultyAvatar, tavus: TavusClient, agent: Agent, room: str
) -> None:
    faulty.play(Script(leaves_after_lines=1))
    one = await tavus.create(room)
    await agent.avatar_ready()
    await agent.send(SOUND)
    await agent.report()
    assert await tavus.ended(one) == "room_closed"


async def test_it_may_be_bound_to_the_first_agent_that_it_meets(
    faulty: FaultyAvatar, tavus: TavusClient, agent: Agent, credentials: LiveKitCredentials, room: str
) -> None:
    faulty.play(Script(binds_to_first_agent=True))
    await tavus.create(room)
    await agent.avatar_ready()
    async with agent_in(credentials, room, "agent-second") as second:
        await second.avatar_ready()
        await second.send(SOUND)
        await agent.send(SOUND)
        await agent.report()
    assert second.reports.empty()


async def test_it_leaves_with_its_last_viewer(
    faulty: FaultyAvatar, tavus: TavusClient, agent: Agent, credentials: LiveKitCredentials, room: str
) -> None:
    async with viewer_in(credentials, room):
        one = await tavus.create(room)
        await agent.avatar_ready()
    async with asyncio.timeout(15):
        assert await tavus.ended(one) == "participant_left_timeout reached"
    assert faulty.shutdown_reasons == ["participant_left_timeout reached"]


async def test_its_account_may_have_one_stream(
    session: aiohttp.ClientSession, credentials: LiveKitCredentials, room: str
) -> None:
    async with FaultyAvatar(Script(joins=False), manners=Manners(max_conversations=1)) as faulty:
        tavus = TavusClient(session, faulty.base_url, faulty.api_key, credentials)
        one = await tavus.create(room)
        async with _create(faulty, session) as answer:
            assert answer.status == 400
        await tavus.end(one)
        await tavus.create(room)


async def test_the_avatar_that_vendors_embed_plays_and_reports(
    faulty: FaultyAvatar, tavus: TavusClient, agent: Agent, credentials: LiveKitCredentials, room: str
) -> None:
    faulty.play(REPORTS["livekit-agents"])
    async with viewer_in(credentials, room) as viewer:
        await tavus.create(room)
        await agent.avatar_ready()
        async with asyncio.timeout(60):
            await viewer.hears.wait()
        await agent.send(SOUND)
        assert (await agent.report()).position_s == pytest.approx(0.72, abs=0.1)
        await quiet(viewer)
        assert_heard_once(viewer.capture.speech_s, 0.48)


@pytest.mark.parametrize("mode", ["on time", "livekit-agents"])
async def test_it_can_be_interrupted(
    faulty: FaultyAvatar,
    tavus: TavusClient,
    agent: Agent,
    credentials: LiveKitCredentials,
    room: str,
    mode: str,
) -> None:
    faulty.play(REPORTS[mode])
    async with viewer_in(credentials, room):
        await tavus.create(room)
        await agent.avatar_ready()
        clock = asyncio.get_running_loop().time
        began_at = clock()
        await agent.send(tone(4000))
        await asyncio.sleep(0.5)
        await agent.clear()
        report = await agent.report()
    assert report.is_interrupted
    # No more than there was time for: the way of sound and report are within it, and a frame of the player's.
    assert 0.2 < report.position_s < min(4.0, report.came_at - began_at + PLAYER_FRAME_S)


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
