"""The avatar of one room: there while somebody watches, made anew when it fails, ended exactly once."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from livekit import rtc

from libacli.config import LiveKitCredentials, Settings, is_loopback
from libacli.edges.avatars.ending import end_by_name, end_surely
from libacli.edges.avatars.ledger import Entry, Ledger
from libacli.edges.avatars.minutes import AvatarMinutes
from libacli.edges.avatars.reachability import private_addresses
from libacli.edges.avatars.tavus import Tavus
from libacli.edges.livekit.tokens import AVATAR_IDENTITY, ON_BEHALF_ATTRIBUTE, avatar_token
from libacli.edges.sinks.avatar import AvatarSink
from libacli.errors import AvatarError, LibaError

logger = logging.getLogger("liba.avatar")

_RESOLVE_TIMEOUT_S = 4.5
_SUBSCRIBE_S = 0.3
"""How long viewers may need to take what an avatar has just published: sound before that nobody hears."""

_FIRST_PAUSE_S = 2.0
_LONGEST_PAUSE_S = 60.0
_COUNT_EVERY_S = 10.0


@dataclass(frozen=True)
class _Avatar:
    """A conversation and the participant it becomes."""

    entry: Entry
    identity: str
    ends_at: float
    """When the service ends it by itself, on the loop's clock."""


