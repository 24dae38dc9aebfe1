"""Asking the agent of a room to speak, from outside the room: plain HTTP, signed, acknowledged."""

from __future__ import annotations

import asyncio
import json
import math
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from libacli.config import LiveKitCredentials, Settings
from libacli.core.acknowledgement import Acknowledgement
from libacli.core.delivery import Delivery
from libacli.core.event import AgentStatus
from libacli.core.lifecycle import LEVEL_STATES, SETTLED, has_reached
from libacli.core.messages import SayRequest, StatusRequest, parse_object, read_say
from libacli.core.packing import MAX_CARRIED_BYTES, packed
from libacli.core.protocol import (
    CANCEL_METHOD,
    MOVE_METHOD,
    NEXT_METHOD,
    PAUSE_METHOD,
    RESUME_METHOD,
    SAY_METHOD,
    SAY_TOPIC,
    STATUS_METHOD,
    STOP_METHOD,
)
from libacli.core.queue_requests import CancelRequest, MoveRequest, NextAnswer, NextRequest, PauseAnswer
from libacli.core.reasons import refusal
from libacli.edges.livekit.agent_locator import AgentLocator, no_agent, pauses
from libacli.edges.livekit.api import LiveKitApi
from libacli.edges.livekit.tokens import check_name, sign_request
from libacli.errors import (
    InterruptedSpeechError,
    LibaError,
    NoAgentError,
    OverQuotaError,
    RefusedError,
    TimedOutError,
    UnreachableError,
)

if TYPE_CHECKING:
    from libacli.edges.livekit.sound_sender import OpenSender
    from libacli.edges.sounds.sound_file import PreparedSound

_PATIENCE_S = 10.0
"""How long an agent that is gone, or LiveKit, may take to come back: a queue may live meanwhile."""

_HAND_OVER_PATIENCE = 3.5
"""So many times that long a line may take to be handed over: an agent that died is replaced within 30 s."""

_DRAIN_PATIENCE = 1.5
"""So many times that long it may take one that is told to go to be out, and another one to be asked: what it
has accepted it speaks for 10 s at most."""

_DRAIN_PAUSE = 0.1
"""The part of it that is between two requests then."""

_LATE_S = 2.8
"""How late the agent is to answer a question that waits: what takes LiveKit 3 s it makes a second call of."""

_LATE_STEP = 0.85
"""An answer that did not come may have been too late: the next one is to be so much sooner, down to 1 s."""

_SPARE_S = 3.0
"""How much later than the agent was to answer LiveKit gives a call up."""

_LAST_S = 0.2
"""Before its time is over a wait asks once more how far it has come."""

_LEAST_PAUSE_S = 1.0
"""Between two questions to an agent that answers at once: it is an older one, or too many wait there."""


_SIGNED_BYTES = 1024
"""What a signature adds to a request."""

_ARRIVAL_S = 30.0
"""How long a sound may be on its way after the SDK has taken the last of it: a slow line is behind."""

_ENDED = {
    "interrupted": "was interrupted",
    "failed": "failed",
    "expired": "has expired",
    "rejected": "was refused",
    "unknown": "is not known to the agent",
}
"""How it is said what has become of an utterance that was not spoken to its end."""


class Locator(Protocol):
    """Knows which agent is asked; see AgentLocator."""

    room: str
    agent_name: str
    identity: str

    async def find(self) -> bool: ...

    async def reach(self, *, timeout_s: float, on_wait: Callable[[str], None] = ...) -> None: ...


