"""The avatar of one room: there while somebody watches, made anew when it fails, ended exactly once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

from livekit import rtc

from libacli.config import LiveKitCredentials, is_loopback
from libacli.edges.avatars.conversations import Conversation, Conversations
from libacli.edges.avatars.demand import Demand
from libacli.edges.avatars.inviter import Inviter
from libacli.edges.avatars.ledger import Ledger
from libacli.edges.avatars.minutes import AvatarMinutes
from libacli.edges.avatars.policy import AvatarPolicy
from libacli.edges.avatars.port import AvatarService
from libacli.edges.avatars.reachability import is_public
from libacli.edges.avatars.room_changes import RoomChanges, within
from libacli.edges.avatars.takeover_alarm import TakeoverAlarm, is_own_avatar
from libacli.edges.livekit.joining import to_the_end
from libacli.edges.sinks.avatar_presence import AvatarPresence
from libacli.errors import AvatarError, LibaError

logger = logging.getLogger("liba.avatar")

_OWN_TRACK_S = 2.0
"""How long the agent waits for its sound after its picture: one may publish it with the first word."""

_SUBSCRIBE_S = 0.3
"""How much longer than the agent viewers may need for the avatar's tracks: sound before that nobody hears."""

_PUT_OUT_S = 0.5
"""For one call to LiveKit, which answers within a tenth of it: leaving waits for it."""

_FIRST_PAUSE_S = 2.0
"""After a failure. It doubles each time; refused requests cost nothing, so it is out of politeness alone."""

_LONGEST_PAUSE_S = 60.0
"""Who mends the account need not wait longer for the avatar to come back."""

_COUNT_EVERY_S = 10.0
"""What a crash can leave uncounted of the day's minutes is not more than this."""


