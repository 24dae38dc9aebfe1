"""What the agent of one room is made of, and how the parts hang together. Settings → edges → speaker."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from livekit import rtc

from libacli.complaint_log import ComplaintLog
from libacli.config import Settings
from libacli.core.backlog import Utterance
from libacli.core.bounds import Bounds
from libacli.core.caps import SayCaps
from libacli.core.event import AgentFacts
from libacli.edges.avatars.choose import make_avatar_service
from libacli.edges.avatars.ledger import Ledger, conversations_path
from libacli.edges.avatars.minutes import AvatarMinutes, avatar_minutes
from libacli.edges.avatars.policy import avatar_policy
from libacli.edges.avatars.port import AvatarService
from libacli.edges.avatars.session import AvatarSession
from libacli.edges.livekit.api import LiveKitApi
from libacli.edges.livekit.authorization import RoomAuthorization, say_caps
from libacli.edges.livekit.hour_file import HourFile, hour_path
from libacli.edges.livekit.room_gate import putting_out
from libacli.edges.livekit.room_transport import RoomTransport
from libacli.edges.metrics.meter import Meter, Meters
from libacli.edges.sinks.avatar import AvatarSink
from libacli.edges.sinks.steady import SteadySink
from libacli.edges.sinks.track import TrackSink
from libacli.speech.announcer import Announcer
from libacli.speech.desk import Desk
from libacli.speech.fallback import FallbackSink
from libacli.speech.ports import Sink, Voice
from libacli.speech.speaker import Pace, Speaker

logger = logging.getLogger("liba.room")


@dataclass(frozen=True)
class AvatarParts:
    """What there is besides when the settings name an avatar."""

    service: AvatarService
    sink: AvatarSink
    session: AvatarSession


class SpeechTrack(Sink, Protocol):
    """The agent's own track, as `TrackSink` has it."""

    @property
    def sid(self) -> str:
        """The server's name of it; empty before `open`."""

    async def open(self) -> None:
        """Publishes it. Once."""

    async def subscribed(self, *, within_s: float) -> None:
        """Waits until somebody takes its sound, so long at most."""


@dataclass(frozen=True)
class Parts:
    """An agent that has not begun yet: nothing of it is open, nothing has to be closed."""

    settings: Settings
    room: rtc.Room
    epoch: str
    """Of this agent, and of no other one."""

    voice: Voice
    track: SpeechTrack
    avatar: AvatarParts | None
    sink: Sink
    """Where the speaker plays: the avatar or the track, while the room is connected."""

    speaker: Speaker
    desk: Desk
    transport: RoomTransport
    meters: Meters
    ledger: Ledger
    hour_file: HourFile | None
    """None: there is no cap that would have to be counted."""


def assemble(
    settings: Settings,
    room: rtc.Room,
    voice: Voice,
    *,
    meters: Sequence[Meter] = (),
    ledger: Ledger | None = None,
    track: SpeechTrack | None = None,
    avatar_service: AvatarService | None = None,
    characters: Path | None = None,
) -> Parts:
    """The parts of an agent for `room`, which must be connected. Needs a running event loop.

    What is not given is made as the settings say. `characters` is the file in which they are counted.
    """
    epoch = uuid.uuid4().hex[:8]
    bounds = _bounds(settings)
    track = track or TrackSink(room, reason="not configured")
    ledger = ledger or Ledger(conversations_path())
    minutes = avatar_minutes(settings, room=room.name)
    service = avatar_service or (make_avatar_service(settings) if settings.has_avatar else None)
    avatar = _avatar_parts(settings, room, service, bounds, ledger, minutes) if service else None
    either = FallbackSink(avatar.sink, track, bounds=bounds) if avatar else track
    sink = SteadySink(room, either, bounds=bounds)
    all_meters = Meters(meters, avatar_time=lambda: avatar.session.seconds if avatar else 0.0)
    log = ComplaintLog(logger, on_defect=lambda: all_meters.refuse("internal"))
    transport = _transport(settings, room, all_meters, log)

    def caption(utterance: Utterance) -> None:
        if settings.speech_captions:
            transport.caption(utterance.request.text, utterance_id=utterance.id, track_sid=track.sid)

    announcer = Announcer(
        lambda: _facts(settings, room, voice, avatar, speaker, epoch),
        _wall_clock,
        (transport, all_meters, *([avatar.session.demand] if avatar else [])),
        counters=(all_meters,),
        on_begin=caption,
    )
    caps = say_caps(settings, hour_clock=_wall_clock)
    speaker = _speaker(settings, voice, sink, announcer, caps, bounds)
    desk = _desk(settings, room, speaker, announcer, caps, minutes, log)
    return Parts(
        settings=settings,
        room=room,
        epoch=epoch,
        voice=voice,
        track=track,
        avatar=avatar,
        sink=sink,
        speaker=speaker,
        desk=desk,
        transport=transport,
        meters=all_meters,
        ledger=ledger,
        hour_file=_hour_file(settings, caps, epoch, characters),
    )


