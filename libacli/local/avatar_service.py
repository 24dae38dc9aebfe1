"""An avatar service on this machine that speaks Tavus's HTTP API, so that an agent needs no account.

Paths, fields and errors: https://docs.tavus.io/api-reference/conversations (create, get, list, end, delete).
A refused key is answered 401 `{"message"}`, everything else that is wrong 400 `{"error"}`, an unknown
conversation included.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from pydantic import SecretStr

from libacli.errors import LibaError, UsageError
from libacli.local.avatar import Invitation
from libacli.local.avatar_requests import CreateRequest, WrongRequestError, number_in

logger = logging.getLogger("liba.avatar.local")

_BODY_LIMIT = 64 * 1024
_PAGE_LIMIT = 100
_LEAVE_TIMEOUT_S = 5.0

Attend = Callable[[Invitation], Awaitable[str]]
"""Takes part in a room until there is nothing to stay for; returns why it left."""


@dataclass
class Conversation:
    """One conversation, as it is told to callers."""

    id: str
    name: str
    face_id: str
    pal_id: str
    created_at: str
    status: str = "active"
    """`active` or `ended`."""

    updated_at: str = ""
    shutdown_reason: str = ""
    task: asyncio.Task[None] | None = field(default=None, repr=False)

    def told(self, base_url: str, *, verbose: bool = False) -> dict[str, Any]:
        """What an answer says of it: the present names of fields, and the older ones."""
        facts = {
            "conversation_id": self.id,
            "conversation_name": self.name,
            "conversation_url": f"{base_url}/v2/conversations/{self.id}",
            "status": self.status,
            "face_id": self.face_id,
            "pal_id": self.pal_id,
            "replica_id": self.face_id,
            "persona_id": self.pal_id,
            "callback_url": "",
            "created_at": self.created_at,
            "updated_at": self.updated_at or self.created_at,
        }
        return facts | ({"shutdown_reason": self.shutdown_reason} if verbose else {})


class AvatarService:
    """Conversations over HTTP on 127.0.0.1; `attend` is who takes part in their rooms.

    `middlewares` see every request after its key was checked.
    """

    def __init__(
        self,
        api_key: SecretStr,
        attend: Attend,
        *,
        port: int = 0,
        max_conversations: int = 10,
        kept_conversations: int = 1000,
        middlewares: Sequence[Middleware] = (),
    ) -> None:
        self.base_url = ""
        """What to give to an agent as TAVUS_BASE_URL; known once the service runs."""

        self.conversations: dict[str, Conversation] = {}
        """The last `kept_conversations`, oldest first, and all that are active."""

        self._api_key = api_key
        self._attend = attend
        self._port = port
        self._max_conversations = max_conversations
        self._kept_conversations = kept_conversations
        self._middlewares = middlewares
        self._ready = asyncio.Event()
        self._tasks: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Serves until cancelled, then ends all conversations. Raises UsageError when the port is taken."""
        runner = web.AppRunner(self._app(), access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        try:
            async with asyncio.TaskGroup() as self._tasks:
                await self._listen(runner)
                self._ready.set()
                await asyncio.Event().wait()
        finally:
            await runner.cleanup()

    async def ready(self) -> None:
        """Waits until requests are taken."""
        await self._ready.wait()

    async def _listen(self, runner: web.AppRunner) -> None:
        try:
            await web.TCPSite(runner, "127.0.0.1", self._port).start()
        except OSError as error:
            raise UsageError(
                f"port {self._port} is taken", hint="choose another one, or leave --port out"
            ) from error
        self.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}"

    def _app(self) -> web.Application:
        app = web.Application(
            client_max_size=_BODY_LIMIT, middlewares=[_answer_in_json, self._check_key, *self._middlewares]
        )
        app.router.add_post("/v2/conversations", self._create)
        app.router.add_get("/v2/conversations", self._list)
        app.router.add_get("/v2/conversations/{id}", self._get)
        app.router.add_post("/v2/conversations/{id}/end", self._end)
        app.router.add_delete("/v2/conversations/{id}", self._delete)
        return app

    @web.middleware
    async def _check_key(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get("x-api-key", "").encode(errors="surrogateescape")
        if not hmac.compare_digest(given, self._api_key.get_secret_value().encode()):
            return web.json_response({"message": "Invalid access token"}, status=401)
        return await handler(request)

    async def _create(self, request: web.Request) -> web.Response:
        asked = CreateRequest(await request.read())
        conversation = Conversation(
            id=f"local-{uuid.uuid4().hex[:12]}",
            name=asked.name,
            face_id=asked.face_id,
            pal_id=asked.pal_id,
            created_at=_now(),
        )
        if not conversation.face_id and not conversation.pal_id:
            raise WrongRequestError("face_id or pal_id is required")
        if asked.is_test:
            conversation.status = "ended"
        else:
            self._begin(conversation, asked.invitation(), asked.max_duration_s)
        self._remember(conversation)
        return web.json_response(conversation.told(self.base_url))

    async def _get(self, request: web.Request) -> web.Response:
        verbose = request.query.get("verbose") == "true"
        return web.json_response(self._found(request).told(self.base_url, verbose=verbose))

    async def _list(self, request: web.Request) -> web.Response:
        limit = number_in(request.query, "limit", 10, most=_PAGE_LIMIT)
        page = number_in(request.query, "page", 1)
        status = request.query.get("status", "")
        if status not in ("", "active", "ended"):
            raise WrongRequestError("status must be active or ended")
        found = [one for one in reversed(self.conversations.values()) if status in ("", one.status)]
        shown = found[(page - 1) * limit : page * limit]
        return web.json_response(
            {"data": [one.told(self.base_url) for one in shown], "total_count": len(found)}
        )

    async def _end(self, request: web.Request) -> web.Response:
        self._finish(self._found(request), "end_conversation_endpoint_hit")
        return web.Response()

    async def _delete(self, request: web.Request) -> web.Response:
        conversation = self._found(request)
        self._finish(conversation, "conversation_deleted")
        del self.conversations[conversation.id]
        return web.Response(status=204)

    def _begin(self, conversation: Conversation, invitation: Invitation, duration_s: float) -> None:
        active = sum(one.status == "active" for one in self.conversations.values())
        if active >= self._max_conversations:
            raise WrongRequestError("User has reached maximum concurrent conversations", member="message")
        assert self._tasks, "requests come while `run` runs"
        conversation.task = self._tasks.create_task(self._hold(conversation, invitation, duration_s))
        logger.info("local avatar: conversation %s begins", conversation.id)

    async def _hold(self, conversation: Conversation, invitation: Invitation, duration_s: float) -> None:
        """Has the avatar in the room until it leaves, is ended, or has been there long enough."""
        reason = "error"
        try:
            async with asyncio.timeout(duration_s):
                reason = await self._attend(invitation)
        except TimeoutError:
            reason = "max_call_duration"
        except LibaError as error:
            logger.error("local avatar: %s: %s", conversation.id, error)
        except Exception:  # one room's trouble is not to end the others
            logger.exception("local avatar: %s broke down", conversation.id)
        finally:
            self._finish(conversation, reason)

    def _finish(self, conversation: Conversation, reason: str) -> None:
        if conversation.status == "ended":
            return
        conversation.status = "ended"
        conversation.shutdown_reason = reason
        conversation.updated_at = _now()
        if conversation.task and conversation.task is not asyncio.current_task():
            conversation.task.cancel()
        logger.info("local avatar: conversation %s has ended: %s", conversation.id, reason)

    def _found(self, request: web.Request) -> Conversation:
        if conversation := self.conversations.get(request.match_info["id"]):
            return conversation
        raise WrongRequestError("Invalid conversation_id")

    def _remember(self, conversation: Conversation) -> None:
        self.conversations[conversation.id] = conversation
        if len(self.conversations) > self._kept_conversations:
            ended = next((one.id for one in self.conversations.values() if one.status == "ended"), None)
            self.conversations.pop(ended or "", None)


@asynccontextmanager
async def serving(service: AvatarService) -> AsyncIterator[AvatarService]:
    """Runs the service beside the body of `async with`. Raises what `AvatarService.run` raises."""
    loop = asyncio.get_running_loop()
    # Not a task group: it would wrap what is raised inside the `async with`.
    running = loop.create_task(service.run())
    starting = loop.create_task(service.ready())
    await asyncio.wait([running, starting], return_when=asyncio.FIRST_COMPLETED)
    starting.cancel()
    try:
        if not running.done():
            yield service
    finally:
        running.cancel()
        await asyncio.wait([running], timeout=_LEAVE_TIMEOUT_S)
        if running.done() and not running.cancelled() and (error := running.exception()):
            raise error.exceptions[0] if isinstance(error, ExceptionGroup) else error


@web.middleware
async def _answer_in_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except WrongRequestError as error:
        return web.json_response({error.member: str(error)}, status=400)
    except web.HTTPException as error:  # no such path or method, body too large
        return web.json_response({"error": error.reason}, status=error.status)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
