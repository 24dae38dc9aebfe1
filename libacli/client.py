"""liba from a Python program: the agents of a LiveKit server's rooms say, stop, and tell what they do.

    from libacli import Client

    async with Client() as liba:
        said = await liba.say("Hello.", room="demo", wait="done")
        print(said.level, said.id)

It asks over plain HTTP, as `liba say` does, and joins no room but to follow its events.
"""

from __future__ import annotations

import asyncio
import math
import os
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, get_args

from pydantic import SecretStr

from libacli.config import Settings
from libacli.core.agent_status import AgentStatus
from libacli.core.connection_details import ConnectionDetails
from libacli.core.delivery import Delivery
from libacli.core.emotion import Emotion
from libacli.core.event import Event, Report
from libacli.core.markdown import MarkdownChoice, as_prose
from libacli.core.messages import SayRequest, read_label, read_say, read_text, ttl_ms_of
from libacli.core.pace import spoken_within_s
from libacli.core.queue_requests import MoveRequest, NextAnswer, PauseAnswer
from libacli.core.room_update import RoomUpdate
from libacli.edges.livekit.agent_locator import no_agent
from libacli.edges.livekit.gateway import RoomGateway
from libacli.edges.livekit.tokens import check_name
from libacli.errors import RefusedError, TimedOutError, UsageError
from libacli.masking import without_password

if TYPE_CHECKING:
    from libacli.edges.sounds.sound_file import PreparedSound

T = TypeVar("T")

Level = Literal["accepted", "audible", "done"]
"""How far an utterance has come: the agent has queued it, the room hears it, it was spoken to its end."""

REACH_TIMEOUT_S = 20.0
"""How long an agent may take to come into a room."""

SOUND_TIMEOUT_S = 60.0
"""How long a sound may be on its way to the agent, and its agent into the room."""

_ANSWER_TIMEOUT_S = 10.0
"""How long an agent that is there may take to answer a question."""


@dataclass(frozen=True)
class QueuedLine:
    """A line that was moved, or taken out of the queue."""

    id: str
    report: Mapping[str, Any]
    """The agent's own words on it, as JSON members: `state`, `reason`, ..."""

    position: int | None = None
    """How many are spoken before it; None: it waits no more."""

    priority: int | None = None
    """That of its new place; None: it waits no more."""


