"""A queue in a file: whole, private, and found again."""

from __future__ import annotations

import asyncio
import os
import stat
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from pydantic import SecretStr

from libacli.core.journal import KEPT_FOR_S, Ended, Entry, Legacy, Line
from libacli.core.journal_place import DUE_AFTER_S, Place, Scope
from libacli.core.messages import SayRequest
from libacli.core.timeline import Timeline
from libacli.core.utterance import Utterance
from libacli.edges.journal.file import FileJournal, waiting_rooms
from libacli.edges.journal.seal import AesSeal
from libacli.edges.livekit.background import in_background
from libacli.errors import StoreError
from libacli.private_files import locked
from libacli.speech.scribe import Scribe
from tests.journal_contracts import NOW, ONE, ONE_IS_DONE, TWO, JournalContract, Open

SCOPE = Scope("key", "liba")
PLACE = Place(SCOPE, "demo/../ü")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # a thread does the writing


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
async def journal_for(folder: Path) -> AsyncIterator[Open]:
    opened: list[FileJournal] = []

    def open_one(epoch: str) -> FileJournal:
        opened.append(FileJournal(folder, PLACE, epoch=epoch, clock=lambda: NOW))
        return opened[-1]

    yield open_one
    for journal in opened:
        await journal.aclose()


def file_in(folder: Path) -> Path:
    (path,) = folder.glob("*.json")
    return path


def files_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def waiting(folder: Path, seconds_later: float, scope: Scope = SCOPE) -> list[str]:
    """What is found so long after the file was written."""
    clock = file_in(folder).stat().st_mtime + seconds_later
    return await asyncio.to_thread(waiting_rooms, folder, scope, clock=lambda: clock)


class TestFileJournal(JournalContract):
    @pytest.fixture
    def forget(self, folder: Path) -> Callable[[], None]:
        return lambda: file_in(folder).unlink()


async def test_it_is_this_users_alone_and_names_no_room(folder: Path, journal_for: Open) -> None:
    journal = journal_for("first")
    await journal.take_over()
    await journal.write([ONE], [])
    assert mode_of(folder) == 0o700
    for path in files_in(folder):
        assert mode_of(path) == 0o600
        assert "demo" not in path.name


async def test_what_has_ended_leaves_nothing_of_what_was_sealed(folder: Path, journal_for: Open) -> None:
    journal = journal_for("first")
    await journal.take_over()
    await journal.write([Line("one", 1, "U0VBTEVE")], [])
    assert b"U0VBTEVE" in file_in(folder).read_bytes()
    await journal.write([], [ONE_IS_DONE])
    assert not [path for path in files_in(folder) if b"U0VBTEVE" in path.read_bytes()]


@pytest.mark.parametrize("cut", [0, 1, 20, 60, -1])
async def test_one_that_is_damaged_begins_anew_and_says_so(
    folder: Path, journal_for: Open, cut: int, caplog: pytest.LogCaptureFixture
) -> None:
    journal = journal_for("first")
    await journal.take_over()
    await journal.write([ONE], [])
    path = file_in(folder)
    path.write_bytes(path.read_bytes()[:cut])
    next_one = journal_for("next")
    assert await next_one.take_over() == Legacy()
    assert "cannot be read, and begins anew" in caplog.text
    await next_one.write([TWO], [])
    assert await journal_for("third").take_over() == Legacy((TWO,))


async def test_one_entry_that_is_none_costs_no_other(
    folder: Path, journal_for: Open, caplog: pytest.LogCaptureFixture
) -> None:
    journal = journal_for("first")
    await journal.take_over()
    await journal.write([ONE, TWO], [ONE_IS_DONE])
    path = file_in(folder)
    path.write_text(path.read_text().replace('"done"', '"nonsense"'))
    assert await journal_for("next").take_over() == Legacy((TWO,))
    assert "an entry of the journal is left out" in caplog.text


async def test_a_crash_in_the_middle_of_a_write_leaves_what_there_was(
    folder: Path, journal_for: Open
) -> None:
    journal = journal_for("first")
    await journal.take_over()
    await journal.write([ONE], [])
    file_in(folder).with_suffix(".part").write_text('{"room": "demo", "hol')
    assert await journal_for("next").take_over() == Legacy((ONE,))


async def test_one_that_cannot_be_written_says_why_and_goes_on_later(folder: Path, journal_for: Open) -> None:
    journal = journal_for("first")
    await journal.take_over()
    path = file_in(folder)
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    part.mkdir()
    with pytest.raises(StoreError, match=f"the journal {path} cannot be written"):
        await journal.write([ONE], [])
    part.rmdir()
    await journal.write([TWO], [])
    assert await journal_for("next").take_over() == Legacy((TWO,))


