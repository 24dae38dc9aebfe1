"""One question to the agent that is in a room; it is not brought there for that."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from libacli.config import Settings
from libacli.edges.livekit.agent_client import AgentClient, talking_to
from libacli.errors import NoAgentError, TimedOutError

_TIMEOUT_S = 10.0

T = TypeVar("T")


def ask(settings: Settings, room: str | None, question: Callable[[AgentClient], Awaitable[T]]) -> T:
    """What the agent of `room` (the setting's, if None) answers. Raises NoAgentError or TimedOutError."""
    room = settings.say_room if room is None else room
    return asyncio.run(_ask(settings, room, question))


async def _ask(settings: Settings, room: str, question: Callable[[AgentClient], Awaitable[T]]) -> T:
    try:
        async with asyncio.timeout(_TIMEOUT_S), talking_to(settings, room) as client:
            if not await client.find():
                raise NoAgentError(
                    f"no agent named {settings.agent_name!r} is in room {room!r}",
                    hint="`liba say` brings one there, if `liba agent run` is running",
                )
            return await question(client)
    except TimeoutError as error:
        raise TimedOutError(f"no answer within {_TIMEOUT_S:g} s") from error
