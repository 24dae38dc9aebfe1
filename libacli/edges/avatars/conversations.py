"""The conversations of one room: noted down before they are asked for, ended once, their time counted."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from libacli.edges.avatars.ending import end_by_name, end_surely
from libacli.edges.avatars.ledger import Entry, Ledger
from libacli.edges.avatars.port import AvatarService, Invitation
from libacli.edges.livekit.joining import to_the_end
from libacli.errors import AvatarError, LibaError


@dataclass(frozen=True)
class Conversation:
    """A conversation and the participant it becomes."""

    entry: Entry
    identity: str
    ends_at: float
    """When the service ends it by itself, on the loop's clock."""


class Conversations:
    """Begins and ends conversations in the room `room_name`."""

    def __init__(self, service: AvatarService, ledger: Ledger, *, room_name: str) -> None:
        self._service = service
        self._ledger = ledger
        self._room_name = room_name
        self._spent_s = 0.0
        self._begun_at: dict[str, float] = {}

    @property
    def seconds(self) -> float:
        """What they have cost so far, in seconds of avatar time; each counts from its request on."""
        return self._spent_s + sum(_now() - begun_at for begun_at in self._begun_at.values())

    async def begin(self, invitation: Invitation) -> Conversation:
        """A new conversation. Raises AvatarError, or LibaError when it cannot be noted down.

        One that may have been begun although its answer was lost, or not waited for, is ended.
        """
        entry = Entry(
            invitation.name,
            self._room_name,
            self._service.base_url,
            self._ledger.owner,
            vendor=self._service.vendor.name,
        )
        await self._note_down(entry)
        asked_at = _now()
        try:
            entry = replace(entry, id=await self._service.create(invitation))
            await to_the_end(asyncio.to_thread(self._ledger.write, entry))
        except AvatarError as error:
            if error.is_unsure:
                await end_by_name(self._service, self._ledger, entry)
            else:
                await asyncio.to_thread(self._ledger.forget, entry)
            raise
        except (asyncio.CancelledError, LibaError):  # the latter: its id cannot be written down
            await (end_surely if entry.id else end_by_name)(self._service, self._ledger, entry)
            raise
        self._begun_at[entry.name] = asked_at
        return Conversation(entry, invitation.identity, asked_at + invitation.max_duration_s)

    async def _note_down(self, entry: Entry) -> None:
        try:
            await to_the_end(asyncio.to_thread(self._ledger.write, entry))
        except asyncio.CancelledError:  # nothing was asked for yet
            await asyncio.to_thread(self._ledger.forget, entry)
            raise

    async def end(self, conversation: Conversation) -> None:
        """Ends it, in the face of cancellation too."""
        try:
            await end_surely(self._service, self._ledger, conversation.entry)
        finally:
            self._spent_s += _now() - self._begun_at.pop(conversation.entry.name, _now())


def _now() -> float:
    return asyncio.get_running_loop().time()