class AgentClient:
    """Speaks to the agent that `locator` finds, or brings; for the owner of the API secret, or `on_behalf` of
    somebody who has an account of his own there.

    All methods raise what LiveKitApi raises, and LibaError for an answer that cannot be understood.
    """

    def __init__(
        self,
        api: LiveKitApi,
        locator: Locator,
        *,
        patience_s: float = _PATIENCE_S,
        on_behalf: str = "",
        open_sender: OpenSender | None = None,
    ) -> None:
        """`open_sender` has somebody join who can send a sound; None: as LiveKit's SDK does it."""
        self._api = api
        self._locator = locator
        self._patience_s = patience_s
        self._on_behalf = on_behalf
        self._open_sender = open_sender
        self._late_s = _LATE_S

    @property
    def identity(self) -> str:
        """Of the agent that is asked; empty: none was found yet."""
        return self._locator.identity

    async def find(self) -> bool:
        """Whether an agent is there now and takes requests."""
        return await self._locator.find()

    async def reach(self, *, timeout_s: float, on_wait: Callable[[str], None] = lambda what: None) -> None:
        """Finds the agent, or brings one; see AgentLocator.reach."""
        await self._locator.reach(timeout_s=timeout_s, on_wait=on_wait)

    async def say(self, request: SayRequest) -> Delivery:
        """Hands an utterance over; the request's id is kept when the call has to be made again.

        Raises RefusedError when the agent will not say it, NoAgentError when none answers within 35 s, and
        UnreachableError when LiveKit does not within 10 s. An agent that is told to go takes nothing new: for
        15 s its follower is waited for.
        """
        body = request.encode()
        drained_at = _now() + _DRAIN_PATIENCE * self._patience_s
        while True:
            try:
                answer = await self._hand_over(body)
                break
            except RefusedError as error:
                if error.reason == "draining" and _now() < drained_at:
                    self._locator.identity = ""  # another one may be there already
                    await asyncio.sleep(_DRAIN_PAUSE * self._patience_s)  # each refusal is told in the room
                    continue
                if error.reason != "unsupported_server" or request.standby or request.sound:
                    raise  # nobody would know whether it stands by, or whether the agent has the sound
                payload = self._signed(SAY_METHOD, body).encode()
                locator = self._locator  # nobody else gets the text, as captions may be off
                await self._api.send_data(locator.room, SAY_TOPIC, payload, to=locator.identity)
                return Delivery(request.id, "sent")
        try:
            acknowledgement = Acknowledgement.read(answer)
        except RefusedError as error:
            raise _not_understood(str(error)) from error
        if request.standby and not acknowledgement.standby and not acknowledgement.duplicate:
            await self.stop(acknowledgement.id)  # it would be said at once
            raise refusal("old_agent", "the agent is too old: it has no line stand by")
        return Delivery.accepted(acknowledgement)

    async def say_sound(self, sound: PreparedSound, **members: Any) -> Delivery:
        """Has `sound` heard as a text would be said; it is sent first, if the agent does not have it yet.

        `members` are those of a say request that are not about a voice: `id`, `emotion`, `interrupt`,
        `priority`, `ttl_ms`, `traceparent`, `tracestate`. Without an `id` it gets one. What comes back is
        acknowledged; `wait` waits for more. Called again with the same `id` it is heard once.

        Raises what `say` raises; RefusedError, `malformed` for other members, `sounds_full`,
        `sound_too_long`, `old_agent`, and `too_large` where the captions do not fit into a call;
        UnreachableError or CredentialsError when nobody can join to send it, TimedOutError when it does not
        arrive.
        """
        members = {"id": uuid.uuid4().hex[:12], **members, "sound": sound.given.encode()}
        request = read_say(members, max_text_chars=0)
        _check_carried(request)
        try:
            return await self._say_known_sound(request)
        except RefusedError as error:
            if error.reason != "unknown_sound":
                raise
        return await self._send_and_say(request, sound.flac)

    async def _say_known_sound(self, request: SayRequest) -> Delivery:
        """Raises RefusedError, `unknown_sound` where it was not sent, and as `say_sound`."""
        try:
            return await self.say(request)
        except RefusedError as error:
            if error.reason == "malformed" and "`text` is missing" in str(error):
                raise refusal("old_agent", "the agent is too old: it takes no sounds") from error
            raise

    async def _send_and_say(self, request: SayRequest, flac: bytes) -> Delivery:
        """Says it as soon as the agent has it; sends it again where another agent is there by then."""
        assert request.sound
        open_sender = self._open_sender or _default_sender()
        room, sent_to = self._locator.room, ""
        async with open_sender(self._api.credentials, room=room, on_behalf=self._on_behalf) as send:
            pause = pauses()
            give_up_at = _now() + _ARRIVAL_S
            while True:
                if sent_to != self._locator.identity:
                    sent_to = self._locator.identity
                    await send(sent_to, request.id, request.sound.sha256, flac)
                    give_up_at = _now() + _ARRIVAL_S
                try:
                    return await self._say_known_sound(request)
                except RefusedError as error:
                    if error.reason != "unknown_sound":
                        raise
                    if _now() > give_up_at:
                        raise TimedOutError(
                            f"the agent did not get the sound within {_ARRIVAL_S:g} s",
                            hint="its log says why: is it full, or another key?",
                            utterance_id=request.id,
                        ) from error
                await asyncio.sleep(next(pause))

    async def wait(
        self,
        said: Delivery,
        level: str,
        *,
        timeout_s: float,
        grows_to_s: float = 0.0,
        on_paused: Callable[[], None] | None = None,
    ) -> Delivery:
        """Waits until `said` has reached `level` (`accepted`, `audible`, `done`).

        The bound grows by what is said before it, as the agent tells while it waits, up to `grows_to_s`.
        While the queue is paused no time passes, and `on_paused` is called each time that it is found so;
        without `on_paused` it passes all the same. While it is on standby no time passes.

        What was only `sent` comes back at once: who cannot ask the agent cannot ask about it either.
        Raises InterruptedSpeechError when it ended before its end, or its agent did; UnreachableError when
        LiveKit does not come back; TimedOutError. An agent that comes back in time is asked again, and about
        what is written down the one that follows, whenever it comes.
        """
        if said.level == "sent":
            return said
        began_at = _now()
        ends_at = began_at + timeout_s
        try:
            async with asyncio.timeout_at(ends_at) as bound:
                while not has_reached(said.level, level):
                    asked_at = _now()
                    late_s = min(self._late_s, max(0.0, ends_at - _LAST_S - asked_at))
                    said = await self._poll(said, level, late_s)
                    if has_reached(said.level, level):
                        break
                    if said.is_on_standby or (on_paused and said.is_paused):
                        if on_paused and said.is_paused:
                            on_paused()
                        ends_at += max(_LEAST_PAUSE_S, _now() - asked_at)
                    elif said.ahead_s:  # what is before it takes nothing from its own time
                        grown_s = min(_now() - began_at + said.ahead_s + timeout_s, grows_to_s)
                        ends_at = max(ends_at, began_at + grown_s)
                    bound.reschedule(ends_at)
                    await asyncio.sleep(max(0.0, asked_at + _LEAST_PAUSE_S - _now()))
        except TimeoutError as error:
            raise TimedOutError(
                f"{said.id} was {said.level} but not {level} after {round(ends_at - began_at, 1):g} s",
                hint=f"it may still be spoken; ask with --id {said.id}",
                utterance_id=said.id,
            ) from error
        return said

    async def stop(self, utterance_id: str = "") -> list[str]:
        """Stops what is spoken and clears the queue, or ends one utterance alone; ids of what that ended."""
        answer = await self._ask(STOP_METHOD, {"id": utterance_id} if utterance_id else {})
        stopped = answer.get("stopped")
        if not isinstance(stopped, list):
            raise _not_understood("it does not say what was stopped")
        return [str(utterance_id) for utterance_id in stopped]

    async def cancel(self, utterance_id: str, *, is_own: bool = False) -> dict[str, Any]:
        """Takes one that waits out of the queue, `is_own`: if it is on the same account; its report.

        Raises RefusedError when it does not wait.
        """
        return _checked(await self._of_queue(CANCEL_METHOD, CancelRequest(utterance_id, is_own).encode()))

    async def move(self, asked: MoveRequest) -> dict[str, Any]:
        """Puts one that waits elsewhere; its report, with its `position` and `priority`.

        Raises RefusedError when one of them does not wait.
        """
        return _checked(await self._of_queue(MOVE_METHOD, asked.encode()))

    async def pause(self, is_paused: bool = True) -> PauseAnswer:
        """Has nothing new begin, or, with `is_paused` false, go on."""
        answer = await self._of_queue(PAUSE_METHOD if is_paused else RESUME_METHOD, {})
        try:
            return PauseAnswer.read(answer)
        except RefusedError as error:
            raise _not_understood(str(error)) from error

    async def next(self, utterance_id: str = "") -> NextAnswer:
        """Gives the go-ahead to a line on standby, without an id to the one that is longest on standby.

        Raises RefusedError when there is none.
        """
        answer = await self._of_queue(NEXT_METHOD, NextRequest(utterance_id).encode())
        try:
            return NextAnswer.read(answer)
        except RefusedError as error:
            raise _not_understood(str(error)) from error

    async def _of_queue(self, method: str, body: dict[str, Any]) -> dict[str, Any]:
        """Raises RefusedError, `old_agent`, where the agent has no such method."""
        try:
            return await self._ask(method, body)
        except RefusedError as error:
            if error.reason != "unsupported_method":
                raise
            raise refusal("old_agent", f"the agent is too old: it has no {method}") from error

    async def status(self, *, ended: int = 0) -> AgentStatus:
        """What the agent says of itself, and the reports of what it is `speaking` and what is `waiting`, and
        of as many that `ended` last.

        Raises NoAgentError when there is none, or none that answers.
        """
        answer = await self._ask(STATUS_METHOD, StatusRequest(ended=ended).encode())
        try:
            return AgentStatus.read(answer)
        except RefusedError as error:
            raise _not_understood(str(error)) from error

    async def queue(self, *, ended: int = 0) -> AgentStatus:
        """The `status` of whoever is there now."""
        self._locator.identity = ""
        return await self.status(ended=ended)

    async def report(self, utterance_id: str) -> dict[str, Any]:
        """What the agent knows of one utterance: `id`, `epoch`, `state` (`unknown` too), route, durations."""
        return await self._report(StatusRequest(utterance_id))

    async def _report(self, asked: StatusRequest) -> dict[str, Any]:
        answer = await self._ask(STATUS_METHOD, asked.encode(), late_s=asked.wait_s)
        return _checked(answer)

    async def _hand_over(self, body: dict[str, Any]) -> dict[str, Any]:
        """The answer of the agent, or of the one that is there by then. Who did not answer may have taken the
        request: its id keeps it from being spoken twice."""
        give_up_at = _now() + _HAND_OVER_PATIENCE * self._patience_s
        away_since: float | None = None
        pause = pauses()
        while True:
            try:
                return await self._ask(SAY_METHOD, body)
            except NoAgentError:
                away_since = None
                if _now() > give_up_at:
                    raise
            except UnreachableError as error:
                away_since = _now() if away_since is None else away_since
                if isinstance(error, OverQuotaError) or _now() > away_since + self._patience_s:
                    raise
            await asyncio.sleep(next(pause))
            with suppress(UnreachableError):
                await self.reach(timeout_s=max(_LEAST_PAUSE_S, give_up_at - _now()))

    async def _poll(self, said: Delivery, level: str, late_s: float) -> Delivery:
        """`said` as the agent knows it when it has reached `level`, or after `late_s`; see `wait`."""
        patience_s = math.inf if said.is_journaled else self._patience_s
        report = await self._patient_report(StatusRequest(said.id, level, late_s), patience_s)
        epoch, state = report.pop("epoch"), report["state"]
        if epoch != said.epoch:
            if state == "unknown":
                raise InterruptedSpeechError(
                    "the agent was started anew and its queue is gone", hint="say it again", state=state
                )
            said = said.taken_over(epoch)
        said = replace(said, report=report)
        if state in LEVEL_STATES:
            return replace(said, level=state)
        if state in SETTLED:
            ended = f"{said.id} {_ENDED.get(state, state)}: {report.get('reason', 'no reason given')}"
            raise InterruptedSpeechError(ended, state=state, reason=str(report.get("reason", "")))
        return said

    async def _patient_report(self, asked: StatusRequest, patience_s: float) -> dict[str, Any]:
        """The agent's report, or that of the one that came in its place: each may come back for so long."""
        give_up_at: float | None = None
        pause = pauses()
        while True:
            try:
                if self._locator.identity or await self.find():
                    return await self._report(asked)
                failure: LibaError = _left()
            except (NoAgentError, UnreachableError) as error:
                failure = error if isinstance(error, UnreachableError) else _deaf()
                self._locator.identity = ""
            if give_up_at is None:
                self._late_s = max(_LEAST_PAUSE_S, _LATE_STEP * self._late_s)
                asked = replace(asked, wait_s=min(asked.wait_s, self._late_s))
            give_up_at = give_up_at or _now() + patience_s
            if _now() > give_up_at:
                raise failure
            await asyncio.sleep(next(pause))

    async def _ask(self, method: str, body: dict[str, Any], *, late_s: float = 0.0) -> dict[str, Any]:
        """The answer of the agent that was found, or is found now. Raises NoAgentError, RefusedError."""
        locator = self._locator
        if not locator.identity and not await locator.find():
            raise no_agent(locator.agent_name, locator.room)
        payload = packed(self._signed(method, body))
        reply = await self._api.perform_rpc(
            locator.room, locator.identity, method, payload, timeout_s=_SPARE_S + late_s
        )
        try:
            answer = parse_object(reply)
        except RefusedError as error:
            raise _not_understood(str(error)) from error
        if reason := answer.get("rejected"):
            message = f"the agent refused: {answer.get('message', reason)}"
            raise refusal(str(reason), message, retry_in_s=_seconds(answer.get("retry_in_s")))
        return answer

    def _signed(self, method: str, body: dict[str, Any]) -> str:
        auth = sign_request(
            self._api.credentials,
            room=self._locator.room,
            method=method,
            body=body,
            agent=self._locator.identity,
            on_behalf=self._on_behalf,
        )
        return json.dumps(body | {"auth": auth}, ensure_ascii=False, separators=(",", ":"))


