"""GET /healthz and /readyz"""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request

from libacli.errors import LibaError
from libacli.web.models import Health
from libacli.web.ports import Gateway
from libacli.web.problems import Problem, of, responses

router = APIRouter(tags=["health"])

_KEPT_S = 2.0
_TIMEOUT_S = 5.0


class Readiness:
    """Whether LiveKit can be used; asked every 2 s at most, however often somebody wants to know."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._lock = asyncio.Lock()
        self._problem: Problem | None = None
        self._until = 0.0

    async def check(self) -> None:
        """Raises Problem."""
        clock = asyncio.get_running_loop().time
        async with self._lock:
            if clock() >= self._until:
                self._problem = await self._ask()
                self._until = clock() + _KEPT_S
        if self._problem:
            raise self._problem

    async def _ask(self) -> Problem | None:
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                await self._gateway.check()
        except TimeoutError:
            return Problem(503, "livekit_unreachable", f"LiveKit did not answer within {_TIMEOUT_S:g} s")
        except LibaError as error:
            found = of(error)
            return Problem(503, found.reason, found.detail, hint=found.hint)
        return None


@router.get("/healthz", summary="Is it alive")
async def healthz() -> Health:
    """200 as long as this process answers."""
    return Health(status="ok")


@router.get("/readyz", summary="Can it do its work", responses=responses(503))
async def readyz(request: Request) -> Health:
    """200 when LiveKit can be reached and takes this server's credentials."""
    await request.app.state.readiness.check()
    return Health(status="ok")
