"""The local avatar in real rooms: what a viewer hears and sees, and what the agent is told."""

from __future__ import annotations

import asyncio
import math
import statistics
from array import array
from collections.abc import AsyncIterator

import aiohttp
import pytest
from livekit import rtc
from livekit.agents.voice.avatar import DataStreamAudioOutput
from pydantic import SecretStr

from libacli.config import LiveKitCredentials
from libacli.core.audio import BYTES_PER_SECOND, FRAME_BYTES, SAMPLE_RATE, silence
from libacli.local.avatar import attend
from libacli.local.avatar_presence import Invitation
from libacli.local.avatar_service import AvatarService, serving
from tests import native_log
from tests.live.avatar_peers import (
    AVATAR,
    LampFace,
    Meeting,
    TavusClient,
    agent_in,
    meeting,
    seconds,
    viewer_in,
)
from tests.live.heard import assert_heard_once, loudest_hertz, quiet, share_of

pytestmark = pytest.mark.live

KEY = SecretStr("key-of-the-test")
TAIL = silence(120)
LOUDNESS = 8000


async def _attend(invitation: Invitation) -> str:
    return await attend(invitation, LampFace())


@pytest.fixture
async def tavus(credentials: LiveKitCredentials, room: str) -> AsyncIterator[TavusClient]:
    """Ends before the room does: who is put out leaves a source of sound to the SDK."""
    async with serving(AvatarService(KEY, _attend)) as service, aiohttp.ClientSession() as session:
        yield TavusClient(session, service.base_url, KEY, credentials)


@pytest.fixture
async def scene(credentials: LiveKitCredentials, tavus: TavusClient, room: str) -> AsyncIterator[Meeting]:
    async with meeting(credentials, tavus, room) as scene:
        yield scene


def steady(milliseconds: int, hertz: int) -> bytes:
    """A tone that swells and fades within 5 ms."""
    length, edge = SAMPLE_RATE * milliseconds // 1000, SAMPLE_RATE // 200
    values = (
        round(LOUDNESS * min(1, i / edge, (length - i) / edge) * math.sin(math.tau * hertz * i / SAMPLE_RATE))
        for i in range(length)
    )
    return array("h", values).tobytes()


async def test_all_of_an_utterance_is_heard_its_last_tenth_of_a_second_too(scene: Meeting) -> None:
    await scene.agent.send(steady(1300, 440) + steady(100, 1000) + TAIL)
    report = await scene.agent.report()
    await quiet(scene.viewer)
    take = scene.viewer.capture
    assert not report.is_interrupted
    assert report.position_s == pytest.approx(1.52, abs=0.001)
    assert_heard_once(take.speech_s, 1.4, edge_s=0.06)
    assert loudest_hertz(take.pcm[-2 * 1680 : -2 * 480]) == pytest.approx(1000, rel=0.05)
    assert not take.gaps_s


async def test_the_end_is_reported_when_it_has_been_heard_and_the_beginning_too(scene: Meeting) -> None:
    began_at = asyncio.get_running_loop().time()
    await scene.agent.send(steady(800, 440))
    report = await scene.agent.report()
    await quiet(scene.viewer)
    heard = scene.viewer.capture
    assert heard.first_audible_at and heard.last_audible_at
    way_s = heard.first_audible_at - began_at  # how long it is: `python -m tests.bench.local_avatar`
    assert abs(report.came_at - heard.last_audible_at) < 0.1 + way_s
    assert scene.agent.started.get_nowait() < report.came_at


async def test_one_utterance_after_the_other_is_heard_and_reported(scene: Meeting) -> None:
    for milliseconds in (300, 40, 500):
        await scene.agent.send(steady(milliseconds, 440))
    positions = [(await scene.agent.report()).position_s for _ in range(3)]
    assert positions == pytest.approx([0.3, 0.04, 0.5], abs=0.001)


@pytest.mark.parametrize(("piece_bytes", "pause_s"), [(333, 0.0), (FRAME_BYTES, 0.05), (15_000, 0.0)])
async def test_nothing_is_lost_or_turned_to_noise_in_slow_or_odd_pieces(
    scene: Meeting, piece_bytes: int, pause_s: float
) -> None:
    await scene.agent.send(steady(600, 440) + TAIL, piece_bytes=piece_bytes, pause_s=pause_s)
    assert (await scene.agent.report()).position_s == pytest.approx(0.72, abs=0.021)
    await quiet(scene.viewer)
    heard = array("h", bytes(scene.viewer.capture.pcm))
    energy = sum(value * value for value in heard) / SAMPLE_RATE
    assert_heard_once(energy / (LOUDNESS**2 / 2), 0.6, edge_s=0.12)
    assert share_of(440, scene.viewer.capture.pcm) > 0.9
    assert max(heard) < 1.25 * LOUDNESS  # noise would clip


