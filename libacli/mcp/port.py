"""What the tools ask for: somebody who can reach agents in rooms, on behalf of one caller."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from libacli.core.agent_status import AgentStatus
from libacli.core.delivery import Delivery
from libacli.mcp.arguments import SayArguments


class Speech(Protocol):
    """What one caller may do.

    All methods raise LibaError for what cannot be done, and for what this caller may not do.
    """

    def room(self, wanted: str | None) -> str:
        """The room that he means."""

    async def say(self, room: str, asked: SayArguments) -> Delivery:
        """Hands a text over; brings an agent into the room if none is there."""

    async def wait(
        self, room: str, said: Delivery, level: str, *, timeout_s: float, grows_to_s: float
    ) -> Delivery:
        """Waits until `said` has reached `level`: `audible`, `done`; comes back sooner where nothing more is
        to be learnt. The bound grows by what is said before it, up to `grows_to_s`.

        Raises InterruptedSpeechError when it ended before, TimedOutError.
        """

    async def report(self, room: str, utterance_id: str) -> Mapping[str, Any] | None:
        """What the agent knows of one utterance, its `state` at least; None: it knows none of that id."""

    async def stop(self, room: str, utterance_id: str) -> list[str]:
        """Stops what is spoken and clears the queue, or ends one utterance alone; ids of what that ended."""

    async def queue(self, room: str) -> AgentStatus | None:
        """What is spoken and what waits; None: there is no agent, or none that answers."""

    def voices(self) -> tuple[str, ...]:
        """Speakers to choose from, the usual one first."""
