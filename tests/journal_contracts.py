"""What every journal must do: run on each of them, and on the fake."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from libacli.core.journal import Ended, Legacy, Line
from libacli.errors import FencedError, ForgottenError
from libacli.speech.journal import Journal

NOW = 1_800_000_000.0

ONE = Line("one", 1, "c2VhbGVk")
TWO = Line("two words, ü", 2, "c2VhbGVk")
ONE_IS_DONE = Ended("one", "done", "", NOW)

Open = Callable[[str], Journal]
"""A journal of the same queue for the agent of that epoch; its clock is at `NOW`."""


class JournalContract:
    """Fixtures: `journal_for`, as `Open`; `forget`, which destroys all that the queue's journals have."""

    async def test_what_was_written_the_next_agent_finds_in_order(self, journal_for: Open) -> None:
        first = journal_for("first")
        assert await first.take_over() == Legacy()
        await first.write([TWO, ONE], [])
        assert await journal_for("next").take_over() == Legacy((ONE, TWO))

    async def test_of_what_has_ended_only_that_is_left(self, journal_for: Open) -> None:
        first = journal_for("first")
        await first.take_over()
        await first.write([ONE, TWO], [])
        await first.write([], [ONE_IS_DONE])
        assert await journal_for("next").take_over() == Legacy((TWO,), (ONE_IS_DONE,))

    async def test_a_pause_is_found_by_the_next_agent_until_it_is_over(self, journal_for: Open) -> None:
        first = journal_for("first")
        await first.take_over()
        await first.write([ONE], [], paused_at=NOW - 5)
        second = journal_for("second")
        assert await second.take_over() == Legacy((ONE,), (), NOW - 5)
        await second.write([TWO], [], paused_at=NOW - 5)
        third = journal_for("third")
        assert await third.take_over() == Legacy((ONE, TWO), (), NOW - 5)
        await third.write([], [])
        assert await journal_for("fourth").take_over() == Legacy((ONE, TWO))

    async def test_a_line_that_has_begun_is_the_same_line(self, journal_for: Open) -> None:
        first = journal_for("first")
        await first.take_over()
        await first.write([ONE], [])
        begun = replace(ONE, begun=1)
        await first.write([begun], [])
        assert await journal_for("next").take_over() == Legacy((begun,))

    async def test_of_what_was_removed_nothing_is_left(self, journal_for: Open) -> None:
        first = journal_for("first")
        await first.take_over()
        await first.write([ONE, TWO], [])
        await first.write([], [ONE_IS_DONE], paused_at=NOW - 5)
        await first.remove()
        with pytest.raises(ForgottenError):
            await first.write([TWO], [])
        assert await journal_for("next").take_over() == Legacy()

    async def test_a_write_can_be_made_again(self, journal_for: Open) -> None:
        first = journal_for("first")
        await first.take_over()
        for _ in range(2):
            await first.write([ONE, TWO], [])
        for _ in range(2):
            await first.write([], [ONE_IS_DONE])
        assert await journal_for("next").take_over() == Legacy((TWO,), (ONE_IS_DONE,))

    async def test_an_agent_that_was_overtaken_changes_nothing_any_more(self, journal_for: Open) -> None:
        first, second = journal_for("first"), journal_for("second")
        await first.take_over()
        await first.write([ONE], [])
        await second.take_over()
        with pytest.raises(FencedError):
            await first.write([TWO], [ONE_IS_DONE])
        with pytest.raises(FencedError):
            await first.release()
        await second.write([], [])
        assert await journal_for("third").take_over() == Legacy((ONE,))

    async def test_one_that_is_gone_leaves_all_of_it(self, journal_for: Open) -> None:
        first = journal_for("first")
        await first.take_over()
        await first.write([ONE], [])
        await first.release()
        with pytest.raises(FencedError):
            await first.write([], [ONE_IS_DONE])
        assert await journal_for("next").take_over() == Legacy((ONE,))

    async def test_what_was_destroyed_is_told_and_can_be_taken_over_anew(
        self, journal_for: Open, forget: Callable[[], None]
    ) -> None:
        first = journal_for("first")
        await first.take_over()
        await first.write([ONE], [])
        forget()
        with pytest.raises(ForgottenError):
            await first.write([TWO], [])
        assert await first.take_over() == Legacy()
        await first.write([ONE, TWO], [])
        assert await journal_for("next").take_over() == Legacy((ONE, TWO))

    async def test_what_ended_long_ago_is_forgotten(self, journal_for: Open) -> None:
        first = journal_for("first")
        await first.take_over()
        old, recent = replace(ONE_IS_DONE, ended_at=NOW - 601), replace(ONE_IS_DONE, id="two", ended_at=NOW)
        await first.write([], [old])
        await first.write([], [recent])
        assert (await journal_for("next").take_over()).ended == (recent,)

    async def test_it_can_be_closed_twice(self, journal_for: Open) -> None:
        journal = journal_for("first")
        await journal.take_over()
        await journal.aclose()
        await journal.aclose()