async def test_sound_in_bursts_has_a_hole_once_and_hardly_any_in_the_next_utterance(scene: Meeting) -> None:
    async def in_bursts() -> float:
        """Half a second at a time, after the first tenth; the silence that is heard inside."""
        scene.viewer.listen_anew()
        pcm, stream = steady(1600, 440), await scene.agent.stream()
        edge, step = BYTES_PER_SECOND // 10, BYTES_PER_SECOND // 2
        await stream.write(pcm[:edge])
        for start in range(edge, len(pcm), step):
            await asyncio.sleep(0.5)
            await stream.write(pcm[start : start + step])
        await stream.aclose()
        assert (await scene.agent.report()).position_s == pytest.approx(1.6, abs=0.021)
        await quiet(scene.viewer)
        return sum(scene.viewer.capture.gaps_s)

    first_s = await in_bursts()
    assert first_s >= 0.2
    assert await in_bursts() < first_s / 2


async def test_the_picture_moves_25_times_a_second_while_nothing_is_said(scene: Meeting) -> None:
    scene.viewer.listen_anew()
    await asyncio.sleep(2)
    glimpses = scene.viewer.glimpses
    assert 44 <= len(glimpses) <= 56
    assert len({glimpse.brightness for glimpse in glimpses}) > 1


async def test_the_mouth_opens_when_the_sound_is_heard(scene: Meeting) -> None:
    apart: list[float] = []
    for number in range(5):
        scene.viewer.listen_anew()
        await asyncio.sleep(0.3 + 0.013 * number)
        await scene.agent.send(steady(160, 440) + TAIL)
        await scene.agent.report()
        await quiet(scene.viewer)
        heard_at = scene.viewer.onsets[0]
        apart.append(next(one.came_at for one in scene.viewer.glimpses if one.brightness > 110) - heard_at)
        assert scene.viewer.glimpses[-1].brightness < 60  # closed again
    # Where this process is kept waiting its jitter buffer grows, and sound comes later than the picture.
    assert statistics.median(apart) <= 0.04, apart
    assert max(apart) >= -0.04, apart


async def test_an_interruption_silences_at_once_and_closes_the_mouth(scene: Meeting) -> None:
    clock = asyncio.get_running_loop().time
    took_s: list[float] = []
    ways_s: list[float] = []
    for _ in range(3):
        scene.viewer.listen_anew()
        sent_at = clock()
        await scene.agent.send(steady(8000, 440), piece_bytes=BYTES_PER_SECOND)
        await asyncio.sleep(1.0)
        cleared_at = clock()
        assert await scene.agent.clear() == "ok"
        report = await scene.agent.report()
        await quiet(scene.viewer, for_s=0.5)
        heard = scene.viewer.capture
        assert heard.first_audible_at and heard.last_audible_at
        way_s = heard.first_audible_at - sent_at
        ways_s.append(way_s)
        took_s.append(heard.last_audible_at - cleared_at - way_s)
        assert scene.viewer.glimpses[-1].brightness < 60
        assert report.is_interrupted
        assert 0.2 < report.position_s < seconds(heard.pcm) + 0.5 < 8
    # 100 ms; the way to the viewer is not counted, but the message's own way is about as long.
    assert statistics.median(took_s) < 0.1 + statistics.median(ways_s), took_s


async def test_after_an_interruption_the_next_utterance_is_whole(scene: Meeting) -> None:
    stream = await scene.agent.stream()
    await stream.write(steady(2000, 440))
    await asyncio.sleep(0.5)
    await scene.agent.clear()
    await stream.aclose()
    assert (await scene.agent.report()).is_interrupted
    await quiet(scene.viewer, for_s=0.4)
    scene.viewer.listen_anew()
    await scene.agent.send(steady(600, 1000) + TAIL)
    report = await scene.agent.report()
    await quiet(scene.viewer)
    assert not report.is_interrupted
    assert_heard_once(scene.viewer.capture.speech_s, 0.6, edge_s=0.06)
    assert share_of(1000, scene.viewer.capture.pcm) > 0.9
    assert scene.agent.reports.empty()


