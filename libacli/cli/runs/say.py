"""What `liba say` does: hands texts over, waits, tells what became of them, and ends accordingly."""

from __future__ import annotations

import asyncio
import math
import os
import sys
import uuid
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from libacli.cli.output import output
from libacli.cli.runs.in_turn import in_turn
from libacli.cli.runs.say_stream import SayStream
from libacli.cli.streams import write_no_more
from libacli.client import REACH_TIMEOUT_S, Client, Level
from libacli.config import Settings
from libacli.core.delivery import Delivery
from libacli.core.markdown import MarkdownChoice, as_prose
from libacli.core.messages import MAX_TTL_MS, SayRequest, read_say, ttl_ms_of
from libacli.core.pace import heard_within_s, longest_speech_s
from libacli.core.route import route_of
from libacli.core.trace_context import TraceContext
from libacli.edges.livekit.agent_client import talking_to
from libacli.errors import TimedOutError, WithoutAvatarError

if TYPE_CHECKING:
    from libacli.edges.sounds.sound_file import PreparedSound

_GRACE_S = 1.0
"""Bringing an agent may have the same bound as all together, and says more when it passes: it goes first."""

_ARRIVAL_S, _SLOW_BYTES_PER_S = 30.0, 50_000
"""How long a sound may be on its way: so long, and what a slow line takes for its bytes."""

_STREAM_TIMEOUT_S = 3600.0
_WATCHED_TIMEOUT_S = 3600.0


