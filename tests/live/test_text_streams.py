"""Text streams as say requests, on a real server: who may, what is heard, and when."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from livekit import rtc
from livekit.api import AccessToken, ListParticipantsRequest, LiveKitAPI, SendDataRequest, VideoGrants

from libacli.config import LiveKitCredentials
from libacli.core.messages import SayRequest
from libacli.core.protocol import CHAT_TOPIC, EVENTS_TOPIC
from libacli.edges.livekit.joining import joined
from libacli.edges.livekit.tokens import Permissions, avatar_token, join_token
from libacli.edges.viewer.listener import Listener
from tests.live.conftest import ReadyRoom, Shell

pytestmark = pytest.mark.live

TOPICS = pytest.mark.parametrize("topic", ["say", CHAT_TOPIC])
LONG = " ".join(f"This is sentence number {number} of a text that is long." for number in range(400))
"""More than one packet carries."""


@asynccontextmanager
async def guest_in(
    credentials: LiveKitCredentials, ready_room: ReadyRoom, *, can_say: bool
) -> AsyncIterator[rtc.Room]:
    """Somebody whose token lets send data, and with `can_say` speak."""
    token = join_token(
        credentials,
        room=ready_room.room,
        identity="ann",
        permissions=Permissions(can_say=can_say, can_control=not can_say),
    )
    async with joined(rtc.Room(), credentials.ws_url, token) as room:
        yield room


async def told(listener: Listener, utterance_id: str, state: str, *, timeout_s: float = 60) -> dict[str, Any]:
    async with asyncio.timeout(timeout_s):
        while True:
            event = await listener.events.get()
            if (event.get("id"), event.get("state")) == (utterance_id, state):
                return event


@TOPICS
async def test_text_stream_say_of_a_whole_text_is_one_line(
    credentials: LiveKitCredentials, ready_room: ReadyRoom, topic: str
) -> None:
    async with guest_in(credentials, ready_room, can_say=True) as room:
        info = await room.local_participant.send_text("Hello there. How are you?", topic=topic)
        done = await told(ready_room.listener, info.stream_id, "done")
    assert done["chars"] == len("Hello there. How are you?")


async def test_the_first_sentence_is_heard_before_the_last_one_is_written(
    credentials: LiveKitCredentials, ready_room: ReadyRoom
) -> None:
    async with guest_in(credentials, ready_room, can_say=True) as room:
        stream = await room.local_participant.stream_text(topic="say")
        name = stream.info.stream_id
        await stream.write("The first sentence is complete. The second ")
        await told(ready_room.listener, name, "audible", timeout_s=10)
        await stream.write("one is not.")
        await stream.aclose()
        await told(ready_room.listener, f"{name}-2", "done")


async def test_a_text_of_more_than_a_packet_is_spoken_from_its_beginning(
    credentials: LiveKitCredentials, ready_room: ReadyRoom
) -> None:
    assert len(LONG) > 16 * 1024
    async with guest_in(credentials, ready_room, can_say=True) as room:
        info = await room.local_participant.send_text(LONG, topic="say")
        await told(ready_room.listener, info.stream_id, "audible")
        status = await ready_room.client.queue()
        waiting = sum(report.chars for report in status.waiting)
        speaking = status.speaking.chars if status.speaking else 0
        assert waiting + speaking == pytest.approx(len(LONG), abs=20)
        await ready_room.client.stop()


@TOPICS
async def test_a_viewer_who_may_not_speak_is_refused_and_told(
    credentials: LiveKitCredentials, ready_room: ReadyRoom, topic: str
) -> None:
    async with guest_in(credentials, ready_room, can_say=False) as room:
        events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        chat: asyncio.Queue[rtc.TextStreamReader] = asyncio.Queue()

        @room.on("data_received")
        def on_data(packet: rtc.DataPacket) -> None:
            if packet.topic == EVENTS_TOPIC:
                events.put_nowait(json.loads(packet.data))

        room.register_text_stream_handler(CHAT_TOPIC, lambda reader, _: chat.put_nowait(reader))
        await room.local_participant.send_text("Hello there.", topic=topic)
        async with asyncio.timeout(60):
            assert (await events.get())["rejected"] == "unauthorized"
            if topic == CHAT_TOPIC:
                assert (await (await chat.get()).read_all()).startswith("Not spoken: ")
    assert (await ready_room.client.queue()).speaking is None


async def test_an_avatar_speaks_in_nobodys_name(
    credentials: LiveKitCredentials, ready_room: ReadyRoom
) -> None:
    agent = ready_room.client.identity
    token = avatar_token(
        credentials,
        room=ready_room.room,
        identity="tavus-avatar-agent",
        on_behalf_of=agent,
        valid_for_s=600,
    )
    async with (
        guest_in(credentials, ready_room, can_say=True) as ann,
        joined(rtc.Room(), credentials.ws_url, token) as avatar,
    ):
        for topic in ("say", CHAT_TOPIC):
            for sender in ("ann", None):
                stream = await avatar.local_participant.stream_text(topic=topic, sender_identity=sender)
                await stream.write("Forged words. ")
                await stream.aclose()
        info = await ann.local_participant.send_text("My own words.", topic="say")
        await told(ready_room.listener, info.stream_id, "done")
        said = await ready_room.client.say(SayRequest("The end.", id="end"))
        assert (await ready_room.client.wait(said, "done", timeout_s=60)).level == "done"
    events = [ready_room.listener.events.get_nowait() for _ in range(ready_room.listener.events.qsize())]
    assert {event["id"] for event in events} <= {info.stream_id, "end"}


async def test_a_stop_ends_a_stream_that_is_still_being_written(
    credentials: LiveKitCredentials, ready_room: ReadyRoom
) -> None:
    async with guest_in(credentials, ready_room, can_say=True) as room:
        stream = await room.local_participant.stream_text(topic="say")
        name = stream.info.stream_id
        await stream.write("The first sentence is quite a long one, so that it can be stopped. And ")
        await told(ready_room.listener, name, "audible")
        await ready_room.client.stop()
        await told(ready_room.listener, name, "interrupted")
        for _ in range(5):
            await stream.write("more of it comes. And ")
        await stream.aclose()
        said = await ready_room.client.say(SayRequest("The end.", id="end"))
        await ready_room.client.wait(said, "done", timeout_s=60)
    events = [ready_room.listener.events.get_nowait() for _ in range(ready_room.listener.events.qsize())]
    assert {event["id"] for event in events} == {"end"}


async def test_a_token_as_lk_makes_it_speaks_with_a_permission_and_lk_lists_who_is_there(
    credentials: LiveKitCredentials, ready_room: ReadyRoom, shell: Shell
) -> None:
    """`lk token create --join --attribute`, `lk room send-data`, `lk room participants list`, call by call:
    https://github.com/livekit/livekit-cli/tree/main/cmd/lk (`token.go`, `room.go`)."""
    asked = ("token", "--can-say", "--permission-only", "--room", ready_room.room, "--identity", "ann")
    permission = (await asyncio.to_thread(shell.run, *asked)).stdout.strip()
    secret = credentials.api_secret.get_secret_value()
    token = (
        AccessToken(credentials.api_key, secret)
        .with_identity("ann")
        .with_name("ann")
        .with_grants(VideoGrants(room_join=True, room=ready_room.room))
        .with_attributes({"liba.say": permission})
        .to_jwt()
    )
    async with (
        joined(rtc.Room(), credentials.ws_url, token) as room,
        LiveKitAPI(credentials.http_url, credentials.api_key, secret) as api,
    ):
        there = await api.room.list_participants(ListParticipantsRequest(room=ready_room.room))
        states = [
            who.attributes["lk.agent.state"] for who in there.participants if who.attributes.get("liba.agent")
        ]
        assert states == ["listening"]
        sent = SendDataRequest(room=ready_room.room, data=b"Not signed.", topic="say")
        await api.room.send_data(sent)
        info = await room.local_participant.send_text("Hello from a stream.", topic="say")
        done = await told(ready_room.listener, info.stream_id, "done")
        packet = json.dumps({"text": "Hello from a packet.", "id": "packet"})
        await room.local_participant.publish_data(packet, topic="say")
        await told(ready_room.listener, "packet", "done")
    assert done["chars"] == len("Hello from a stream.")
    events = [ready_room.listener.events.get_nowait() for _ in range(ready_room.listener.events.qsize())]
    assert "Not signed." not in json.dumps(events)
