"""Asking the agent of a room to speak, from outside the room: plain HTTP, signed, acknowledged."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace
from typing import Any

from libacli.config import LiveKitCredentials
from libacli.core.acknowledgement import Acknowledgement
from libacli.core.lifecycle import LEVEL_STATES, SETTLED, has_reached
from libacli.core.messages import SayRequest
from libacli.core.protocol import SAY_METHOD, SAY_TOPIC, STATUS_METHOD, STOP_METHOD
from libacli.edges.livekit.api import LiveKitApi
from libacli.edges.livekit.tokens import sign_request
from libacli.errors import (
    InterruptedSpeechError,
    LibaError,
    NoAgentError,
    RefusedError,
    TimedOutError,
    UnreachableError,
)

_POLL_S = 0.1
_PATIENCE_S = 10.0
"""How long an agent that is gone, or LiveKit, may take to come back: a queue may live meanwhile."""


class AgentClient:
    """Speaks to the agent named `agent_name` in `room`; brings one there if there is none."""

    def __init__(
        self,
        api: LiveKitApi,
        credentials: LiveKitCredentials,
        *,
        room: str,
        agent_name: str,
        patience_s: float = _PATIENCE_S,
    ) -> None:
        self._api = api
        self._credentials = credentials
        self._room = room
        self._agent_name = agent_name
        self._patience_s = patience_s
        self._identity = ""

    async def reach(self, *, timeout_s: float) -> None:
        """Finds the agent, or has one dispatched and waits until it is ready.

        Raises NoAgentError when none came in time. The dispatch is withdrawn then, and when this is
        cancelled, because LiveKit would never serve it; TimedOutError when LiveKit did not even answer.
        """
        dispatch_id = ""
        try:
            async with asyncio.timeout(timeout_s):
                if await self.find():
                    return
                dispatch_id = await self._api.dispatch(self._room, self._agent_name)
                while not await self.find():  # noqa: ASYNC110 - the server has no call that waits
                    await asyncio.sleep(_POLL_S)
        except (TimeoutError, asyncio.CancelledError) as error:
            if dispatch_id:
                await self._api.withdraw(self._room, dispatch_id)
            if isinstance(error, asyncio.CancelledError):
                raise
            if not dispatch_id:
                raise TimedOutError(f"LiveKit did not answer within {timeout_s:g} s") from error
            raise NoAgentError(
                f"no agent named {self._agent_name!r} came into room {self._room!r} within {timeout_s:g} s",
                hint="start one: liba agent run",
            ) from error

    async def find(self) -> bool:
        """Whether an agent is there now and takes requests."""
        self._identity = await self._api.find_agent(self._room, self._agent_name) or ""
        return bool(self._identity)

    async def say(self, request: SayRequest) -> Acknowledgement:
        """Hands an utterance over; the request's id is kept when the call has to be made again, for 10 s.

        Raises RefusedError when the agent will not say it, NoAgentError when it does not answer.
        """
        body = request.encode()
        give_up_at = time.monotonic() + self._patience_s
        while True:
            try:
                answer = await self._ask(SAY_METHOD, body)
                break
            except NoAgentError:
                # It may have left, or taken the request: its id keeps it from being spoken twice.
                if time.monotonic() > give_up_at:
                    raise
                await asyncio.sleep(_POLL_S)
                await self.reach(timeout_s=10.0)
            except RefusedError as error:
                if error.reason != "unsupported_server":
                    raise
                await self._api.send_data(self._room, SAY_TOPIC, self._signed(SAY_METHOD, body).encode())
                return Acknowledgement(request.id, "sent")
        return Acknowledgement(
            answer["id"], "accepted", answer["epoch"], answer["position"], answer["duplicate"]
        )

    async def wait(self, said: Acknowledgement, level: str, *, timeout_s: float) -> Acknowledgement:
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
            ) from error
        return said

    async def stop(self) -> list[str]:
        """Stops what is spoken and clears the queue; ids of what that ended."""
        return list((await self._ask(STOP_METHOD, {}))["stopped"])

    async def queue(self) -> dict[str, Any]:
        """What the agent says of itself, and the reports of what it is `speaking` and what is `waiting`.

        Raises NoAgentError when there is none, or none that answers.
        """
        self._identity = ""  # whoever is there now
        return await self._ask(STATUS_METHOD, {})

    async def _poll(self, said: Acknowledgement) -> Acknowledgement:
        started = time.monotonic()
        report = await self._status(said.id)
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
        await asyncio.sleep(max(0.0, _POLL_S - (time.monotonic() - started)))
        return said

    async def _status(self, utterance_id: str) -> dict[str, Any]:
        """The agent's report, or that of the one that came in its place: each may come back for a while."""
        give_up_at = time.monotonic() + self._patience_s
        while True:
            try:
                if self._identity or await self.find():
                    return await self._ask(STATUS_METHOD, {"id": utterance_id})
                failure: LibaError = _left()
            except (NoAgentError, UnreachableError) as error:
                failure = error if isinstance(error, UnreachableError) else _deaf()
                self._identity = ""
            if time.monotonic() > give_up_at:
                raise failure
            await asyncio.sleep(_POLL_S)

    async def _ask(self, method: str, body: dict[str, Any]) -> dict[str, Any]:
        """The answer of the agent that was found, or is found now. Raises NoAgentError, RefusedError."""
        if not self._identity and not await self.find():
            raise NoAgentError(
                f"there is no agent named {self._agent_name!r} in room {self._room!r}",
                hint="start one: liba agent run",
            )
        reply = await self._api.perform_rpc(self._room, self._identity, method, self._signed(method, body))
        answer: dict[str, Any] = json.loads(reply)
        if reason := answer.get("rejected"):
            raise RefusedError(
                reason,
                f"the agent refused: {answer['message']}",
                hint=_HINTS.get(reason, ""),
                retry_in_s=answer.get("retry_in_s"),
            )
        return answer

    def _signed(self, method: str, body: dict[str, Any]) -> str:
        auth = sign_request(
            self._credentials, room=self._room, method=method, body=body, agent=self._identity
        )
        return json.dumps(body | {"auth": auth}, ensure_ascii=False, separators=(",", ":"))


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


_HINTS = {
    "queue_full": "try again when something has been spoken, or go first: --interrupt",
    "unsupported_text": "use another voice: set OPENAI_API_KEY",
    "unauthorized": "check LIVEKIT_API_KEY and LIVEKIT_API_SECRET",
    "voice_unavailable": "try again in a while; the agent's log says why the voice fails",
    "rate_limited": "send fewer, or raise say.rate_per_minute where the agent runs",
    "spend_cap": "liba queue shows what is used up; the caps are settings of the agent",
    "draining": "it comes back when the agent is started again",
}
