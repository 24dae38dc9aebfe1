"""Asking the agent of a room to speak, from outside the room: plain HTTP, signed, acknowledged."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Protocol

from libacli.config import LiveKitCredentials, Settings
from libacli.core.acknowledgement import Acknowledgement
from libacli.core.delivery import Delivery
from libacli.core.event import AgentStatus
from libacli.core.lifecycle import LEVEL_STATES, SETTLED, has_reached
from libacli.core.messages import SayRequest, parse_object
from libacli.core.protocol import SAY_METHOD, SAY_TOPIC, STATUS_METHOD, STOP_METHOD
from libacli.core.reasons import refusal
from libacli.edges.livekit.agent_locator import POLL_S, AgentLocator
from libacli.edges.livekit.api import LiveKitApi
from libacli.edges.livekit.tokens import check_name, sign_request
from libacli.errors import (
    InterruptedSpeechError,
    LibaError,
    NoAgentError,
    RefusedError,
    TimedOutError,
    UnreachableError,
)

_PATIENCE_S = 10.0
"""How long an agent that is gone, or LiveKit, may take to come back: a queue may live meanwhile."""


class Locator(Protocol):
    """Knows which agent is asked; see AgentLocator."""

    room: str
    agent_name: str
    identity: str

    async def find(self) -> bool: ...

    async def reach(self, *, timeout_s: float) -> None: ...


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
    ) -> None:
        self._api = api
        self._locator = locator
        self._patience_s = patience_s
        self._on_behalf = on_behalf

    @property
    def identity(self) -> str:
        """Of the agent that is asked; empty: none was found yet."""
        return self._locator.identity

    async def find(self) -> bool:
        """Whether an agent is there now and takes requests."""
        return await self._locator.find()

    async def reach(self, *, timeout_s: float) -> None:
        """Finds the agent, or brings one; see AgentLocator.reach."""
        await self._locator.reach(timeout_s=timeout_s)

    async def say(self, request: SayRequest) -> Delivery:
        """Hands an utterance over; the request's id is kept when the call has to be made again, for 10 s.

        Raises RefusedError when the agent will not say it, NoAgentError when it does not answer.
        """
        body = request.encode()
        give_up_at = _now() + self._patience_s
        while True:
            try:
                answer = await self._ask(SAY_METHOD, body)
                break
            except NoAgentError:
                # It may have left, or taken the request: its id keeps it from being spoken twice.
                if _now() > give_up_at:
                    raise
                await asyncio.sleep(POLL_S)
                await self.reach(timeout_s=10.0)
            except RefusedError as error:
                if error.reason != "unsupported_server":
                    raise
                payload = self._signed(SAY_METHOD, body).encode()
                locator = self._locator  # nobody else gets the text, as captions may be off
                await self._api.send_data(locator.room, SAY_TOPIC, payload, to=locator.identity)
                return Delivery(request.id, "sent")
        try:
            return Delivery.accepted(Acknowledgement.read(answer))
        except RefusedError as error:
            raise _not_understood(str(error)) from error

    async def wait(self, said: Delivery, level: str, *, timeout_s: float) -> Delivery:
        """Waits until `said` has reached `level` (`accepted`, `audible`, `done`).

        What was only `sent` comes back at once: who cannot ask the agent cannot ask about it either.
        Raises InterruptedSpeechError when it ended before its end, or its agent did; UnreachableError when
        LiveKit does not come back; TimedOutError. An agent that comes back in time is asked again.
        """
        if said.level == "sent":
            return said
        try:
            async with asyncio.timeout(timeout_s):
                while not has_reached(said.level, level):
                    said = await self._poll(said)
        except TimeoutError as error:
            raise TimedOutError(
                f"{said.id} was {said.level} but not {level} after {timeout_s:g} s",
                hint=f"it may still be spoken; ask with --id {said.id}",
                utterance_id=said.id,
            ) from error
        return said

    async def stop(self) -> list[str]:
        """Stops what is spoken and clears the queue; ids of what that ended."""
        answer = await self._ask(STOP_METHOD, {})
        stopped = answer.get("stopped")
        if not isinstance(stopped, list):
            raise _not_understood("it does not say what was stopped")
        return [str(utterance_id) for utterance_id in stopped]

    async def status(self) -> AgentStatus:
        """What the agent says of itself, and the reports of what it is `speaking` and what is `waiting`.

        Raises NoAgentError when there is none, or none that answers.
        """
        answer = await self._ask(STATUS_METHOD, {})
        try:
            return AgentStatus.read(answer)
        except RefusedError as error:
            raise _not_understood(str(error)) from error

    async def queue(self) -> AgentStatus:
        """The `status` of whoever is there now."""
        self._locator.identity = ""
        return await self.status()

    async def report(self, utterance_id: str) -> dict[str, Any]:
        """What the agent knows of one utterance: `id`, `epoch`, `state` (`unknown` too), route, durations."""
        answer = await self._ask(STATUS_METHOD, {"id": utterance_id})
        if not (isinstance(answer.get("epoch"), str) and isinstance(answer.get("state"), str)):
            raise _not_understood("it is no report")
        return answer

    async def _poll(self, said: Delivery) -> Delivery:
        started = _now()
        report = await self._patient_report(said.id)
        if report.pop("epoch") != said.epoch:
            raise InterruptedSpeechError(
                "the agent was started anew and its queue is gone", hint="say it again"
            )
        state = report["state"]
        said = replace(said, report=report)
        if state in LEVEL_STATES:
            return replace(said, level=state)
        if state in SETTLED:
            raise InterruptedSpeechError(f"{said.id} was {state}: {report.get('reason', 'no reason given')}")
        await asyncio.sleep(max(0.0, POLL_S - (_now() - started)))
        return said

    async def _patient_report(self, utterance_id: str) -> dict[str, Any]:
        """The agent's report, or that of the one that came in its place: each may come back for a while."""
        give_up_at = _now() + self._patience_s
        while True:
            try:
                if self._locator.identity or await self.find():
                    return await self.report(utterance_id)
                failure: LibaError = _left()
            except (NoAgentError, UnreachableError) as error:
                failure = error if isinstance(error, UnreachableError) else _deaf()
                self._locator.identity = ""
            if _now() > give_up_at:
                raise failure
            await asyncio.sleep(POLL_S)

    async def _ask(self, method: str, body: dict[str, Any]) -> dict[str, Any]:
        """The answer of the agent that was found, or is found now. Raises NoAgentError, RefusedError."""
        locator = self._locator
        if not locator.identity and not await locator.find():
            raise NoAgentError(
                f"there is no agent named {locator.agent_name!r} in room {locator.room!r}",
                hint="start one: liba agent run",
            )
        reply = await self._api.perform_rpc(
            locator.room, locator.identity, method, self._signed(method, body)
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
    async with open_client(settings.livekit(), room=room, agent_name=settings.agent_name) as client:
        yield client


@asynccontextmanager
async def open_client(
    credentials: LiveKitCredentials, *, room: str, agent_name: str
) -> AsyncIterator[AgentClient]:
    """A client for the agent of that name in `room`."""
    async with LiveKitApi(credentials) as api:
        yield AgentClient(api, AgentLocator(api, room=room, agent_name=agent_name))


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
