"""A Tavus that misbehaves as a test tells it: the HTTP service, and a participant that really plays.

In a test: `async with FaultyAvatar() as tavus: tavus.play(Script(create=402))`, then give `tavus.base_url`
and `tavus.api_key` to what is tested. It has no face: its picture is grey. The participant shares no code
with the local avatar, so that both do not have the same mistakes; `Script(player="livekit-agents")` is the
one that vendors embed, which shares none with either.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from contextlib import AsyncExitStack
from contextvars import ContextVar
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Literal, Self

from aiohttp import web
from aiohttp.typedefs import Handler
from livekit import rtc
from pydantic import SecretStr

from libacli.edges.livekit.joining import joined
from libacli.local.avatar_manners import Manners
from libacli.local.avatar_presence import Invitation
from libacli.local.avatar_service import AvatarService, serving
from tests.faulty_participant import Participant, left_alone
from tests.vendors_avatar import play_as_vendors_do

Create = Literal["ok", "too many", "vague", "hang", "late", "lost", 401, 402, 429, 500]
Report = Literal["on time", "never", "twice", "malformed"]
Mishap = Literal["", "mutes", "unpublishes", "publishes anew", "leaves", "comes twice"]
End = Literal["ok", "hang", 404, 500]

_SUPPORT = "please reach out to support at support@tavus.io"
_REFUSALS: dict[Create, tuple[int, dict[str, str]]] = {
    "too many": (400, {"message": "User has reached maximum concurrent conversations"}),
    "vague": (400, {"error": f"There was an error creating the conversation, {_SUPPORT}!"}),
    401: (401, {"message": "Invalid access token"}),
    402: (402, {"message": "The user is out of conversational credits."}),
    429: (429, {"message": "Too many requests"}),
    500: (500, {"error": "Internal server error"}),
}
_script: ContextVar[Script] = ContextVar("script")


@dataclass(frozen=True)
class Script:
    """How one conversation goes."""

    create: Create = "ok"
    """Status that the request is answered with; `too many` is 400, and so is `vague`, the one that Tavus
    documents; `hang` never answers; `late` answers after `create_after_s`, and the conversation exists only
    then; `lost` creates it and closes the connection without an answer."""

    create_after_s: float = 20.0

    joins: bool = True
    """Whether the avatar comes at all."""

    join_after_s: float = 0.0
    """Seconds from the answer until it does."""

    has_video: bool = True
    """Whether it publishes a picture too."""

    player: Literal["plain", "livekit-agents"] = "plain"
    """Who plays: a participant that does what follows, or livekit-agents' `AvatarRunner`, which does not."""

    greets_s: float = 0.0
    """Seconds of a sound of its own, at GREETING_HZ, that nobody has sent, as soon as it has joined."""

    binds_to_first_agent: bool = False
    """Whether it takes sound of the first agent only that it meets, another avatar included, as
    `DataStreamAudioReceiver` of livekit-agents does. If not, of anybody."""

    leaves_after_frames: int | None = None
    """It leaves the room when it has received so many 20 ms frames, counted over all utterances."""

    leaves_after_lines: int | None = None
    """The same when it has played so many utterances, and reported the last one."""

    freezes_after_frames: int | None = None
    """From then on it is there, and that is all: no sound, no new picture, no report, no answer."""

    freezes_after_lines: int | None = None

    report: Report = "on time"
    """Whether and how it calls `lk.playback_finished` when an utterance has been played."""

    report_shift_s: float = 0.0
    """Seconds by which that comes later; less than zero is earlier, at the earliest when all has arrived."""

    report_padding_s: float = 0.0
    """Seconds that the position it tells is too long."""

    reports_zero: bool = False
    """Whether the position it tells is 0."""

    reports_interrupted: bool = False
    """Whether it tells of every utterance that it was interrupted."""

    hears_clear: bool = True
    """Whether it takes `lk.clear_buffer`; if not, that call fails."""

    answers_clear: bool = True
    """Whether that call is answered; if not, it does what it is told all the same."""

    has_sound: bool = True
    """Whether it publishes a track for sound."""

    has_second_track: bool = False
    """Whether it publishes another one, on which nothing is ever heard."""

    takes_streams: bool = True
    """Whether it takes sound at all; if not, there is nobody whom the stream is for."""

    mishap: Mishap = ""
    """What befalls it when it has received `mishap_after_frames`: its sound is muted, or unpublished, for
    `mishap_s`; or it leaves, or loses its connection to a second one of its own, and is back after that."""

    mishap_after_frames: int = 50
    mishap_s: float = 0.5

    leaves_after_s: float | None = None
    """It leaves so soon after it has come, and does not come back."""


