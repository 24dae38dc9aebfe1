"""The check of the journal: a line of the doctor's own is written down, found again, and removed."""

from __future__ import annotations

import uuid

from libacli.config import Settings
from libacli.core.journal import Line
from libacli.edges.checks.finding import WRONG_SETTING, Finding
from libacli.edges.journal.choose import make_journal, make_seal, place_of
from libacli.edges.livekit.signing import wall_clock
from libacli.edges.redis.trouble import trouble
from libacli.errors import StoreError

NAME = "journal"
_WORDS = b"a line of the doctor"


async def journal(settings: Settings) -> Finding:
    """As an agent would use it, in a room that nobody is in.

    Raises ConfigError for one that could never be written.
    """
    room = f"liba-doctor-{uuid.uuid4().hex[:8]}"
    written, read = (make_journal(settings, room, epoch=epoch, clock=wall_clock) for epoch in ("one", "next"))
    if not (written and read):
        return Finding(NAME, "ok", "off: what waits is lost with its agent", "say.journal = file, or redis")
    seal, place = make_seal(settings), place_of(settings, room).name
    line = Line("doctor", 1, "")
    line = Line("doctor", 1, seal.close(_WORDS, line.bound_to(place)))
    try:
        await written.take_over()
        try:
            await written.write([line], [])
            (found,) = (await read.take_over()).lines
        finally:
            await written.remove()
    except StoreError as error:
        return _failure(settings, error)
    finally:
        await written.aclose()
        await read.aclose()
    if seal.open(found.sealed, found.bound_to(place)) != _WORDS:
        return Finding(NAME, "fail", "what was read is not what was written", "see say.journal_key")
    key = "say.journal_key" if settings.say_journal_key else "LiveKit's API secret"
    return Finding(NAME, "ok", f"{_where(settings)}: written, read and removed; encrypted with {key}")


def _failure(settings: Settings, error: StoreError) -> Finding:
    cause = error.__cause__
    if settings.say_journal == "redis" and isinstance(cause, Exception):
        why, fix = trouble(cause)
        fix += "; until then what waits is lost with its agent"
    else:
        why = str(cause.strerror or cause) if isinstance(cause, OSError) else str(error)
        fix = "make liba's state folder one of this user, with space left"
    return Finding(NAME, "fail", f"{_where(settings)} it cannot be kept: {why}", fix, WRONG_SETTING)


def _where(settings: Settings) -> str:
    return "in Redis" if settings.say_journal == "redis" else "in files"
