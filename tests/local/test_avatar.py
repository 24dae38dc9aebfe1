"""What the local avatar takes from others in its room."""

from __future__ import annotations

from typing import Any, cast

import pytest
from livekit import rtc

from libacli.core.mouth import MouthShape
from libacli.edges.livekit.fakes import FakeRoom
from libacli.local.avatar import _Avatar, _Presence


class Blank:
    """A face without a picture."""

    size = 16

    def render(self, at_s: float, mouth: MouthShape, *, speaking: bool) -> bytes:
        return bytes(self.size * self.size * 3 // 2)


class Stream:
    """A byte stream that nobody has read yet."""

    def __init__(self, **attributes: str) -> None:
        form = {"sample_rate": "24000", "num_channels": "1"} | attributes
        self.info: Any = rtc.ByteStreamInfo("stream", "", "lk.audio_stream", 0, None, form, "sound")
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True


async def test_streams_that_are_not_the_agents_or_too_many_are_closed_and_told_once_for_each_sender(
    caplog: pytest.LogCaptureFixture,
) -> None:
    room = FakeRoom()
    room.join("agent", is_agent=True)
    avatar = _Avatar(room.as_sdk(), _Presence(room.as_sdk()), Blank(), 25.0)

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
