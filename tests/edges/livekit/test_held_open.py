"""A context that is entered in one task and left in another, as the SDK's callbacks need it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from libacli.edges.livekit.held_open import HeldOpen

pytestmark = pytest.mark.anyio


@dataclass
class Place:
    """A context that notes down what happens in it; each step takes a second, or fails."""

    entering: Exception | None = None
    leaving: Exception | None = None
    log: list[str] = field(default_factory=list)
    tasks: set[asyncio.Task[object] | None] = field(default_factory=set)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        self.tasks.add(asyncio.current_task())
        await asyncio.sleep(1)
        if self.entering:
            raise self.entering
        self.log.append("entered")
        try:
            yield
            await asyncio.sleep(1)
            self.log.append("finished")
        finally:
            self.tasks.add(asyncio.current_task())
            self.log.append("closed")
            if self.leaving:
                raise self.leaving


async def in_a_task_of_its_own(held: HeldOpen, step: str) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(getattr(held, step)())


async def test_a_context_is_left_in_the_task_in_which_it_was_entered() -> None:
    place = Place()
    held = HeldOpen(place.open())
    await in_a_task_of_its_own(held, "enter")
    assert place.log == ["entered"]
    assert not held.is_over
    await in_a_task_of_its_own(held, "leave")
    assert place.log == ["entered", "finished", "closed"]
    assert len(place.tasks) == 1
    assert held.is_over


async def test_who_cannot_enter_is_told_why_and_has_nothing_to_leave() -> None:
    held = HeldOpen(Place(entering=OSError("locked")).open())
    with pytest.raises(OSError, match="locked"):
        await held.enter()
    assert held.is_over
    await held.leave()


async def test_who_leaves_is_told_what_did_not_close() -> None:
    held = HeldOpen(Place(leaving=OSError("stuck")).open())
    await held.enter()
    with pytest.raises(OSError, match="stuck"):
        await held.leave()


async def test_what_was_never_entered_is_left_at_once() -> None:
    context = Place().open()
    await HeldOpen(context).leave()


async def test_leaving_goes_on_when_nobody_waits_for_it_any_more() -> None:
    place = Place()
    held = HeldOpen(place.open())
    await held.enter()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await held.leave()
    assert not held.is_over
    await asyncio.sleep(1)
    assert place.log == ["entered", "finished", "closed"]


@pytest.mark.parametrize("is_leaving", [False, True])
async def test_a_context_that_is_to_end_at_once_is_closed_and_nothing_more(is_leaving: bool) -> None:
    place = Place()
    held = HeldOpen(place.open())
    await held.enter()
    async with asyncio.TaskGroup() as tasks:
        if is_leaving:
            tasks.create_task(held.leave())
            await asyncio.sleep(0.5)
        held.end_at_once(then=lambda: place.log.append("then"))
        await held.leave()
    assert place.log == ["entered", "closed", "then"]
