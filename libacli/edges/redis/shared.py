"""What servers share in Redis, as each of them reaches it: while it is gone nobody waits for it."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

from libacli.edges.redis.trial import try_out
from libacli.edges.redis.trouble import translated
from libacli.errors import StoreError

if TYPE_CHECKING:
    from redis.asyncio import Redis

logger = logging.getLogger("liba.web")

_LOOK_S = 1.0
"""Between two looks whether it is back."""

_T = TypeVar("_T")


class SharedRedis:
    """A Redis whose keys begin with `prefix` and `web`.

    Once it has failed `run` alone asks it, until it is back.
    """

    def __init__(self, redis: Redis, prefix: str) -> None:
        self.client = redis
        self._prefix = f"{prefix}:web"
        self._is_gone = False

    @property
    def state(self) -> str | None:
        return "unreachable" if self._is_gone else "ok"

    def key(self, *parts: str) -> str:
        return ":".join((self._prefix, *parts))

    async def do(self, ask: Callable[[], Awaitable[_T]]) -> _T:
        """What Redis answers. Raises StoreError, at once while it is gone."""
        if self._is_gone:
            raise StoreError("Redis is not there", hint="liba doctor checks redis.url")
        try:
            with translated():
                return await ask()
        except StoreError as error:
            self._lost(error)
            raise

    async def run(self) -> None:
        """Looks whether it is there until cancelled: what is wrong with it is known before anybody asks."""
        while True:
            try:
                with translated():
                    await try_out(self.client, self._prefix)
            except StoreError as error:
                self._lost(error)
            else:
                self._found()
            await asyncio.sleep(_LOOK_S)

    def _lost(self, error: StoreError) -> None:
        if not self._is_gone:
            logger.warning(
                "%s. Keys go on working; sessions and links do not, and limits count for this server alone",
                error,
            )
        self._is_gone = True

    def _found(self) -> None:
        if self._is_gone:
            logger.warning("Redis is back: sessions and limits are shared again")
        self._is_gone = False


def read_kept(kind: type[_T], value: bytes | str) -> _T | None:
    """A dataclass that a server wrote as JSON: what one of a newer version knows more is left out.

    None for what is none: whoever else writes there takes nothing from what can be read.
    """
    try:
        members: dict[str, Any] = json.loads(value)
        known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
        return kind(**{name: member for name, member in members.items() if name in known})
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        kept = kind.__name__
        logger.warning("a %s in Redis is left out, it cannot be read: %s", kept, type(error).__name__)
        return None


def read_all(kind: type[_T], values: Iterable[bytes | str]) -> list[_T]:
    """Those of them that can be read."""
    read = (read_kept(kind, value) for value in values)
    return [one for one in read if one is not None]