REPORTS: Mapping[str, Script] = {
    "on time": Script(),
    "early": Script(report_shift_s=-0.5),
    "when all has arrived": Script(report_shift_s=-3600),
    "late": Script(report_shift_s=1.0),
    "padded": Script(report_shift_s=1.0, report_padding_s=1.0),
    "zero": Script(reports_zero=True),
    "interrupted": Script(reports_interrupted=True),
    "missing": Script(report="never"),
    "double": Script(report="twice"),
    "malformed": Script(report="malformed"),
    "livekit-agents": Script(player="livekit-agents"),
}
"""Every way in which an avatar that speaks as it should may tell of the end, by name."""


class FaultyAvatar:
    """Each request for a conversation goes by the next script in line, or by `default` when there is none."""

    def __init__(self, default: Script | None = None, *, manners: Manners | None = None) -> None:
        self.default = default or Script()
        self.api_key = SecretStr("key-of-the-faulty-avatar")
        self.base_url = ""
        """What to give to a client as TAVUS_BASE_URL; known once it runs."""

        self.bodies: list[dict[str, Any]] = []
        """JSON of the requests to create a conversation so far, refused ones included."""

        self.end: End = "ok"
        """How a request to end a conversation is answered; nothing has ended unless it is `ok`."""

        self.ends: list[str] = []
        """Ids of conversations that were asked to end, repeated if asked twice."""

        self.frames = 0
        """20 ms frames that all participants have received."""

        self.played_at: list[float] = []
        """When the sound of each utterance was played, or would have been, on the loop's clock."""

        self._scripts: deque[Script] = deque()
        self._late: list[asyncio.Task[web.StreamResponse]] = []
        self._service = AvatarService(
            self.api_key, self._attend, manners=manners, middlewares=[self._misbehave]
        )
        self._stack = AsyncExitStack()

    @property
    def creates(self) -> int:
        """How often a conversation was asked for."""
        return len(self.bodies)

    @property
    def created(self) -> int:
        """How many there have been; the others asked for were refused."""
        return len(self._service.conversations)

    @property
    def active(self) -> list[str]:
        """Ids of conversations that run, and cost money."""
        return [one.id for one in self._service.conversations.values() if one.status == "active"]

    @property
    def shutdown_reasons(self) -> list[str]:
        """Why the conversations ended, oldest first; "" of one that runs."""
        return [one.shutdown_reason for one in self._service.conversations.values()]

    def play(self, *scripts: Script) -> None:
        """Sets how the next conversations go, one script each."""
        self._scripts.extend(scripts)

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(serving(self._service))
        self.base_url = self._service.base_url
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for late in self._late:
            late.cancel()
        await self._stack.aclose()

    @web.middleware
    async def _misbehave(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.endswith("/end"):
            self.ends.append(request.match_info["id"])
            if self.end == "hang":
                await asyncio.Event().wait()
            elif self.end != "ok":
                return web.Response(text="<html>away</html>", content_type="text/html", status=self.end)
        if (request.method, request.path) != ("POST", "/v2/conversations"):
            return await handler(request)
        self.bodies.append(await request.json())
        script = self._scripts.popleft() if self._scripts else self.default
        if script.create == "hang":
            await asyncio.Event().wait()
        if refusal := _REFUSALS.get(script.create):
            status, told = refusal
            return web.json_response(told, status=status)
        _script.set(script)  # what holds the conversation is begun in here, and inherits it
        if script.create == "late":
            late = asyncio.get_running_loop().create_task(
                self._later(script.create_after_s, handler, request)
            )
            self._late.append(late)
            return await asyncio.shield(late)  # whether or not the caller is there to hear of it
        answer = await handler(request)
        if script.create == "lost" and request.transport:
            request.transport.abort()
        return answer

    async def _later(self, after_s: float, handler: Handler, request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(after_s)
        return await handler(request)

    async def _attend(self, invitation: Invitation) -> str:
        script = _script.get()
        await asyncio.sleep(script.join_after_s)
        if not script.joins:
            await asyncio.Event().wait()
        again = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            first = tasks.create_task(self._visit(invitation, script, again))
            coming = tasks.create_task(again.wait())
            await asyncio.wait([first, coming], return_when=asyncio.FIRST_COMPLETED)
            coming.cancel()
            if not again.is_set():
                return await first
            if script.mishap == "leaves":
                await first
                await asyncio.sleep(script.mishap_s)
            return await self._visit(invitation, replace(script, mishap=""), again)

    async def _visit(self, invitation: Invitation, script: Script, again: asyncio.Event) -> str:
        async with (
            joined(rtc.Room(), invitation.url, invitation.token, auto_subscribe=False) as room,
            asyncio.TaskGroup() as tasks,
        ):
            participant = Participant(room, script, self._count, self.played_at.append, again)
            playing = tasks.create_task(
                participant.run() if script.player == "plain" else play_as_vendors_do(room)
            )
            alone = tasks.create_task(left_alone(room, invitation))
            gone = tasks.create_task(participant.gone.wait())
            await asyncio.wait([alone, gone], return_when=asyncio.FIRST_COMPLETED)
            reason = alone.result() if alone.done() else "room_closed"
            for task in (playing, alone, gone):
                task.cancel()
        return reason

    def _count(self) -> None:
        self.frames += 1
