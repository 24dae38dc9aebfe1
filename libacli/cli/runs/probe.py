"""Runs `liba probe`: joins as a viewer, has the agent speak time and again, and judges what was measured."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from libacli.cli.output import output
from libacli.cli.runs.probe_measure import measure_utterance
from libacli.cli.runs.thresholds import check_thresholds
from libacli.cli.screens.probe_table import header, row, summary_row
from libacli.cli.screens.steadiness_table import (
    is_shown_live,
    shown_live,
    steadiness_line,
    steadiness_table,
)
from libacli.config import Settings
from libacli.core.messages import SayRequest, read_say
from libacli.core.pace import longest_speech_s
from libacli.core.probe_result import ProbeResult, counts_of, summary_of, values_of
from libacli.core.reasons import ROUTE_REASONS
from libacli.core.route import route_word
from libacli.core.steadiness import Steadiness, with_holes
from libacli.core.threshold import Threshold
from libacli.edges.livekit.agent_client import AgentClient, talking_to
from libacli.edges.livekit.tokens import check_name
from libacli.edges.viewer.seat import Seat, seated
from libacli.errors import LibaError, RefusedError, WithoutAvatarError

if TYPE_CHECKING:
    from rich.table import Table

_REACH_TIMEOUT_S = 20.0
"""As long as `liba say` waits for an agent to come."""

_AVATAR_TIMEOUT_S = 30.0
"""For its picture; one that has not come by then is measured without."""

_SUBSCRIBE_TIMEOUT_S = 10.0
_SPEAKING_MARGIN_S = 30.0
"""What an utterance may take besides being spoken: the voice, the avatar, those that wait before it."""

_COMING = ("ready", *(word for word, reason in ROUTE_REASONS.items() if reason.is_coming))
"""What the agent says of an avatar that will show itself: we are the viewer whom it comes for."""

_POLL_S = 0.3
_TRIES = 3
"""Of each utterance, where others have the agent speak in between."""

_SENTENCES = (
    "Number {}. The morning train leaves at ten past nine.",
    "Number {}. Please tell everybody that lunch is ready.",
    "Number {}. Is anybody listening to what I say?",
    "Number {}. Stop. Then we go home, and sleep well.",
    "Number {}. Seven brown foxes, and one lazy dog.",
)


@dataclass
class ProbeRun:
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
    for_s: int | None = None
    """For how long to speak, instead of `count` times: the same lines again and again."""

    results: list[ProbeResult] = field(default_factory=list, init=False)
    """What was measured so far."""

    _id_prefix: str = field(default_factory=lambda: os.urandom(3).hex(), init=False)
    _texts: list[str] = field(default_factory=list, init=False)
    """What was said in each of them."""

    _route: str = field(default="", init=False)
    """The one that was told last."""

    def run(self) -> None:
        """Measures, prints, judges; what was measured before Ctrl-C, or before an error, is printed too.

        Raises what `measure` and `judge` raise.
        """
        try:
            asyncio.run(self.measure())
        finally:
            self.show()
        self.judge()

    async def measure(self) -> None:
        """Measures all of them. Raises what AgentClient raises, and WithoutAvatarError, UnreachableError;
        LibaError when others have the agent speak all the time."""
        if not output.verbose:  # the SDK tells of pictures that it dropped before anybody looked
            logging.getLogger("livekit").setLevel(logging.CRITICAL)
        check_name("room", self.room)
        first = self._request(0)  # what cannot be said is refused before joining
        async with self._seated_with_agent() as (seat, client):
            await self._wait_for_avatar(seat, client)
            output.status("warm-up  one utterance that is not counted")
            await self._measure_alone(seat, client, first)
            await self._measure_all(seat, client)

    def show(self) -> None:
        """Prints what was measured, if anything was."""
        if not self.results:
            return
        summary = summary_of(self.results)
        if self.as_json:
            output.json(
                {
                    "room": self.room,
                    "agent": self.settings.agent_name,
                    "routes": counts_of(self.results, "route"),
                    "verdicts": counts_of(self.results, "verdict"),
                    "utterances": [result.encode() for result in self.results],
                    "summary": summary,
                    "steadiness": Steadiness.of(self.results).encode(),
                }
            )
            return
        output.result("")
        for statistic in ("p50", "p95", "max"):
            output.result(summary_row(statistic, summary))
        whole = counts_of(self.results, "verdict").get("HEARD", 0)
        output.result(f"{whole} of {len(self.results)} heard to the end")
        if self.for_s is not None:
            output.result(steadiness_line(Steadiness.of(self.results)))

    def judge(self) -> None:
        """Raises LibaError when one was not heard to its end, WithoutAvatarError, ThresholdError."""
        bad = [result for result in self.results if result.verdict != "HEARD"]
        if bad:
            what = f"{bad[0].id}: {bad[0].verdict}" + (f", {bad[0].reason}" if bad[0].reason else "")
            raise LibaError(
                f"{len(bad)} of {len(self.results)} not heard to the end ({what})",
                hint="see `liba agent run`'s log",
            )
        without = [result for result in self.results if result.route != "avatar"]
        if self.require_avatar and without:
            raise _without_avatar(without[0].route_reason)
        check_thresholds(self.thresholds, values_of(self.results))

    @asynccontextmanager
    async def _seated_with_agent(self) -> AsyncIterator[tuple[Seat, AgentClient]]:
        """A viewer in the room, once the agent is there, and the way to speak to it."""
        credentials = self.settings.livekit()
        identity = f"liba-probe-{os.urandom(3).hex()}"
        async with talking_to(self.settings, self.room) as client:
            await client.reach(timeout_s=min(_REACH_TIMEOUT_S, self.timeout_s or _REACH_TIMEOUT_S))
            async with seated(
                credentials, room=self.room, identity=identity, agent_name=self.settings.agent_name
            ) as seat:
                yield seat, client

    async def _wait_for_avatar(self, seat: Seat, client: AgentClient) -> None:
        """Waits until there is a sound to listen to, and a picture where one is to come."""
        await _wait_at_most(_SUBSCRIBE_TIMEOUT_S, seat.listener.subscribed)
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + _AVATAR_TIMEOUT_S
        state = "not ready"
        while not seat.video.seen.is_set():
            if loop.time() > ends_at or (state := await _avatar_state(client)) not in _COMING:
                if self.require_avatar:
                    raise _without_avatar(state)
                output.status(f"avatar   {state}; measured without a picture")
                return
            await _wait_at_most(_POLL_S, seat.video.seen)
        picture = seat.video.capture
        output.status(f"avatar   its picture is here: {picture.width}x{picture.height}")

    async def _measure_all(self, seat: Seat, client: AgentClient) -> None:
        """`count` lines, or as many as begin within `for_s` seconds."""
        now = asyncio.get_running_loop().time
        began_at = now()

        def draw() -> Table:
            return steadiness_table(self.results, since_s=now() - began_at, for_s=self.for_s or 0)

        with ExitStack() as screen:
            if self._is_live():
                screen.enter_context(shown_live(draw))
            elif not self.as_json:
                output.result(header())
            for number in itertools.count(1):
                if number > self.count if self.for_s is None else now() - began_at >= self.for_s:
                    return
                request = self._request(number)
                result = await self._measure_alone(seat, client, request)
                self._add(replace(result, at_s=result.at_s - began_at), request.text)

    def _is_live(self) -> bool:
        return self.for_s is not None and not self.as_json and is_shown_live()

    async def _measure_alone(self, seat: Seat, client: AgentClient, request: SayRequest) -> ProbeResult:
        """Has one text spoken, and again while others had the agent speak too."""
        bound_s = self.timeout_s or _SPEAKING_MARGIN_S + longest_speech_s(request.text)
        for _ in range(_TRIES):
            if result := await measure_utterance(seat, client, request, bound_s=bound_s):
                return result
            output.status(f"{request.id} is measured again: somebody else had the agent speak meanwhile")
            request = SayRequest(request.text, id=f"{request.id}+")
        raise LibaError(
            "others have the agent speak all the time: nothing can be told apart",
            hint="measure in a room of its own: --room probe",
        )

    def _request(self, number: int) -> SayRequest:
        which = number % len(_SENTENCES)
        # For minutes each line is said again and again: what is a hole is known by comparing.
        text = self.text or _SENTENCES[which].format(number if self.for_s is None else which)
        members = {"text": text, "id": f"{self._id_prefix}-{number}"}
        return read_say(members, max_text_chars=self.settings.say_max_text_chars)

    def _add(self, result: ProbeResult, text: str) -> None:
        self._texts.append(text)
        self.results = with_holes([*self.results, result], self._texts)
        route = ": ".join(part for part in (route_word(result.route, "none"), result.route_reason) if part)
        if route != self._route:
            output.status(f"route    {route}")
            self._route = route
        if self.as_json:
            far = f"of {self.count}" if self.for_s is None else f"after {result.at_s:.0f} of {self.for_s} s"
            output.status(f"{result.verdict:<9}{len(self.results)} {far}")
        elif not self._is_live():
            output.result(row(result))


async def _avatar_state(client: AgentClient) -> str:
    """What the agent says of its avatar."""
    try:
        return (await client.queue()).facts.avatar or "not configured"
    except RefusedError as error:
        if error.reason != "unsupported_server":
            raise
        return "not known: this LiveKit server cannot ask the agent"


async def _wait_at_most(bound_s: float, event: asyncio.Event) -> None:
    """Waits for `event`, or for so long."""
    with suppress(TimeoutError):
        async with asyncio.timeout(bound_s):
            await event.wait()


def _without_avatar(reason: str) -> WithoutAvatarError:
    return WithoutAvatarError(f"spoken without the avatar: {reason}", hint="see `liba agent run`'s log")
