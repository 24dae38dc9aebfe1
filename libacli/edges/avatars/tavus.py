"""Tavus's conversations: created once and never twice, ended once and surely.

API: https://docs.tavus.io/api-reference/conversations
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import aiohttp
from livekit.agents import APIConnectionError, APIConnectOptions, APIStatusError
from livekit.plugins.tavus.api import TavusAPI
from pydantic import SecretStr

from libacli.edges.avatars.port import Invitation
from libacli.edges.avatars.vendors import TAVUS
from libacli.edges.no_redirects import SentElsewhereError, no_redirects
from libacli.errors import AvatarError

_CONNECT_TIMEOUT_S = 5.0
"""A third of what a call has in all: a server that is there takes a connection within a second or two."""

_PERMANENT = {301, 308, 400, 401, 402, 403, 404, 422}
"""Statuses that another try does not change: the key, the money, or what was asked for."""

_CONCURRENCY = "concurrent"
"""Of "User has reached maximum concurrent conversations", which is a 400 like a wrong face, but passes."""


@dataclass(frozen=True)
class ListedConversation:
    """A conversation as Tavus lists it."""

    id: str
    name: str


class Tavus:
    """An AvatarService: Tavus, or a service that speaks the same.

    A conversation is with the face `face_id`, the pal `pal_id`, or both. Every call has `timeout_s` seconds.
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
        self._face_id = face_id
        self._pal_id = pal_id
        self._timeout_s = timeout_s
        self._url = f"{base_url.rstrip('/')}/v2"
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            headers={"x-api-key": self._api_key.get_secret_value()},
            timeout=aiohttp.ClientTimeout(total=self._timeout_s, sock_connect=_CONNECT_TIMEOUT_S),
            middlewares=(no_redirects,),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session:
            await self._session.close()

    async def create(self, invitation: Invitation) -> str:
        api = TavusAPI(
            api_key=self._api_key.get_secret_value(),
            api_url=self._url,
            conn_options=APIConnectOptions(max_retry=0, timeout=_CONNECT_TIMEOUT_S),
            session=self._opened,
        )
        properties = {
            "livekit_ws_url": invitation.room_url,
            "livekit_room_token": invitation.token,
            "max_call_duration": invitation.max_duration_s,
        }
        extra: dict[str, Any] = {"conversation_name": invitation.name}
        if invitation.is_trial:
            extra["test_mode"] = True
        with _translated():
            async with asyncio.timeout(self._timeout_s):
                return await api.create_conversation(
                    **({"face_id": self._face_id} if self._face_id else {}),
                    **({"pal_id": self._pal_id} if self._pal_id else {}),
                    properties=properties,
                    extra_payload=extra,
                )

    async def end(self, conversation_id: str) -> None:
        try:
            async with self._call("POST", f"/conversations/{conversation_id}/end"):
                pass
        except AvatarError as error:
            if error.status not in (400, 404):  # it has ended already, or is not known
                raise

    async def find(self, name: str) -> list[str]:
        return [found.id for found in await self.active() if found.name == name]

    async def active(self) -> list[ListedConversation]:
        """Conversations that run."""
        async with self._call("GET", "/conversations?status=active&limit=100") as answer:
            listed = await answer.json()
            return [
                ListedConversation(str(found["conversation_id"]), str(found.get("conversation_name", "")))
                for found in listed.get("data", [])
            ]

    @property
    def _opened(self) -> aiohttp.ClientSession:
        assert self._session, "use `async with`"
        return self._session

    @asynccontextmanager
    async def _call(self, method: str, path: str) -> AsyncIterator[aiohttp.ClientResponse]:
        with _translated():
            async with self._opened.request(method, self._url + path) as response:
                if not response.ok:
                    raise _refusal(response.status, await response.text())
                yield response


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except APIStatusError as error:
        raise _refusal(error.status_code, str(error.body)) from error
    except TimeoutError as error:
        raise AvatarError("no answer", is_permanent=False, is_unsure=True) from error
    except SentElsewhereError as error:
        raise _refusal(error.status, "") from error
    except APIConnectionError as error:
        if isinstance(error.__cause__, SentElsewhereError):
            raise _refusal(error.__cause__.status, "") from error
        is_unsure = not isinstance(error.__cause__, aiohttp.ClientConnectorError)
        raise AvatarError("not reachable", is_permanent=False, is_unsure=is_unsure) from error
    except (aiohttp.ClientError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        is_unsure = not isinstance(error, aiohttp.ClientConnectorError)
        raise AvatarError("not reachable", is_permanent=False, is_unsure=is_unsure) from error


def _refusal(status: int, body: str) -> AvatarError:
    elsewhere = "the service sends elsewhere, where the key is not taken: check TAVUS_BASE_URL"
    hints = {
        **dict.fromkeys((301, 302, 303, 307, 308), elsewhere),
        401: "check TAVUS_API_KEY",
        402: "the Tavus account is out of credits",
        400: "check TAVUS_FACE_ID and TAVUS_PAL_ID",
    }
    if status == 400 and _CONCURRENCY in body.lower():
        reason, hint = "400 too many conversations", "end others: liba reap"
        return AvatarError(reason, status=status, is_permanent=False, hint=hint)
    return AvatarError(
        str(status),
        status=status,
        is_permanent=status in _PERMANENT,
        is_unsure=status >= 500,
        hint=hints.get(status, ""),
    )