async def test_whoever_holds_the_lock_holds_nobody_up_for_long(folder: Path, journal_for: Open) -> None:
    journal = journal_for("first")
    await journal.take_over()
    lock, held, released = file_in(folder).with_suffix(".lock"), threading.Event(), threading.Event()

    def hold() -> None:
        with locked(lock, timeout_s=1):
            held.set()
            released.wait(10)

    holding = threading.Thread(target=hold)
    holding.start()
    assert await asyncio.to_thread(held.wait, 10)
    try:
        with pytest.raises(StoreError, match="locked"):
            await journal.write([ONE], [])
    finally:
        released.set()
        holding.join()


class Listed:
    """An heir that notes what it gets."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def take_up(self, entry: Entry, *, is_resumed: bool) -> None:
        self.entries.append(entry)

    def give_up(self, utterance_id: str, reason: str) -> None:
        pytest.fail(reason)

    def remember(self, ended: Ended) -> None:
        pytest.fail("nothing has ended")

    def pause(self, paused_at: float) -> None:
        pytest.fail("nothing is paused")


async def test_no_word_stands_on_the_disk_and_all_of_them_come_back(folder: Path, journal_for: Open) -> None:
    def scribe(epoch: str, heir: Listed) -> Scribe:
        seal = AesSeal([SecretStr("key")])
        return Scribe(
            journal_for(epoch), seal, place=PLACE.name, heir=lambda: heir, wall_clock=lambda at: NOW + at
        )

    request = SayRequest("A canary, 金丝雀.", id="a", instructions="Like a canary.")
    first, heir = scribe("first", Listed()), Listed()
    await first.open()
    async with in_background(first.run()):
        first.accepted(Utterance(request, Timeline(0.0), account="canary-account"))
        assert await first.confirm()
    assert b"canary" not in b"".join(path.read_bytes() for path in files_in(folder)).lower()
    await scribe("next", heir).open()
    assert heir.entries == [Entry(request, NOW, "canary-account")]


# Which rooms wait


async def test_rooms_in_which_lines_wait_are_found_once_their_agent_may_be_gone(
    folder: Path, journal_for: Open
) -> None:
    journal = journal_for("first")
    await journal.take_over()
    await journal.write([ONE], [])
    assert await waiting(folder, 1) == []
    assert await waiting(folder, DUE_AFTER_S + 1) == [PLACE.room]
    assert await waiting(folder, DUE_AFTER_S + 1, Scope("key", "another")) == []
    await journal.release()
    assert await waiting(folder, 1) == [PLACE.room]
    await journal_for("next").take_over()
    assert await waiting(folder, 1) == []


async def test_a_queue_in_which_nothing_waits_wants_nobody_and_goes_with_its_agent(
    folder: Path, journal_for: Open
) -> None:
    journal = journal_for("first")
    await journal.take_over()
    await journal.write([ONE], [ONE_IS_DONE])
    path = file_in(folder)
    assert (await waiting(folder, 700), path.exists()) == ([], True)
    await journal.release()
    assert (await waiting(folder, 60), path.exists()) == ([], True)
    assert (await waiting(folder, 700), path.exists()) == ([], False)


async def test_one_that_nobody_has_touched_for_a_day_is_removed(folder: Path, journal_for: Open) -> None:
    journal = journal_for("first")
    await journal.take_over()
    await journal.write([ONE], [])
    path = file_in(folder)
    assert (await waiting(folder, KEPT_FOR_S + 1), path.exists()) == ([], False)


def test_what_stands_there_besides_disturbs_nobody(folder: Path) -> None:
    assert waiting_rooms(folder, SCOPE, clock=lambda: NOW) == []
    folder.mkdir()
    (folder / f"{SCOPE.digest}-x.json").write_text("no queue")
    os.symlink(folder / "nowhere", folder / f"{SCOPE.digest}-y.json")
    assert waiting_rooms(folder, SCOPE, clock=lambda: NOW) == []


async def test_a_file_that_cannot_be_read_hides_no_room_beside_it(folder: Path, journal_for: Open) -> None:
    """As one that is from when liba ran as root; this is a folder, which root cannot read either."""
    journal = journal_for("first")
    await journal.take_over()
    await journal.write([ONE], [])
    await journal.release()
    written_at = file_in(folder).stat().st_mtime
    (folder / f"{SCOPE.digest}-0.json").mkdir()
    found = await asyncio.to_thread(waiting_rooms, folder, SCOPE, clock=lambda: written_at)
    assert found == [PLACE.room]


@pytest.mark.parametrize("name", ["json", "lock", "part"])
async def test_a_pipe_in_its_place_is_told_by_its_path_and_not_waited_for(
    folder: Path, journal_for: Open, name: str
) -> None:
    journal = journal_for("one")
    await journal.take_over()
    path = file_in(folder).with_suffix(f".{name}")
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    async with asyncio.timeout(5):
        with pytest.raises(StoreError, match=str(folder)):
            await journal.write([ONE], [])
    path.unlink()


async def test_a_folder_in_its_place_is_told_by_its_path(folder: Path, journal_for: Open) -> None:
    journal = journal_for("one")
    await journal.take_over()
    path = file_in(folder)
    path.unlink()
    path.mkdir()
    with pytest.raises(StoreError, match=f"{path} cannot be written: it is no file"):
        await journal.write([ONE], [])
