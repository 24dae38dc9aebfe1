"""Tavus's conversations: created once and never twice, ended once and surely.

API: https://docs.tavus.io/api-reference/conversations, https://docs.tavus.io/api-reference/pals
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import aiohttp
from livekit.agents import APIConnectionError, APIConnectOptions
from livekit.plugins.tavus.api import DEFAULT_FACE_ID, DEFAULT_PAL_ID, TavusAPI
from pydantic import SecretStr

from libacli.edges.avatars.port import Invitation, ListedConversation
from libacli.edges.avatars.tavus_errors import refusal
from libacli.edges.avatars.tavus_pal import misfit_of
from libacli.edges.avatars.vendors import TAVUS
from libacli.edges.by_proxy import session_to
from libacli.edges.no_redirects import SentElsewhereError, no_redirects
from libacli.errors import AvatarError
from libacli.network_environment import proxy_hint

_CONNECT_TIMEOUT_S = 5.0
"""A third of what a call has in all: a server that is there takes a connection within a second or two."""

_LONGEST_COMPLAINT = 16_384
"""Bytes of a refusal that are read."""

_ID = re.compile(r"[\w-]{1,100}", re.ASCII)

_UNREADABLE = (
    aiohttp.ContentTypeError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    RecursionError,
)
"""What comes of an answer that is no JSON, or has not what it should."""

_PAGE_ROWS, _MOST_PAGES = 100, 100
"""How many conversations are asked for at a time; whoever gives fewer is asked for more."""


class Tavus:
    """An AvatarService: Tavus, or a service that speaks the same.

    A conversation is with the face `face_id`, the pal `pal_id`, or both; without either with the pal and the
    face that Tavus has for all. Every call has `timeout_s` seconds.
    """

    vendor = TAVUS

    def __init__(
        self,
        api_key: SecretStr,
        base_url: str,
        *,
        face_id: str = "",
        pal_id: str = "",
        timeout_s: float = 15.0,
    ) -> None:
        self.base_url = base_url
        self._api_key = api_key
        self._face_id = face_id or ("" if pal_id else DEFAULT_FACE_ID)
        self._pal_id = pal_id or DEFAULT_PAL_ID
        self._timeout_s = timeout_s
        self._url = f"{base_url.rstrip('/')}/v2"
        self._page_rows = _PAGE_ROWS
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = session_to(
            self.base_url,
            headers={"x-api-key": self._api_key.get_secret_value()},
            timeout=aiohttp.ClientTimeout(total=self._timeout_s, sock_connect=_CONNECT_TIMEOUT_S),
            middlewares=(no_redirects, _refuse),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session:
            await self._session.close()

    async def create(self, invitation: Invitation) -> str:
        properties = {
            "livekit_ws_url": invitation.room_url,
            "livekit_room_token": invitation.token,
            "max_call_duration": invitation.max_duration_s,
            # Else it leaves with the last viewer, and 5 minutes after a viewer that it has not noticed.
            "participant_left_timeout": invitation.idle_timeout_s,
            "participant_absent_timeout": invitation.max_duration_s,
        }
        extra: dict[str, Any] = {"conversation_name": invitation.name}
        if invitation.is_trial:
            extra["test_mode"] = True
        with self._translated(invitation.token):
            async with asyncio.timeout(self._timeout_s):
                return _id_in(
                    await self._plugin().create_conversation(
                        **({"face_id": self._face_id} if self._face_id else {}),
                        pal_id=self._pal_id,
                        properties=properties,
                        extra_payload=extra,
                    )
                )

    async def end(self, conversation_id: str) -> None:
        try:
            async with self._call("POST", f"/conversations/{quote(conversation_id, safe='')}/end"):
                pass
        except AvatarError as error:
            # It has ended already, or is not known. A page, or nothing, is of somebody else on the way.
            if error.status not in (400, 404) or not error.said:
                raise

    async def find(self, name: str) -> list[str]:
        return [found.id for found in await self.active() if found.name == name]

    async def active(self) -> list[ListedConversation]:
        found: dict[str, ListedConversation] = {}
        for number in range(1, _MOST_PAGES + 1):
            page, total = await self._page(number)
            new = {one.id: one for one in page if one.id not in found}
            found |= new
            if not new or len(found) >= total:
                break
        return list(found.values())

    async def end_reason(self, conversation_id: str) -> str:
        told = await self._get(f"/conversations/{quote(conversation_id, safe='')}?verbose=true")
        return str(told.get("shutdown_reason") or _reason_among(told.get("events")) or "")

    async def misfit(self) -> str:
        try:
            told = await self._get(f"/pals/{quote(self._pal_id, safe='')}")
        except AvatarError:  # that it does not tell says nothing
            return ""
        return misfit_of(self._pal_id, told)

    async def create_pal(self, name: str) -> str:
        """Makes a pal for avatars in LiveKit rooms, which says nothing of its own; returns its id."""
        face_id = self._face_id or DEFAULT_FACE_ID
        with self._translated():
            async with asyncio.timeout(self._timeout_s):
                pal_id = await self._plugin().create_pal(name, default_face_id=face_id)
            if not _ID.fullmatch(pal_id):  # it is for a shell
                raise ValueError("that is no id")
            return pal_id

    async def _page(self, number: int) -> tuple[list[ListedConversation], int | float]:
        """Some of the conversations that run, and how many there are in all."""
        rows = f"&limit={self._page_rows}" if self._page_rows else ""
        try:
            listed = await self._get(f"/conversations?status=active{rows}&page={number}")
        except AvatarError as error:
            if error.status not in (400, 422) or not self._page_rows:
                raise
            self._page_rows = 0  # how many may be asked for is not documented
            return await self._page(number)
        with self._translated():
            total = listed.get("total_count")
            page = [
                ListedConversation(_id_in(one["conversation_id"]), str(one.get("conversation_name") or ""))
                for one in listed["data"]
            ]
        return page, total if isinstance(total, int) else float("inf")

    def _plugin(self) -> TavusAPI:
        """It sends what Tavus documents for LiveKit; each call is made once."""
        return TavusAPI(
            api_key=self._api_key.get_secret_value(),
            api_url=self._url,
            conn_options=APIConnectOptions(max_retry=0, timeout=_CONNECT_TIMEOUT_S),
            session=self._opened,
        )

    @property
    def _opened(self) -> aiohttp.ClientSession:
        assert self._session, "use `async with`"
        return self._session

    async def _get(self, path: str) -> Mapping[str, Any]:
        async with self._call("GET", path) as answer:
            told = await answer.json()
            if not isinstance(told, dict):
                raise TypeError("the answer is no object")
            return told

    @asynccontextmanager
    async def _call(self, method: str, path: str) -> AsyncIterator[aiohttp.ClientResponse]:
        with self._translated():
            async with self._opened.request(method, self._url + path) as response:
                yield response

    @contextmanager
    def _translated(self, *secrets: str) -> Iterator[None]:
        try:
            yield
        except _RefusedError as error:
            told = (self._api_key.get_secret_value(), *secrets)
            raise refusal(error.status, error.body, retry_after=error.retry_after, secrets=told) from error
        except TimeoutError as error:
            raise AvatarError("no answer", is_permanent=False, is_unsure=True) from error
        except SentElsewhereError as error:
            raise refusal(error.status, "") from error
        except APIConnectionError as error:
            if isinstance(error.__cause__, SentElsewhereError):
                raise refusal(error.__cause__.status, "") from error
            raise self._unanswered(error.__cause__) from error
        except (aiohttp.ClientError, *_UNREADABLE) as error:
            raise self._unanswered(error) from error

    def _unanswered(self, cause: BaseException | None) -> AvatarError:
        """No answer came, or none that can be read; what nobody took was not carried out."""
        if isinstance(cause, _UNREADABLE):
            hint = "check TAVUS_BASE_URL: what answers there does not speak Tavus's API"
            return AvatarError("answer not understood", is_permanent=False, is_unsure=True, hint=hint)
        is_unsure = not isinstance(cause, aiohttp.ClientConnectorError)
        hint = proxy_hint(self.base_url) or "check TAVUS_BASE_URL and the network"
        return AvatarError("not reachable", is_permanent=False, is_unsure=is_unsure, hint=hint)


class _RefusedError(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, body: str, retry_after: str) -> None:
        super().__init__(f"status {status}")
        self.status = status
        self.body = body
        self.retry_after = retry_after


async def _refuse(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Middleware: raises _RefusedError, for the plugin's calls too, which would keep the headers back."""
    response = await handler(request)
    if response.ok:
        return response
    async with response:
        body = await response.content.read(_LONGEST_COMPLAINT)
    retry_after = response.headers.get("Retry-After", "")
    raise _RefusedError(response.status, body.decode(errors="replace"), retry_after)


def _id_in(told: Any) -> str:
    """What a conversation is ended by. Raises ValueError: without it none could be."""
    if not isinstance(told, str) or not told:
        raise ValueError("that is no id")
    return told


def _reason_among(events: Any) -> str:
    """The reason that the event of the end has, in a conversation's verbose form."""
    for event in events if isinstance(events, list) else ():
        if isinstance(event, dict) and event.get("event_type") == "system.shutdown":
            properties = event.get("properties")
            if isinstance(properties, dict):
                return str(properties.get("shutdown_reason") or "")
    return ""