async def test_an_interruption_is_for_what_waits_too_and_for_nothing_when_nothing_plays(
    scene: Meeting,
) -> None:
    await scene.agent.clear()
    for _ in range(3):
        await scene.agent.send(steady(5000, 440), piece_bytes=BYTES_PER_SECOND)
    await asyncio.sleep(0.5)
    await scene.agent.clear()
    reports = [await scene.agent.report() for _ in range(3)]
    await quiet(scene.viewer, for_s=0.5)
    assert [report.is_interrupted for report in reports] == [True] * 3
    assert [report.position_s for report in reports[1:]] == [0.0, 0.0]
    assert scene.agent.reports.empty()
    assert scene.viewer.capture.speech_s < 2 * reports[0].position_s + 0.5  # a busy receiver stretches


async def test_an_utterance_whose_end_was_lost_makes_way_for_the_next(scene: Meeting) -> None:
    lost = await scene.agent.stream()
    await lost.write(steady(200, 440))
    await scene.agent.send(steady(200, 1000))
    assert [(await scene.agent.report()).position_s for _ in range(2)] == pytest.approx([0.2, 0.2], abs=0.001)
    await lost.aclose()


async def test_sound_and_interruptions_of_others_are_passed_over(
    scene: Meeting, credentials: LiveKitCredentials
) -> None:
    async with agent_in(credentials, scene.room, "agent-other") as other:
        await other.send(steady(400, 440))
        await scene.agent.send(steady(800, 1000) + TAIL)
        assert await other.clear() == "reject"
        assert not (await scene.agent.report()).is_interrupted
    await quiet(scene.viewer)
    assert share_of(1000, scene.viewer.capture.pcm) > 0.9
    assert other.reports.empty()


async def test_two_rooms_at_once_do_not_mix(
    credentials: LiveKitCredentials, tavus: TavusClient, room: str
) -> None:
    async with (
        meeting(credentials, tavus, f"{room}-a") as one,
        meeting(credentials, tavus, f"{room}-b") as two,
        asyncio.TaskGroup() as tasks,
    ):
        tasks.create_task(one.agent.send(steady(900, 440) + TAIL))
        tasks.create_task(two.agent.send(steady(600, 1000) + TAIL))
        assert (await two.agent.report()).position_s == pytest.approx(0.72, abs=0.001)
        assert (await one.agent.report()).position_s == pytest.approx(1.02, abs=0.001)
        await quiet(one.viewer)
        await quiet(two.viewer)
        assert share_of(440, one.viewer.capture.pcm) > 0.9
        assert share_of(1000, two.viewer.capture.pcm) > 0.9
        assert one.agent.reports.empty() and two.agent.reports.empty()


