from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from libacli.core.event import AgentFacts, Event, QueueNews, Rejection, Report
from libacli.core.lifecycle import State
from libacli.core.trace_context import UNTRACED, TraceContext
from libacli.core.usage import Usage
from libacli.core.utterance_record import UtteranceRecord
from libacli.edges.metrics.meter import Meter, Meters

FACTS = AgentFacts(queue=2)
DONE = Event(FACTS, Report("a", "done", d01=300.0), t0=1.0)
REJECTED = Rejection(AgentFacts(queue=32), "queue_full", "full")


class Counting(Meter):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.records: list[UtteranceRecord] = []
        self.refusals: list[str] = []
        self.queues: list[int] = []
        self.pauses: list[bool] = []
        self.avatar_s = 0.0
        self.is_closed = False
        self.caps: list[Usage] = []

    def observe(self, record: UtteranceRecord, trace: TraceContext = UNTRACED) -> None:
        self.records.append(record)

    def refuse(self, reason: str) -> None:
        self.refusals.append(reason)

    def queue(self, length: int) -> None:
        self.queues.append(length)

    def paused(self, is_paused: bool) -> None:
        self.pauses.append(is_paused)

    def avatar_seconds(self, seconds: float) -> None:
        self.avatar_s += seconds

    def spent(self, caps: Sequence[Usage]) -> None:
        self.caps = list(caps)

    async def aclose(self) -> None:
        self.is_closed = True


class Broken(Meter):
    """Fails at everything it may fail at."""

    def observe(self, record: UtteranceRecord, trace: TraceContext = UNTRACED) -> None:
        raise OSError("disk on fire")

    def avatar_seconds(self, seconds: float) -> None:
        raise OSError("disk on fire")

    async def run(self) -> None:
        raise OSError("disk on fire")

    async def aclose(self) -> None:
        raise OSError("disk on fire")


class Hanging(Meter):
    """Never finishes."""

    async def aclose(self) -> None:
        await asyncio.Event().wait()


def test_a_final_event_is_one_record_and_the_others_are_none() -> None:
    meter = Counting()
    meters = Meters([meter], avatar_time=lambda: 0.0)
    states: tuple[State, ...] = ("accepted", "speaking", "audible", "done")
    for state in states:
        meters.take_event(replace(DONE, report=replace(DONE.report, state=state)))
    meters.take_event(REJECTED)
    assert [(record.id, record.outcome, record.d01) for record in meter.records] == [("a", "done", 300.0)]
    assert meter.refusals == ["queue_full"]
    assert meter.queues == [2, 2, 2, 2, 32]


async def test_a_meter_that_breaks_down_hurts_neither_speech_nor_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    good = Counting()
    meters = Meters([Broken(), good], avatar_time=lambda: 0.0)
    running = asyncio.get_running_loop().create_task(meters.run())
    await asyncio.sleep(0.01)
    meters.take_event(DONE)
    assert not running.done()
    await meters.aclose()
    running.cancel()
    await asyncio.wait([running])
    assert len(good.records) == 1
    assert good.is_closed
    assert [record.message for record in caplog.records] == [
        "Broken does not work any more",
        "Broken did not count an event",
        "Broken did not count an event",
        "Broken did not finish",
    ]


async def test_closing_waits_two_seconds_and_no_longer(caplog: pytest.LogCaptureFixture) -> None:
    good = Counting()
    meters = Meters([Hanging(), good], avatar_time=lambda: 0.0)
    await meters.aclose()
    assert asyncio.get_running_loop().time() == 2.0
    assert good.is_closed
    assert "not all written in time" in caplog.text


async def test_avatar_time_is_told_every_five_seconds_and_at_the_end_with_nothing_counted_twice() -> None:
    meter = Counting()
    clock = asyncio.get_running_loop().time
    meters = Meters([meter], avatar_time=lambda: clock() / 2)
    running = asyncio.get_running_loop().create_task(meters.run())
    await asyncio.sleep(12)
    assert meter.avatar_s == 5.0
    running.cancel()
    await asyncio.wait([running])
    await meters.aclose()
    assert meter.avatar_s == 6.0


async def test_what_is_used_up_of_caps_is_told_and_one_that_cannot_be_read_ends_nothing() -> None:
    meter = Counting()
    used = iter([[Usage("speech", 1, 10, "characters", 60)]])
    meters = Meters([meter], avatar_time=lambda: 0.0, caps=lambda: next(used))
    running = asyncio.get_running_loop().create_task(meters.run())
    await asyncio.sleep(11)
    assert not running.done()
    running.cancel()
    await asyncio.wait([running])
    assert [cap.used for cap in meter.caps] == [1]


def test_every_meter_is_told_of_a_pause_by_the_news_of_it_and_by_what_comes_after() -> None:
    counting = Counting()
    meters = Meters([Broken(), counting], avatar_time=lambda: 0.0)
    meters.take_queue_news(QueueNews(AgentFacts(paused=True), "paused"))
    meters.take_event(Event(AgentFacts(paused=True), Report("a", "accepted"), t0=1.0))
    meters.take_queue_news(QueueNews(AgentFacts(), "resumed"))
    assert counting.pauses == [True, True, False]
