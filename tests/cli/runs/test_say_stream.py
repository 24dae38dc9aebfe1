from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from libacli.cli.runs.say_stream import SayStream, hand_over
from libacli.core.acknowledgement import Acknowledgement
from libacli.core.delivery import Delivery
from libacli.core.messages import SayRequest
from libacli.errors import (
    InterruptedSpeechError,
    LibaError,
    NoAgentError,
    RefusedError,
    TimedOutError,
    UnreachableError,
)

MEMORY_S = 600.0


class Speaking:
    """An agent that speaks each line in `line_s` seconds, and forgets it ten minutes after its end."""

    def __init__(self, *, line_s: float = 3.0, queue_limit: int = 32) -> None:
        self.asked_at: list[float] = []
        self.refusals: list[LibaError] = []
        """How the next requests are refused."""

        self.said: dict[str, str] = {}
        """Texts that were taken, by id, in their order."""

        self.unreachable_until = 0.0
        self._line_s = line_s
        self._queue_limit = queue_limit
        self._ends_at: dict[str, float] = {}

    async def say(self, request: SayRequest) -> Delivery:
        self.asked_at.append(now())
        if self.refusals:
            raise self.refusals.pop(0)
        if request.id in self.said:
            return Delivery.accepted(Acknowledgement(request.id, 0, duplicate=True))
        waiting = sum(ends_at - self._line_s > now() for ends_at in self._ends_at.values())
        if waiting >= self._queue_limit:
            raise RefusedError("queue_full", f"{waiting} utterances are waiting already")
        begins_at = max([now(), *self._ends_at.values()])
        self._ends_at[request.id] = begins_at + self._line_s
        self.said[request.id] = request.text
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


async def lines(count: int, *, every_s: float = 0.0) -> AsyncIterator[str]:
    for number in range(count):
        await asyncio.sleep(every_s)
        yield f"Line {number}."


@dataclass
class Run:
    """What a stream tells, and when."""

    taken: list[tuple[str, float]] = field(default_factory=list)
    reached: list[tuple[str, float]] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    async def of(
        self, agent: Speaking, texts: AsyncIterator[str], *, level: str = "done", timeout_s: float = 3600.0
    ) -> None:
        await SayStream(
            agent,
            lambda text, number: SayRequest(text, id=f"p-{number}"),
            level,
            timeout_s,
            on_taken=lambda line: self.taken.append((line.id, now())),
            on_reached=lambda line: self.reached.append((line.id, now())),
            on_wait=self.told.append,
        ).run(texts)


async def test_stream_forgotten_a_line_that_ended_long_before_the_last_one_came_was_spoken() -> None:
    run = Run()
    await run.of(Speaking(), lines(80, every_s=100.0))
    assert [line for line, _ in run.reached] == [f"p-{number}" for number in range(80)]


async def test_stream_forgotten_what_becomes_of_a_line_is_told_when_it_is_known() -> None:
    run = Run()
    await run.of(Speaking(), lines(3, every_s=100.0))
    assert [line for line, _ in run.reached] == ["p-0", "p-1", "p-2"]
    assert [at for _, at in run.reached] == pytest.approx([103.0, 203.0, 303.0], abs=0.2)


async def test_live_captions_of_a_day_are_all_spoken() -> None:
    agent, run = Speaking(), Run()
    await run.of(agent, lines(24 * 60, every_s=60.0), level="accepted")
    assert len(agent.said) == 24 * 60
    assert now() == pytest.approx(86_400, abs=60)


async def test_what_cannot_be_reached_for_a_while_is_asked_again() -> None:
    agent, run = Speaking(), Run()
    agent.unreachable_until = 60.0
    await run.of(agent, lines(12, every_s=100.0))
    assert len(run.reached) == 12


async def test_each_line_is_told_when_it_is_taken_and_not_when_all_are() -> None:
    run = Run()
    await run.of(Speaking(), lines(3, every_s=1.0))
    assert run.taken == [("p-0", 1.0), ("p-1", 2.0), ("p-2", 3.0)]


class Failing(Speaking):
    """Some of its lines come to no end."""

    def __init__(self, *failing: str) -> None:
        super().__init__()
        self._failing = failing

    async def wait(self, said: Delivery, level: str, **asked: Any) -> Delivery:
        reached = await super().wait(said, level, **asked)
        if said.id in self._failing:
            raise InterruptedSpeechError(f"{said.id} failed: no voice", state="failed")
        return reached


@pytest.mark.parametrize("level", ["accepted", "audible", "done"])
async def test_a_line_that_was_not_spoken_ends_nothing_and_is_told_in_the_end(level: str) -> None:
    agent, run = Failing("p-1"), Run()
    with pytest.raises(InterruptedSpeechError) as caught:
        await run.of(agent, lines(3, every_s=10.0), level=level)
    assert str(caught.value) == "1 of 3 lines were not spoken as asked: p-1; p-1 failed: no voice"
    assert list(agent.said) == ["p-0", "p-1", "p-2"]


async def test_of_many_lines_that_were_not_spoken_the_first_are_named() -> None:
    failing = [f"p-{number}" for number in range(1, 9)]
    with pytest.raises(InterruptedSpeechError) as caught:
        await Run().of(Failing(*failing), lines(20, every_s=1.0))
    assert str(caught.value) == (
        "8 of 20 lines were not spoken as asked: p-1, p-2, p-3, p-4, p-5, ...; p-1 failed: no voice"
    )


async def test_of_one_line_alone_it_is_told_as_it_is() -> None:
    with pytest.raises(InterruptedSpeechError, match=r"^p-0 failed: no voice$"):
        await Run().of(Failing("p-0"), lines(1))


