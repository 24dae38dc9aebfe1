"""What the web asks for: somebody who can reach agents in rooms. It knows no vendor."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Sequence
from pathlib import Path
from typing import Any, Protocol

from libacli.core.agent_status import AgentStatus
from libacli.core.caption_cue import CaptionCue
from libacli.core.connection_details import ConnectionDetails
from libacli.core.delivery import Delivery
from libacli.core.given_sound import GivenSound
from libacli.core.messages import SayRequest
from libacli.core.queue_requests import MoveRequest, NextAnswer, PauseAnswer
from libacli.core.room_update import RoomUpdate


class Sound(Protocol):
    """A sound that can be sent."""

    @property
    def given(self) -> GivenSound: ...


class Gateway(Protocol):
    """Rooms of one LiveKit server, and the agents of one name in them.

    Besides what is said of each method, all raise UnreachableError, CredentialsError and UsageError for a
    name that cannot be a room's.
    """

    async def say(self, room: str, request: SayRequest, *, timeout_s: float, on_behalf: str = "") -> Delivery:
        """Hands an utterance over; brings an agent into the room if none is there.

        It is on the account of whom it is said `on_behalf` of; empty: the owner's.
        Raises RefusedError, NoAgentError, TimedOutError.
        """

    async def prepare_sound(
        self, file: Path, *, named: str, max_s: float, text: str, captions: Sequence[CaptionCue]
    ) -> Sound:
        """The sound of a file, with `text` or `captions` shown while it is heard; `named` is what errors call
        it.

        Raises UsageError where there is none in it, RefusedError where it is too long, or silent.
        """

    async def say_sound(
        self, room: str, sound: Any, *, id: str, timeout_s: float, on_behalf: str = "", **members: Any
    ) -> Delivery:
        """The same as `say` for a sound that was prepared here; `members` are those of a say request."""

    async def wait(
        self, room: str, said: Delivery, level: str, *, timeout_s: float, grows_to_s: float = 0.0
    ) -> Delivery:
        """Waits until `said` has reached `level`: `accepted`, `audible`, `done`.

        The bound grows by what is said before it, up to `grows_to_s`.

        Raises InterruptedSpeechError when it ended before, TimedOutError.
        """

    async def report(self, room: str, utterance_id: str) -> dict[str, Any]:
        """What the agent knows of one utterance: `id`, `epoch`, `state` (`unknown` too), route, durations.

        Raises NoAgentError, RefusedError.
        """

    async def stop(self, room: str, utterance_id: str = "") -> list[str]:
        """Stops what is spoken and clears the queue, or ends one utterance alone; ids of what that ended.

        Raises NoAgentError.
        """

    async def cancel(
        self, room: str, utterance_id: str, *, on_behalf: str = "", is_own: bool = False
    ) -> dict[str, Any]:
        """Takes one that waits out of the queue, `is_own`: if it is on that account; its report.

        Raises RefusedError when it does not wait, NoAgentError.
        """

    async def move(self, room: str, asked: MoveRequest) -> dict[str, Any]:
        """Puts one that waits elsewhere; its report, with `position` and `priority`.

        Raises RefusedError when it does not wait, NoAgentError.
        """

    async def pause(self, room: str, is_paused: bool) -> PauseAnswer:
        """Has nothing new begin, or go on. Raises NoAgentError."""

    async def next(self, room: str, utterance_id: str = "") -> NextAnswer:
        """Gives the go-ahead to a line on standby, without an id to the one that is longest on standby.

        Raises RefusedError when there is none, NoAgentError.
        """

    async def status(self, room: str, *, on_behalf: str = "") -> AgentStatus | None:
        """What the agent says of itself, and of the account; None when there is none."""

    def updates(self, room: str) -> AsyncGenerator[RoomUpdate]:
        """All that the room's agents tell, captions included, without end, whatever happens."""

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
        """A least-privilege token. Raises RefusedError for an identity that is reserved."""

    async def put_out(self, room: str, identities: Collection[str]) -> None:
        """Removes these from `room` where they are in it; a token that is valid lets them in again."""

    async def check(self) -> None:
        """Raises UnreachableError or CredentialsError when LiveKit cannot be used."""
