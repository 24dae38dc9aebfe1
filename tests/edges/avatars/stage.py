"""A room with an agent that keeps an avatar, and a service whose avatars come and go, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from livekit import rtc
from pydantic import SecretStr

from libacli.config import LiveKitCredentials
from libacli.edges.avatars.fakes import FakeAvatarService
from libacli.edges.avatars.learned_cap import LearnedCap
from libacli.edges.avatars.ledger import Entry, Ledger
from libacli.edges.avatars.minutes import AvatarMinutes
from libacli.edges.avatars.policy import AvatarPolicy
from libacli.edges.avatars.port import Invitation
from libacli.edges.avatars.session import AvatarSession
from libacli.edges.livekit.fakes import FakeParticipant, FakeRoom
from libacli.edges.livekit.tokens import ON_BEHALF_ATTRIBUTE
from libacli.edges.sinks.avatar import AvatarSink

CREDENTIALS = LiveKitCredentials("ws://127.0.0.1:7880", "key", SecretStr("secret-of-32-characters-or-more-0"))
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SUBSCRIBED_S = 0.5
"""Seconds from an avatar's sound and picture until the agent speaks through it."""


def now() -> float:
    return asyncio.get_running_loop().time()


@dataclass
class Avatars:
    """The avatars of a service: each joins the room that it is invited into."""

    room: FakeRoom
    join_after_s: float = 1.0
    joins: bool = True
    has_audio: bool = True
    has_video: bool = True
    goes: bool = True
    """Whether it leaves the room when its conversation is ended."""

    removed: list[str] = field(default_factory=list)
    """Whom the agent has put out."""

    failure: Exception | None = None
    """What comes of putting somebody out."""

    _gone: set[str] = field(default_factory=set)

    def come(self, invitation: Invitation) -> None:
        asyncio.get_running_loop().call_later(self.join_after_s, self._join, invitation.identity)

    def leave(self, invitation: Invitation) -> None:
        self._gone.add(invitation.identity)
        if self.goes and invitation.identity in self.room.remote_participants:
            self.room.leave(invitation.identity)

    async def remove(self, identity: str) -> None:
        if self.failure:
            raise self.failure
        self.removed.append(identity)
        self.room.leave(identity)

    def _join(self, identity: str) -> None:
        if not self.joins or identity in self._gone:
            return
        avatar = self.room.join(avatar_of(self.room, identity))
        avatar.rpc_methods["lk.clear_buffer"] = lambda call: "ok"
        if self.has_audio:
            self.room.publish(identity, rtc.TrackKind.KIND_AUDIO)
        if self.has_video:
            self.room.publish(identity, rtc.TrackKind.KIND_VIDEO)


def avatar_of(room: FakeRoom, identity: str) -> FakeParticipant:
    """Who joins with a token for an avatar of the room's agent."""
    return FakeParticipant(
        identity,
        kind=rtc.ParticipantKind.PARTICIPANT_KIND_AGENT,
        attributes={ON_BEHALF_ATTRIBUTE: room.local_participant.identity},
    )


class LedgerAtCreation(FakeAvatarService):
    """Remembers what was noted down each time that a conversation was asked for."""

    def __init__(self, ledger: Ledger, avatars: Avatars, **service: Any) -> None:
        super().__init__(on_begun=avatars.come, on_ended=avatars.leave, **service)
        self.noted: list[list[Entry]] = []
        self._ledger = ledger

    async def create(self, invitation: Invitation) -> str:
        self.noted.append(await asyncio.to_thread(self._ledger.entries))
        return await super().create(invitation)


@dataclass(frozen=True)
class Stage:
    room: FakeRoom
    avatars: Avatars
    service: LedgerAtCreation
    sink: AvatarSink
    session: AvatarSession
    minutes: AvatarMinutes
    ledger: Ledger
    running: asyncio.Task[None]

    async def entries(self) -> list[Entry]:
        return await asyncio.to_thread(self.ledger.entries)

    async def states(self, seconds: float, *, every_s: float = 0.1) -> list[str]:
        """The states that the sink is in from now on, each told once when it changes."""
        states: list[str] = []
        until = now() + seconds
        while now() < until:
            if states[-1:] != [self.sink.state]:
                states.append(self.sink.state)
            await asyncio.sleep(every_s)
        return states


@asynccontextmanager
async def staged(
    folder: Path,
    *,
    policy: AvatarPolicy | None = None,
    max_minutes: float = 0,
    max_minutes_per_room: float = 0,
    is_watched: bool = True,
    base_url: str = "http://127.0.0.1:1",
    credentials: LiveKitCredentials = CREDENTIALS,
    doubts: int = 0,
    **service: Any,
) -> AsyncIterator[Stage]:
    """The agent keeps the avatar until the end; then nothing may run, and all is ended once.

    `doubts` of those that were asked for last are still looked for then. `service` is for the fake one.
    """
    room, ledger = FakeRoom(), Ledger(folder / "conversations")
    if is_watched:
        room.join("viewer")
    avatars = Avatars(room)
    fake = LedgerAtCreation(ledger, avatars, base_url=base_url, **service)
    loop = asyncio.get_running_loop()
    began_at = loop.time()

    def clock() -> datetime:
        return NOON + timedelta(seconds=loop.time() - began_at)

    minutes = AvatarMinutes(
        folder / "minutes.json",
        max_minutes=max_minutes,
        max_minutes_per_room=max_minutes_per_room,
        room=room.name,
        clock=clock,
    )
    sink = AvatarSink(room.as_sdk())
    sink.open()
    session = AvatarSession(
        room.as_sdk(),
        sink,
        fake,
        policy=policy or AvatarPolicy(),
        credentials=credentials,
        ledger=ledger,
        minutes=minutes,
        cap=LearnedCap(folder / "caps.json", "account", clock=clock),
        remove=avatars.remove,
    )
    try:
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(session.run())
            yield Stage(room, avatars, fake, sink, session, minutes, ledger, running)
            running.cancel()
        assert len(await asyncio.to_thread(ledger.entries)) == doubts
        assert fake.running == {}
        assert len(fake.ends) == len(set(fake.ends))
        assert set(fake.begun) <= {*fake.ends, *fake.ended_by_itself}
    finally:
        await asyncio.to_thread(ledger.close)
