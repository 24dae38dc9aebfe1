from __future__ import annotations

from collections.abc import Callable

import pytest

from libacli.core.journal import Ended, Legacy
from libacli.speech.fake_journal import FakeJournal, JournalShelf
from tests.journal_contracts import JournalContract, Open


class TestFakeJournal(JournalContract):
    @pytest.fixture
    def shelf(self) -> JournalShelf:
        return JournalShelf()

    @pytest.fixture
    def journal_for(self, shelf: JournalShelf) -> Open:
        return lambda epoch: FakeJournal(shelf, epoch=epoch)

    @pytest.fixture
    def forget(self, shelf: JournalShelf) -> Callable[[], None]:
        return shelf.forget

    async def test_what_ended_long_ago_is_forgotten(self, journal_for: Open) -> None:
        """A fake has no clock of the wall, and forgets nothing."""
        first = journal_for("first")
        await first.take_over()
        old = Ended("one", "done", "", 0.0)
        await first.write([], [old])
        assert await journal_for("next").take_over() == Legacy((), (old,))
