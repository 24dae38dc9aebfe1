"""Where the queue of a room is written down, as the settings have it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

from pydantic import SecretStr

from libacli.config import Settings
from libacli.core.journal_place import Place, Scope
from libacli.edges.journal.file import FileJournal, journal_folder
from libacli.edges.journal.file import waiting_rooms as rooms_in_files
from libacli.edges.journal.seal import AesSeal
from libacli.edges.redis.connection import make_redis
from libacli.edges.redis.journal import RedisJournal
from libacli.edges.redis.journal import waiting_rooms as rooms_in_redis
from libacli.errors import ConfigError, StoreError
from libacli.speech.journal import Journal, Seal

logger = logging.getLogger("liba.journal")

WaitingRooms = Callable[[], Awaitable[list[str]]]
"""Tells in which rooms lines wait that may have lost their agent. Raises nothing."""


def place_of(settings: Settings, room: str) -> Place:
    return Place(Scope(settings.livekit_api_key, settings.agent_name), room)


def make_seal(settings: Settings) -> Seal:
    """Raises ConfigError when what encrypts is not installed."""
    return AesSeal(_secrets(settings))


def make_journal(settings: Settings, room: str, *, epoch: str, clock: Callable[[], float]) -> Journal | None:
    """The journal of `room` for the agent of that epoch, not opened yet; None: there is to be none.

    Raises ConfigError.
    """
    place = place_of(settings, room)
    if settings.say_journal == "off":
        return None
    if settings.say_journal == "file":
        return FileJournal(journal_folder(), place, epoch=epoch, clock=clock)
    make = partial(make_redis, _redis_url(settings))
    return RedisJournal(make, settings.redis_prefix, place, epoch=epoch, clock=clock)


def check_journal(settings: Settings) -> None:
    """Raises ConfigError for a journal that could never be written."""
    if settings.say_journal != "off":
        make_seal(settings)
    if settings.say_journal == "redis":
        make_redis(_redis_url(settings))


@asynccontextmanager
async def rooms_that_wait(settings: Settings, *, clock: Callable[[], float]) -> AsyncIterator[WaitingRooms]:
    """Who tells of the rooms of `agent.name` in which lines wait."""
    scope = Scope(settings.livekit_api_key, settings.agent_name)
    if settings.say_journal == "file":
        yield partial(_told, partial(asyncio.to_thread, rooms_in_files, journal_folder(), scope, clock=clock))
    elif settings.say_journal == "redis":
        redis = make_redis(_redis_url(settings))
        try:
            yield partial(_told, partial(rooms_in_redis, redis, settings.redis_prefix, scope, clock=clock))
        finally:
            await redis.aclose()
    else:
        yield _none


async def _none() -> list[str]:
    return []


async def _told(ask: WaitingRooms) -> list[str]:
    try:
        return await ask()
    except (StoreError, OSError) as error:  # a room says the same in its own log, once
        logger.debug("rooms that wait are not known: %s", error)
        return []


def _redis_url(settings: Settings) -> str:
    if settings.redis_url is None:
        raise ConfigError("say.journal is redis, but redis.url is not set", hint="set LIBA_REDIS_URL")
    return settings.redis_url.get_secret_value()


def _secrets(settings: Settings) -> list[SecretStr]:
    """Keys that were set, the newest first; without, LiveKit's secret, and the one before it."""
    if settings.say_journal_key:
        parts = settings.say_journal_key.get_secret_value().split(",")
        if keys := [SecretStr(part.strip()) for part in parts if part.strip()]:
            return keys
    given = (settings.livekit_api_secret, settings.livekit_previous_api_secret)
    return [secret for secret in given if secret]
