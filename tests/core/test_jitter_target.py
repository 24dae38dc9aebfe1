"""How much is held back of sources that are steady, or come in bursts; their clocks are numbers."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.core.jitter_target import MOST_S, JitterTarget

FRAME_S = 0.02
PIECE_S = st.sampled_from([0.02, 0.05, 0.1])
PERIOD_S = st.floats(0.05, 0.9)
LINE_S = st.floats(2.0, 5.0)

Piece = tuple[float, float]
"""When it comes, and seconds of its sound."""


def steady(line_s: float, piece_s: float, *, pace: float = 1.0) -> list[Piece]:
    """As it is made; `pace` of 2: sent twice as fast as it plays."""
    return [(number * piece_s / pace, piece_s) for number in range(math.ceil(line_s / piece_s))]


def in_bursts(line: list[Piece], period_s: float) -> list[Piece]:
    """The first piece is there at once, and the others when the next burst of them is due."""
    return [(math.ceil(at / period_s - 1e-9) * period_s, sound_s) for at, sound_s in line]


def delayed(line: list[Piece], delay_s: Callable[[], float]) -> list[Piece]:
    """Each by so much, and none before the one before it, as on a reliable stream."""
    found, last_at = [], 0.0
    for at, sound_s in line:
        last_at = max(last_at, at + delay_s())
        found.append((last_at, sound_s))
    return found


def holes(line: Iterable[Piece], hold_s: float) -> list[float]:
    """Seconds of each silence inside the line for who begins `hold_s` after its first sound."""
    found, dry_at = [], None
    for at, sound_s in line:
        dry_at = at + hold_s if dry_at is None else dry_at
        if at > dry_at + 1e-9:
            found.append(at - dry_at)
        dry_at = max(dry_at, at) + sound_s
    return found


def played(target: JitterTarget, *lines: list[Piece]) -> list[list[float]]:
    """The holes of each, heard one after the other with what is held back for it."""
    found, began_at = [], 0.0
    for line in lines:
        target.begin()
        found.append(holes(line, target.target_s))
        for at, sound_s in line:
            target.came(began_at + at, sound_s)
        began_at += 60.0
    target.begin()
    return found


@given(st.lists(st.tuples(LINE_S, PIECE_S, st.floats(1.0, 20.0)), min_size=1, max_size=4))
def test_of_a_steady_source_not_one_millisecond_is_held_back(lines: list[tuple[float, float, float]]) -> None:
    target = JitterTarget()
    for line_s, piece_s, pace in lines:
        played(target, steady(line_s, piece_s, pace=pace))
        assert target.target_s == 0


@given(st.integers(0, 99), st.floats(0.0, FRAME_S - 1e-3))
def test_what_is_late_by_less_than_a_frame_is_in_time(seed: int, most_s: float) -> None:
    chance, target = random.Random(seed), JitterTarget()
    played(target, *(delayed(steady(5.0, 0.02), lambda: chance.uniform(0, most_s)) for _ in range(4)))
    assert target.target_s == 0


@given(PERIOD_S, PIECE_S, st.lists(LINE_S, min_size=2, max_size=6))
def test_of_a_source_in_bursts_one_hole_is_heard_and_none_in_the_lines_after_it(
    period_s: float, piece_s: float, lengths: list[float]
) -> None:
    lines = [in_bursts(steady(line_s, piece_s), period_s) for line_s in lengths]
    first, *others = played(JitterTarget(), *lines)
    assert len([hole_s for hole_s in first if hole_s >= max(FRAME_S, piece_s)]) <= 1
    assert not [hole_s for line in others for hole_s in line if hole_s >= FRAME_S]


@pytest.mark.parametrize("seed", range(5))
def test_holes_of_a_network_with_random_delays_go_by_nine_tenths(seed: int) -> None:
    chance = random.Random(seed)
    lines = [delayed(steady(8.0, 0.02), lambda: chance.uniform(0.04, 0.12)) for _ in range(40)]
    bare = [hole_s for line in lines for hole_s in holes(line, 0.0)]
    held = [hole_s for line in played(JitterTarget(), *lines) for hole_s in line]
    assert sum(held) <= 0.1 * sum(bare)
    assert max(held, default=0.0) <= 0.12


@given(
    st.lists(
        st.lists(st.tuples(st.floats(0, 5), st.floats(0, 2)), min_size=1, max_size=40),
        min_size=1,
        max_size=10,
    )
)
def test_whatever_comes_the_target_is_within_its_bounds(lines: list[list[tuple[float, float]]]) -> None:
    target, at = JitterTarget(), 0.0
    for line in lines:
        target.begin()
        for pause_s, sound_s in line:
            at += pause_s
            target.came(at, sound_s)
            assert 0 <= target.target_s <= MOST_S
    target.begin()
    assert 0 <= target.target_s <= MOST_S


@given(PERIOD_S, PIECE_S)
def test_it_is_no_more_than_the_lateness_that_was_seen_and_a_frame(period_s: float, piece_s: float) -> None:
    target = JitterTarget()
    lines = [in_bursts(steady(4.0, piece_s), period_s) for _ in range(10)]
    played(target, *lines)
    assert target.target_s <= min(period_s + FRAME_S, MOST_S)


@given(PERIOD_S, st.integers(1, 20))
def test_when_the_source_is_steady_again_nothing_is_held_back_after_two_minutes(
    period_s: float, bad_lines: int
) -> None:
    target = JitterTarget()
    played(target, *(in_bursts(steady(4.0, 0.02), period_s) for _ in range(bad_lines)))
    played(target, *(steady(4.0, 0.02) for _ in range(30)))
    assert target.target_s == 0


def test_one_late_half_second_of_many_does_not_make_the_next_line_wait() -> None:
    target = JitterTarget()
    played(target, *(steady(4.0, 0.02) for _ in range(10)))
    late = [(at + (0.3 if 2.0 <= at < 2.4 else 0.0), sound_s) for at, sound_s in steady(4.0, 0.02)]
    played(target, [(max(at, 2.3), sound_s) if at >= 2.0 else (at, sound_s) for at, sound_s in late])
    assert target.target_s == 0


def test_a_pause_that_no_buffer_could_bridge_is_none_of_its_business() -> None:
    target = JitterTarget()
    whole = steady(6.0, 0.02)
    played(target, *([(at + (1.5 if at > 3 else 0.0), sound_s) for at, sound_s in whole] for _ in range(5)))
    assert target.target_s == 0


def test_a_delay_that_stays_is_forgotten_within_the_line() -> None:
    target = JitterTarget()
    line = [(at + (0.3 if at > 1.0 else 0.0), sound_s) for at, sound_s in steady(120.0, 0.02)]
    played(target, line)
    assert target.target_s == 0


def test_another_line_may_begin_on_another_clock_time_without_being_late() -> None:
    target = JitterTarget()
    played(target, *(steady(0.3, 0.02) for _ in range(20)))
    assert target.target_s == 0
