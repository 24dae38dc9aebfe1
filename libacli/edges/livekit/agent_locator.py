"""Which agent is asked: the one that is in a room, or one that is sent there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress

from libacli.edges.livekit.api import LiveKitApi
from libacli.errors import LibaError, NoAgentError, TimedOutError

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 1.0
_GROWTH = 1.1


def pauses() -> Iterator[float]:
    """Seconds between looks where nobody tells: a tenth of the time waited so far goes unnoticed."""
    pause_s = _FIRST_PAUSE_S
    while True:
        yield pause_s
        pause_s = min(_GROWTH * pause_s, _LONGEST_PAUSE_S)


class AgentLocator:
    """Finds the agent named `agent_name` in `room`; brings one there if there is none."""

    def __init__(self, api: LiveKitApi, *, room: str, agent_name: str) -> None:
        self._api = api
        self.room = room
        self.agent_name = agent_name
        self.identity = ""
        """Of the agent that was found last; empty: none is known."""

    async def find(self) -> bool:
        """Whether an agent is there now and takes requests."""
        self.identity = await self._api.find_agent(self.room, self.agent_name) or ""
        return bool(self.identity)

    async def reach(self, *, timeout_s: float) -> None:
        """Finds the agent, or has one dispatched and waits until it is ready.

        Raises NoAgentError when none came in time. The dispatch is withdrawn then, and when this is
        cancelled, because LiveKit would never serve it; TimedOutError when LiveKit did not even answer.
        """
        dispatch_id = ""
        try:
            async with self._api.timeout(timeout_s):
                if await self.find():
                    return
                dispatch_id = await self._api.dispatch(self.room, self.agent_name)
                pause = pauses()
                while not await self.find():  # noqa: ASYNC110 - the server has no call that waits
                    await asyncio.sleep(next(pause))
        except asyncio.CancelledError:
            await self._withdraw(dispatch_id)
            raise
        except TimeoutError as error:
            if not dispatch_id:
                raise TimedOutError(f"LiveKit did not answer within {timeout_s:g} s") from error
            await self._withdraw(dispatch_id)
            raise NoAgentError(
                f"no agent named {self.agent_name!r} came into room {self.room!r} within {timeout_s:g} s",
                hint="start one: liba agent run",
            ) from error

    async def _withdraw(self, dispatch_id: str) -> None:
        """Takes a dispatch back, if it can be: that it cannot is not what went wrong."""
        with suppress(LibaError):
            if dispatch_id:
                await self._api.withdraw(self.room, dispatch_id)
