from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.core.threshold import STATISTICS, Threshold
from libacli.core.timeline import percentile

VALUES = {"d01": [100.0, 200.0, 300.0], "total": []}


@pytest.mark.parametrize(
    "condition",
    ["d01.p50<201", "d01.p95<=300", "d01.max==300", "d01.min>99.5", " d01.mean >= 200 ", "d01.count==3"],
)
def test_a_condition_that_holds_says_nothing(condition: str) -> None:
    assert Threshold.parse(condition).check(VALUES) is None


@pytest.mark.parametrize(
    ("condition", "told"),
    [
        ("d01.p95<300", "d01.p95<300 does not hold: it is 300"),
        ("d01.mean>200.5", "d01.mean>200.5 does not hold: it is 200"),
        ("d01.count>=4", "d01.count>=4 does not hold: it is 3"),
        ("total.p50<9", "total.p50<9 cannot be told: nothing was measured"),
        ("d12.max<9", "d12.max<9 cannot be told: nothing was measured"),
        ("d12.count>=1", "d12.count>=1 does not hold: it is 0"),
    ],
)
def test_a_condition_that_does_not_hold_says_what_is(condition: str, told: str) -> None:
    assert Threshold.parse(condition).check(VALUES) == told


@pytest.mark.parametrize("text", ["", "d01", "d01<900", "d01.p95", "d01.p95<", "d01.p95<fast"])
def test_what_is_no_condition_is_told_so(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not like d01\.p95<900"):
        Threshold.parse(text)


def test_an_unknown_statistic_is_told_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="p96 is not one of p50, p90"):
        Threshold.parse("d01.p96<900")


@given(st.lists(st.floats(0, 1e6), min_size=1), st.sampled_from(sorted(STATISTICS)))
def test_below_and_at_least_are_opposites(values: list[float], statistic: str) -> None:
    limit = percentile(values, 50)
    below = Threshold("d01", statistic, "<", limit).check({"d01": values})
    at_least = Threshold("d01", statistic, ">=", limit).check({"d01": values})
    assert (below is None) != (at_least is None)