class Gone(Speaking):
    """It is not there any more once all is handed over, and no other one comes."""

    async def wait(self, said: Delivery, level: str, **asked: Any) -> Delivery:
        await asyncio.sleep(10.0)
        raise InterruptedSpeechError("the agent left; whether it was spoken is not known")


async def test_where_nobody_can_tell_of_one_line_nobody_is_asked_about_those_behind_it() -> None:
    with pytest.raises(InterruptedSpeechError, match=r"7 of 7 lines .*p-4, \.\.\.; p-0: the agent left"):
        await Run().of(Gone(), lines(7))
    assert now() == pytest.approx(10.0)


@pytest.mark.parametrize("error", [UnreachableError("cannot reach LiveKit"), TimedOutError("not done")])
async def test_livekit_that_stays_away_after_the_last_line_is_told(error: LibaError) -> None:
    class Away(Speaking):
        async def wait(self, said: Delivery, level: str, **asked: Any) -> Delivery:
            await asyncio.sleep(10.0)
            raise error

    with pytest.raises(type(error), match=r"3 of 3 lines .*: p-0, p-1, p-2; "):
        await Run().of(Away(), lines(3))


TEXTS = ["nothing_to_say", "unsupported_text", "unsupported_markup", "text_too_long"]


@pytest.mark.parametrize("reason", TEXTS)
async def test_a_text_that_cannot_be_said_ends_nothing_and_is_told_in_the_end(reason: str) -> None:
    agent = Speaking()
    agent.refusals = [RefusedError(reason, "not this one")]
    with pytest.raises(RefusedError, match="1 of 3 lines were not spoken as asked: p-0; p-0: not this one"):
        await Run().of(agent, lines(3))
    assert list(agent.said) == ["p-1", "p-2"]


@pytest.mark.parametrize("reason", ["unauthorized", "unknown_voice", "id_reused", "a_new_word"])
async def test_a_refusal_that_meets_every_line_ends_the_stream_and_tells_what_was_said(reason: str) -> None:
    agent = Speaking()

    async def texts() -> AsyncIterator[str]:
        async for text in lines(3):
            yield text
        agent.refusals = [RefusedError(reason, "not you")]
        yield "One more."

    with pytest.raises(RefusedError, match="not you; 3 lines were taken before; what came then was not"):
        await Run().of(agent, texts())


async def test_a_cap_that_lets_nothing_pass_ends_the_stream_at_once() -> None:
    agent = Speaking()
    agent.refusals = [RefusedError("spend_cap", "it is too much at once")]
    with pytest.raises(RefusedError, match="too much at once; 0 lines were taken"):
        await Run().of(agent, lines(3))
    assert now() == 0.0


async def test_a_cap_that_passes_too_late_ends_the_stream_at_once() -> None:
    agent = Speaking()
    agent.refusals = [RefusedError("spend_cap", "try again in 50 min", retry_in_s=3000)]
    with pytest.raises(RefusedError, match="try again in 50 min; 0 lines were taken"):
        await Run().of(agent, lines(3), timeout_s=600)
    assert now() == 0.0


PASSING = [
    RefusedError("spend_cap", "100000 characters are used", retry_in_s=1700),
    RefusedError("voice_unavailable", "the voice failed 3 times in a row", retry_in_s=30),
    RefusedError("voice_unavailable", "an older agent does not say when"),
    RefusedError("draining", "the agent is shutting down"),
    RefusedError("rate_limited", "too fast", retry_in_s=2),
    RefusedError("queue_full", "32 are waiting"),
    NoAgentError("the agent is not there any more"),
    UnreachableError("cannot reach LiveKit"),
]


@pytest.mark.parametrize("obstacle", PASSING, ids=[f"{n}-{type(e).__name__}" for n, e in enumerate(PASSING)])
async def test_stream_abort_what_passes_is_waited_for_and_all_is_said_once_in_order(
    obstacle: LibaError,
) -> None:
    agent, run = Speaking(), Run()
    agent.refusals = [obstacle] * 2
    await run.of(agent, lines(5))
    assert list(agent.said.values()) == [f"Line {number}." for number in range(5)]
    waits_s = [after - before for before, after in itertools.pairwise(agent.asked_at[:3])]
    again_in_s = getattr(obstacle, "retry_in_s", None) or 0.0
    assert waits_s == pytest.approx([max(again_in_s, pause_s) for pause_s in (0.2, 0.4)])
    is_told = str(obstacle) != "32 are waiting"
    assert run.told == ([f"p-0 waits: {obstacle}"] if is_told else [])


async def test_stream_drain_an_agent_may_be_away_for_half_a_minute_in_the_middle() -> None:
    agent, run = Speaking(), Run()
    agent.refusals = [RefusedError("draining", "going")] * 5 + [NoAgentError("gone")] * 12
    await run.of(agent, lines(9))
    assert len(agent.said) == 9
    assert len(run.told) == 2
    assert 15 <= agent.asked_at[17] <= 35


async def test_an_agent_that_does_not_come_back_within_a_minute_ends_the_stream() -> None:
    agent = Speaking()
    agent.refusals = [NoAgentError("no agent came")] * 1000
    with pytest.raises(NoAgentError, match="no agent came; 0 lines were taken"):
        await Run().of(agent, lines(3))
    assert 60 <= now() <= 63


async def test_a_full_queue_is_asked_less_and_less_often() -> None:
    agent, run = Speaking(line_s=30.0, queue_limit=1), Run()
    await run.of(agent, lines(3))
    assert len(run.reached) == 3
    pauses = [after - before for before, after in itertools.pairwise(agent.asked_at)]
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
