"""The job of an agent that no worker has sent."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field


@dataclass
class LoneJob:
    """Says that the room is the agent's own, or what a test tells it to; notes down why the agent leaves."""

    answers: bool | Exception = True
    after_s: float = 0.0
    """How long it takes to find that out."""

    left: list[str] = field(default_factory=list)

    async def is_leader(self) -> bool:
        await asyncio.sleep(self.after_s)
        if isinstance(self.answers, Exception):
            raise self.answers
        return self.answers

    def leave(self, reason: str) -> None:
        self.left.append(reason)
