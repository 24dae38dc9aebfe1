"""The avatar of one room: there while somebody watches, made anew when it fails, ended exactly once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

from livekit import rtc

from libacli.config import LiveKitCredentials, is_loopback
from libacli.edges.avatars.aftermath import Aftermath
from libacli.edges.avatars.arrival import Arrival
from libacli.edges.avatars.conversations import Conversation, Conversations
from libacli.edges.avatars.demand import Demand
from libacli.edges.avatars.due import Due
from libacli.edges.avatars.faces import Faces
from libacli.edges.avatars.inviter import Inviter
from libacli.edges.avatars.learned_cap import LearnedCap
from libacli.edges.avatars.ledger_port import ConversationLedger
from libacli.edges.avatars.lifetime import Lifetime, Term
from libacli.edges.avatars.minutes import AvatarMinutes
from libacli.edges.avatars.policy import AvatarPolicy
from libacli.edges.avatars.port import AvatarService
from libacli.edges.avatars.reachability import until_reachable
from libacli.edges.avatars.room_changes import RoomChanges, within
from libacli.edges.avatars.takeover_alarm import TakeoverAlarm
from libacli.edges.livekit.joining import to_the_end
from libacli.edges.sinks.avatar_presence import AvatarPresence
from libacli.errors import AvatarError, LibaError

logger = logging.getLogger("liba.avatar")

_COUNT_EVERY_S = 10.0
"""What a crash can leave uncounted of the day's minutes is not more than this."""

_LEAST_WAIT_S = 0.01
"""Between two looks at what is due: what is left of a time may be too little for any clock."""

_GREETING_S = 10.0
"""A greeting that nobody asked for is mostly over by then; lines meanwhile go without the avatar."""


