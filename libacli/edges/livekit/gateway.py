"""Rooms and their agents, for a process that serves many callers at once: the web's way to LiveKit."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from libacli.config import LiveKitCredentials
from libacli.core.agent_status import AgentStatus
from libacli.core.caption_cue import CaptionCue
from libacli.core.connection_details import ConnectionDetails
from libacli.core.delivery import Delivery
from libacli.core.messages import SayRequest
from libacli.core.queue_requests import MoveRequest, NextAnswer, PauseAnswer
from libacli.core.room_update import RoomUpdate
from libacli.edges.livekit.agent_client import AgentClient
from libacli.edges.livekit.agent_locator import AgentLocator
from libacli.edges.livekit.api import LiveKitApi
from libacli.edges.livekit.tokens import Permissions, check_name, join_token
from libacli.errors import NoAgentError, TimedOutError

if TYPE_CHECKING:
    from libacli.edges.sounds.sound_file import PreparedSound

T = TypeVar("T")

_ROOMS_KEPT = 256
_GRACE_S = 1.0
"""Bringing an agent has the same bound as the whole call, and says more when it passes: it goes first."""


@dataclass
class _KnownRoom:
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
    then on; of the last `rooms_kept` rooms that is remembered. Captions may be signed with `previous`, too.
    For `departure_timeout_s` see LiveKitApi.
    Raises, besides what the methods say, UnreachableError, CredentialsError, UsageError for a room that is
    no name.
    """

    def __init__(
        self,
        credentials: LiveKitCredentials,
        *,
        agent_name: str,
        previous: LiveKitCredentials | None = None,
        departure_timeout_s: int = 0,
        rooms_kept: int = _ROOMS_KEPT,
    ) -> None:
        self._credentials = credentials
        self._previous = previous
        self._agent_name = agent_name
        self._rooms_kept = rooms_kept
        self._api = LiveKitApi(credentials, departure_timeout_s=departure_timeout_s)
        self._rooms: OrderedDict[str, _KnownRoom] = OrderedDict()

    async def __aenter__(self) -> RoomGateway:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._api.__aexit__(kind, error, trace)

    async def reach(
        self, room: str, *, timeout_s: float, on_wait: Callable[[str], None] = lambda what: None
    ) -> None:
        """Finds the agent of `room`, or brings one; see AgentLocator.reach."""
        call = self._call(room, timeout_s + _GRACE_S)
        await call.locator.reach(timeout_s=timeout_s, on_wait=on_wait)
        call.remember()

    async def say(self, room: str, request: SayRequest, *, timeout_s: float, on_behalf: str = "") -> Delivery:
        """Hands an utterance over; brings an agent into the room if none is there.

        It is on the account of whom it is said `on_behalf` of; empty: the owner's. Raises RefusedError,
        NoAgentError when none came in time, TimedOutError when it did not answer.
        """
        call = self._call(room, timeout_s, on_behalf)
        with _told_of_time(request.id, timeout_s):
            async with asyncio.timeout(timeout_s + _GRACE_S):
                await call.find()
                said = await call.client.say(request)
        call.remember()
        return said

    async def prepare_sound(
        self, file: Path, *, named: str, max_s: float, text: str, captions: Sequence[CaptionCue]
    ) -> PreparedSound:
        """The sound of a file, as `prepare_sound` has it."""
        from libacli.edges.sounds.sound_file import prepare_sound  # FFmpeg: only who has a sound needs it

        return await asyncio.to_thread(
            prepare_sound, file, max_s=max_s, text=text, captions=captions, named=named
        )

    async def say_sound(
        self,
        room: str,
        sound: PreparedSound,
        *,
        id: str,
        timeout_s: float,
        on_behalf: str = "",
        **members: Any,
    ) -> Delivery:
        """The same for a sound that is there already; see AgentClient.say_sound."""
        call = self._call(room, timeout_s, on_behalf)
        with _told_of_time(id, timeout_s):
            async with asyncio.timeout(timeout_s + _GRACE_S):
                await call.find()
                said = await call.client.say_sound(sound, id=id, **members)
        call.remember()
        return said

    async def wait(
        self,
        room: str,
        said: Delivery,
        level: str,
        *,
        timeout_s: float,
        grows_to_s: float = 0.0,
        on_paused: Callable[[], None] | None = None,
    ) -> Delivery:
        """Waits until `said` has reached `level`; see AgentClient.wait."""
        call = self._call(room)
        reached = await call.client.wait(
            said, level, timeout_s=timeout_s, grows_to_s=grows_to_s, on_paused=on_paused
        )
        call.remember()
        return reached

    async def report(self, room: str, utterance_id: str) -> dict[str, Any]:
        """What the agent knows of one utterance: `id`, `epoch`, `state` (`unknown` too), route, durations.

        Raises NoAgentError, RefusedError.
        """
        return await self._ask(room, lambda client: client.report(utterance_id))

    async def stop(self, room: str, utterance_id: str = "") -> list[str]:
        """Stops what is spoken and clears the queue, or ends one utterance alone; ids of what that ended.

        Raises NoAgentError.
        """
        return await self._ask(room, lambda client: client.stop(utterance_id))

    async def cancel(
        self, room: str, utterance_id: str, *, on_behalf: str = "", is_own: bool = False
    ) -> dict[str, Any]:
        """Takes one that waits out of the queue, `is_own`: if it is on that account; its report.

        Raises RefusedError when it does not wait, NoAgentError.
        """
        return await self._ask(room, lambda client: client.cancel(utterance_id, is_own=is_own), on_behalf)

    async def move(self, room: str, asked: MoveRequest) -> dict[str, Any]:
        """Puts one that waits elsewhere; its report, with `position` and `priority`.

        Raises RefusedError when it does not wait, NoAgentError.
        """
        return await self._ask(room, lambda client: client.move(asked))

    async def pause(self, room: str, is_paused: bool) -> PauseAnswer:
        """Has nothing new begin, or go on. Raises NoAgentError."""
        return await self._ask(room, lambda client: client.pause(is_paused))

    async def next(self, room: str, utterance_id: str = "") -> NextAnswer:
        """Gives the go-ahead to a line on standby, without an id to the one that is longest on standby.

        Raises RefusedError when there is none, NoAgentError.
        """
        return await self._ask(room, lambda client: client.next(utterance_id))

    async def status(self, room: str, *, on_behalf: str = "") -> AgentStatus | None:
        """What the agent says of itself, and of the account; None when there is none that answers."""
        try:
            return await self._ask(room, lambda client: client.status(), on_behalf)
        except NoAgentError:
            return None

    def updates(self, room: str) -> AsyncGenerator[RoomUpdate]:
        """All that the room's agents tell, captions included, without end, whatever happens."""
        from libacli.edges.livekit.follower import (
            RoomFollower,  # the LiveKit SDK: only who follows a room needs it
        )

        check_name("room", room)
        return RoomFollower(
            self._credentials,
            room=room,
            agent_name=self._agent_name,
            with_captions=True,
            is_patient=True,
            previous=self._previous,
        ).updates()

    def join(
        self,
        room: str,
        identity: str,
        *,
        name: str,
        valid_for_s: int,
        can_say: bool,
        can_control: bool = False,
        on_behalf: str = "",
    ) -> ConnectionDetails:
        """A token to join and watch, also to speak and control. Raises RefusedError if it is reserved."""
        token = join_token(
            self._credentials,
            room=room,
            identity=identity,
            name=name,
            valid_for_s=valid_for_s,
            permissions=Permissions(can_say=can_say, can_control=can_control),
            on_behalf=on_behalf,
        )
        key = self._credentials.e2ee_key
        return ConnectionDetails(
            self._credentials.outside.ws_url, token, key.get_secret_value() if key else ""
        )

    async def put_out(self, room: str, identities: Collection[str]) -> None:
        """Removes these from `room` where they are in it; a token that is valid lets them in again."""
        present = {participant.identity for participant in await self._api.participants(room)}
        for identity in present.intersection(identities):
            await self._api.remove(room, identity)

    async def check(self) -> None:
        """Raises UnreachableError or CredentialsError when LiveKit cannot be used."""
        await self._api.participants("liba-check")

    async def _ask(
        self, room: str, question: Callable[[AgentClient], Awaitable[T]], on_behalf: str = ""
    ) -> T:
        """The answer of the agent that is known, else of the one that is found. Raises NoAgentError."""
        call = self._call(room, on_behalf=on_behalf)
        if call.locator.identity:
            try:
                return await question(call.client)
            except NoAgentError:
                call.locator.identity = ""  # another one may have come in its place
        try:
            return await question(call.client)
        finally:
            call.remember()

    def _call(self, room: str, timeout_s: float = 0.0, on_behalf: str = "") -> _Call:
        check_name("room", room)
        known = self._rooms.setdefault(room, _KnownRoom())
        self._rooms.move_to_end(room)
        if len(self._rooms) > self._rooms_kept:
            # Not one where an agent is being sent for: who came next would send for another.
            idle = (name for name, other in self._rooms.items() if not other.lock.locked())
            self._rooms.pop(next(idle))
        locator = AgentLocator(self._api, room=room, agent_name=self._agent_name)
        return _Call(self._api, _OneAtATime(locator, known, timeout_s), known, on_behalf)


