"""Entering a room and leaving it again, also when one is cancelled on the threshold."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from livekit import rtc
from pydantic import SecretStr

from libacli.edges.livekit.encryption import room_options
from libacli.edges.livekit.room_proxy import settle_room_proxy
from libacli.edges.livekit.sdk_log import bound_sdk_log
from libacli.errors import CredentialsError, NoAgentError, UnreachableError
from libacli.masking import TokenMask
from libacli.network_environment import proxy_hint

_MASK = TokenMask()

_STATUS = re.compile(r"signal failure: (?:client|server) error: (\d{3}) ")
"""The SDK has no field for the status of the server's answer; what follows it are the server's words."""

T = TypeVar("T")


async def to_the_end(step: Coroutine[Any, Any, T]) -> T:
    """Runs a step that must not be left half done: cancelling, however often, takes effect after it.

    Raises what the step raises, or CancelledError once it is over.
    """
    task = asyncio.get_running_loop().create_task(step)
    was_cancelled = False
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            was_cancelled = True
    if was_cancelled and not task.cancelled():
        task.exception()  # marked as seen: whoever cancelled does not ask for it
        raise asyncio.CancelledError
    return task.result()


@asynccontextmanager
async def joined(
    room: rtc.Room,
    url: str,
    token: str,
    *,
    auto_subscribe: bool = True,
    e2ee_key: SecretStr | None = None,
) -> AsyncIterator[rtc.Room]:
    """Connects `room`, and leaves it at the end.

    Raises UnreachableError, CredentialsError, ConfigError or NoAgentError.

    Sound and picture are encrypted with `e2ee_key`, if there is one.

    A connect that is cancelled half-way makes the SDK end this process 15 s later, so it is let land first:
    https://github.com/livekit/python-sdks/issues/784
    """
    logging.getLogger("livekit").addFilter(_MASK)
    bound_sdk_log()
    settle_room_proxy(url)
    try:
        await _connect(room, url, token, room_options(e2ee_key, auto_subscribe=auto_subscribe))
        yield room
    finally:
        await room.disconnect()


async def _connect(room: rtc.Room, url: str, token: str, options: rtc.RoomOptions) -> None:
    try:
        await to_the_end(room.connect(url, token, options))
    except rtc.ConnectError as error:
        if _status(error) in (401, 403):
            raise CredentialsError(
                "LiveKit refused the token", hint="check LIVEKIT_API_KEY and its secret"
            ) from error
        if _status(error) == 404 and "room" in error.message:
            raise NoAgentError(
                "there is no such room, and this LiveKit server makes none for who joins",
                hint="make it first: liba say, or liba agent run --room",
            ) from error
        raise UnreachableError(
            f"cannot join a room at {url}", hint=proxy_hint(url) or "check LIVEKIT_URL"
        ) from error


def _status(error: rtc.ConnectError) -> int | None:
    """HTTP status that the server answered with; None when it did not answer."""
    found = _STATUS.search(error.message)
    return int(found[1]) if found else None