class AvatarSession:
    """Creates conversations for a room and tells the sink which avatar is there. `run` until cancelled.

    A conversation is begun only while a viewer is there, ended when none has been for a while, renewed
    before its longest duration is over, and ended once, whatever the way out. When the minutes of a day are
    used up, the one that runs is ended between two utterances, and none is begun before the next day.
    """

    def __init__(
        self,
        room: rtc.Room,
        sink: AvatarSink,
        tavus: Tavus,
        *,
        settings: Settings,
        credentials: LiveKitCredentials,
        ledger: Ledger,
        minutes: AvatarMinutes,
    ) -> None:
        self._room = room
        self._sink = sink
        self._tavus = tavus
        self._settings = settings
        self._credentials = credentials
        self._ledger = ledger
        self._minutes = minutes
        self._epoch = uuid.uuid4().hex[:8]
        self._count = 0
        self._spent_s = 0.0
        self._begun_at: dict[str, float] = {}
        self._identities: set[str] = set()
        self._changed = asyncio.Event()
        for event in ("participant_connected", "participant_disconnected", "track_published"):
            room.on(event, lambda *_: self._changed.set())
        room.on("participant_connected", self._on_connected)

    async def run(self) -> None:
        """Keeps the avatar until cancelled, or until the service refuses for good."""
        if not is_loopback(self._settings.tavus_base_url) and not await _is_public(self._credentials.url):
            self._sink.absent("livekit not public")
            logger.error("no avatar: Tavus cannot reach LiveKit at %s", self._credentials.url)
            return
        pause_s = _FIRST_PAUSE_S
        while True:
            await self._minutes.until_some_are_left()
            await self._until(self._is_watched)
            self._sink.joining(timeout_s=self._settings.avatar_ready_timeout)
            try:
                await self._attend()
                pause_s = _FIRST_PAUSE_S
            except AvatarError as error:
                self._sink.absent(error.reason)
                if error.is_permanent:
                    logger.error("no avatar: %s; speaking without it%s", error, _hint(error))
                    return
                logger.warning("no avatar: %s; next try in %g s%s", error, pause_s, _hint(error))
            except LibaError as error:
                self._sink.absent("not available")
                logger.error("no avatar: %s%s", error, _hint(error))
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    @property
    def seconds(self) -> float:
        """What conversations have cost so far, in seconds of avatar time; each counts from its request on."""
        return self._spent_s + sum(self._now() - begun_at for begun_at in self._begun_at.values())

    async def _attend(self) -> None:
        """One avatar after the other, without a gap, until one fails, nobody watches or the cap is met."""
        await self._minutes.count(self.seconds)
        if self._minutes.are_used_up:
            self._sink.absent("spend cap")
            return
        avatar = await self._create()
        try:
            while True:
                await self._joined(avatar)
                self._sink.present(avatar.identity)
                logger.info("the avatar is in the room: %s", avatar.identity)
                if not await self._until_renewal(avatar):
                    return
                newer = await self._create()
                older, avatar = avatar, newer
                try:
                    await self._joined(newer)
                    await self._sink.idle()
                    self._sink.present(newer.identity)
                finally:
                    await self._end(older)
        finally:
            await self._end(avatar)

    async def _until_renewal(self, avatar: _Avatar) -> bool:
        """Waits until the avatar has to be renewed (True), or is gone or not wanted any more (False)."""
        renew_at = avatar.ends_at - self._settings.avatar_renew_before
        while self._now() < renew_at:
            await self._minutes.count(self.seconds)
            if self._minutes.are_used_up:
                await self._sink.idle()
                self._sink.absent("spend cap")
                return False
            if self._sink.trouble.is_set():
                logger.warning("the avatar %s is given up; another one is asked for", avatar.identity)
                return False
            if not self._is_watched() and not await self._within(
                self._settings.avatar_idle_timeout, self._until(lambda: self._is_watched() or self._is_lost())
            ):
                await self._sink.idle()
                self._sink.absent("not watched")
                logger.info("nobody watches any more: the avatar is ended")
                return False
            wait_s = min(renew_at - self._now(), self._minutes.left_s, _COUNT_EVERY_S)
            await self._within(max(0.0, wait_s), self._any_change())
        return True

    async def _create(self) -> _Avatar:
        """A new conversation, noted down before it is asked for. Raises AvatarError."""
        self._count += 1
        name = f"liba-{self._epoch}-{self._count}"
        # Joining with an identity that is taken would kick its holder: an avatar that is being replaced.
        is_free = self._count == 1 and AVATAR_IDENTITY not in self._room.remote_participants
        identity = AVATAR_IDENTITY if is_free else f"{AVATAR_IDENTITY}-{self._epoch[:4]}{self._count}"
        entry = Entry(name, self._room.name, self._settings.tavus_base_url, self._ledger.owner)
        duration_s = self._settings.avatar_max_duration
        await asyncio.to_thread(self._ledger.write, entry)
        asked_at = self._now()
        try:
            conversation_id = await self._tavus.create(
                name=name,
                face_id=self._settings.tavus_face_id,
                pal_id=self._settings.tavus_pal_id,
                livekit_url=self._credentials.ws_url,
                room_token=self._token(identity, valid_for_s=duration_s),
                max_duration_s=duration_s,
            )
            entry = replace(entry, id=conversation_id)
            await asyncio.to_thread(self._ledger.write, entry)
        except AvatarError as error:
            if error.is_unsure:
                await end_by_name(self._tavus, self._ledger, entry)
            else:
                self._ledger.forget(entry)
            raise
        except asyncio.CancelledError:
            await (end_surely if entry.id else end_by_name)(self._tavus, self._ledger, entry)
            raise
        self._begun_at[name] = asked_at
        return _Avatar(entry, identity, asked_at + duration_s)

    def _token(self, identity: str, *, valid_for_s: int) -> str:
        self._identities.add(identity)
        return avatar_token(
            self._credentials,
            room=self._room.name,
            identity=identity,
            on_behalf_of=self._room.local_participant.identity,
            valid_for_s=valid_for_s,
        )

    async def _joined(self, avatar: _Avatar) -> None:
        """Waits until the avatar is in the room with its picture, and viewers take it. Raises AvatarError."""
        if not await self._within(
            self._settings.avatar_join_timeout, self._until(lambda: self._shows_itself(avatar.identity))
        ):
            raise AvatarError("never joined", is_permanent=False)
        await asyncio.sleep(_SUBSCRIBE_S)

    async def _end(self, avatar: _Avatar) -> None:
        try:
            await end_surely(self._tavus, self._ledger, avatar.entry)
        finally:
            self._spent_s += self._now() - self._begun_at.pop(avatar.entry.name, self._now())
            with suppress(LibaError):  # it is told when the next one is asked for
                await self._minutes.count(self.seconds)

    def _shows_itself(self, identity: str) -> bool:
        participant = self._room.remote_participants.get(identity)
        return (
            participant is not None
            and self._is_ours(participant)
            and any(
                publication.kind == rtc.TrackKind.KIND_VIDEO
                for publication in participant.track_publications.values()
            )
        )

    def _is_ours(self, participant: rtc.RemoteParticipant) -> bool:
        """Whether it joined with a token that was made for an avatar of this agent."""
        is_agent = participant.kind == rtc.ParticipantKind.PARTICIPANT_KIND_AGENT
        on_behalf_of = participant.attributes.get(ON_BEHALF_ATTRIBUTE)
        return is_agent and on_behalf_of == self._room.local_participant.identity

    def _on_connected(self, participant: rtc.RemoteParticipant) -> None:
        if participant.identity in self._identities and not self._is_ours(participant):
            logger.error(
                "TAKEOVER: somebody joined room %s as the avatar, %s, and put it out; it is given no sound",
                self._room.name,
                participant.identity,
            )

    def _is_watched(self) -> bool:
        agent = rtc.ParticipantKind.PARTICIPANT_KIND_AGENT
        return any(participant.kind != agent for participant in self._room.remote_participants.values())

    def _is_lost(self) -> bool:
        return self._sink.trouble.is_set()

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._changed.clear()
            await self._changed.wait()

    async def _any_change(self) -> None:
        self._changed.clear()
        async with asyncio.TaskGroup() as tasks:
            waits = [tasks.create_task(self._changed.wait()), tasks.create_task(self._sink.trouble.wait())]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()

    async def _within(self, bound_s: float, what: Awaitable[None]) -> bool:
        """Whether `what` came about within `bound_s` seconds."""
        try:
            async with asyncio.timeout(bound_s):
                await what
        except TimeoutError:
            return False
        return True

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


async def _is_public(url: str) -> bool:
    """Whether the internet can reach the host of `url`, as far as its addresses tell."""
    try:
        async with asyncio.timeout(_RESOLVE_TIMEOUT_S):
            return not await private_addresses(url)
    except (OSError, TimeoutError):
        return False


def _hint(error: LibaError) -> str:
    return f" - {error.hint}" if error.hint else ""