@asynccontextmanager
async def talking_to(settings: Settings, room: str) -> AsyncIterator[AgentClient]:
    """A client for the agent of `room`, as `settings` name it. Raises UsageError, ConfigError."""
    check_name("room", room)
    stays_s = settings.departure_timeout_s
    async with LiveKitApi(settings.livekit(), departure_timeout_s=stays_s) as api:
        yield AgentClient(api, AgentLocator(api, room=room, agent_name=settings.agent_name))


@asynccontextmanager
async def open_client(
    credentials: LiveKitCredentials, *, room: str, agent_name: str
) -> AsyncIterator[AgentClient]:
    """A client for the agent of that name in `room`."""
    async with LiveKitApi(credentials) as api:
        yield AgentClient(api, AgentLocator(api, room=room, agent_name=agent_name))


def _default_sender() -> OpenSender:
    from libacli.edges.livekit.sound_sender import sound_sender  # the LiveKit SDK: only a sound needs it

    return sound_sender


def _check_carried(request: SayRequest) -> None:
    """Raises RefusedError, `too_large`, when no call carries it."""
    source = json.dumps(request.encode(), ensure_ascii=False)
    size = len(packed(source.ljust(MAX_CARRIED_BYTES + 1)))
    if size > MAX_CARRIED_BYTES - _SIGNED_BYTES:
        raise refusal("too_large", "the captions are too long for one sound: cut it into parts")


def _checked(report: dict[str, Any]) -> dict[str, Any]:
    """An agent's report. Raises LibaError when it is none."""
    if not all(isinstance(report.get(name), str) for name in ("id", "epoch", "state")):
        raise _not_understood("it is no report")
    return report


def _now() -> float:
    return asyncio.get_running_loop().time()


def _seconds(value: object) -> float | None:
    """`value`, where it is a number: an agent may be of another version."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _not_understood(what: str) -> LibaError:
    return LibaError(
        f"the agent's answer is not understood: {what}",
        hint="is another version of liba running there?",
    )


def _left() -> LibaError:
    return InterruptedSpeechError(
        "the agent left; whether it was spoken to its end is not known",
        hint="is `liba agent run` still running?",
    )


def _deaf() -> LibaError:
    return InterruptedSpeechError(
        "the agent does not answer; whether it was spoken to its end is not known",
        hint="it is replaced within 30 s if `liba agent run` still runs; then say it again",
    )