def _avatar_parts(
    settings: Settings,
    room: rtc.Room,
    service: AvatarService,
    bounds: Bounds,
    ledger: Ledger,
    minutes: AvatarMinutes,
) -> AvatarParts:
    sink = AvatarSink(room, audible_timeout_s=settings.avatar_audible_timeout, bounds=bounds)
    session = AvatarSession(
        room,
        sink,
        service,
        policy=avatar_policy(settings),
        credentials=settings.livekit(),
        ledger=ledger,
        minutes=minutes,
        remove=lambda identity: _remove(settings, room.name, identity),
    )
    return AvatarParts(service, sink, session)


async def _remove(settings: Settings, room: str, identity: str) -> None:
    async with LiveKitApi(settings.livekit()) as api:
        await api.remove(room, identity)


def _facts(
    settings: Settings, room: rtc.Room, voice: Voice, avatar: AvatarParts | None, speaker: Speaker, epoch: str
) -> AgentFacts:
    return AgentFacts(
        room=room.name,
        agent=settings.agent_name,
        model=voice.model,
        avatar=avatar.sink.state if avatar else "not configured",
        queue=speaker.queue_length,
        epoch=epoch,
    )


def _transport(settings: Settings, room: rtc.Room, meters: Meters, log: ComplaintLog) -> RoomTransport:
    credentials = settings.livekit()
    return RoomTransport(
        room,
        credentials,
        put_out=putting_out(credentials, room),
        log=log,
        on_takeover=lambda: meters.refuse("takeover"),
        on_left_out=lambda: meters.refuse("too_many_requests"),
    )


def _speaker(
    settings: Settings, voice: Voice, sink: Sink, announcer: Announcer, caps: SayCaps, bounds: Bounds
) -> Speaker:
    """One whose utterances are announced, and paid for."""

    def on_change(utterance: Utterance) -> None:
        if utterance.is_over:
            caps.end(utterance.id)
        announcer.announce(utterance)

    def on_ask(utterance: Utterance, chars: int) -> None:
        caps.ask(utterance.id, chars, asyncio.get_running_loop().time())

    return Speaker(
        voice,
        sink,
        on_change=on_change,
        on_ask=on_ask,
        pace=_pace(settings),
        bounds=bounds,
        queue_limit=settings.say_queue_limit,
    )


def _hour_file(settings: Settings, caps: SayCaps, epoch: str, file: Path | None) -> HourFile | None:
    if caps.hour is None:
        return None
    return HourFile(file or hour_path(), caps.hour, api_key=settings.livekit_api_key, agent=epoch)


def _desk(
    settings: Settings,
    room: rtc.Room,
    speaker: Speaker,
    announcer: Announcer,
    caps: SayCaps,
    minutes: AvatarMinutes,
    log: ComplaintLog,
) -> Desk:
    return Desk(
        speaker,
        announcer,
        RoomAuthorization(settings, room.name, agent=room.local_participant.identity),
        max_text_chars=settings.say_max_text_chars,
        caps=caps,
        other_caps=minutes.usage,
        ttl_s=settings.say_ttl,
        log=log,
    )


def _pace(settings: Settings) -> Pace:
    return Pace(
        max_chunk_chars=settings.speech_max_chunk_chars,
        first_chunk_chars=settings.speech_first_chunk_chars,
        silence_tail_ms=settings.speech_silence_tail_ms,
    )


def _bounds(settings: Settings) -> Bounds:
    gate_s = settings.avatar_ready_timeout if settings.has_avatar else None
    return Bounds.derive(frame_s=settings.speech_sink_timeout, gate_s=gate_s)


def _wall_clock(at: float) -> float:
    return datetime.now(UTC).timestamp() + at - asyncio.get_running_loop().time()
