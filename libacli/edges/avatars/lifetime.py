"""How long a conversation lasts here, and when another one has to take its place."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass

from libacli.edges.avatars.learned_cap import LearnedCap
from libacli.edges.avatars.policy import AvatarPolicy


@dataclass(frozen=True)
class Term:
    """Of one conversation, on the loop's clock."""

    renew_at: float
    """From now on another one is to take over, when nothing is spoken."""

    last_call_at: float
    """The same where a first try has failed: what is there is kept for as long as it is of use."""


class Lifetime:
    """The service ends a conversation as it was asked to, or before, by a cap that has to be learned."""

    def __init__(self, policy: AvatarPolicy, cap: LearnedCap | None) -> None:
        self._policy = policy
        self._cap = cap

    async def term(self, asked_at: float) -> Term:
        """Of the conversation that was asked for at `asked_at`."""
        cap_s = await asyncio.to_thread(self._cap.seconds) if self._cap else None
        lasts_s = min(self._policy.max_duration_s, cap_s or math.inf)
        before_s = self._policy.renew_before_s
        if before_s >= lasts_s:  # it would be renewed all the time, and paid for
            before_s = lasts_s / 2
        return Term(asked_at + lasts_s - before_s, asked_at + lasts_s - before_s / 2)

    async def left(self, lived_s: float, reason: str) -> None:
        """An avatar that was wanted left by itself, see `LearnedCap`. Raises LibaError."""
        if self._cap:
            await asyncio.to_thread(self._cap.left, lived_s, reason)
