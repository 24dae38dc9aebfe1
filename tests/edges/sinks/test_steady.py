"""A connection that comes and goes under an utterance, under a clock of its own."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from typing import Any, cast

import pytest
from livekit import rtc

from libacli.core.audio import FRAME_BYTES
from libacli.core.bounds import Bounds
from libacli.edges.sinks.steady import SteadySink
from libacli.errors import SinkError
from libacli.speech.fakes import RecordingSink
from tests.contracts import FaultySinkContract
from tests.speech.test_fakes import RecordingSinkFaults

FRAME = bytes(FRAME_BYTES)


class Connection:
    """The events of a room."""

    def __init__(self) -> None:
        self._callbacks: dict[str, list[Callable[..., None]]] = defaultdict(list)

    def on(self, event: str, callback: Callable[..., None]) -> None:
        self._callbacks[event].append(callback)

    def emit(self, *events: str) -> None:
        for event in events:
            for callback in self._callbacks[event]:
                callback()


@pytest.fixture
def connection() -> Connection:
    return Connection()


@pytest.fixture
def inner() -> RecordingSink:
    return RecordingSink()


@pytest.fixture
def sink(connection: Connection, inner: RecordingSink) -> SteadySink:
    return SteadySink(cast(rtc.Room, connection), inner)


class TestSteadySink(FaultySinkContract):
    @pytest.fixture
    def sink(self, connection: Connection, inner: RecordingSink) -> Any:
        return SteadySink(cast(rtc.Room, connection), inner)

    @pytest.fixture
    def faults(self, inner: RecordingSink) -> RecordingSinkFaults:
        return RecordingSinkFaults(inner)


async def test_an_utterance_begins_when_the_connection_is_back(
    connection: Connection, sink: SteadySink
) -> None:
    connection.emit("reconnecting")
    asyncio.get_running_loop().call_later(7, connection.emit, "local_track_republished", "reconnected")
    await sink.start(lambda: None)
    assert asyncio.get_running_loop().time() == 7
    await sink.write(FRAME)
    await sink.finish()


async def test_an_utterance_begins_when_the_room_is_known_to_be_its_agents_own(
    connection: Connection, inner: RecordingSink
) -> None:
    own = asyncio.Event()
    sink = SteadySink(cast(rtc.Room, connection), inner, own=own)
    asyncio.get_running_loop().call_later(3, own.set)
    await sink.start(lambda: None)
    assert asyncio.get_running_loop().time() == 3
    await sink.write(FRAME)
    await sink.finish()


async def test_an_utterance_does_not_wait_for_ever_to_know_whose_the_room_is(
    connection: Connection, inner: RecordingSink
) -> None:
    sink = SteadySink(cast(rtc.Room, connection), inner, own=asyncio.Event())
    with pytest.raises(SinkError, match="whether the room is still this agent's"):
        await sink.start(lambda: None)
    assert asyncio.get_running_loop().time() == Bounds().connection_s


async def test_an_utterance_under_which_the_connection_was_resumed_goes_on(
    connection: Connection, sink: SteadySink
) -> None:
    await sink.start(lambda: None)
    connection.emit("reconnecting")
    await sink.write(FRAME)
    connection.emit("reconnected")
    await sink.write(FRAME)
    await sink.finish()


async def test_an_utterance_under_which_the_connection_was_made_anew_ends_as_what_it_is(
    connection: Connection, sink: SteadySink
) -> None:
    await sink.start(lambda: None)
    await sink.write(FRAME)
    connection.emit("reconnecting", "local_track_republished", "reconnected")
    with pytest.raises(SinkError, match="was lost under it"):
        await sink.write(FRAME)
    await sink.clear()
    await sink.start(lambda: None)
    await sink.write(FRAME)
    await sink.finish()


async def test_the_end_is_not_claimed_before_the_connection_is_back(
    connection: Connection, sink: SteadySink
) -> None:
    await sink.start(lambda: None)
    await sink.write(FRAME)
    connection.emit("reconnecting")
    asyncio.get_running_loop().call_later(7, connection.emit, "local_track_republished", "reconnected")
    with pytest.raises(SinkError, match="was lost under it"):
        await sink.finish()
    assert asyncio.get_running_loop().time() >= 7


async def test_a_connection_that_does_not_come_back_is_not_waited_for_without_end(
    connection: Connection, sink: SteadySink
) -> None:
    connection.emit("reconnecting")
    with pytest.raises(SinkError, match="no connection"):
        await sink.start(lambda: None)
    assert asyncio.get_running_loop().time() == Bounds().connection_s
