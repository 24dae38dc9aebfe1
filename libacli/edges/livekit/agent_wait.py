"""Waiting for what becomes of an utterance: how long, and for which agent, should one follow another."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from libacli.core.delivery import Delivery
from libacli.core.lifecycle import LEVEL_STATES, SETTLED, has_reached
from libacli.core.messages import StatusRequest
from libacli.edges.livekit.agent_calls import AgentCalls
from libacli.edges.livekit.agent_locator import pauses
from libacli.errors import InterruptedSpeechError, LibaError, NoAgentError, TimedOutError, UnreachableError

_LATE_S = 2.8
"""How late the agent is to answer a question that waits: what takes LiveKit 3 s it makes a second call of."""

_LATE_STEP = 0.85
"""An answer that did not come may have been too late: the next one is to be so much sooner, down to 1 s."""

_LAST_S = 0.2
"""Before its time is over a wait asks once more how far it has come."""

_LEAST_PAUSE_S = 1.0
"""Between two questions to an agent that answers at once: it is an older one, or too many wait there."""

_ENDED = {
    "interrupted": "was interrupted",
    "failed": "failed",
    "expired": "has expired",
    "rejected": "was refused",
    "unknown": "is not known to the agent",
}
"""How it is said what has become of an utterance that was not spoken to its end."""

_NEXT_STEPS = {"failed": "`liba doctor --paid` has each voice say a word; the agent's log tells more"}


class WaitBound:
    """When a wait is over, on the loop's clock. Times in seconds."""

    def __init__(self, timeout_s: float, *, grows_to_s: float) -> None:
        self._timeout_s, self._grows_to_s = timeout_s, grows_to_s
        self._began_at = _now()
        self.ends_at = self._began_at + timeout_s

    @property
    def total_s(self) -> float:
        return self.ends_at - self._began_at

    def left_s(self, at: float) -> float:
        """How late an answer to a question of that time may be, so that there is another one at the end."""
        return max(0.0, self.ends_at - _LAST_S - at)

    def stand_still(self, since: float) -> None:
        """Nothing of it has passed since then."""
        self.ends_at += max(_LEAST_PAUSE_S, _now() - since)

    def wait_behind(self, ahead_s: float) -> None:
        """What is said before it takes nothing from its own time."""
        grown_s = min(_now() - self._began_at + ahead_s + self._timeout_s, self._grows_to_s)
        self.ends_at = max(self.ends_at, self._began_at + grown_s)


class AgentWait:
    """Asks the agent of `calls` until it knows enough; it, or its follower, may be gone for `patience_s`."""

    def __init__(self, calls: AgentCalls, *, patience_s: float) -> None:
        self._calls = calls
        self._patience_s = patience_s
        self._late_s = _LATE_S

    async def until(
        self, said: Delivery, level: str, bound: WaitBound, *, on_paused: Callable[[], None] | None
    ) -> Delivery:
        """`said` when it has reached `level`; see `AgentClient.wait`."""
        try:
            async with asyncio.timeout_at(bound.ends_at) as timeout:
                while not has_reached(said.level, level):
                    asked_at = _now()
                    said = await self._poll(said, level, min(self._late_s, bound.left_s(asked_at)))
                    if has_reached(said.level, level):
                        break
                    _move(bound, said, asked_at, on_paused)
                    timeout.reschedule(bound.ends_at)
                    await asyncio.sleep(max(0.0, asked_at + _LEAST_PAUSE_S - _now()))
        except TimeoutError as error:
            raise TimedOutError(
                f"{said.id} was {said.level} but not {level} after {round(bound.total_s, 1):g} s",
                hint=f"it may still be spoken; ask with --id {said.id}",
                utterance_id=said.id,
            ) from error
        return said

    async def _poll(self, said: Delivery, level: str, late_s: float) -> Delivery:
        """`said` as the agent knows it when it has reached `level`, or after `late_s`; see `wait`."""
        patience_s = math.inf if said.is_journaled else self._patience_s
        report = await self._patient_report(StatusRequest(said.id, level, late_s), patience_s)
        epoch, state = report.pop("epoch"), report["state"]
        if epoch != said.epoch:
            if state == "unknown":
                raise InterruptedSpeechError(
                    "the agent was started anew and its queue is gone", hint="say it again", state=state
                )
            said = said.taken_over(epoch)
        said = replace(said, report=report)
        if state in LEVEL_STATES:
            return replace(said, level=state)
        if state in SETTLED:
            ended = f"{said.id} {_ENDED.get(state, state)}: {report.get('reason', 'no reason given')}"
            raise InterruptedSpeechError(
                ended, hint=_NEXT_STEPS.get(state, ""), state=state, reason=str(report.get("reason", ""))
            )
        return said

    async def _patient_report(self, asked: StatusRequest, patience_s: float) -> dict[str, Any]:
        """The agent's report, or that of the one that came in its place: each may come back for so long."""
        give_up_at: float | None = None
        pause = pauses()
        while True:
            try:
                if self._calls.locator.identity or await self._calls.locator.find():
                    return await self._calls.report(asked)
                failure: LibaError = _left()
            except (NoAgentError, UnreachableError) as error:
                failure = error if isinstance(error, UnreachableError) else _deaf()
                self._calls.locator.identity = ""
            if give_up_at is None:
                self._late_s = max(_LEAST_PAUSE_S, _LATE_STEP * self._late_s)
                asked = replace(asked, wait_s=min(asked.wait_s, self._late_s))
            give_up_at = give_up_at or _now() + patience_s
            if _now() > give_up_at:
                raise failure
            await asyncio.sleep(next(pause))


def _move(bound: WaitBound, said: Delivery, asked_at: float, on_paused: Callable[[], None] | None) -> None:
    """Puts the end off by what is not its own time."""
    if said.is_on_standby or (on_paused and said.is_paused):
        if on_paused and said.is_paused:
            on_paused()
        bound.stand_still(asked_at)
    elif said.ahead_s:
        bound.wait_behind(said.ahead_s)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _left() -> LibaError:
    return InterruptedSpeechError(
        "the agent left; whether it was spoken to its end is not known",
        hint="is `liba agent run` still running?",
    )


def _deaf() -> LibaError:
    return InterruptedSpeechError(
        "the agent does not answer; whether it was spoken to its end is not known",
        hint="it is replaced within 30 s if `liba agent run` still runs; then say it again",
    )
