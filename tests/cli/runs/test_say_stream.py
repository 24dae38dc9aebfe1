from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from libacli.cli.runs.say_stream import SayStream, hand_over
from libacli.core.acknowledgement import Acknowledgement
from libacli.core.delivery import Delivery
from libacli.core.messages import SayRequest
from libacli.errors import InterruptedSpeechError, RefusedError, TimedOutError, UnreachableError

MEMORY_S = 600.0


class Speaking:
    """An agent that speaks each line in `line_s` seconds, and forgets it ten minutes after its end."""

    def __init__(self, *, line_s: float = 3.0, queue_limit: int = 32) -> None:
        self.asked_at: list[float] = []
        self.refusals: list[RefusedError] = []
        """How the next requests are refused."""

        self.unreachable_until = 0.0
        self._line_s = line_s
        self._queue_limit = queue_limit
        self._ends_at: dict[str, float] = {}

    async def say(self, request: SayRequest) -> Delivery:
        self.asked_at.append(now())
        if self.refusals:
            raise self.refusals.pop(0)
        waiting = sum(ends_at - self._line_s > now() for ends_at in self._ends_at.values())
        if waiting >= self._queue_limit:
            raise RefusedError("queue_full", f"{waiting} utterances are waiting already")
        begins_at = max([now(), *self._ends_at.values()])
        self._ends_at[request.id] = begins_at + self._line_s
        return Delivery.accepted(Acknowledgement(request.id, waiting))

    async def wait(
        self,
        said: Delivery,
        level: str,
        *,
        timeout_s: float,
        on_paused: Callable[[], None] | None = None,
    ) -> Delivery:
        while True:
            if now() < self.unreachable_until:
                await asyncio.sleep(10.0)
                raise UnreachableError("cannot reach LiveKit")
            ends_at = self._ends_at[said.id]
            if now() > ends_at + MEMORY_S:
                raise InterruptedSpeechError(f"{said.id} was unknown: no reason given")
            if now() >= ends_at:
                return Delivery(said.id, level, said.acknowledgement)
            await asyncio.sleep(0.1)


def now() -> float:
    return asyncio.get_running_loop().time()


async def lines(count: int, *, every_s: float = 0.0) -> AsyncIterator[SayRequest]:
    for number in range(count):
        await asyncio.sleep(every_s)
        yield SayRequest(f"Line {number}.", id=f"p-{number}")


async def outcomes(agent: Speaking, requests: AsyncIterator[SayRequest], level: str = "done") -> list[str]:
    """The level of each line in the end."""
    stream = SayStream(agent, level, 3600.0, on_taken=lambda line: None)
    return [(await stream.outcome(line)).level for line in await stream.feed(requests)]


async def test_a_line_that_ended_long_before_the_last_one_came_is_not_forgotten() -> None:
    assert await outcomes(Speaking(), lines(12, every_s=100.0)) == ["done"] * 12


async def test_what_cannot_be_reached_for_a_while_is_asked_again() -> None:
    agent = Speaking()
    agent.unreachable_until = 60.0
    assert await outcomes(agent, lines(12, every_s=100.0)) == ["done"] * 12


async def test_each_line_is_told_when_it_is_taken_and_not_when_all_are() -> None:
    taken: list[tuple[str, float]] = []
    stream = SayStream(Speaking(), "done", 60.0, on_taken=lambda line: taken.append((line.id, now())))
    await stream.feed(lines(3, every_s=1.0))
    assert taken == [("p-0", 1.0), ("p-1", 2.0), ("p-2", 3.0)]


async def test_a_line_that_did_not_come_to_its_end_is_told_in_its_turn() -> None:
    class Interrupted(Speaking):
        async def wait(self, said: Delivery, level: str, **asked: Any) -> Delivery:
            if said.id == "p-1":
                raise InterruptedSpeechError("p-1 was interrupted: stopped")
            return await super().wait(said, level, **asked)

    stream = SayStream(Interrupted(), "done", 60.0, on_taken=lambda line: None)
    first, second, third = await stream.feed(lines(3, every_s=10.0))
    assert (await stream.outcome(first)).level == (await stream.outcome(third)).level == "done"
    with pytest.raises(InterruptedSpeechError, match="p-1 was interrupted"):
        await stream.outcome(second)


async def test_a_refusal_ends_the_stream_as_it_is() -> None:
    agent = Speaking()
    agent.refusals = [RefusedError("spend_cap", "enough for this hour", retry_in_s=60)]
    with pytest.raises(RefusedError, match="enough"):
        await outcomes(agent, lines(3))


async def test_a_full_queue_is_asked_less_and_less_often() -> None:
    agent = Speaking(line_s=30.0, queue_limit=1)
    assert await outcomes(agent, lines(3)) == ["done"] * 3
    pauses = [after - before for before, after in zip(agent.asked_at, agent.asked_at[1:], strict=False)]
    assert len(agent.asked_at) < 25
    assert max(pauses) == pytest.approx(2.0)


async def test_who_is_told_when_to_come_again_comes_then() -> None:
    agent = Speaking()
    agent.refusals = [RefusedError("rate_limited", "too fast; try again in 7 s", retry_in_s=7)]
    await hand_over(agent, SayRequest("Hello.", id="a"), timeout_s=60)
    assert agent.asked_at == [0.0, 7.0]


async def test_a_queue_that_stays_full_is_waited_for_no_longer_than_the_bound() -> None:
    agent = Speaking()
    agent.refusals = [RefusedError("queue_full", "full")] * 100
    with pytest.raises(TimedOutError, match=r"the queue was full for 0\.5 s"):
        await hand_over(agent, SayRequest("Hello.", id="a"), timeout_s=0.5)
    assert now() == pytest.approx(0.5)
