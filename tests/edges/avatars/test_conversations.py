from __future__ import annotations

import asyncio
import threading
from contextlib import closing
from pathlib import Path

import pytest

from libacli.edges.avatars.conversations import Conversations
from libacli.edges.avatars.fakes import FakeAvatarService, lost_answer
from libacli.edges.avatars.ledger import Entry, Ledger
from libacli.edges.avatars.port import Invitation
from libacli.errors import AvatarError, LibaError

INVITATION = Invitation("liba-1", "ws://127.0.0.1:7880", identity="avatar", token="token", max_duration_s=120)


class HeldLedger(Ledger):
    """Writes when it is let."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.is_writing = threading.Event()
        self.may_write = threading.Event()

    def write(self, entry: Entry) -> None:
        self.is_writing.set()
        assert self.may_write.wait(10)
        super().write(entry)


class FullLedger(Ledger):
    """Takes an entry, and nothing that is new about it."""

    def write(self, entry: Entry) -> None:
        if entry.id:
            raise LibaError("the disk is full")
        super().write(entry)


async def test_cancelled_while_it_is_noted_down_nothing_is_asked_for_and_nothing_stays(
    tmp_path: Path,
) -> None:
    service = FakeAvatarService()
    with closing(HeldLedger(tmp_path)) as ledger:
        async with asyncio.TaskGroup() as tasks:
            conversations = Conversations(service, ledger, room_name="room")
            beginning = tasks.create_task(conversations.begin(INVITATION))
            assert await asyncio.to_thread(ledger.is_writing.wait, 60)
            beginning.cancel()
            ledger.may_write.set()
        assert beginning.cancelled()
        assert service.invitations == []
        assert await asyncio.to_thread(ledger.entries) == []


async def test_a_conversation_whose_id_cannot_be_written_down_is_ended(tmp_path: Path) -> None:
    service = FakeAvatarService()
    with closing(FullLedger(tmp_path)) as ledger:
        with pytest.raises(LibaError, match="disk is full"):
            await Conversations(service, ledger, room_name="room").begin(INVITATION)
        assert service.ends == ["c1"]
        assert await asyncio.to_thread(ledger.entries) == []


class StuckLedger(Ledger):
    """Crosses nothing out for the first time."""

    is_stuck = True

    def forget(self, entry: Entry) -> None:
        if self.is_stuck:
            self.is_stuck = False
            raise LibaError("the folder is read only")
        super().forget(entry)


async def test_a_disk_that_takes_nothing_for_a_while_ends_no_watch_over_what_may_run(tmp_path: Path) -> None:
    service = FakeAvatarService()
    service.play(lost_answer())
    service.fail_finds(AvatarError("no answer", is_permanent=False))
    with closing(StuckLedger(tmp_path)) as ledger:
        conversations = Conversations(service, ledger, room_name="room")
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(conversations.run())
            with pytest.raises(AvatarError):
                await conversations.begin(INVITATION)
            await conversations.settled()
            watching.cancel()
        assert (service.running, service.ends[:1]) == ({}, ["c1"])
        assert await asyncio.to_thread(ledger.entries) == []


def test_what_cannot_be_crossed_out_is_told_by_its_folder(tmp_path: Path) -> None:
    entry = Entry("liba-1", "room", "http://127.0.0.1:1", "owner")
    (tmp_path / "liba-1.json").mkdir()  # which no user, not even root, can unlink
    with pytest.raises(LibaError, match=f"cannot cross out a conversation in {tmp_path}"):
        Ledger(tmp_path).forget(entry)
