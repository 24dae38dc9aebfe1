from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import pytest

from libacli.cli.screens.play import show_check
from libacli.config import Settings
from libacli.core.cue import Cue
from libacli.core.show_clock import ShowClock


def calls_of(work: Callable[[], object]) -> int:
    """How many functions are called for it: what it costs, on a machine of any speed."""
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(before)
    return calls


def test_a_check_costs_little_for_each_cue_of_however_long_a_show(capsys: pytest.CaptureFixture[str]) -> None:
    def check(cues: int) -> None:
        show = [Cue(line=number, text=f"Line {number}.") for number in range(cues)]
        show_check(Path("show.jsonl"), show, 0, (), Settings(), as_json=False)

    check(10)
    few, many = calls_of(lambda: check(200)), calls_of(lambda: check(1000))
    assert len(capsys.readouterr().out.splitlines()) == 3 + 10 + 200 + 1000
    assert (many - few) / 800 < 500  # 3,000 as a table of Rich


class Watched(dict[int, float]):
    """Counts how often all of it is looked through."""

    looks = 0

    def __iter__(self) -> Iterator[int]:
        self.looks += 1
        return super().__iter__()


def test_the_clock_looks_at_no_cue_but_those_that_begin_and_end() -> None:
    clock = ShowClock.of(dict.fromkeys(range(1, 10), 2.0), {10: 1.5})
    clock.left = watched = Watched(clock.left)
    for number in range(1, 10):
        clock.begin(number, 0.0)
        assert clock.remaining_s(0.0) == 2.0 * (10 - number) + 1.5
        clock.end(number, 2.0)
    assert (clock.remaining_s(0.0), watched.looks) == (1.5, 0)
