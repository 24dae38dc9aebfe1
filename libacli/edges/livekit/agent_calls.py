"""One call to the agent of a room: signed, sent to the agent that is found, its answer understood."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Protocol

from libacli.core.messages import StatusRequest, parse_object
from libacli.core.packing import packed
from libacli.core.protocol import STATUS_METHOD
from libacli.core.reasons import refusal
from libacli.edges.livekit.agent_locator import no_agent
from libacli.edges.livekit.api import LiveKitApi
from libacli.edges.livekit.tokens import sign_request
from libacli.errors import LibaError, RefusedError

_SPARE_S = 3.0
"""How much later than the agent was to answer LiveKit gives a call up."""


class Locator(Protocol):
    """Knows which agent is asked; see AgentLocator."""

    room: str
    agent_name: str
    identity: str

    async def find(self) -> bool: ...

    async def reach(self, *, timeout_s: float, on_wait: Callable[[str], None] = ...) -> None: ...


class AgentCalls:
    """Calls to the agent that `locator` finds, for the owner of the API secret or `on_behalf` of somebody.

    All methods raise what LiveKitApi raises, and LibaError for an answer that cannot be understood.
    """

    def __init__(self, api: LiveKitApi, locator: Locator, *, on_behalf: str = "") -> None:
        self.api = api
        self.locator = locator
        self._on_behalf = on_behalf

    async def ask(self, method: str, body: dict[str, Any], *, late_s: float = 0.0) -> dict[str, Any]:
        """The answer of the agent that was found, or is found now. Raises NoAgentError, RefusedError."""
        locator = self.locator
        if not locator.identity and not await locator.find():
            raise no_agent(locator.agent_name, locator.room)
        payload = packed(self.signed(method, body))
        reply = await self.api.perform_rpc(
            locator.room, locator.identity, method, payload, timeout_s=_SPARE_S + late_s
        )
        try:
            answer = parse_object(reply)
        except RefusedError as error:
            raise not_understood(str(error)) from error
        if reason := answer.get("rejected"):
            message = f"the agent refused: {answer.get('message', reason)}"
            raise refusal(str(reason), message, retry_in_s=_seconds(answer.get("retry_in_s")))
        return answer

    def signed(self, method: str, body: dict[str, Any]) -> str:
        """`body` as JSON, signed for this agent, room and method."""
        auth = sign_request(
            self.api.credentials,
            room=self.locator.room,
            method=method,
            body=body,
            agent=self.locator.identity,
            on_behalf=self._on_behalf,
        )
        return json.dumps(body | {"auth": auth}, ensure_ascii=False, separators=(",", ":"))

    async def ask_of_queue(self, method: str, body: dict[str, Any]) -> dict[str, Any]:
        """Raises RefusedError, `old_agent`, where the agent has no such method."""
        try:
            return await self.ask(method, body)
        except RefusedError as error:
            if error.reason != "unsupported_method":
                raise
            raise refusal("old_agent", f"the agent is too old: it has no {method}") from error

    async def report(self, asked: StatusRequest) -> dict[str, Any]:
        """The report of one utterance: `id`, `epoch`, `state` (`unknown` too), route, durations."""
        answer = await self.ask(STATUS_METHOD, asked.encode(), late_s=asked.wait_s)
        return checked(answer)


def checked(report: dict[str, Any]) -> dict[str, Any]:
    """An agent's report. Raises LibaError when it is none."""
    if not all(isinstance(report.get(name), str) for name in ("id", "epoch", "state")):
        raise not_understood("it is no report")
    return report


def _seconds(value: object) -> float | None:
    """`value`, where it is a number: an agent may be of another version."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def not_understood(what: str) -> LibaError:
    """For an answer that is none of ours, or of another version."""
    return LibaError(
        f"the agent's answer is not understood: {what}",
        hint="is another version of liba running there?",
    )