class AvatarSession:
    """Keeps an avatar in a room and tells the sink which one is there. `run` until cancelled.

    A conversation is begun only while a viewer is there, ended when none has been for a while or nothing was
    said for long, renewed before the service ends it, and ended once, whatever the way out. When the minutes
    of a day are used up, the one that runs is ended between two utterances, and none is begun before the next
    day. After three that did nothing none is begun any more.
    """

    def __init__(
        self,
        room: rtc.Room,
        sink: AvatarPresence,
        service: AvatarService,
        *,
        policy: AvatarPolicy,
        credentials: LiveKitCredentials,
        ledger: ConversationLedger,
        minutes: AvatarMinutes,
        remove: Callable[[str], Awaitable[None]],
        cap: LearnedCap | None = None,
    ) -> None:
        """`remove` puts a participant out of the room; it may raise LibaError. `cap` is what it learns."""
        self._sink = sink
        self._service = service
        self._policy = policy
        self._minutes = minutes
        self._lifetime = Lifetime(policy, cap)
        self._changes = RoomChanges(room)
        self.demand = Demand(
            room, policy, waits_for_line=policy.waits_for_line, on_change=self._changes.notice
        )
        """To be told of what is said."""

        self._alarm = TakeoverAlarm(room)
        self._faces = Faces(room, remove)
        self._arrival = Arrival(room, self._changes, join_timeout_s=policy.join_timeout_s)
        self._conversations = Conversations(
            service,
            ledger,
            room_name=room.name,
            is_local=policy.is_local,
            most=policy.max_conversations,
        )
        self._inviter = Inviter(room, credentials, identity=service.vendor.identity, policy=policy)
        self._aftermath = Aftermath(sink, service, self._lifetime, self.demand)
        self._may_overlap = policy.may_overlap

    async def run(self) -> None:
        """Keeps the avatar until cancelled, or until there is no use in asking for another one."""
        async with asyncio.TaskGroup() as tasks:
            looking = [tasks.create_task(self._faces.run()), tasks.create_task(self._conversations.run())]
            await self._keep()
            await self._conversations.settled()
            for task in looking:
                task.cancel()

    @property
    def seconds(self) -> float:
        """What conversations have cost so far, in seconds of avatar time."""
        return self._conversations.seconds

    async def _keep(self) -> None:
        if self._policy.check_public and not is_loopback(self._service.base_url):
            await until_reachable(
                self._inviter.server_url,
                self._service.vendor.title,
                on_obstacle=lambda: self._sink.absent("livekit not public"),
            )
        if await self._was_silent():
            self.demand.rest()
        if not self.demand.is_watched:
            self._sink.absent("not watched")
        self.demand.begin()
        pause_s: float | None = 0.0
        while pause_s is not None:
            await asyncio.sleep(pause_s)
            await self._until_wanted()
            self._sink.joining(timeout_s=self._policy.ready_timeout_s)
            pause_s = await self._attend()

    async def _until_wanted(self) -> None:
        if self._minutes.are_used_up:
            self._sink.absent("spend cap")
            await self._minutes.until_some_are_left()
            self.demand.begin()
        if not self.demand.silent_in_s:  # of avatars that left, too
            self.demand.rest()
        if self.demand.waits_for_line:
            self._sink.absent("resting")
        if not self.demand.is_there():
            await self._changes.until(self.demand.is_there)
            self.demand.begin()

    async def _attend(self) -> float | None:
        """One avatar, and those that take over from it; then how long to wait, None: for ever."""
        try:
            await self._minutes.count(self.seconds)
            if self._minutes.are_used_up:
                self._sink.absent("spend cap")
                return 0.0
            while (due := await self._stay_with_one()) is Due.RENEWAL and self.demand.goes_on:
                self._aftermath.of_visit(due)
        except LibaError as error:
            return await self._aftermath.of_error(error)
        if due is Due.RENEWAL:
            self._sink.absent("resting" if self.demand.is_watched else "not watched")
        return self._aftermath.of_visit(due)

    async def _stay_with_one(self) -> Due:
        """Begins a conversation and ends it, or the one that took over from it meanwhile."""
        self.demand.call()
        avatar = await self._begin()
        try:
            await self._arrive(avatar)
            self._present(avatar)
            term = await self._lifetime.term(avatar.asked_at)
            while (due := await self._until_due(term.renew_at)) is Due.RENEWAL and self._may_overlap:
                if newer := await self._newer_one():
                    older, avatar = avatar, newer
                    await self._end(older)
                    term = await self._lifetime.term(avatar.asked_at)
                else:  # the older one is kept as long as possible
                    self._may_overlap = False
                    term = Term(term.last_call_at, term.last_call_at)
            if due is Due.RENEWAL:
                await self._sink.idle()
                self._sink.absent("not ready")  # that the older one leaves is no trouble any more
                self._sink.joining(timeout_s=self._policy.ready_timeout_s)
            return due if due is not Due.LOST else await self._aftermath.of_loss(avatar)
        finally:
            await self._end(avatar)

    async def _newer_one(self) -> Conversation | None:
        """One that speaks from now on in the place of the present one; None if it did not come."""
        has_come = False
        try:
            newer = await self._begin()
            try:
                await self._arrive(newer)
                await self._sink.idle()
                self._present(newer)
                has_come = True
            finally:
                if not has_come:
                    await self._end(newer)
        except AvatarError as error:
            logger.warning("the avatar is not renewed yet: %s", error)
            return None
        return newer

    async def _until_due(self, renew_at: float) -> Due:
        """Waits until the avatar has to be renewed, or is gone, or not wanted any more."""
        while _now() < renew_at:
            await self._minutes.count(self.seconds)
            if self._minutes.are_used_up:
                return await self._retire("spend cap")
            if self._is_lost():
                return Due.LOST
            if not self.demand.is_watched and not await self._is_watched_again(renew_at):
                logger.info("nobody watches any more: the avatar is ended")
                return await self._retire("not watched")
            if not self.demand.silent_in_s:
                logger.info("nothing was said for %g s: the avatar rests", self._policy.silent_timeout_s)
                self.demand.rest()
                return await self._retire("resting")
            wait_s = min(renew_at - _now(), self._minutes.left_s, self.demand.silent_in_s, _COUNT_EVERY_S)
            await within(max(_LEAST_WAIT_S, wait_s), self._changes.next_or(self._sink.trouble))
        return Due.RENEWAL

    async def _retire(self, reason: str) -> Due:
        """Lets it finish what it says. Returns that it is not wanted."""
        await self._sink.idle()
        self._sink.absent(reason)
        return Due.UNWANTED

    async def _begin(self) -> Conversation:
        await self._faces.make_room()
        invitation = self._inviter.next_invitation()
        self._alarm.guard(invitation.identity)
        self._faces.admit(invitation.identity)
        try:
            return await self._conversations.begin(invitation)
        except BaseException:
            await to_the_end(self._faces.dismiss(invitation.identity))
            raise

    async def _arrive(self, avatar: Conversation) -> None:
        self._sink.expect(avatar.identity)
        await self._arrival.of(avatar.identity)
        # What it says by itself would be heard together with the first line.
        await self._sink.quiet(within_s=_GREETING_S)

    def _present(self, avatar: Conversation) -> None:
        self._sink.present(avatar.identity)
        if not self._is_lost():
            logger.info("the avatar is in the room: %s", avatar.identity)

    async def _end(self, avatar: Conversation) -> None:
        try:
            await self._conversations.end(avatar)
        finally:
            # Who is still there, as when the agent is started anew, has not come and gone for nothing.
            was_silent = not (self.demand.has_spoken or self.demand.is_watched)
            await to_the_end(self._faces.dismiss(avatar.identity))
            with suppress(LibaError):  # it is told when the next one is asked for
                await self._minutes.count(self.seconds, was_silent=was_silent)

    async def _was_silent(self) -> bool:
        with suppress(LibaError):  # it is told when an avatar is asked for
            await self._minutes.count(self.seconds)
        return self._minutes.was_silent()

    async def _is_watched_again(self, renew_at: float) -> bool:
        """Whether somebody comes in time, or the avatar is lost meanwhile."""
        is_changed = self._changes.until(lambda: self.demand.is_watched or self._is_lost())
        return await within(min(self._policy.idle_timeout_s, renew_at - _now()), is_changed)

    def _is_lost(self) -> bool:
        return self._sink.trouble.is_set()


def _now() -> float:
    return asyncio.get_running_loop().time()
