from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from libacli.core.event import AgentFacts, Event, Rejection, Report
from libacli.core.protocol import STATE_ATTRIBUTE
from libacli.edges.livekit.agent_state import AgentStateAttribute
from libacli.edges.livekit.background import in_background
from libacli.edges.livekit.fakes import FakeRoom

pytestmark = pytest.mark.anyio


class Page:
    """An agent in a room, and what LiveKit's pages see of its state."""

    def __init__(self) -> None:
        self.room = FakeRoom("demo")
        self.state = AgentStateAttribute(self.room.as_sdk())

    def hears_of(self, utterance_id: str, state: Any, queue: int = 0) -> None:
        facts = AgentFacts("demo", "liba", epoch="e1", queue=queue)
        self.state.take_event(Event(facts, Report(utterance_id, state), t0=1.0))

    async def shown(self) -> str | None:
        await asyncio.sleep(0.1)
        return self.room.local_participant.attributes.get(STATE_ATTRIBUTE)


@asynccontextmanager
async def a_page() -> AsyncIterator[Page]:
    page = Page()
    async with in_background(page.state.run()):
        page.state.become("listening")
        assert await page.shown() == "listening"
        yield page


@pytest.mark.parametrize("end", ["done", "unconfirmed", "interrupted", "failed"])
async def test_agent_state_is_speaking_from_the_first_sound_that_is_heard_to_the_end(end: str) -> None:
    async with a_page() as page:
        for state, shown in (("accepted", "listening"), ("speaking", "listening"), ("audible", "speaking")):
            page.hears_of("a", state)
            assert await page.shown() == shown
        page.hears_of("a", end)
        assert await page.shown() == "listening"


async def test_between_two_lines_of_a_queue_it_goes_on_speaking() -> None:
    async with a_page() as page:
        for state in ("speaking", "audible", "done"):
            page.hears_of("a", state, queue=1)
        assert await page.shown() == "speaking"
        page.hears_of("b", "speaking")
        page.hears_of("b", "done")
        assert await page.shown() == "listening"


async def test_a_line_that_ends_in_the_queue_does_not_end_the_one_that_is_spoken() -> None:
    async with a_page() as page:
        for state in ("speaking", "audible"):
            page.hears_of("a", state, queue=1)
        page.hears_of("b", "expired")
        page.state.take_event(Rejection(AgentFacts("demo", "liba"), "queue_full", "32 wait"))
        assert await page.shown() == "speaking"


async def test_when_the_last_line_ends_in_the_queue_it_listens() -> None:
    async with a_page() as page:
        for state in ("speaking", "audible", "done"):
            page.hears_of("a", state, queue=1)
        page.hears_of("b", "expired")
        assert await page.shown() == "listening"


async def test_what_changes_while_it_is_sent_is_sent_as_it_is_then_and_a_failure_ends_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with a_page() as page:
        page.room.script.play("set_attributes", 0.5, RuntimeError("no"))
        page.hears_of("a", "speaking")
        page.hears_of("a", "audible")
        await asyncio.sleep(0.1)
        page.hears_of("a", "done")
        page.hears_of("b", "audible")
        await asyncio.sleep(2.0)
        assert await page.shown() == "speaking"
    assert caplog.text.count("not sent: no; trying again") == 1


async def test_it_is_told_with_other_attributes_in_one_call_and_not_again() -> None:
    page = Page()
    sent: list[dict[str, str]] = []
    set_attributes = page.room.local_participant.set_attributes

    async def noting(attributes: dict[str, str]) -> None:
        await asyncio.sleep(0.5)
        sent.append(attributes)
        await set_attributes(attributes)

    page.room.local_participant.set_attributes = noting  # type: ignore[method-assign]
    async with in_background(page.state.run()):
        page.state.become("listening")
        await page.state.tell({"liba.agent": "liba"})
        await asyncio.sleep(1.0)
    assert sent == [{"liba.agent": "liba", STATE_ATTRIBUTE: "listening"}]
