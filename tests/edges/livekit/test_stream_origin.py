"""Who sent a text stream, by the mark that the SDK hands over with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from livekit.rtc._ffi_client import FfiClient
from livekit.rtc._proto.ffi_pb2 import FfiEvent

from libacli.edges.livekit.background import in_background
from libacli.edges.livekit.stream_origin import ServerMarks

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def listening() -> AsyncIterator[ServerMarks]:
    marks = ServerMarks(frozenset({"say"}))
    async with in_background(marks.run()):
        await asyncio.sleep(0)
        yield marks


def opened(stream_id: str, *, is_generated: bool, topic: str = "say") -> None:
    """The SDK tells of a text stream."""
    event = FfiEvent()
    info = event.room_event.text_stream_opened.reader.info
    info.stream_id, info.topic, info.generated = stream_id, topic, is_generated
    FfiClient.instance.queue.put(event)


async def test_what_the_server_marks_is_not_its_senders_own() -> None:
    async with listening() as marks:
        opened("forged", is_generated=True)
        opened("own", is_generated=False)
        assert (await marks.is_own("forged"), await marks.is_own("own")) == (False, True)


async def test_a_mark_that_comes_a_little_later_is_waited_for() -> None:
    async with listening() as marks, asyncio.TaskGroup() as tasks:
        asked = tasks.create_task(marks.is_own("own"))
        await asyncio.sleep(0.5)
        opened("own", is_generated=False)
        assert await asked


async def test_of_two_streams_with_one_id_neither_is_believed_if_one_is_forged() -> None:
    async with listening() as marks:
        opened("twice", is_generated=True)
        opened("twice", is_generated=False)
        assert not await marks.is_own("twice")


async def test_a_stream_that_nobody_tells_of_is_nobodys_own() -> None:
    async with listening() as marks:
        opened("elsewhere", is_generated=False, topic="other")
        assert not await marks.is_own("elsewhere")


async def test_nothing_is_left_subscribed_and_what_is_remembered_is_bounded() -> None:
    before = len(FfiClient.instance.queue._subscribers)
    async with listening() as marks:
        for number in range(1000):
            opened(f"s{number}", is_generated=False)
        await asyncio.sleep(0.1)
        assert len(marks._forged) <= 256
        assert await marks.is_own("s999")
    assert len(FfiClient.instance.queue._subscribers) == before
