"""Asking the agent of a room to speak, from outside the room: plain HTTP, signed, acknowledged."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from libacli.config import LiveKitCredentials, Settings
from libacli.core.acknowledgement import Acknowledgement
from libacli.core.agent_status import AgentStatus
from libacli.core.delivery import Delivery
from libacli.core.messages import SayRequest, StatusRequest, read_say
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
from libacli.edges.livekit.agent_calls import AgentCalls, Locator, checked, not_understood
from libacli.edges.livekit.agent_locator import AgentLocator, pauses
from libacli.edges.livekit.agent_wait import AgentWait, WaitBound
from libacli.edges.livekit.api import LiveKitApi
from libacli.edges.livekit.tokens import check_name
from libacli.errors import (
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

_LEAST_REACH_S = 1.0
"""An agent that is gone is looked for at least so long at a time."""

_SIGNED_BYTES = 1024
"""What a signature adds to a request."""

_ARRIVAL_S = 30.0
"""How long a sound may be on its way after the SDK has taken the last of it: a slow line is behind."""


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
        self._calls = AgentCalls(api, locator, on_behalf=on_behalf)
        self._waiting = AgentWait(self._calls, patience_s=patience_s)
        self._patience_s = patience_s
        self._on_behalf = on_behalf
        self._open_sender = open_sender

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
                payload = self._calls.signed(SAY_METHOD, body).encode()
                locator = self._locator  # nobody else gets the text, as captions may be off
                await self._api.send_data(locator.room, SAY_TOPIC, payload, to=locator.identity)
                return Delivery(request.id, "sent")
        try:
            acknowledgement = Acknowledgement.read(answer)
        except RefusedError as error:
            raise not_understood(str(error)) from error
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
        bound = WaitBound(timeout_s, grows_to_s=grows_to_s)
        return await self._waiting.until(said, level, bound, on_paused=on_paused)

    async def stop(self, utterance_id: str = "") -> list[str]:
        """Stops what is spoken and clears the queue, or ends one utterance alone; ids of what that ended."""
        answer = await self._calls.ask(STOP_METHOD, {"id": utterance_id} if utterance_id else {})
        stopped = answer.get("stopped")
        if not isinstance(stopped, list):
            raise not_understood("it does not say what was stopped")
        return [str(utterance_id) for utterance_id in stopped]

    async def cancel(self, utterance_id: str, *, is_own: bool = False) -> dict[str, Any]:
        """Takes one that waits out of the queue, `is_own`: if it is on the same account; its report.

        Raises RefusedError when it does not wait.
        """
        return checked(
            await self._calls.ask_of_queue(CANCEL_METHOD, CancelRequest(utterance_id, is_own).encode())
        )

    async def move(self, asked: MoveRequest) -> dict[str, Any]:
        """Puts one that waits elsewhere; its report, with its `position` and `priority`.

        Raises RefusedError when one of them does not wait.
        """
        return checked(await self._calls.ask_of_queue(MOVE_METHOD, asked.encode()))

    async def pause(self, is_paused: bool = True) -> PauseAnswer:
        """Has nothing new begin, or, with `is_paused` false, go on."""
        answer = await self._calls.ask_of_queue(PAUSE_METHOD if is_paused else RESUME_METHOD, {})
        try:
            return PauseAnswer.read(answer)
        except RefusedError as error:
            raise not_understood(str(error)) from error

    async def next(self, utterance_id: str = "") -> NextAnswer:
        """Gives the go-ahead to a line on standby, without an id to the one that is longest on standby.

        Raises RefusedError when there is none.
        """
        answer = await self._calls.ask_of_queue(NEXT_METHOD, NextRequest(utterance_id).encode())
        try:
            return NextAnswer.read(answer)
        except RefusedError as error:
            raise not_understood(str(error)) from error

    async def status(self, *, ended: int = 0) -> AgentStatus:
        """What the agent says of itself, and the reports of what it is `speaking` and what is `waiting`, and
        of as many that `ended` last.

        Raises NoAgentError when there is none, or none that answers.
        """
        answer = await self._calls.ask(STATUS_METHOD, StatusRequest(ended=ended).encode())
        try:
            return AgentStatus.read(answer)
        except RefusedError as error:
            raise not_understood(str(error)) from error

    async def queue(self, *, ended: int = 0) -> AgentStatus:
        """The `status` of whoever is there now."""
        self._locator.identity = ""
        return await self.status(ended=ended)

    async def report(self, utterance_id: str) -> dict[str, Any]:
        """What the agent knows of one utterance: `id`, `epoch`, `state` (`unknown` too), route, durations."""
        return await self._calls.report(StatusRequest(utterance_id))

    async def _hand_over(self, body: dict[str, Any]) -> dict[str, Any]:
        """The answer of the agent, or of the one that is there by then. Who did not answer may have taken the
        request: its id keeps it from being spoken twice."""
        give_up_at = _now() + _HAND_OVER_PATIENCE * self._patience_s
        away_since: float | None = None
        pause = pauses()
        while True:
            try:
                return await self._calls.ask(SAY_METHOD, body)
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
                await self.reach(timeout_s=max(_LEAST_REACH_S, give_up_at - _now()))


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


def _now() -> float:
    return asyncio.get_running_loop().time()
