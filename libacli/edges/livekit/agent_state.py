"""What LiveKit's own pages are told that the agent does: its attribute `lk.agent.state`.

The words are those of livekit-agents: `initializing`, `listening`, `speaking`. There is no `thinking`: no
model is asked anything here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Literal, TypeAlias

from livekit import rtc

from libacli.complaint_log import ComplaintLog
from libacli.core.event import Event, Rejection
from libacli.core.lifecycle import is_over
from libacli.core.protocol import STATE_ATTRIBUTE

logger = logging.getLogger("liba.room")

AgentState: TypeAlias = Literal["initializing", "listening", "speaking"]

FIRST_STATE: AgentState = "initializing"

_SEND_TIMEOUT_S = 60.0
"""Longer than the SDK goes on reconnecting: until then it holds what is sent."""

_AGAIN_S = 1.0


class AgentStateAttribute:
    """An Outlet that has the state of the local participant follow what becomes of utterances.

    It begins as `FIRST_STATE`, which the agent's token is to hold: so it is there from the first moment.
    Changes are sent by `run` alone, after the sound they tell of: no line waits for them. What changes while
    one is being sent is sent as it is then.
    """

    def __init__(self, room: rtc.Room, log: ComplaintLog | None = None) -> None:
        self._room = room
        self._log = log or ComplaintLog(logger)
        self._state: AgentState = FIRST_STATE
        self._told: AgentState | None = None
        self._sending = asyncio.Lock()
        self._current = ""
        """The utterance that has begun and is not over."""

        self._changed = asyncio.Event()

    def take_event(self, event: Event | Rejection) -> None:
        """It speaks from the first sound that is heard until the last line of the queue is over."""
        if isinstance(event, Rejection):
            return
        report = event.report
        if report.state == "speaking":
            self._current = report.id
        elif report.state == "audible":
            self.become("speaking")
        elif is_over(report.state):
            if report.id == self._current:
                self._current = ""
            if not self._current and not event.facts.queue and self._state == "speaking":
                self.become("listening")

    def become(self, state: AgentState) -> None:
        """Returns at once."""
        if state != self._state:
            self._state = state
            self._changed.set()

    async def tell(self, others: Mapping[str, str]) -> None:
        """Sends it with other attributes: earlier versions of LiveKit's `useAgent` know but the last call.

        Raises what the SDK raises, which has one class per call.
        """
        async with self._sending:
            state = self._state
            await self._room.local_participant.set_attributes({**others, STATE_ATTRIBUTE: state})
            self._told = state

    async def run(self) -> None:
        """Sends it each time it has changed, until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                async with asyncio.timeout(_SEND_TIMEOUT_S):
                    await self._send()
            except Exception as error:
                me = self._room.local_participant.identity
                self._log.tell(
                    me, "its state", f"not sent: {str(error) or type(error).__name__}; trying again"
                )
                await asyncio.sleep(_AGAIN_S)
                self._changed.set()

    async def _send(self) -> None:
        async with self._sending:
            pass  # what is being told may be this already
        if self._state != self._told:
            await self.tell({})
