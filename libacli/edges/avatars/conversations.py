"""The conversations of one room: noted down before they are asked for, ended once, their time counted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from libacli.edges.avatars.doubts import Doubts
from libacli.edges.avatars.ending import Trace, end_by_name, end_surely
from libacli.edges.avatars.ledger import Entry
from libacli.edges.avatars.ledger_port import ConversationLedger
from libacli.edges.avatars.port import AvatarService, Invitation
from libacli.edges.livekit.joining import to_the_end
from libacli.edges.livekit.signing import wall_clock
from libacli.errors import AvatarCapError, AvatarError, LibaError


@dataclass(frozen=True)
class Conversation:
    """A conversation and the participant it becomes."""

    entry: Entry
    identity: str
    asked_at: float
    """When it was asked for, on the loop's clock: from then on it costs."""


class Conversations:
    """Begins and ends conversations in the room `room_name`. `run` beside it, until cancelled.

    None is begun while the account has `most` of them that run or may run; 0: no matter how many.
    """

    def __init__(
        self,
        service: AvatarService,
        ledger: ConversationLedger,
        *,
        room_name: str,
        is_local: bool = False,
        most: int = 0,
        clock: Callable[[], float] = wall_clock,
    ) -> None:
        self._service = service
        self._ledger = ledger
        self._room_name = room_name
        self._is_local = is_local
        self._most = 0 if is_local else most
        self._clock = clock
        self._spent_s = 0.0
        self._begun_at: dict[str, float] = {}
        self._perhaps_begun_at: dict[str, float] = {}
        self._doubts = Doubts(service, ledger, on_ended=self._count_unknown)

    @property
    def seconds(self) -> float:
        """What they have cost so far, in seconds of avatar time; each counts from its request on."""
        return self._spent_s + sum(_now() - begun_at for begun_at in self._begun_at.values())

    async def run(self) -> None:
        """Looks after those of which it is not known whether they run, or that could not be ended."""
        await self._doubts.run()

    async def settled(self) -> None:
        """Waits until there are none of those."""
        await self._doubts.settled()

    async def begin(self, invitation: Invitation) -> Conversation:
        """A new conversation. Raises AvatarError, or LibaError when it cannot be noted down.

        AvatarCapError: there are as many as are allowed; nothing was asked for.

        One that may have been begun although its answer was lost, or not waited for, is looked for and ended.
        """
        entry = Entry(
            invitation.name,
            self._room_name,
            self._service.base_url,
            self._ledger.owner,
            vendor=self._service.vendor.name,
            asked_at=self._clock(),
            is_local=self._is_local,
        )
        await self._note_down(entry)
        asked_at = _now()
        try:
            entry = replace(entry, id=await self._service.create(invitation))
            await to_the_end(asyncio.to_thread(self._ledger.write, entry))
        except AvatarError as error:
            if error.is_unsure:
                await self._look_for(entry, asked_at)
            else:
                await asyncio.to_thread(self._ledger.forget, entry)
            raise
        except (asyncio.CancelledError, LibaError):  # the latter: its id cannot be written down
            await (self._end(entry) if entry.id else self._look_for(entry, asked_at))
            raise
        self._begun_at[entry.name] = asked_at
        return Conversation(entry, invitation.identity, asked_at)

    async def end(self, conversation: Conversation) -> None:
        """Ends it, in the face of cancellation too."""
        entry = conversation.entry
        try:
            await self._end(entry)
        finally:
            self._spent_s += _now() - self._begun_at.pop(entry.name, _now())

    async def _end(self, entry: Entry) -> None:
        if not await end_surely(self._service, self._ledger, entry):
            self._doubts.add(entry, _now())

    async def _look_for(self, entry: Entry, asked_at: float) -> None:
        self._perhaps_begun_at[entry.name] = asked_at
        if await end_by_name(self._service, self._ledger, entry) is Trace.ENDED:
            self._count_unknown(entry)
        elif self._service.vendor.can_find:
            self._doubts.add(entry, asked_at)

    def _count_unknown(self, entry: Entry) -> None:
        """It has cost, though nobody knew of it, as long as it ran."""
        self._spent_s += _now() - self._perhaps_begun_at.pop(entry.name, _now())

    async def _note_down(self, entry: Entry) -> None:
        try:
            is_noted = await to_the_end(asyncio.to_thread(self._ledger.enter, entry, most=self._most))
        except asyncio.CancelledError:  # nothing was asked for yet
            await asyncio.to_thread(self._ledger.forget, entry)
            raise
        if not is_noted:
            raise AvatarCapError(self._most)


def _now() -> float:
    return asyncio.get_running_loop().time()
