"""An avatar service on this machine that speaks Tavus's HTTP API, so that an agent needs no account.

Paths, fields and errors: https://docs.tavus.io/api-reference/conversations (create, get, list, end, delete).
A refused key is answered 401 `{"message"}`, everything else that is wrong 400 `{"error"}`, an unknown
conversation included; what the account does not allow 400 or 429 `{"message"}`.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import math
import uuid
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from pydantic import SecretStr

from libacli.errors import LibaError, UsageError
from libacli.local.avatar_conversation import Conversation
from libacli.local.avatar_manners import Manners
from libacli.local.avatar_pals import Pals
from libacli.local.avatar_presence import Invitation
from libacli.local.avatar_requests import CreateRequest, WrongRequestError, page_of

logger = logging.getLogger("liba.avatar.local")

_BODY_LIMIT = 64 * 1024
_LEAVE_TIMEOUT_S = 5.0

Attend = Callable[[Invitation], Awaitable[str]]
"""Takes part in a room until there is nothing to stay for; returns why it left."""


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
        manners: Manners | None = None,
        kept_conversations: int = 1000,
        middlewares: Sequence[Middleware] = (),
    ) -> None:
        self.base_url = ""
        """What to give to an agent as TAVUS_BASE_URL; known once the service runs."""

        self.conversations: dict[str, Conversation] = {}
        """The last `kept_conversations`, oldest first, and all that are active."""

        self._manners = manners or Manners()
        self.pals = Pals(self._manners)
        self._api_key = api_key
        self._attend = attend
        self._port = port
        self._asked_at: deque[float] = deque(maxlen=self._manners.requests_per_minute)
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
            client_max_size=_BODY_LIMIT,
            middlewares=[_answer_in_json, self._check_key, self._check_rate, *self._middlewares],
        )
        self.pals.add_routes(app.router)
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

    @web.middleware
    async def _check_rate(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        now, asked_at = asyncio.get_running_loop().time(), self._asked_at
        if asked_at.maxlen is not None:
            if len(asked_at) == asked_at.maxlen and (wait_s := asked_at[0] + 60 - now) > 0:
                told, retry = {"message": "Too many requests"}, {"Retry-After": str(math.ceil(wait_s))}
                return web.json_response(told, status=429, headers=retry)
            asked_at.append(now)
        return await handler(request)

    async def _create(self, request: web.Request) -> web.Response:
        asked = CreateRequest(await request.read())
        if not asked.face_id and not asked.pal_id:
            raise WrongRequestError("face_id or pal_id is required")
        pal = self.pals.of_conversation(asked.pal_id)
        if not (face_id := asked.face_id or pal.face_id):
            raise WrongRequestError("face_id is required: the pal has no face of its own")
        conversation = Conversation(
            id=f"local-{uuid.uuid4().hex[:12]}",
            name=asked.name,
            face_id=face_id,
            pal_id=pal.id,
            created_at=_now(),
        )
        if asked.is_test:
            conversation.status = "ended"
        elif pal.joins_livekit:
            invitation = replace(asked.invitation(), face_id=face_id)
            self._begin(conversation, partial(self._attend, invitation), asked.max_duration_s)
        else:
            logger.warning("local avatar: %s joins no LiveKit room: it is not echo and livekit", pal.id)
            elsewhere = partial(_nobody_comes, asked.absent_timeout_s)
            self._begin(conversation, elsewhere, asked.max_duration_s)
        self._remember(conversation)
        return web.json_response(conversation.told(self.base_url))

    async def _get(self, request: web.Request) -> web.Response:
        verbose = request.query.get("verbose") == "true"
        return web.json_response(self._found(request).told(self.base_url, verbose=verbose))

    async def _list(self, request: web.Request) -> web.Response:
        status = request.query.get("status", "")
        if status not in ("", "active", "ended"):
            raise WrongRequestError("status must be active or ended")
        found = [one for one in reversed(self.conversations.values()) if status in ("", one.status)]
        shown = page_of(found, request.query, most=self._manners.page_limit)
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

    def _begin(
        self, conversation: Conversation, attend: Callable[[], Awaitable[str]], duration_s: float
    ) -> None:
        active = sum(one.status == "active" for one in self.conversations.values())
        if active >= self._manners.max_conversations:
            raise WrongRequestError("User has reached maximum concurrent conversations", member="message")
        assert self._tasks, "requests come while `run` runs"
        lasts_s = min(duration_s, self._manners.longest_call_s)
        conversation.task = self._tasks.create_task(self._hold(conversation, attend, lasts_s))
        logger.info("local avatar: conversation %s begins", conversation.id)

    async def _hold(
        self, conversation: Conversation, attend: Callable[[], Awaitable[str]], lasts_s: float
    ) -> None:
        """Has the avatar in the room until it leaves, is ended, or has been there long enough."""
        reason = "exception_encountered_during_conversation_startup"
        try:
            async with asyncio.timeout(lasts_s):
                reason = await attend()
        except TimeoutError:
            reason = "max_call_duration reached"
        except LibaError as error:
            logger.error("local avatar: %s: %s", conversation.id, error)
        except Exception:  # one room's trouble is not to end the others
            logger.exception("local avatar: %s broke down", conversation.id)
        finally:
            self._finish(conversation, reason)
            # A task that was cancelled keeps where it was, which nobody may lead back to: garbage collection
            # does not see that way (CPython 3.11), and the room and its tracks would stay for good.
            conversation.task = None

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


async def _nobody_comes(absent_timeout_s: float) -> str:
    """What becomes of a conversation that is held elsewhere, in a room that nobody was told of."""
    await asyncio.sleep(absent_timeout_s)
    return "participant_absent_timeout reached"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