class _OneAtATime:
    """The locator of one call: what it finds out about the agent disturbs no other call of the room.

    Only one of them looks for an agent and has one sent at a time, within `timeout_s` from now.
    """

    def __init__(self, locator: AgentLocator, known: _KnownRoom, timeout_s: float) -> None:
        self.room = locator.room
        self.agent_name = locator.agent_name
        self._locator = locator
        self._locator.identity = known.agent
        self._known = known
        self._clock = asyncio.get_running_loop().time
        self._give_up_at = self._clock() + timeout_s

    @property
    def identity(self) -> str:
        return self._locator.identity

    @identity.setter
    def identity(self, identity: str) -> None:
        self._locator.identity = identity

    @property
    def left_s(self) -> float:
        """Seconds that this call may still take."""
        return self._give_up_at - self._clock()

    async def find(self) -> bool:
        return await self._locator.find()

    async def reach(self, *, timeout_s: float, on_wait: Callable[[str], None] = lambda what: None) -> None:
        """Who waited while another one waited in vain shares its failure."""
        before = self._known.failure
        async with self._known.lock:
            failure = self._known.failure
            if failure and failure is not before:
                raise NoAgentError(str(failure), hint=failure.hint)
            left_s = min(timeout_s, self.left_s)
            if left_s <= 0:
                raise TimedOutError(
                    f"nobody in room {self.room!r} answered in time", hint="try again in a moment"
                )
            try:
                await self._locator.reach(timeout_s=left_s, on_wait=on_wait)
            except NoAgentError as error:
                self._known.failure = error
                raise


@contextmanager
def _told_of_time(utterance_id: str, timeout_s: float) -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise TimedOutError(
            f"the agent did not answer within {round(timeout_s, 1):g} s",
            hint=f"say it again with the same id, {utterance_id}: it is spoken once",
            utterance_id=utterance_id,
        ) from error


class _Call:
    """One call to the agent of a room."""

    def __init__(self, api: LiveKitApi, locator: _OneAtATime, known: _KnownRoom, on_behalf: str = "") -> None:
        self.locator = locator
        self.client = AgentClient(api, locator, on_behalf=on_behalf)
        self._known = known

    async def find(self) -> None:
        """Asks the agent that is known, or else the one that is found or comes."""
        if not self.locator.identity:
            await self.locator.reach(timeout_s=self.locator.left_s)

    def remember(self) -> None:
        """The agent that has answered is asked at once from now on."""
        self._known.agent = self.locator.identity