@dataclass
class SayRun:
    """One run of `liba say`."""

    settings: Settings
    room: str
    members: dict[str, Any]
    """What the say request holds besides its text."""

    markdown: MarkdownChoice
    level: Level
    """What is waited for."""

    timeout_s: float | None
    require_avatar: bool
    as_json: bool
    is_watched: bool = False
    """Nobody has said what to wait for: whoever sits there sees it, and leaves when it takes too long."""

    is_told_of_pause: bool = False
    unwritten: OSError | None = None
    """Why the rest of what is to be told of lines cannot be."""

    trace: TraceContext = field(default_factory=lambda: TraceContext.of_environment(os.environ))
    """What calls this command has it as a step of a trace."""

    @classmethod
    def asked(
        cls,
        settings: Settings,
        options: Mapping[str, Any],
        *,
        markdown: MarkdownChoice,
        wait: Level | None,
        may_be_watched: bool,
        timeout_s: float | None,
        require_avatar: bool,
        as_json: bool,
    ) -> SayRun:
        """As the command line has it: `options` by the names of members, with what was not given as None."""
        is_watched = wait is None and may_be_watched and not as_json and sys.stdout.isatty()
        return cls(
            settings,
            room=settings.say_room,
            members=_members(options),
            markdown=markdown,
            level="done" if require_avatar else wait or ("audible" if is_watched else "accepted"),
            is_watched=is_watched and not require_avatar,
            timeout_s=timeout_s,
            require_avatar=require_avatar,
            as_json=as_json,
        )

    async def once(self, text: str) -> None:
        """Says one text."""
        request = self._request(as_prose(text, self.markdown), self._own_id())
        heard_s = 0 if self.level == "accepted" else longest_speech_s(request.text)
        await self._run(request.id, heard_s, lambda liba, bound_s: liba.say(request, timeout_s=bound_s))

    async def sound(self, sound: PreparedSound) -> None:
        """Has one sound heard."""
        members = self.members | self.trace.encode() | {"id": self._own_id()}
        await self._run(
            members["id"],
            sound.given.seconds,
            lambda liba, bound_s: liba.say_sound(sound, timeout_s=bound_s, **members),
            sending_s=_ARRIVAL_S + len(sound.flac) / _SLOW_BYTES_PER_S,
        )

    async def _run(
        self,
        utterance_id: str,
        heard_s: float,
        hand_over: Callable[[Client, float], Awaitable[Delivery]],
        *,
        sending_s: float = 0.0,
    ) -> None:
        spoken_s = 0 if self.level == "accepted" else heard_within_s(heard_s)
        spoken_s = _WATCHED_TIMEOUT_S if self.is_watched else spoken_s
        bound_s = self.timeout_s or REACH_TIMEOUT_S + sending_s + spoken_s
        ends_at = asyncio.get_running_loop().time() + bound_s
        try:
            async with Client(settings=self.settings, room=self.room) as liba:
                async with self._in_turn() as is_next:
                    async with asyncio.timeout_at(ends_at + _GRACE_S):
                        await liba.reach(timeout_s=min(REACH_TIMEOUT_S, bound_s), on_wait=output.status)
                    async with asyncio.timeout_at(ends_at):
                        await is_next()
                        said = await hand_over(liba, bound_s)
                self._tell_place(said)
                left_s = max(0.1, round(ends_at - asyncio.get_running_loop().time(), 1))
                said = await liba.wait(
                    said,
                    self.level,
                    timeout_s=left_s if self.timeout_s else bound_s,
                    grows_to_s=0.0 if self.timeout_s else math.inf,
                    on_paused=self._tell_pause,
                )
        except TimeoutError as error:
            raise TimedOutError(
                f"not {self.level} after {bound_s:g} s",
                hint=f"it may still be spoken; ask with --id {utterance_id}, or give it more: --timeout",
                utterance_id=utterance_id,
            ) from error
        self._show(said, stream=False)
        self._judge(said)

    async def stream(self, encoding: str = "") -> None:
        """Says standard input, each sentence as soon as it is complete; then waits for all of them.

        Its `encoding` is UTF-8, or a guess, unless it is given.
        """
        bound_s = self.timeout_s or _STREAM_TIMEOUT_S
        async with talking_to(self.settings, self.room) as client:
            async with self._in_turn() as is_next:
                await client.reach(timeout_s=self.timeout_s or REACH_TIMEOUT_S, on_wait=output.status)
                await is_next()
            lines = SayStream(
                client,
                self._line,
                self.level,
                bound_s,
                on_taken=self._tell,
                on_reached=self._tell_reached,
                on_paused=self._tell_pause,
                on_wait=output.status,
            )
            # What finds sentences takes a while to load.
            from libacli.cli.runs.standard_input import sentences

            texts = sentences(
                self.settings.say_max_text_chars, self.markdown, tell=output.status, encoding=encoding
            )
            await lines.run(texts)
        if self.unwritten:
            raise self.unwritten

    def _in_turn(self) -> AbstractAsyncContextManager[Callable[[], Awaitable[None]]]:
        return in_turn(self.settings.livekit_url or "", self.room)

    def _own_id(self) -> str:
        return str(self.members.get("id", uuid.uuid4().hex[:12]))

    def _line(self, text: str, number: int) -> SayRequest:
        """One of many: it waits for those before it, however long these are."""
        self.members.setdefault("id", uuid.uuid4().hex[:12])
        self.members.setdefault("ttl_ms", MAX_TTL_MS)
        return self._request(text, f"{self.members['id']}-{number}")

    def _tell(self, line: Delivery) -> None:
        self.members.pop("interrupt", None)  # only the first one interrupts what was before
        try:
            self._show(line, stream=True)
        except BrokenPipeError:  # who reads this has had enough, not who listens
            write_no_more()
        except OSError as error:  # nor does a disk that is full concern them: it is told in the end
            write_no_more()
            self.unwritten = error

    def _tell_reached(self, line: Delivery) -> None:
        self._tell(line)
        self._judge(line)

    def _request(self, text: str, utterance_id: str) -> SayRequest:
        return read_say(
            self.members | {"text": text, "id": utterance_id} | self.trace.encode(),
            max_text_chars=self.settings.say_max_text_chars,
        )

    def _show(self, said: Delivery, *, stream: bool) -> None:
        if self.as_json:
            (output.ndjson if stream else output.json)(said.encode())
            return
        words = {"sent": "sent, not confirmed", "unconfirmed": "spoken, but nobody confirmed its end"}
        line = f"{words.get(said.level, said.level)}  id={said.id}"
        if said.level == "accepted" and (known := said.acknowledgement):
            line += f"  position={known.position}" + ("  (was known already)" if known.duplicate else "")
            line += "  (the queue is paused)" if known.paused else ""
            line += "  (not written down: it ends with its agent)" if known.journaled is False else ""
        elif said.report:
            marks = ("route", "route_reason", "provider", "voice_reason", "d01", "d12", "total")
            line += "".join(f"  {name}={said.report[name]}" for name in marks if name in said.report)
            line += "  (resumed: it was cut off, and said again)" if said.report.get("resumed") else ""
        output.result(line)

    def _tell_place(self, said: Delivery) -> None:
        """That others are before it, to whoever waits for it."""
        if self.is_watched and said.acknowledgement and said.acknowledgement.position:
            count = said.acknowledgement.position
            lines = "1 line" if count == 1 else f"{count} lines"
            output.status(f"accepted, {lines} before it; Ctrl-C leaves it there")

    def _tell_pause(self) -> None:
        """Once: that nothing begins, to whoever waits."""
        if not self.is_told_of_pause:
            self.is_told_of_pause = True
            output.status("paused: nothing begins until `liba queue resume`")

    def _judge(self, said: Delivery) -> None:
        if said.level == "sent" and self.level != "accepted" and not self.is_watched:
            raise TimedOutError(
                "it was sent, but this LiveKit server cannot ask the agent what became of it",
                hint="use livekit-server 1.9.2 or newer",
            )
        route = route_of((said.report or {}).get("route", ""))
        if self.require_avatar and route != "avatar":
            reason = (said.report or {}).get("route_reason", "unknown")
            raise WithoutAvatarError(
                f"spoken without the avatar: {reason}", hint="see `liba agent run`'s log"
            )
        if said.level == "unconfirmed":
            raise TimedOutError("nobody confirmed the end of it", hint="the avatar may be stuck")


def _members(options: Mapping[str, Any]) -> dict[str, Any]:
    """Those that a request holds: what nobody asked for, priority 0 among it, is the agent's to decide."""
    told = {name: value for name, value in options.items() if value not in (None, False)}
    if "ttl" in told:
        told["ttl_ms"] = ttl_ms_of(told.pop("ttl"))
    return told
