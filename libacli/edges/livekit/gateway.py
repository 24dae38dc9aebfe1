"""Rooms and their agents, for a process that serves many callers at once: the web's way to LiveKit."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from libacli.config import LiveKitCredentials
from libacli.core.acknowledgement import Acknowledgement
from libacli.core.connection_details import ConnectionDetails
from libacli.core.messages import SayRequest
from libacli.core.news import News
from libacli.core.protocol import STATUS_METHOD, STOP_METHOD
from libacli.edges.livekit.agent_client import AgentClient
from libacli.edges.livekit.api import LiveKitApi
from libacli.edges.livekit.tokens import Permissions, check_name, join_token
from libacli.errors import NoAgentError, TimedOutError

_ROOMS_KEPT = 256
_GRACE_S = 1.0
"""Bringing an agent has the same bound as the whole call, and says more when it passes: it goes first."""


@dataclass
class _Door:
    """What all calls for one room share."""

    agent: str = ""
    """Identity of the agent that answered last; empty: none is known."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by the one call that looks for an agent and has one sent."""

    failure: NoAgentError | None = None
    """What that came to, if none came."""


class RoomGateway:
    """Reaches the agents named `agent_name` in the rooms of one LiveKit server.

    Use it as an async context manager. Calls may run at the same time, for one room too: only one of them
    has an agent sent, and the others wait for that. An agent that has answered once is asked at once from
    then on; of the last `rooms_kept` rooms that is remembered. Raises, besides what the methods say,
    UnreachableError, CredentialsError, UsageError for a room that is no name.
    """

    def __init__(
        self, credentials: LiveKitCredentials, *, agent_name: str, rooms_kept: int = _ROOMS_KEPT
    ) -> None:
        self._credentials = credentials
        self._agent_name = agent_name
        self._rooms_kept = rooms_kept
        self._api = LiveKitApi(credentials)
        self._doors: OrderedDict[str, _Door] = OrderedDict()

    async def __aenter__(self) -> RoomGateway:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._api.__aexit__(kind, error, trace)

    async def say(self, room: str, request: SayRequest, *, timeout_s: float) -> Acknowledgement:
        """Hands an utterance over; brings an agent into the room if none is there.

        Raises RefusedError, NoAgentError when none came in time, TimedOutError when it did not answer.
        """
        visitor = self._visitor(room, timeout_s)
        try:
            async with asyncio.timeout(timeout_s + _GRACE_S):
                said = await visitor.hand_over(request)
        except TimeoutError as error:
            raise TimedOutError(
                f"the agent did not answer within {timeout_s:g} s", hint="say it again with the same id"
            ) from error
        visitor.remember()
        return said

    async def wait(
        self, room: str, said: Acknowledgement, level: str, *, timeout_s: float
    ) -> Acknowledgement:
        """Waits until `said` has reached `level`; see AgentClient.wait."""
        visitor = self._visitor(room)
        reached = await visitor.wait(said, level, timeout_s=timeout_s)
        visitor.remember()
        return reached

    async def report(self, room: str, utterance_id: str) -> dict[str, Any]:
        """What the agent knows of one utterance: `id`, `epoch`, `state` (`unknown` too), route, durations.

        Raises NoAgentError, RefusedError.
        """
        return await self._visitor(room).ask(STATUS_METHOD, {"id": utterance_id})

    async def stop(self, room: str) -> list[str]:
        """Stops what is spoken and clears the queue; ids of what that ended. Raises NoAgentError."""
        return list((await self._visitor(room).ask(STOP_METHOD, {}))["stopped"])

    async def status(self, room: str) -> dict[str, Any] | None:
        """What the agent says of itself, see Desk.status; None when there is none that answers."""
        try:
            return await self._visitor(room).ask(STATUS_METHOD, {})
        except NoAgentError:
            return None

    def news(self, room: str) -> AsyncGenerator[News]:
        """All that the room's agents tell, captions included, without end; see RoomEvents.news."""
        from libacli.edges.livekit.follower import (
            RoomEvents,  # the LiveKit SDK: only who follows a room needs it
        )

        check_name("room", room)
        return RoomEvents(
            self._credentials, room=room, agent_name=self._agent_name, with_captions=True
        ).news()

    def join(
        self, room: str, identity: str, *, name: str, valid_for_s: int, can_say: bool
    ) -> ConnectionDetails:
        """A token to join and watch, with `can_say` also to speak. Raises RefusedError if it is reserved."""
        token = join_token(
            self._credentials,
            room=room,
            identity=identity,
            name=name,
            valid_for_s=valid_for_s,
            permissions=Permissions(can_say=can_say),
        )
        return ConnectionDetails(self._credentials.ws_url, token)

    async def check(self) -> None:
        """Raises UnreachableError or CredentialsError when LiveKit cannot be used."""
        await self._api.participants("liba-check")

    def _visitor(self, room: str, timeout_s: float = 0.0) -> _Visitor:
        check_name("room", room)
        door = self._doors.setdefault(room, _Door())
        self._doors.move_to_end(room)
        if len(self._doors) > self._rooms_kept:
            # Not one where an agent is being sent for: who came next would send for another.
            idle = (name for name, other in self._doors.items() if not other.lock.locked())
            self._doors.pop(next(idle))
        return _Visitor(self._api, self._credentials, room, self._agent_name, door, timeout_s)


class _Visitor(AgentClient):
    """The client of one call: what it finds out about the agent disturbs no other call."""

    def __init__(
        self,
        api: LiveKitApi,
        credentials: LiveKitCredentials,
        room: str,
        agent_name: str,
        door: _Door,
        timeout_s: float,
    ) -> None:
        super().__init__(api, credentials, room=room, agent_name=agent_name)
        self._identity = door.agent
        self._door = door
        self._clock = asyncio.get_running_loop().time
        self._give_up_at = self._clock() + timeout_s

    def remember(self) -> None:
        """The agent that has answered is asked at once from now on."""
        self._door.agent = self._identity

    async def hand_over(self, request: SayRequest) -> Acknowledgement:
        """Says it to the agent that is known, or to the one that is found or comes."""
        if not self._identity:
            await self.reach(timeout_s=self._give_up_at - self._clock())
        return await self.say(request)

    async def reach(self, *, timeout_s: float) -> None:
        """One at a time for a room; who waited while another one waited in vain shares its failure."""
        before = self._door.failure
        async with self._door.lock:
            failure = self._door.failure
            if failure and failure is not before:
                raise NoAgentError(str(failure), hint=failure.hint)
            left_s = min(timeout_s, self._give_up_at - self._clock())
            if left_s <= 0:
                raise TimedOutError(
                    f"nobody in room {self._room!r} answered in time", hint="try again in a moment"
                )
            try:
                await super().reach(timeout_s=left_s)
            except NoAgentError as error:
                self._door.failure = error
                raise

    async def ask(self, method: str, body: dict[str, Any]) -> dict[str, Any]:
        """The answer of the agent that is known, else of the one that is found. Raises NoAgentError."""
        if self._identity:
            try:
                return await self._ask(method, body)
            except NoAgentError:
                self._identity = ""  # another one may have come in its place
        try:
            return await self._ask(method, body)
        finally:
            self.remember()
