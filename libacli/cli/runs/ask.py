"""One question to the agent that is in a room; it is not brought there for that."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from libacli.client import Client
from libacli.config import Settings

T = TypeVar("T")


def ask(settings: Settings, room: str | None, question: Callable[[Client], Awaitable[T]]) -> T:
    """What the agent of `room` (the setting's, if None) answers. Raises NoAgentError or TimedOutError."""
    return asyncio.run(_ask(Client(settings=settings, room=room), question))


async def _ask(client: Client, question: Callable[[Client], Awaitable[T]]) -> T:
    async with client as liba:
        return await question(liba)
