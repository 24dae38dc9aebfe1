"""Drift and holes over minutes, from what was measured of each line."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.core.probe_result import ProbeResult
from libacli.core.steadiness import Steadiness, with_holes

WHOLE = ProbeResult("u", "done", "avatar", heard=90.0, speech=1000, span=1000, silences=(150.0,))


def lagging(*lags: float | None, every_s: float = 30.0) -> list[ProbeResult]:
    return [replace(WHOLE, lag=lag, at_s=number * every_s) for number, lag in enumerate(lags)]


@given(st.floats(-50, 50), st.floats(-100, 100), st.integers(3, 20))
def test_a_picture_that_gets_later_evenly_drifts_by_that_much(slope: float, start: float, count: int) -> None:
    steady = Steadiness.of(lagging(*(start + slope * number / 2 for number in range(count))))
    assert steady.drift == pytest.approx(slope, abs=1e-6)
    assert steady.lags is not None
    assert steady.lags[1] - steady.lags[0] == pytest.approx(abs(slope) * (count - 1) / 2)


@pytest.mark.parametrize("lags", [(), (10.0,), (10.0, 20.0), (None, None, None)])
def test_of_too_few_lines_no_drift_is_told(lags: tuple[float | None, ...]) -> None:
    assert Steadiness.of(lagging(*lags)).drift is None


def test_lines_at_one_moment_do_not_drift() -> None:
    assert Steadiness.of(lagging(1.0, 2.0, 3.0, every_s=0.0)).drift is None


def test_a_line_without_a_lag_changes_no_drift() -> None:
    assert Steadiness.of(lagging(0.0, None, 10.0, 15.0)).drift == pytest.approx(10.0)


def test_a_silence_that_only_one_rendition_has_is_a_hole() -> None:
    holed = replace(WHOLE, silences=(150.0, 300.0))
    first, second, third = with_holes([WHOLE, holed, WHOLE], ["a", "a", "a"])
    assert (first.holes, third.holes) == ((), ())
    assert second.holes == pytest.approx((300.0,))
    assert first.hole == 0.0


def test_a_text_that_was_heard_whole_once_tells_of_no_holes() -> None:
    cut = replace(WHOLE, span=500, silences=())
    assert cut.verdict == "CUT OFF"
    assert [one.holes for one in with_holes([WHOLE, cut, WHOLE], ["a", "a", "b"])] == [None, None, None]


def test_what_was_cut_off_shows_no_pauses_of_the_voice() -> None:
    cut = replace(WHOLE, span=500, silences=())
    first, second, last = with_holes([WHOLE, WHOLE, cut], ["a", "a", "a"])
    assert (first.hole, second.hole, last.hole) == (0.0, 0.0, 0.0)


def test_what_was_not_heard_has_no_holes() -> None:
    mute = replace(WHOLE, heard=None, span=0, silences=())
    assert with_holes([WHOLE, WHOLE, mute], ["a", "a", "a"])[2].holes is None


def test_holes_are_counted_that_are_longer_than_120_ms() -> None:
    holes = [replace(WHOLE, holes=found) for found in ((300.0, 100.0), (), (121.0,))]
    steady = Steadiness.of([*holes, WHOLE])
    assert (steady.holes, steady.longest, steady.compared) == ((300.0, 121.0), 300.0, 3)


def test_all_of_it_is_told_with_its_units() -> None:
    assert Steadiness.of(lagging(0.0, 10.0, 20.0)).encode() == {
        "measured_s": 60.0,
        "drift_ms_per_minute": 20.0,
        "lags_ms": [0.0, 20.0],
        "compared": 0,
        "holes_ms": [],
        "longest_hole_ms": 0.0,
    }


def test_nothing_measured_is_nothing_told() -> None:
    steady = Steadiness.of([])
    assert (steady.measured_s, steady.drift, steady.lags, steady.holes) == (0.0, None, None, ())
