"""Where the agent of one room can speak: through an avatar, on its own track, and how these hang together."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Protocol

from livekit import rtc

from libacli.config import Settings, is_loopback
from libacli.core.bounds import Bounds
from libacli.core.utterance import Utterance
from libacli.edges.avatars.choose import avatar_base_url, avatar_vendor, make_avatar_service
from libacli.edges.avatars.expression import Expression
from libacli.edges.avatars.in_use import ConversationsInUse
from libacli.edges.avatars.learned_cap import learned_cap
from libacli.edges.avatars.ledger_port import ConversationLedger
from libacli.edges.avatars.minutes import AvatarMinutes
from libacli.edges.avatars.policy import avatar_policy
from libacli.edges.avatars.port import AvatarService
from libacli.edges.avatars.session import AvatarSession
from libacli.edges.livekit.api import LiveKitApi
from libacli.edges.livekit.audience import Audience, People
from libacli.edges.livekit.encryption import ENCRYPTED
from libacli.edges.livekit.participants import sound_of
from libacli.edges.livekit.returning import Returning
from libacli.edges.sinks.avatar import AvatarSink
from libacli.edges.sinks.steady import SteadySink
from libacli.edges.sinks.track import TrackSink
from libacli.speech.fallback import FallbackSink
from libacli.speech.ports import Sink

logger = logging.getLogger("liba.room")


@dataclass(frozen=True)
class AvatarParts:
    """What there is besides when the settings name an avatar."""

    service: AvatarService
    sink: AvatarSink
    session: AvatarSession
    expression: Expression
    in_use: ConversationsInUse


class SpeechTrack(Sink, Protocol):
    """The agent's own track, as `TrackSink` has it."""

    @property
    def sid(self) -> str:
        """The server's name of it; empty before `open`."""

    @property
    def is_taken(self) -> bool:
        """Whether somebody has subscribed to it."""

    async def open(self) -> None:
        """Publishes it. Once."""

    async def subscribed(self, *, within_s: float) -> None:
        """Waits until somebody takes its sound, so long at most."""


@dataclass(frozen=True)
class RoomSinks:
    """All ways out of one room's agent."""

    room: rtc.Room
    track: SpeechTrack
    avatar: AvatarParts | None
    absence: str
    """Why there is no avatar, where there is none."""

    sink: Sink
    """Where the speaker plays: the avatar or the track, while the room is connected."""

    audience: Audience
    """Whom lines wait for."""

    own: asyncio.Event
    """Set while the room is known to be this agent's: nothing new is spoken otherwise."""

    @property
    def avatar_state(self) -> str:
        return self.avatar.sink.state if self.avatar else self.absence

    @property
    def avatar_seconds(self) -> float:
        """Of conversations so far."""
        return self.avatar.session.seconds if self.avatar else 0.0

    def track_sid(self, utterance: Utterance) -> str:
        """The server's name of the track that this utterance sounds on."""
        if self.avatar and utterance.route == "avatar":
            return sound_of(self.room, self.avatar.sink.identity)
        return self.track.sid


def room_sinks(
    settings: Settings,
    room: rtc.Room,
    *,
    bounds: Bounds,
    ledger: ConversationLedger,
    minutes: AvatarMinutes,
    track: SpeechTrack | None = None,
    avatar_service: AvatarService | None = None,
    people: People,
) -> RoomSinks:
    """Those of an agent in `room`, none of them open yet. What is not given is made as the settings say."""
    is_shut_out = _shuts_avatar_out(settings)
    if is_shut_out:
        title = avatar_vendor(settings).title
        logger.warning("no avatar: the room is encrypted end to end, and %s can be given no key", title)
    with_avatar = settings.has_avatar and not is_shut_out
    service = avatar_service or (make_avatar_service(settings) if with_avatar else None)
    absence = ENCRYPTED if is_shut_out else "not configured"
    track = track or TrackSink(room, reason=absence, is_spare=service is not None)
    avatar = _avatar_parts(settings, room, service, bounds, ledger, minutes) if service else None
    either = FallbackSink(avatar.sink, track, bounds=bounds) if avatar else track
    own = asyncio.Event()
    own.set()
    returning = Returning(room, track, bounds=bounds)
    audience = Audience(room, track, people)
    sink = SteadySink(room, either, bounds=bounds, own=own, returning=returning.back, audience=audience)
    return RoomSinks(room, track, avatar, absence, sink, audience, own)


def _avatar_parts(
    settings: Settings,
    room: rtc.Room,
    service: AvatarService,
    bounds: Bounds,
    ledger: ConversationLedger,
    minutes: AvatarMinutes,
) -> AvatarParts:
    sink = AvatarSink(room, audible_timeout_s=settings.avatar_audible_timeout, bounds=bounds)
    session = AvatarSession(
        room,
        sink,
        service,
        policy=avatar_policy(settings),
        credentials=settings.livekit().outside,
        ledger=ledger,
        minutes=minutes,
        cap=learned_cap(settings),
        remove=lambda identity: _remove(settings, room.name, identity),
    )
    expression = Expression(room, service.vendor, identity=lambda: sink.identity)
    policy = avatar_policy(settings)
    in_use = ConversationsInUse(
        ledger,
        vendor=service.vendor.name,
        base_url=service.base_url,
        most=0 if policy.is_local else policy.max_conversations,
    )
    return AvatarParts(service, sink, session, expression, in_use)


async def _remove(settings: Settings, room: str, identity: str) -> None:
    async with LiveKitApi(settings.livekit()) as api:
        await api.remove(room, identity)


def _shuts_avatar_out(settings: Settings) -> bool:
    """Whether an avatar is configured that cannot come, as the room is encrypted and it gets no key.

    Tavus knows no way to give it one. The stand-in of this machine has it from its own settings.
    """
    is_sealed = settings.has_avatar and settings.livekit_e2ee_key is not None
    return is_sealed and not is_loopback(avatar_base_url(settings))
