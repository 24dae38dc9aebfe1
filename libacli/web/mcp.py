"""POST /mcp: the tools for models, over Streamable HTTP, for who may call the HTTP API.

Each request stands for itself: no session is kept, so any server of several that share an address answers,
and there is nothing to take over. It is served where `serve.mcp` is set.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from libacli.core.agent_status import AgentStatus
from libacli.core.delivery import Delivery
from libacli.core.messages import MAX_REQUEST_BYTES
from libacli.core.trace_context import TraceContext
from libacli.errors import RefusedError
from libacli.mcp.arguments import SayArguments
from libacli.mcp.server import make_server
from libacli.web.auth import Caller
from libacli.web.giving_up import unless_given_up
from libacli.web.models.say import SayBody
from libacli.web.models.stop import StopBody
from libacli.web.problems import Problem
from libacli.web.rate_limits import client_address
from libacli.web.say import get_utterance, hand_over
from libacli.web.services import Services
from libacli.web.stop import stop_speaking

PATH = "/mcp"

_CALLER = "liba.caller"


class McpEndpoint:
    """Lets a caller in as every route does, and hands the request to the SDK."""

    def __init__(self, services: Services, *, secrets: Sequence[str] = ()) -> None:
        self._services = services
        server = make_server(self._speech_of, secrets=secrets)
        self._manager = StreamableHTTPSessionManager(
            server, stateless=True, max_request_body_size=MAX_REQUEST_BYTES
        )

    def add_to(self, app: FastAPI) -> None:
        """Only POST: without sessions there is no stream to open, and none to delete."""
        app.router.add_route(PATH, self, methods=["POST"], include_in_schema=False)  # type: ignore[arg-type]

    def running(self) -> AbstractAsyncContextManager[None]:
        """While the application runs."""
        return self._manager.run()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        authorization = request.headers.get("authorization")
        caller = await self._services.authenticator.authenticate(authorization, client_address(request))
        await self._manager.handle_request({**scope, _CALLER: caller}, receive, send)

    def _speech_of(self, context: Any) -> CallerSpeech:
        return CallerSpeech(self._services, context.request.scope[_CALLER])


@dataclass(frozen=True)
class CallerSpeech:
    """What one caller may do, by the rules of the HTTP API. See `libacli.mcp.port.Speech`."""

    services: Services
    caller: Caller

    def room(self, wanted: str | None) -> str:
        with _refused():
            return self.caller.room_or(self.services.settings.say_room, wanted)

    async def say(self, room: str, asked: SayArguments) -> Delivery:
        members = asked.model_dump(exclude={"room", "wait", "timeout_s"}, exclude_defaults=True)
        body = SayBody(room=room, markdown="auto", **members)
        with _refused():
            return (await hand_over(self.services, self.caller, body, TraceContext()))[2]

    async def wait(
        self, room: str, said: Delivery, level: str, *, timeout_s: float, grows_to_s: float
    ) -> Delivery:
        """As it is by then, when the server is about to end."""
        waiting = self.services.gateway.wait(room, said, level, timeout_s=timeout_s, grows_to_s=grows_to_s)
        return await unless_given_up(waiting, self.services.answer_now.wait()) or said

    async def report(self, room: str, utterance_id: str) -> Mapping[str, Any] | None:
        try:
            known = await get_utterance(self.services, self.caller, utterance_id, room)
        except Problem as problem:
            if problem.status == 404:
                return None
            raise _refusal(problem) from problem
        return {"state": known.state} | (known.report or {})

    async def stop(self, room: str, utterance_id: str) -> list[str]:
        with _refused():
            body = StopBody(room=room, id=utterance_id or None)
            return (await stop_speaking(self.services, self.caller, body)).stopped

    async def queue(self, room: str) -> AgentStatus | None:
        return await self.services.gateway.status(room, on_behalf=self.caller.on_behalf)

    def voices(self) -> tuple[str, ...]:
        return self.services.voices


@contextmanager
def _refused() -> Iterator[None]:
    """The tools know errors of liba, and no HTTP."""
    try:
        yield
    except Problem as problem:
        raise _refusal(problem) from problem


def _refusal(problem: Problem) -> RefusedError:
    return RefusedError(problem.reason, problem.detail, hint=problem.hint, retry_in_s=problem.retry_in_s)
