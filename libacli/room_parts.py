"""What the agent of one room is made of, and how the parts hang together. Settings → edges → speaker."""

from __future__ import annotations

import asyncio
import logging
import platform
import uuid
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

from livekit import rtc

from libacli.config import Settings
from libacli.core.acquaintance import Acquaintances
from libacli.core.bounds import Bounds
from libacli.core.caps import SayCaps
from libacli.core.event import AgentFacts
from libacli.core.hour import OWNER, Account
from libacli.core.usage import Usage
from libacli.edges.avatars.ledger_port import ConversationLedger
from libacli.edges.avatars.minutes import AvatarMinutes
from libacli.edges.avatars.port import AvatarService
from libacli.edges.journal.choose import make_journal, make_seal, place_of
from libacli.edges.livekit.agent_state import AgentStateAttribute
from libacli.edges.livekit.api import LiveKitApi
from libacli.edges.livekit.audience import Audience, People
from libacli.edges.livekit.authorization import RoomAuthorization, say_caps
from libacli.edges.livekit.caption_writer import CaptionWriter
from libacli.edges.livekit.encryption import EncryptionWatch
from libacli.edges.livekit.hour_file import HourFile, hour_path
from libacli.edges.livekit.hour_port import HourKeeper
from libacli.edges.livekit.room_transport import RoomTransport
from libacli.edges.livekit.signing import wall_clock
from libacli.edges.livekit.stream_origin import StreamOrigin
from libacli.edges.metrics.meter import Meter, Meters
from libacli.room_outlets import RoomOutlets, room_outlets, wall_clock_at
from libacli.room_sinks import AvatarParts, RoomSinks, SpeechTrack, room_sinks
from libacli.room_speech import room_pronunciations, room_speaker
from libacli.shared_counts import SharedCounts
from libacli.speech.chain import ChainVoice
from libacli.speech.desk import Desk
from libacli.speech.given import GivenSounds
from libacli.speech.heir import SpeakersHeir
from libacli.speech.journal import Journal
from libacli.speech.notes import NoNotes, Notes
from libacli.speech.ports import Sink, Voice
from libacli.speech.scribe import Scribe
from libacli.speech.speaker import Speaker

logger = logging.getLogger("liba.room")

_OWNER = Account(OWNER, is_owner=True)


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
    own: asyncio.Event
    """Set while the room is known to be this agent's: nothing new is spoken otherwise."""

    audience: Audience
    """Whom lines wait for."""

    people: People
    """Who is in the room, as the server has it."""

    sink: Sink
    """Where the speaker plays: the avatar or the track, while the room is connected."""

    speaker: Speaker
    desk: Desk
    transport: RoomTransport
    state: AgentStateAttribute
    captions: CaptionWriter | None
    meters: Meters
    ledger: ConversationLedger
    hour_keepers: Sequence[HourKeeper]
    """Of this machine first, then of all; none: there is no cap that would have to be counted."""

    shared: SharedCounts

    scribe: Scribe | None
    """None: what waits ends with this agent."""


