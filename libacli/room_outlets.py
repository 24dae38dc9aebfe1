"""Who is told of what the agent of one room does: the room, its captions, the meters, whoever waits."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from livekit import rtc

from libacli.complaint_log import ComplaintLog
from libacli.config import Settings
from libacli.core.event import AgentFacts
from libacli.core.pronunciation import Pronunciations
from libacli.core.sound_shelf import SoundShelf
from libacli.core.usage import Usage
from libacli.core.utterance import Utterance
from libacli.edges.livekit.agent_state import AgentStateAttribute
from libacli.edges.livekit.caption_writer import CaptionWriter
from libacli.edges.livekit.room_gate import putting_out
from libacli.edges.livekit.room_transport import RoomTransport
from libacli.edges.livekit.stream_origin import StreamOrigin
from libacli.edges.metrics.meter import Meter, Meters
from libacli.room_sinks import RoomSinks
from libacli.room_speech import room_captions
from libacli.speech.announcer import Announcer, Outlet
from libacli.speech.waiters import Waiters

logger = logging.getLogger("liba.room")


@dataclass(frozen=True)
class RoomOutlets:
    """All of them, none open yet, and the announcer that tells them."""

    announcer: Announcer
    transport: RoomTransport
    state: AgentStateAttribute
    captions: CaptionWriter | None
    meters: Meters
    waiters: Waiters
    log: ComplaintLog
    """Where it is said, not too often, what goes wrong."""


def room_outlets(
    settings: Settings,
    room: rtc.Room,
    sinks: RoomSinks,
    *,
    facts: Callable[[], AgentFacts],
    usage: Callable[[], Sequence[Usage]],
    meters: Sequence[Meter],
    pronunciations: Pronunciations | None,
    origin: StreamOrigin | None,
    sounds: SoundShelf,
) -> RoomOutlets:
    """Those of an agent in `room`. `facts` of it are asked for with each event, and `usage` of its caps."""
    all_meters = Meters(meters, avatar_time=lambda: sinks.avatar_seconds, caps=usage)
    log = ComplaintLog(logger, on_defect=lambda: all_meters.refuse("internal"))
    transport = _transport(settings, room, all_meters, log, origin, sounds)
    state = AgentStateAttribute(room, log)
    captions = room_captions(settings, room, pronunciations, sinks.track_sid, log)
    waiters = Waiters()
    avatar = sinks.avatar
    of_avatar: tuple[Outlet, ...] = (avatar.session.demand, avatar.expression) if avatar else ()
    announcer = Announcer(
        facts,
        wall_clock_at,
        (transport, all_meters, state, waiters, *([captions] if captions else []), *of_avatar),
        counters=(all_meters,),
        on_begin=captions.begin if captions else _nothing,
        on_queue=(transport.take_event, all_meters.take_queue_news),
    )
    return RoomOutlets(announcer, transport, state, captions, all_meters, waiters, log)


def wall_clock_at(at: float) -> float:
    """POSIX seconds of a time of the loop's clock."""
    return datetime.now(UTC).timestamp() + at - asyncio.get_running_loop().time()


def _transport(
    settings: Settings,
    room: rtc.Room,
    meters: Meters,
    log: ComplaintLog,
    origin: StreamOrigin | None,
    sounds: SoundShelf,
) -> RoomTransport:
    credentials = settings.livekit()
    return RoomTransport(
        room,
        credentials,
        put_out=putting_out(credentials, room),
        origin=origin,
        sounds=sounds,
        log=log,
        on_takeover=lambda: meters.refuse("takeover"),
        on_left_out=lambda: meters.refuse("too_many_requests"),
    )


def _nothing(utterance: Utterance) -> None:
    pass
