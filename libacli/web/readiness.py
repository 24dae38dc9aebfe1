"""Whether LiveKit can be used."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from libacli.errors import LibaError
from libacli.web.ports import Gateway
from libacli.web.problems import Problem, problem_of

_KEPT_S = 2.0
"""Below the 5 to 10 s at which load balancers commonly ask: each of their questions gets a fresh answer."""

_TIMEOUT_S = 5.0
"""LiveKit answers in milliseconds; whoever looks after a server seldom waits for 10 s himself."""


@dataclass(frozen=True)
class _Trouble:
    """Why it cannot. No exception: raised again and again, one would collect all those tracebacks."""

    reason: str
    detail: str
    hint: str = ""


class Readiness:
    """Whether LiveKit can be used; asked every 2 s at most, however often somebody wants to know."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._lock = asyncio.Lock()
        self._trouble: _Trouble | None = None
        self._known_until = 0.0

    async def check(self) -> None:
        """Raises Problem."""
        clock = asyncio.get_running_loop().time
        async with self._lock:
            if clock() >= self._known_until:
                self._trouble = await self._ask_gateway()
                self._known_until = clock() + _KEPT_S
            trouble = self._trouble
        if trouble:
            raise Problem(503, trouble.reason, trouble.detail, hint=trouble.hint)

    async def _ask_gateway(self) -> _Trouble | None:
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                await self._gateway.check()
        except TimeoutError:
            return _Trouble("livekit_unreachable", f"LiveKit did not answer within {_TIMEOUT_S:g} s")
        except LibaError as error:
            problem = problem_of(error)
            return _Trouble(problem.reason, problem.detail, problem.hint)
        return None