async def test_the_output_of_livekit_agents_is_understood(scene: Meeting) -> None:
    output = DataStreamAudioOutput(
        scene.agent.room,
        destination_identity=AVATAR,
        sample_rate=SAMPLE_RATE,
        wait_remote_track=rtc.TrackKind.KIND_VIDEO,
        wait_playback_start=True,
    )
    sound = steady(700, 440)
    await output.capture_frame(rtc.AudioFrame(sound, SAMPLE_RATE, 1, len(sound) // 2))
    output.flush()
    async with asyncio.timeout(60):
        finished = await output.wait_for_playout()
    assert finished.playback_position == pytest.approx(0.7, abs=0.001)
    assert not finished.interrupted


async def test_an_end_makes_the_avatar_leave_at_once_even_while_it_speaks(scene: Meeting) -> None:
    await scene.agent.send(steady(20_000, 440))
    await asyncio.sleep(0.3)
    async with asyncio.timeout(15):  # of 20 s of sound
        await scene.tavus.end(scene.conversation_id)
        await scene.agent.avatar_left.wait()
    assert await scene.tavus.ended(scene.conversation_id) == "end_conversation_endpoint_hit"


async def test_the_avatar_leaves_when_its_time_is_up(
    credentials: LiveKitCredentials, tavus: TavusClient, room: str
) -> None:
    async with meeting(credentials, tavus, room, max_call_duration=6) as scene:
        async with asyncio.timeout(60):
            await scene.agent.avatar_left.wait()
        assert await tavus.ended(scene.conversation_id) == "max_call_duration reached"


async def test_the_avatar_leaves_with_its_last_viewer_at_once(
    credentials: LiveKitCredentials, tavus: TavusClient, room: str
) -> None:
    async with agent_in(credentials, room) as agent:
        async with viewer_in(credentials, room):
            one = await tavus.create(room)
            await agent.avatar_ready()
        async with asyncio.timeout(15):  # the room would close 20 s after its last viewer
            assert await tavus.ended(one) == "participant_left_timeout reached"


async def test_a_viewer_who_reloads_the_page_within_the_timeout_finds_the_same_avatar(
    credentials: LiveKitCredentials, tavus: TavusClient, room: str
) -> None:
    async with agent_in(credentials, room) as agent:
        async with viewer_in(credentials, room):
            one = await tavus.create(room, participant_left_timeout=10)
            await agent.avatar_ready()
        await asyncio.sleep(3)
        async with viewer_in(credentials, room) as viewer:
            await agent.send(steady(100, 440))
            assert (await agent.report()).position_s == pytest.approx(0.1, abs=0.001)
            async with asyncio.timeout(60):
                await viewer.hears.wait()
            assert (await tavus.get(one))["status"] == "active"


async def test_an_agent_that_comes_back_finds_its_avatar_with_those_who_watch(
    credentials: LiveKitCredentials, tavus: TavusClient, room: str
) -> None:
    async with viewer_in(credentials, room):
        async with agent_in(credentials, room) as agent:
            one = await tavus.create(room)
            await agent.avatar_ready()
            await agent.send(steady(2000, 440))
        async with agent_in(credentials, room) as agent:
            await agent.avatar_ready()
            await agent.send(steady(100, 440))
            while (await agent.report()).position_s != pytest.approx(0.1, abs=0.001):
                pass  # the end of the line that it left in the middle of
            assert (await tavus.get(one))["status"] == "active"


async def test_the_avatar_does_not_wait_for_a_viewer_for_ever(
    credentials: LiveKitCredentials, tavus: TavusClient, room: str
) -> None:
    async with agent_in(credentials, room):
        one = await tavus.create(room, participant_absent_timeout=1)
        assert await tavus.ended(one) == "participant_absent_timeout reached"


async def test_the_conversation_ends_with_its_room(scene: Meeting, credentials: LiveKitCredentials) -> None:
    from livekit import api

    secret = credentials.api_secret.get_secret_value()
    async with api.LiveKitAPI(credentials.http_url, credentials.api_key, secret) as livekit:
        await livekit.room.delete_room(api.DeleteRoomRequest(room=scene.room))
    assert await scene.tavus.ended(scene.conversation_id) == "room_closed"


async def test_a_token_that_livekit_refuses_ends_the_conversation(
    credentials: LiveKitCredentials, room: str, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = LiveKitCredentials(credentials.url, credentials.api_key, SecretStr("another secret " * 3))
    with native_log.handed_over():
        async with serving(AvatarService(KEY, _attend)) as service, aiohttp.ClientSession() as session:
            tavus = TavusClient(session, service.base_url, KEY, wrong)
            reason = await tavus.ended(await tavus.create(room))
            assert reason == "exception_encountered_during_conversation_startup"
    assert "LiveKit refused the token" in caplog.text
    assert "eyJ" not in caplog.text


async def test_the_picture_slows_down_while_nobody_looks(credentials: LiveKitCredentials, room: str) -> None:
    class CountingFace(LampFace):
        rendered = 0

        def render(self, at_s: float, mouth: object, *, speaking: bool) -> bytes:
            self.rendered += 1
            return bytes(self.size * self.size * 3 // 2)

    face = CountingFace()

    async def attend_with_it(invitation: Invitation) -> str:
        return await attend(invitation, face)

    async with (
        serving(AvatarService(KEY, attend_with_it)) as service,
        aiohttp.ClientSession() as session,
        agent_in(credentials, room) as agent,
    ):
        await TavusClient(session, service.base_url, KEY, credentials).create(room)
        await agent.avatar_ready()
        alone = face.rendered
        await asyncio.sleep(1)
        assert face.rendered - alone <= 4
        async with viewer_in(credentials, room) as viewer, asyncio.timeout(60):
            await viewer.sees.wait()
            watched = face.rendered
            await asyncio.sleep(1)
            assert face.rendered - watched >= 20