class AvatarSession:
    """Keeps an avatar in a room and tells the sink which one is there. `run` until cancelled.

    A conversation is begun only while a viewer is there, ended when none has been for a while or nothing was
    said for long, renewed before its longest duration is over, and ended once, whatever the way out. When the
    minutes of a day are used up, the one that runs is ended between two utterances, and none is begun before
    the next day.
    """

    def __init__(
        self,
        room: rtc.Room,
        sink: AvatarPresence,
        service: AvatarService,
        *,
        policy: AvatarPolicy,
        credentials: LiveKitCredentials,
        ledger: Ledger,
        minutes: AvatarMinutes,
        remove: Callable[[str], Awaitable[None]],
    ) -> None:
        """`remove` puts a participant out of the room; it may raise LibaError."""
        self._room = room
        self._sink = sink
        self._service = service
        self._policy = policy
        self._minutes = minutes
        self._changes = RoomChanges(room)
        self.demand = Demand(
            room, policy, waits_for_line=policy.waits_for_line, on_change=self._changes.notice
        )
        """To be told of what is said."""

        self._alarm = TakeoverAlarm(room)
        self._conversations = Conversations(service, ledger, room_name=room.name)
        self._inviter = Inviter(room, credentials, identity=service.vendor.identity, policy=policy)
        self._remove = remove

    async def run(self) -> None:
        """Keeps the avatar until cancelled, or until the service refuses for good."""
        server_url = self._inviter.server_url
        if not is_loopback(self._service.base_url) and not await is_public(server_url):
            self._sink.absent("livekit not public")
            logger.error("no avatar: %s cannot reach LiveKit at %s", self._service.vendor.title, server_url)
            return
        pause_s = _FIRST_PAUSE_S
        if await self._was_silent():
            self.demand.rest()
        while True:
            if self._minutes.are_used_up:
                self._sink.absent("spend cap")
            await self._minutes.until_some_are_left()
            if self.demand.waits_for_line:
                self._sink.absent("resting")
            await self._changes.until(self.demand.is_there)
            self._sink.joining(timeout_s=self._policy.ready_timeout_s)
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
        """What conversations have cost so far, in seconds of avatar time."""
        return self._conversations.seconds

    async def _attend(self) -> None:
        """One avatar after the other, without a gap, until one fails, nobody watches or the cap is met."""
        await self._minutes.count(self.seconds)
        if self._minutes.are_used_up:
            self._sink.absent("spend cap")
            return
        self.demand.begin()
        avatar = await self._begin()
        try:
            while True:
                await self._joined(avatar)
                self._sink.present(avatar.identity)
                logger.info("the avatar is in the room: %s", avatar.identity)
                if not await self._until_renewal(avatar):
                    return
                newer = await self._begin()
                older, avatar = avatar, newer
                try:
                    await self._joined(newer)
                    await self._sink.idle()
                    self._sink.present(newer.identity)
                finally:
                    await self._end(older)
        finally:
            await self._end(avatar)

    async def _until_renewal(self, avatar: Conversation) -> bool:
        """Waits until the avatar has to be renewed (True), or is gone or not wanted any more (False)."""
        renew_at = avatar.ends_at - self._policy.renew_before_s
        while _now() < renew_at:
            await self._minutes.count(self.seconds)
            if self._minutes.are_used_up:
                await self._sink.idle()
                self._sink.absent("spend cap")
                return False
            if self._is_lost():
                logger.warning("the avatar %s is given up; another one is asked for", avatar.identity)
                return False
            if not self.demand.is_watched and not await self._is_watched_again():
                await self._sink.idle()
                self._sink.absent("not watched")
                logger.info("nobody watches any more: the avatar is ended")
                return False
            if not self.demand.silent_in_s:
                await self._sink.idle()
                self._sink.absent("resting")
                self.demand.rest()
                logger.info("nothing was said for %g s: the avatar rests", self._policy.silent_timeout_s)
                return False
            wait_s = min(renew_at - _now(), self._minutes.left_s, self.demand.silent_in_s, _COUNT_EVERY_S)
            await within(max(0.0, wait_s), self._changes.next_or(self._sink.trouble))
        return True

    async def _begin(self) -> Conversation:
        invitation = self._inviter.next_invitation()
        self._alarm.guard(invitation.identity)
        return await self._conversations.begin(invitation)

    async def _joined(self, avatar: Conversation) -> None:
        """Waits until the avatar is in the room with its picture, and viewers take it. Raises AvatarError."""
        self._sink.expect(avatar.identity)
        is_there = self._changes.until(lambda: self._shows_itself(avatar.identity))
        if not await within(self._policy.join_timeout_s, is_there):
            raise AvatarError("never joined", is_permanent=False)
        # On a busy machine tracks take their time to everybody: what has come here is on its way to viewers.
        await within(_OWN_TRACK_S, self._changes.until(lambda: self._has_sound_of(avatar.identity)))
        await asyncio.sleep(_SUBSCRIBE_S)

    async def _end(self, avatar: Conversation) -> None:
        try:
            await self._conversations.end(avatar)
        finally:
            # Who is still there, as when the agent is started anew, has not come and gone for nothing.
            was_silent = not (self.demand.has_spoken or self.demand.is_watched)
            await to_the_end(self._put_out(avatar.identity))
            with suppress(LibaError):  # it is told when the next one is asked for
                await self._minutes.count(self.seconds, was_silent=was_silent)

    async def _was_silent(self) -> bool:
        with suppress(LibaError):  # it is told when an avatar is asked for
            await self._minutes.count(self.seconds)
        return self._minutes.was_silent()

    async def _put_out(self, identity: str) -> None:
        """Who does not go when its conversation is over could still say and show what it likes."""
        if identity in self._room.remote_participants:
            try:
                async with asyncio.timeout(_PUT_OUT_S):
                    await self._remove(identity)
            except (LibaError, TimeoutError) as error:
                logger.warning("the avatar %s was not put out: %s", identity, error or "no answer")

    async def _is_watched_again(self) -> bool:
        """Whether somebody comes in time, or the avatar is lost meanwhile."""
        is_changed = self._changes.until(lambda: self.demand.is_watched or self._is_lost())
        return await within(self._policy.idle_timeout_s, is_changed)

    def _shows_itself(self, identity: str) -> bool:
        participant = self._room.remote_participants.get(identity)
        return (
            participant is not None
            and is_own_avatar(self._room, participant)
            and any(
                publication.kind == rtc.TrackKind.KIND_VIDEO
                for publication in participant.track_publications.values()
            )
        )

    def _has_sound_of(self, identity: str) -> bool:
        participant = self._room.remote_participants.get(identity)
        return participant is not None and any(
            publication.kind == rtc.TrackKind.KIND_AUDIO and publication.track is not None
            for publication in participant.track_publications.values()
        )

    def _is_lost(self) -> bool:
        return self._sink.trouble.is_set()


def _now() -> float:
    return asyncio.get_running_loop().time()


def _hint(error: LibaError) -> str:
    return f" - {error.hint}" if error.hint else ""
