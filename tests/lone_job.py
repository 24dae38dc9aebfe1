"""The job of an agent that no worker has sent."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class LoneJob:
    """Says that the room is the agent's own, or what a test tells it to; notes down why the agent leaves."""

    answers: bool | Exception = True
    left: list[str] = field(default_factory=list)

    async def is_leader(self) -> bool:
        if isinstance(self.answers, Exception):
            raise self.answers
        return self.answers

    def leave(self, reason: str) -> None:
        self.left.append(reason)
