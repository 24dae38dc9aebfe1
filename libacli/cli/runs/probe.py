"""What `liba probe` does: joins as a viewer, has the agent speak, and measures what comes of it here."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from livekit import rtc

from libacli.cli.output import output
from libacli.cli.runs.thresholds import check_thresholds
from libacli.cli.screens.probe_table import header, row, summary_row
from libacli.config import Settings
from libacli.core.heard import Heard, counts_of, summary_of, values_of
from libacli.core.messages import SayRequest, read_say
from libacli.core.record import OUTCOMES, Record
from libacli.core.sync import first_movement_at, lag_s
from libacli.core.threshold import Threshold
from libacli.edges.livekit.agent_client import AgentClient
from libacli.edges.livekit.api import LiveKitApi
from libacli.edges.livekit.joining import joined
from libacli.edges.livekit.tokens import check_name, listener_token
from libacli.edges.viewer.listener import Listener, Take
from libacli.edges.viewer.video_watcher import LEAST_MOTION, Sight, Watcher
from libacli.errors import (
    LibaError,
    RefusedError,
    TimedOutError,
    UnreachableError,
    WithoutAvatarError,
)

_REACH_TIMEOUT_S = 20.0
_AVATAR_TIMEOUT_S = 30.0
_SUBSCRIBE_TIMEOUT_S = 10.0
_COMING = ("ready", "not ready", "not watched")
"""What the agent says of an avatar that will show itself: we are the viewer whom it comes for."""

_POLL_S = 0.3
_QUIET_S = 0.6
"""So long nothing must have been heard after an utterance for it to be over; within the longest tail."""

_LONGEST_TAIL_S = 10.0
_AT_REST_S = 0.5
"""How long the mouth is watched before each utterance, to tell later what is a movement of it."""

_TRIES = 3
_SPEECH_S_PER_CHAR = 0.2

_SENTENCES = (
    "Number {}. The morning train leaves at ten past nine.",
    "Number {}. Please tell everybody that lunch is ready.",
    "Number {}. Is anybody listening to what I say?",
    "Number {}. Stop. Then we go home, and sleep well.",
    "Number {}. Seven brown foxes, and one lazy dog.",
)


@dataclass
class _Seat:
    """A viewer of the room, and the way to speak to the agent."""

    client: AgentClient
    listener: Listener
    watcher: Watcher


@dataclass
class Probing:
    """One run of `liba probe`."""

    settings: Settings
    room: str
    text: str | None
    """What to say, each time; None: one of our sentences after the other."""

    count: int
    thresholds: Sequence[Threshold]
    timeout_s: float | None
    """For the agent to come, and for each utterance; None: as long as its text may take."""

    require_avatar: bool
    as_json: bool
    utterances: list[Heard] = field(default_factory=list, init=False)
    """What was measured so far."""

    _run: str = field(default_factory=lambda: os.urandom(3).hex(), init=False)
    _route: str = field(default="", init=False)

    async def run(self) -> None:
        """Measures all of them. Raises what AgentClient raises, and WithoutAvatarError, UnreachableError;
        LibaError when others have the agent speak all the time."""
        if not output.verbose:  # the SDK tells of pictures that it dropped before anybody looked
            logging.getLogger("livekit").setLevel(logging.CRITICAL)
        check_name("room", self.room)
        requests = [self._request(number) for number in range(self.count + 1)]
        async with self._seat() as seat:
            await self._wait_for_avatar(seat)
            output.status("warm-up  one utterance that is not counted")
            await self._measure(seat, requests[0])
            if not self.as_json:
                output.result(header())
            for request in requests[1:]:
                self._tell(await self._measure(seat, request))

    def show(self) -> None:
        """Prints what was measured, if anything was."""
        if not self.utterances:
            return
        summary = summary_of(self.utterances)
        if self.as_json:
            output.json(
                {
                    "room": self.room,
                    "agent": self.settings.agent_name,
                    "routes": counts_of(self.utterances, "route"),
                    "verdicts": counts_of(self.utterances, "verdict"),
                    "utterances": [one.encode() for one in self.utterances],
                    "summary": summary,
                }
            )
            return
        output.result("")
        for statistic in ("p50", "p95", "max"):
            output.result(summary_row(statistic, summary))
        whole = counts_of(self.utterances, "verdict").get("HEARD", 0)
        output.result(f"{whole} of {len(self.utterances)} heard to the end")

    def judge(self) -> None:
        """Raises LibaError when one was not heard to its end, WithoutAvatarError, ThresholdError."""
        bad = [one for one in self.utterances if one.verdict != "HEARD"]
        if bad:
            what = f"{bad[0].id}: {bad[0].verdict}" + (f", {bad[0].reason}" if bad[0].reason else "")
            raise LibaError(
                f"{len(bad)} of {len(self.utterances)} not heard to the end ({what})",
                hint="see `liba agent run`'s log",
            )
        without = [one for one in self.utterances if one.route != "tavus"]
        if self.require_avatar and without:
            raise _without_avatar(without[0].route_reason)
        values = values_of(self.utterances)
        check_thresholds(self.thresholds, values)

    @asynccontextmanager
    async def _seat(self) -> AsyncIterator[_Seat]:
        credentials = self.settings.livekit()
        identity = f"liba-probe-{os.urandom(3).hex()}"
        token = listener_token(credentials, room=self.room, identity=identity)
        room = rtc.Room()
        listener, watcher = Listener(room), Watcher(room)
        async with LiveKitApi(credentials) as api:
            client = AgentClient(api, credentials, room=self.room, agent_name=self.settings.agent_name)
            await client.reach(timeout_s=min(_REACH_TIMEOUT_S, self.timeout_s or _REACH_TIMEOUT_S))
            async with joined(room, credentials.ws_url, token):
                loop = asyncio.get_running_loop()
                senses = [loop.create_task(listener.run()), loop.create_task(watcher.run())]
                try:
                    yield _Seat(client, listener, watcher)
                finally:
                    for sense in senses:
                        sense.cancel()
                    await asyncio.wait(senses)

    async def _wait_for_avatar(self, seat: _Seat) -> None:
        """Waits until there is a sound to listen to, and a picture where one is to come."""
        await _within(_SUBSCRIBE_TIMEOUT_S, seat.listener.subscribed)
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + _AVATAR_TIMEOUT_S
        state = "not ready"
        while not seat.watcher.seen.is_set():
            if loop.time() > ends_at or (state := await self._avatar_state(seat)) not in _COMING:
                if self.require_avatar:
                    raise _without_avatar(state)
                output.status(f"avatar   {state}; measured without a picture")
                return
            await _within(_POLL_S, seat.watcher.seen)
        output.status(f"avatar   its picture is here: {seat.watcher.sight.width}x{seat.watcher.sight.height}")

    async def _avatar_state(self, seat: _Seat) -> str:
        try:
            return str((await seat.client.queue()).get("avatar", "not configured"))
        except RefusedError as error:
            if error.reason != "unsupported_server":
                raise
            return "not known: this LiveKit server cannot ask the agent"

    async def _measure(self, seat: _Seat, request: SayRequest) -> Heard:
        """Has one text spoken, and again while others had the agent speak too."""
        for _ in range(_TRIES):
            if heard := await self._attempt(seat, request):
                return heard
            output.status(f"{request.id} is measured again: somebody else had the agent speak meanwhile")
            request = SayRequest(request.text, id=f"{request.id}+")
        raise LibaError(
            "others have the agent speak all the time: nothing can be told apart",
            hint="measure in a room of its own: --room probe",
        )

    async def _attempt(self, seat: _Seat, request: SayRequest) -> Heard | None:
        loop = asyncio.get_running_loop()
        bound_s = self.timeout_s or 30 + len(request.text) * _SPEECH_S_PER_CHAR
        sight = seat.watcher.start_sight()
        await asyncio.sleep(_AT_REST_S)
        while not seat.listener.events.empty():
            seat.listener.events.get_nowait()
        take, sent_at = seat.listener.start_take(), loop.time()
        try:
            async with asyncio.timeout(bound_s):
                await seat.client.say(request)
                record, was_alone = await end_of(seat.listener.events, request.id)
        except TimeoutError as error:
            if not seat.listener.room.isconnected():
                raise UnreachableError(
                    "the connection to LiveKit was lost", hint="check the network and the server"
                ) from error
            raise TimedOutError(
                f"{request.id} was not over after {bound_s:g} s", hint="give it more: --timeout"
            ) from error
        await _quiet(take)
        return measured(record, take, sight, sent_at) if was_alone else None

    def _request(self, number: int) -> SayRequest:
        text = self.text or _SENTENCES[number % len(_SENTENCES)].format(number)
        members = {"text": text, "id": f"{self._run}-{number}"}
        return read_say(members, max_text_chars=self.settings.say_max_text_chars)

    def _tell(self, heard: Heard) -> None:
        self.utterances.append(heard)
        route = ": ".join(part for part in (heard.route or "none", heard.route_reason) if part)
        if route != self._route:
            output.status(f"route    {route}")
            self._route = route
        if self.as_json:
            output.status(f"{heard.verdict:<9}{len(self.utterances)} of {self.count}")
        else:
            output.result(row(heard))


def measured(record: Record, take: Take, sight: Sight, sent_at: float) -> Heard:
    """What an utterance that was sent at `sent_at` was here; `record` is what the agent says of it."""
    motion, first_at, lag = list(sight.motion), take.first_audible_at, None
    moved_at = first_movement_at(motion, since=sent_at, least=LEAST_MOTION)
    if first_at is not None:
        lag = lag_s(list(take.levels), motion, start=first_at, end=first_at + take.span_s)
    return Heard.of(
        record,
        heard=None if first_at is None else (first_at - sent_at) * 1000,
        span=take.span_s * 1000,
        gap=max(take.gaps_s, default=0.0) * 1000,
        seen=None if moved_at is None else (moved_at - sent_at) * 1000,
        lag=None if lag is None else lag * 1000,
    )


async def end_of(events: asyncio.Queue[dict[str, Any]], utterance_id: str) -> tuple[Record, bool]:
    """What the agent says of an utterance at its end, and whether nothing else was spoken meanwhile.

    Raises RefusedError when it is not taken.
    """
    was_alone = True
    while True:
        event = await events.get()
        if event.get("id") != utterance_id:
            was_alone = was_alone and event.get("state") in ("accepted", "rejected", "expired")
        elif event.get("state") == "rejected":
            raise RefusedError(str(event.get("rejected")), str(event.get("message")))
        elif event.get("state") in OUTCOMES:
            with suppress(RefusedError):  # not the agent's
                return Record.read(event), was_alone


async def _quiet(take: Take) -> None:
    """Waits until nothing more comes: sound may still be on its way when the agent has played it."""
    now = asyncio.get_running_loop().time
    began_at = now()
    with suppress(TimeoutError):
        async with asyncio.timeout(_LONGEST_TAIL_S):
            while now() < max(take.last_audible_at or 0.0, began_at) + _QUIET_S:  # noqa: ASYNC110
                await asyncio.sleep(_POLL_S)


async def _within(bound_s: float, event: asyncio.Event) -> None:
    """Waits for `event`, or for so long."""
    with suppress(TimeoutError):
        async with asyncio.timeout(bound_s):
            await event.wait()


def _without_avatar(reason: str) -> WithoutAvatarError:
    return WithoutAvatarError(f"spoken without the avatar: {reason}", hint="see `liba agent run`'s log")
