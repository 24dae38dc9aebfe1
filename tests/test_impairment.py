"""The impaired network's rules, by what holds for all seeds."""

from __future__ import annotations

from itertools import pairwise
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.impairment import Conditions, Impairment

BAD = Conditions(delay_ms=80, jitter_ms=40, loss=0.03, reorder=0.05)
seeds = st.integers(0, 2**32)
shares = st.floats(0, 1)


@st.composite
def conditions(draw: st.DrawFn) -> Conditions:
    delay_ms = draw(st.floats(0, 500))
    return Conditions(delay_ms, draw(st.floats(0, delay_ms)), draw(shares), draw(shares))


def fates(of: Conditions, seed: int, *, count: int, every_s: float) -> list[float | None]:
    """When each of so many packets, one `every_s`, is due after it was sent."""
    impairment = Impairment(of, seed)
    due = [impairment.due_s(number * every_s) for number in range(count)]
    return [None if at is None else at - number * every_s for number, at in enumerate(due)]


@given(seeds, st.lists(st.floats(0, 0.1), max_size=50))
def test_a_network_that_does_nothing_passes_each_packet_on_at_once(seed: int, steps: list[float]) -> None:
    impairment, now = Impairment(Conditions(), seed), 0.0
    for step in steps:
        now += step
        assert impairment.due_s(now) == now


@given(conditions(), seeds)
def test_no_packet_takes_less_or_more_than_delay_and_jitter_allow(of: Conditions, seed: int) -> None:
    for took in fates(of, seed, count=100, every_s=0.005):
        if took is not None:
            assert of.delay_ms - of.jitter_ms - 1e-6 <= 1000 * took <= of.delay_ms + of.jitter_ms + 1e-6


@given(conditions(), seeds)
def test_the_same_seed_has_the_same_fate(of: Conditions, seed: int) -> None:
    once, again = (fates(of, seed, count=50, every_s=0.02) for _ in range(2))
    assert once == again


def test_another_seed_has_another_fate() -> None:
    assert fates(BAD, 1, count=50, every_s=0.02) != fates(BAD, 2, count=50, every_s=0.02)


@given(seeds)
def test_what_is_lost_does_not_depend_on_when_it_was_sent(seed: int) -> None:
    slow, fast = (fates(BAD, seed, count=100, every_s=every_s) for every_s in (1.0, 0.001))
    assert [took is None for took in slow] == [took is None for took in fast]


@given(conditions(), seeds)
def test_nothing_overtakes_where_nothing_may(of: Conditions, seed: int) -> None:
    impairment = Impairment(Conditions(of.delay_ms, of.jitter_ms, of.loss), seed)
    due = [at for number in range(100) if (at := impairment.due_s(0.005 * number)) is not None]
    assert all(before <= after for before, after in pairwise(due))


def test_what_may_overtake_does() -> None:
    impairment = Impairment(BAD, 1)
    due = [at for number in range(1000) if (at := impairment.due_s(0.005 * number)) is not None]
    overtaken = sum(after < before for before, after in pairwise(due))
    assert 0.01 * len(due) < overtaken <= 0.07 * len(due)


@pytest.mark.parametrize("seed", range(5))
def test_delay_and_loss_come_out_on_average(seed: int) -> None:
    took = fates(BAD, seed, count=20_000, every_s=1.0)
    arrived = [1000 * one for one in took if one is not None]
    assert fmean(arrived) == pytest.approx(80, abs=1)
    assert 1 - len(arrived) / len(took) == pytest.approx(0.03, abs=0.005)


def test_all_is_lost_where_all_is_to_be() -> None:
    assert set(fates(Conditions(loss=1), 1, count=100, every_s=0.02)) == {None}


@pytest.mark.parametrize(
    "wrong", [{"jitter_ms": 1}, {"delay_ms": 5, "jitter_ms": 6}, {"loss": 1.5}, {"reorder": -0.1}]
)
def test_what_no_network_can_do_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"jitter|shares"):
        Conditions(**wrong)
