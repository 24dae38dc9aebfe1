"""What the local avatar takes from others in its room."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any, cast

import pytest
from livekit import rtc

from libacli.core.emotion import Emotion
from libacli.core.mouth import MouthShape
from libacli.edges.avatars.vendors import TAVUS_TOPIC, tavus_emotion
from libacli.edges.livekit.fakes import FakeRoom
from libacli.local.avatar import _Avatar
from libacli.local.avatar_presence import Presence


class Blank:
    """A face without a picture."""

    size = 16

    def render(self, at_s: float, mouth: MouthShape, *, speaking: bool) -> bytes:
        return bytes(self.size * self.size * 3 // 2)

    def express(self, emotion: Emotion) -> Blank:
        return self


class Stream:
    """A byte stream that nobody has read yet."""

    def __init__(self, *, id: str = "", **attributes: str) -> None:
        form = {"sample_rate": "24000", "num_channels": "1"} | attributes
        id = id or uuid.uuid4().hex
        self.info: Any = rtc.ByteStreamInfo(id, "", "lk.audio_stream", 0, None, form, "sound")
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True


async def test_streams_that_are_not_the_agents_or_too_many_are_closed_and_told_once_for_each_sender(
    caplog: pytest.LogCaptureFixture,
) -> None:
    room = FakeRoom()
    room.join("agent", is_agent=True)
    avatar = _Avatar(room.as_sdk(), Presence(room.as_sdk()), Blank(), 25.0)

    def opened(sender: str, **attributes: str) -> Stream:
        stream = Stream(**attributes)
        avatar._on_stream(cast(rtc.ByteStreamReader, stream), sender)
        return stream

    strangers = [opened("mallory") for _ in range(100)]
    misfits = [opened("agent", sample_rate="48000") for _ in range(100)]
    taken = [opened("agent") for _ in range(100)]
    assert all(stream.is_closed for stream in strangers + misfits)
    assert [stream.is_closed for stream in taken] == [False] * 8 + [True] * 92
    assert len(caplog.records) == 2
    await avatar.aclose()


async def test_a_stream_that_is_sent_again_after_a_new_connection_is_not_played_twice() -> None:
    room = FakeRoom()
    room.join("agent", is_agent=True)
    avatar = _Avatar(room.as_sdk(), Presence(room.as_sdk()), Blank(), 25.0)
    first, again, other = (Stream(id=id) for id in ("one", "one", "two"))
    for stream in (first, again, other):
        avatar._on_stream(cast(rtc.ByteStreamReader, stream), "agent")
    assert [stream.is_closed for stream in (first, again, other)] == [False, True, False]
    await avatar.aclose()


async def test_the_face_follows_the_emotion_that_its_agent_asks_for_and_nobody_elses() -> None:
    room = FakeRoom()
    room.join("agent", is_agent=True)
    room.join("mallory")
    shown: list[Emotion] = []

    class Noting(Blank):
        def express(self, emotion: Emotion) -> Blank:
            shown.append(emotion)
            return self

    avatar = _Avatar(room.as_sdk(), Presence(room.as_sdk()), Noting(), 25.0)
    room.on("data_received", avatar._on_packet)
    expressing = asyncio.get_running_loop().create_task(avatar._express())

    async def tell(sender: str | None, payload: str, topic: str = TAVUS_TOPIC) -> None:
        room.receive_data(payload.encode(), topic=topic, sender=sender)
        for _ in range(200):
            await asyncio.sleep(0.01)
            if avatar._emotions.empty():
                break

    await tell("agent", tavus_emotion("happiness"))
    await tell("mallory", tavus_emotion("anger"))
    await tell(None, tavus_emotion("anger"))
    await tell("agent", tavus_emotion("anger"), topic="say")
    await tell("agent", '{"event_type": "conversation.echo", "properties": {"emotion": "anger"}}')
    await tell("agent", "not JSON")
    await tell("agent", tavus_emotion("joy"))
    await asyncio.to_thread(lambda: None)
    expressing.cancel()
    await asyncio.wait([expressing])
    await avatar.aclose()
    assert shown == ["happiness", "neutral"]  # what is not supported is neutral, as with Tavus
