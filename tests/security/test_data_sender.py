"""Whoever may send data and has leave to say nothing: LiveKit's default for a participant.

What he gains by whatever he sends: nothing. What it costs the others: nothing, the owner's line is heard.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path

import pytest
from livekit import api, rtc
from livekit.rtc._ffi_client import FfiClient
from livekit.rtc.participant import PublishDataError

from libacli.config import LiveKitCredentials
from libacli.core.agent_status import AgentStatus
from libacli.core.event import Event, Rejection
from libacli.core.lifecycle import FINAL_STATES
from libacli.core.messages import SayRequest
from libacli.core.protocol import CAPTION_TOPIC, SAY_METHOD, SAY_TOPIC
from libacli.core.room_update import Caption
from libacli.edges.livekit.follower import RoomFollower
from libacli.edges.livekit.joining import joined
from tests.live.conftest import ReadyRoom
from tests.live.test_access import agent_in

pytestmark = pytest.mark.live

LINE = "This is the owner's line, and whatever anybody sends meanwhile, it is heard from here to its end."


@asynccontextmanager
async def sender_in(
    credentials: LiveKitCredentials, room: str, identity: str = "mallory"
) -> AsyncIterator[rtc.Room]:
    """Somebody in the room with what the SDK's tokens grant when nothing is said."""
    token = (
        api.AccessToken(credentials.api_key, credentials.api_secret.get_secret_value())
        .with_identity(identity)
        .with_grants(api.VideoGrants(room_join=True, room=room))
    )
    async with joined(rtc.Room(), credentials.ws_url, token.to_jwt()) as there:
        yield there


def lines_of(log: Path) -> list[str]:
    return log.read_text(errors="replace").splitlines()


async def end_of(ready_room: ReadyRoom, utterance_id: str) -> str:
    async with asyncio.timeout(60):
        return str((await ready_room.listener.wait_for(utterance_id, "rejected", *FINAL_STATES))["state"])


async def test_it_has_the_line_of_another_called_rejected_nowhere(
    ready_room: ReadyRoom, credentials: LiveKitCredentials
) -> None:
    bodies = [
        '{"text": "Hello.", "id": "victims"}',
        '{"text": 5, "id": "victims"}',
        '{"text": "", "id": "victims", "auth": "e30.e30.e30"}',
        '{"id": "victims"}',
    ]
    follower = RoomFollower(credentials, room=ready_room.room, agent_name="liba")
    async with (
        aclosing(follower.updates()) as updates,
        sender_in(credentials, ready_room.room) as there,
    ):
        while not isinstance(await anext(updates), AgentStatus):
            pass
        agent = await agent_in(there)
        take = ready_room.listener.start_capture()
        said = await ready_room.client.say(SayRequest(LINE, id="victims"))
        for number in range(100):
            me = there.local_participant
            await me.publish_data(bodies[number % 4], topic=SAY_TOPIC)
            await me.perform_rpc(destination_identity=agent, method=SAY_METHOD, payload=bodies[number % 4])
            await asyncio.sleep(0.04)
        assert (await ready_room.client.wait(said, "done", timeout_s=60)).level == "done"
        assert await end_of(ready_room, "victims") == "done"
        told: list[Event | Rejection] = []
        async with asyncio.timeout(60):
            while not told or not (isinstance(told[-1], Event) and told[-1].report.state == "done"):
                if isinstance(update := await anext(updates), Event | Rejection):
                    told.append(update)
    assert [event.encode()["state"] for event in told] == ["accepted", "speaking", "audible", "done"]
    await asyncio.sleep(0.3)
    assert take.speech_s > 3


@pytest.mark.parametrize("way", ["packet", "call"])
async def test_a_flood_is_put_out_with_one_line_and_costs_the_owner_nothing(
    ready_room: ReadyRoom, credentials: LiveKitCredentials, worker: Path, way: str
) -> None:
    identity = f"mallory-{ready_room.room}"
    gone = asyncio.Event()

    async def flood(there: rtc.Room, agent: str) -> None:
        me = there.local_participant
        with suppress(rtc.RpcError, PublishDataError):
            while not gone.is_set():
                if way == "packet":
                    await me.publish_data(b'{"text": "Me, me!"}', topic=SAY_TOPIC)
                else:
                    await me.perform_rpc(
                        destination_identity=agent, method=SAY_METHOD, payload='{"text": "Me, me!"}'
                    )
                await asyncio.sleep(1 / 50)  # four times what is let through, all of them together

    async with sender_in(credentials, ready_room.room, identity) as there:
        there.on("disconnected", lambda *_: gone.set())
        agent = await agent_in(there)
        before = len(lines_of(worker))
        async with asyncio.TaskGroup() as tasks:
            for _ in range(4):  # a call waits for its answer
                tasks.create_task(flood(there, agent))
            take = ready_room.listener.start_capture()
            said = await ready_room.client.say(SayRequest(LINE, id=f"through-{way}"))
            done = await ready_room.client.wait(said, "done", timeout_s=60)
            async with asyncio.timeout(30):
                await gone.wait()
    async with asyncio.timeout(30):  # the room's process tells the worker, which writes it down
        while not any("FLOOD" in line for line in lines_of(worker)[before:]):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    about = [line for line in lines_of(worker)[before:] if identity in line]
    assert sum("FLOOD" in line and "put out of the room" in line for line in about) == 1
    assert len(about) <= 5
    assert done.report and done.report["d01"] < 3000  # not behind what the flood has sent
    assert max(take.gaps_s, default=0.0) < 0.5
    assert take.speech_s > 3
    assert await end_of(ready_room, f"through-{way}") == "done"


async def test_streams_on_topics_that_nobody_reads_are_no_lines_in_the_agents_log(
    ready_room: ReadyRoom, credentials: LiveKitCredentials, worker: Path
) -> None:
    async with sender_in(credentials, ready_room.room) as there:
        await agent_in(there)
        before = len(lines_of(worker))
        for number in range(500):
            await there.local_participant.send_text("x", topic=f"canary-{number}")
        said = await ready_room.client.say(SayRequest("The owner speaks.", id="spoken"))
        await ready_room.client.wait(said, "done", timeout_s=60)
    lines = lines_of(worker)[before:]
    assert sum("canary" in line for line in lines) <= 1


async def test_streams_that_call_themselves_captions_leave_nothing_open_at_a_watcher(
    ready_room: ReadyRoom, credentials: LiveKitCredentials
) -> None:
    subscribers = FfiClient.instance.queue._subscribers
    follower = RoomFollower(credentials, room=ready_room.room, agent_name="liba", with_captions=True)
    async with aclosing(follower.updates()) as updates, sender_in(credentials, ready_room.room) as there:
        while not isinstance(await anext(updates), AgentStatus):
            pass
        before = len(subscribers)
        attributes = {"lk.segment_id": "forged"}
        for _ in range(500):
            await there.local_participant.send_text("x", topic=CAPTION_TOPIC, attributes=attributes)
        endless = await there.local_participant.stream_text(topic=CAPTION_TOPIC, attributes=attributes)
        for _ in range(100):
            await endless.write("x" * 10_000)
        said = await ready_room.client.say(SayRequest("The owner speaks.", id="spoken"))
        await ready_room.client.wait(said, "done", timeout_s=60)
        captions: list[Caption] = []
        async with asyncio.timeout(60):
            while not captions:
                if isinstance(update := await anext(updates), Caption):
                    captions.append(update)
        assert captions == [Caption("spoken", "The owner speaks.")]
        assert len(subscribers) <= before + 2