class Client:
    """Reaches the agents of one LiveKit server. Use it as an async context manager, in one event loop.

    Calls may run at the same time; whoever is cancelled waits no longer, and what was handed over is spoken
    all the same: `stop` and `cancel` end it. All methods raise, besides what is said of them, errors of
    `libacli.errors`: UnreachableError when LiveKit does not answer, CredentialsError when it refuses the key,
    UsageError for what cannot be the name of a room. `room` is always the client's own unless it is given.
    """

    def __init__(
        self,
        *,
        url: str | None = None,
        api_key: str | None = None,
        api_secret: str | None = None,
        room: str | None = None,
        agent_name: str | None = None,
        config_file: Path | str | None = None,
        settings: Settings | None = None,
    ) -> None:
        """What is not given is read when it is entered, from where the command `liba` reads it: variables of
        the environment, files of the folder, the user's own, what `liba up` runs.

        `room` is the one that is meant where a method is given none, `agent_name` the name that agents are
        dispatched by. With `settings` nothing is read.
        """
        secret = None if api_secret is None else SecretStr(api_secret)
        self._flags = {
            "livekit_url": url,
            "livekit_api_key": api_key,
            "livekit_api_secret": secret,
            "say_room": room,
            "agent_name": agent_name,
        }
        self._config_file = None if config_file is None else Path(config_file)
        self._settings = settings if settings is None or room is None else _with_room(settings, room)
        self._gateway: RoomGateway | None = None

    def __repr__(self) -> str:
        """Without keys and secrets."""
        url = self._settings.livekit_url if self._settings else self._flags["livekit_url"]
        return f"Client(url={without_password(str(url))!r})" if url else "Client()"

    async def __aenter__(self) -> Self:
        """Reads the settings. Raises ConfigError for one that is missing or wrong."""
        if self._gateway is not None:
            raise RuntimeError("this client is open already")
        if self._settings is None:
            self._settings = await asyncio.to_thread(self._read_settings)
        settings = self._settings
        self._gateway = RoomGateway(
            settings.livekit(),
            agent_name=settings.agent_name,
            previous=settings.livekit_previous(),
            departure_timeout_s=settings.departure_timeout_s,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        gateway, self._gateway = self._open, None
        await gateway.__aexit__(kind, error, trace)

    async def reach(
        self,
        *,
        room: str | None = None,
        timeout_s: float = REACH_TIMEOUT_S,
        on_wait: Callable[[str], None] = lambda what: None,
    ) -> None:
        """Brings an agent into the room, if none is there, and waits until it takes requests; `say` does so
        by itself. `on_wait` is told what is waited for, when that takes a while.

        Raises NoAgentError when none came in time.
        """
        _check_bound(timeout_s)
        await self._open.reach(self._room(room), timeout_s=timeout_s, on_wait=on_wait)

    async def say(
        self,
        text: str | SayRequest,
        *,
        room: str | None = None,
        wait: Level = "accepted",
        timeout_s: float | None = None,
        id: str = "",
        voice: str = "",
        speed: float | None = None,
        instructions: str = "",
        emotion: Emotion | None = None,
        interrupt: bool = False,
        priority: int = 0,
        ttl_s: float | None = None,
        markdown: MarkdownChoice = "off",
    ) -> Delivery:
        """Has the agent say `text`, and waits until that was taken, is heard, or is over.

        `text` may be a whole request, too: nothing else of it is given then. `timeout_s` is for all of it,
        pauses of the queue aside; None: it fits the text, and what is said before it. `speed` is 0.25 to 4,
        1 is normal; `priority` is -100 to 100, higher goes first; what waits longer than `ttl_s` is dropped;
        `interrupt` stops what is spoken and clears the queue before. An `id` is spoken once, however often it
        is said; empty: one of its own.

        Raises RefusedError when it will not be said, with the `reason`; NoAgentError when no agent came
        within 20 s; TimedOutError, with the `utterance_id`; InterruptedSpeechError when it ended before its
        end.
        """
        _check_choice("wait", wait, Level)
        _check_choice("markdown", markdown, MarkdownChoice)
        _check_bound(timeout_s)
        if isinstance(text, SayRequest):
            return await self._say(text, room, wait, timeout_s)
        manner = {"voice": voice or None, "speed": speed, "instructions": instructions or None}
        ttl_ms = None if ttl_s is None else ttl_ms_of(ttl_s)
        turn = {"interrupt": interrupt, "priority": priority, "ttl_ms": ttl_ms}
        members = {
            "text": as_prose(read_text("text", text), markdown),
            "id": id or uuid.uuid4().hex[:12],
            "emotion": emotion,
        }
        request = read_say(members | manner | turn, max_text_chars=self.settings.say_max_text_chars)
        return await self._say(request, room, wait, timeout_s)

    async def _say(
        self, request: SayRequest, room: str | None, wait: Level, timeout_s: float | None
    ) -> Delivery:
        clock = asyncio.get_running_loop().time
        began_at, reach_s = clock(), timeout_s or REACH_TIMEOUT_S
        said = await self._open.say(self._room(room), request, timeout_s=reach_s)
        if wait == "accepted":
            return said
        if timeout_s is None:
            bound_s, grows_to_s = spoken_within_s(request.text), math.inf
        else:
            bound_s, grows_to_s = max(0.1, began_at + timeout_s - clock()), 0.0
        return await self.wait(said, wait, room=room, timeout_s=bound_s, grows_to_s=grows_to_s)

    async def say_sound(
        self,
        sound: Path | PreparedSound,
        *,
        room: str | None = None,
        id: str = "",
        timeout_s: float = SOUND_TIMEOUT_S,
        **members: Any,
    ) -> Delivery:
        """Has a sound heard as a text would be said: a file of it, or one that `prepare_sound` of
        `libacli.edges.sounds.sound_file` has made ready, with captions. `wait` waits for more.

        `members` are those of a say request that are not about a voice, such as `interrupt` and `priority`.
        Raises what `say` raises, and UsageError for a file without a sound.
        """
        _check_bound(timeout_s)
        if isinstance(sound, Path):
            sound = await asyncio.to_thread(self._prepared, sound)
        utterance_id = id or uuid.uuid4().hex[:12]
        return await self._open.say_sound(
            self._room(room), sound, id=utterance_id, timeout_s=timeout_s, **members
        )

    async def wait(
        self,
        said: Delivery,
        level: Level = "done",
        *,
        room: str | None = None,
        timeout_s: float,
        grows_to_s: float = 0.0,
        on_paused: Callable[[], None] = lambda: None,
    ) -> Delivery:
        """Waits until what `say` gave has come so far.

        The bound grows by what is said before it, up to `grows_to_s`. While the queue is paused no time
        passes, and `on_paused` is called each time that it is found so. What was only `sent`, to a LiveKit
        server that cannot ask its agents, comes back at once.

        Raises TimedOutError; InterruptedSpeechError when it ended before its end, or its agent did.
        """
        _check_choice("level", level, Level)
        _check_bound(timeout_s)
        return await self._open.wait(
            self._room(room), said, level, timeout_s=timeout_s, grows_to_s=grows_to_s, on_paused=on_paused
        )

    async def status(self, id: str, *, room: str | None = None) -> Report | None:
        """What the agent knows of an utterance, until ten minutes after its end; None: it knows none of that
        id. Raises NoAgentError, here and below, when there is no agent, or none that answers."""
        report = await self._ask(self._open.report(self._room(room), read_label("id", id)))
        return None if report["state"] == "unknown" else Report.read(report)

    async def queue(self, *, room: str | None = None) -> AgentStatus:
        """What is spoken, what waits, and what may still be spent."""
        wanted = self._room(room)
        status = await self._ask(self._open.status(wanted))
        if status is None:
            raise no_agent(self.settings.agent_name, wanted)
        return status

    async def stop(self, id: str = "", *, room: str | None = None) -> list[str]:
        """Stops what is spoken and clears the queue, or ends one utterance alone; ids of what that ended."""
        return await self._ask(self._open.stop(self._room(room), id))

    async def cancel(self, id: str, *, room: str | None = None) -> QueuedLine:
        """Takes one that waits out of the queue. Raises RefusedError when it does not wait."""
        return _line(await self._ask(self._open.cancel(self._room(room), id)))

    async def move(
        self, id: str, *, to: Literal["first", "last", ""] = "", before: str = "", room: str | None = None
    ) -> QueuedLine:
        """Puts one that waits to an end of the queue, or `before` another one; it takes the priority of its
        new place. Raises RefusedError when one of them does not wait, or both or none of the two is given."""
        if bool(to) == bool(before):
            raise RefusedError("malformed", "one of `to` and `before` is wanted")
        return _line(await self._ask(self._open.move(self._room(room), MoveRequest(id, to, before))))

    async def pause(self, *, room: str | None = None) -> PauseAnswer:
        """Has nothing new begin; what is spoken is finished, and texts are taken all the same."""
        return await self._ask(self._open.pause(self._room(room), True))

    async def resume(self, *, room: str | None = None) -> PauseAnswer:
        """Goes on where the queue was paused."""
        return await self._ask(self._open.pause(self._room(room), False))

    async def next(self, id: str = "", *, room: str | None = None) -> NextAnswer:
        """Gives the go-ahead to a line on standby, without an id to the one that is longest on standby.

        Raises RefusedError when there is none.
        """
        return await self._ask(self._open.next(self._room(room), id))

    async def events(self, *, room: str | None = None) -> AsyncGenerator[Event]:
        """What becomes of each utterance in the room, from now on, without end; see `updates`."""
        async with aclosing(self.updates(room=room)) as updates:
            async for update in updates:
                if isinstance(update, Event):
                    yield update

    async def updates(self, *, room: str | None = None, captions: bool = False) -> AsyncGenerator[RoomUpdate]:
        """All that the room's agent tells: events, refusals, its status when it comes, that it is gone, with
        `captions` what is said; and how the connection is, which is made again when it is lost.

        It is followed as a participant that nobody sees. It is left when the generator is closed: use
        `contextlib.aclosing`, or just leave the loop. A room that nobody has made begins with this.
        """
        from libacli.edges.livekit.follower import RoomFollower  # the LiveKit SDK: only who follows needs it

        follower = RoomFollower(
            self.settings.livekit(),
            room=self._room(room),
            agent_name=self.settings.agent_name,
            with_captions=captions,
            previous=self.settings.livekit_previous(),
        )
        async with aclosing(follower.updates()) as updates:
            async for update in updates:
                yield update

    def token(
        self,
        *,
        room: str | None = None,
        identity: str = "",
        name: str = "",
        valid_for_s: int = 600,
        can_say: bool = False,
        can_control: bool = False,
    ) -> ConnectionDetails:
        """What a viewer needs to join the room and watch, within `valid_for_s`: address, token, and a link.

        With `can_say` he may make the agent speak, with `can_control` stop it and go before others. Raises
        RefusedError for an identity that is reserved; empty: one of its own. UsageError for a time that is
        not 1 s to a day.
        """
        return self._open.join(
            self._room(room),
            identity or f"viewer-{os.urandom(3).hex()}",
            name=name,
            valid_for_s=valid_for_s,
            can_say=can_say,
            can_control=can_control,
        )

    def voices(self) -> tuple[str, ...]:
        """Speakers to choose from, as these settings have it, the usual one first. An agent elsewhere has
        settings of its own, and others may exist. Raises ConfigError for a provider that nobody knows."""
        from libacli.edges.voices.choose import voice_names  # takes a while to load

        return voice_names(self.settings)

    @property
    def settings(self) -> Settings:
        """Those in force, inside the context."""
        if self._settings is None:
            raise RuntimeError("use the client as a context manager: async with Client() as liba")
        return self._settings

    @property
    def _open(self) -> RoomGateway:
        if self._gateway is None:
            raise RuntimeError("use the client as a context manager: async with Client() as liba")
        return self._gateway

    def _room(self, room: str | None) -> str:
        """Raises UsageError."""
        wanted = self.settings.say_room if room is None else room
        check_name("room", wanted)
        return wanted

    def _read_settings(self) -> Settings:
        from libacli.config_sources import load

        loaded = load(flags=self._flags, config_file=self._config_file)
        loaded.check_nothing_is_left_out()
        return loaded.settings

    def _prepared(self, file: Path) -> PreparedSound:
        from libacli.edges.sounds.sound_file import prepare_sound  # FFmpeg: only who sends a sound needs it

        return prepare_sound(file, max_s=self.settings.say_max_sound)

    async def _ask(self, answer: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(_ANSWER_TIMEOUT_S):
                return await answer
        except TimeoutError as error:
            raise TimedOutError(f"no answer within {_ANSWER_TIMEOUT_S:g} s") from error


def _check_choice(name: str, chosen: object, choices: object) -> None:
    """That a Literal has it, before anything is handed over. Raises UsageError."""
    if chosen not in (known := get_args(choices)):
        raise UsageError(f"{name} cannot be {chosen!r}", hint=f"one of {', '.join(known)}")


def _check_bound(timeout_s: float | None) -> None:
    """Raises UsageError, also for NaN: a timer of that time has all others of the event loop go off late."""
    if timeout_s is not None and not timeout_s > 0:
        raise UsageError("timeout_s must be more than 0", hint="leave it out for one that fits")


def _with_room(settings: Settings, room: str) -> Settings:
    return settings.model_copy(update={"say_room": room})


def _line(report: Mapping[str, Any]) -> QueuedLine:
    """What the agent answered, which may be of another version."""
    position, priority = report.get("position"), report.get("priority")
    return QueuedLine(
        report["id"],
        report,
        position if isinstance(position, int) else None,
        priority if isinstance(priority, int) else None,
    )