def assemble(
    settings: Settings,
    room: rtc.Room,
    voice: Voice,
    *,
    meters: Sequence[Meter] = (),
    ledger: ConversationLedger | None = None,
    track: SpeechTrack | None = None,
    avatar_service: AvatarService | None = None,
    characters: Path | None = None,
    known: Acquaintances | None = None,
    origin: StreamOrigin | None = None,
    journal: Journal | None = None,
    people: People | None = None,
) -> Parts:
    """The parts of an agent for `room`, which must be connected. Needs a running event loop.

    What is not given is made as the settings say. `characters` is the file in which they are counted, `known`
    what rooms tell each other of the voices, `origin` where text streams come from, `journal` where the queue
    is written down, `people` who tells who is in the room. Raises ConfigError when that cannot be done as the
    settings want it.
    """
    epoch = uuid.uuid4().hex[:8]
    bounds = _bounds(settings)
    shared = SharedCounts(settings)
    ledger = ledger or shared.ledger()
    minutes = shared.minutes(room=room.name)
    people = people or LiveKitApi(settings.livekit())
    sinks = room_sinks(
        settings,
        room,
        bounds=bounds,
        ledger=ledger,
        minutes=minutes,
        track=track,
        avatar_service=avatar_service,
        people=people,
    )
    encryption = EncryptionWatch(room, has_key=settings.livekit_e2ee_key is not None)
    caps = say_caps(settings, hour_clock=wall_clock_at)
    given = GivenSounds(_decoded)
    pronunciations = room_pronunciations(settings)
    outlets = room_outlets(
        settings,
        room,
        sinks,
        facts=lambda: _facts(settings, room, voice, sinks, speaker, epoch, encryption),
        usage=lambda: (*caps.usage(_OWNER, asyncio.get_running_loop().time()), *minutes.usage()),
        meters=meters,
        pronunciations=pronunciations,
        origin=origin,
        sounds=given.shelf,
    )
    journal = journal or make_journal(settings, room.name, epoch=epoch, clock=wall_clock)
    scribe = _scribe(settings, room, journal, lambda: SpeakersHeir(speaker, caps, wall_clock_at))
    notes = scribe or NoNotes()
    speaker = room_speaker(
        settings, voice, known, sinks.sink, outlets.announcer, caps, bounds, pronunciations, notes, given
    )
    desk = _desk(settings, room, speaker, outlets, caps, lambda: _other_caps(minutes, sinks), notes)
    return Parts(
        settings=settings,
        room=room,
        epoch=epoch,
        voice=voice,
        track=sinks.track,
        avatar=sinks.avatar,
        own=sinks.own,
        audience=sinks.audience,
        people=people,
        sink=sinks.sink,
        speaker=speaker,
        desk=desk,
        transport=outlets.transport,
        state=outlets.state,
        captions=outlets.captions,
        meters=outlets.meters,
        ledger=ledger,
        hour_keepers=_hour_keepers(settings, caps, epoch, characters, shared),
        shared=shared,
        scribe=scribe,
    )


def _facts(
    settings: Settings,
    room: rtc.Room,
    voice: Voice,
    sinks: RoomSinks,
    speaker: Speaker,
    epoch: str,
    encryption: EncryptionWatch,
) -> AgentFacts:
    return AgentFacts(
        room=room.name,
        agent=settings.agent_name,
        model=voice.model,
        voice_state=voice.reason if isinstance(voice, ChainVoice) else "",
        avatar=sinks.avatar_state,
        queue=speaker.queue_length,
        paused=speaker.is_paused,
        epoch=epoch,
        encryption=encryption.state,
    )


def _other_caps(minutes: AvatarMinutes, sinks: RoomSinks) -> Sequence[Usage]:
    """What may be spent of avatar time, and of conversations at a time."""
    return [*minutes.usage(), *(sinks.avatar.in_use.usage() if sinks.avatar else [])]


async def _decoded(flac: bytes) -> AsyncGenerator[bytes]:
    """The PCM of a sound that was sent. What decodes is loaded when one comes, and not before."""
    from libacli.edges.sounds.flac import decode_flac

    async with aclosing(decode_flac(flac)) as pieces:
        async for piece in pieces:
            yield piece


def _hour_keepers(
    settings: Settings, caps: SayCaps, epoch: str, file: Path | None, shared: SharedCounts
) -> Sequence[HourKeeper]:
    if caps.hour is None:
        return ()
    here = HourFile(file or hour_path(), caps.hour, api_key=settings.livekit_api_key, agent=epoch)
    everywhere = shared.hour(caps.hour, here, agent=epoch)
    return (here, everywhere) if everywhere else (here,)


def _scribe(
    settings: Settings, room: rtc.Room, journal: Journal | None, heir: Callable[[], SpeakersHeir]
) -> Scribe | None:
    if journal is None:
        return None
    place = place_of(settings, room.name).name
    return Scribe(journal, make_seal(settings), place=place, heir=heir, wall_clock=wall_clock_at)


def _desk(
    settings: Settings,
    room: rtc.Room,
    speaker: Speaker,
    outlets: RoomOutlets,
    caps: SayCaps,
    other_caps: Callable[[], Sequence[Usage]],
    notes: Notes,
) -> Desk:
    return Desk(
        speaker,
        outlets.announcer,
        RoomAuthorization(settings, room.name, agent=room.local_participant.identity),
        max_text_chars=settings.say_max_text_chars,
        max_sound_s=settings.say_max_sound,
        caps=caps,
        other_caps=other_caps,
        ttl_s=settings.say_ttl,
        waiters=outlets.waiters,
        notes=notes,
        log=outlets.log,
        worker=platform.node(),
    )


def _bounds(settings: Settings) -> Bounds:
    gate_s = settings.avatar_ready_timeout if settings.has_avatar else None
    return Bounds.derive(frame_s=settings.speech_sink_timeout, gate_s=gate_s)
