from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.core.hedging import Hedging
from libacli.core.running_quantile import RunningQuantile
from libacli.core.timeline import percentile

SECONDS = st.floats(0.001, 60)


def knowing(*times: float) -> Hedging:
    hedging = Hedging()
    for seconds in times:
        hedging.ask()
        hedging.took(seconds)
    return hedging


@given(st.lists(SECONDS, min_size=1, max_size=60), st.integers(1, 20), st.floats(0, 100))
def test_a_running_quantile_is_that_of_the_last_values(
    values: list[float], most: int, percent: float
) -> None:
    quantile = RunningQuantile(most)
    for value in values:
        quantile.add(value)
    assert len(quantile) == min(most, len(values))
    assert quantile.percentile(percent) == percentile(values[-most:], percent)


@given(st.lists(st.booleans() | SECONDS | st.none(), max_size=400))
def test_of_any_requests_at_most_one_in_twenty_has_a_second(events: list[bool | float | None]) -> None:
    """True: one is asked for; False: a second one is wanted; None: the service fails."""
    hedging, asked, seconds = Hedging(), 0, 0
    for event in events:
        if event is True:
            hedging.ask()
            asked += 1
        elif event is False:
            seconds += hedging.spend()
        elif event is None:
            hedging.failed()
            assert not hedging.spend()
        else:
            hedging.took(event)
        assert seconds * 20 <= asked


@given(st.lists(SECONDS, min_size=20, max_size=300))
def test_a_request_is_late_when_it_takes_longer_than_the_usual_and_than_nineteen_in_twenty(
    times: list[float],
) -> None:
    late_s = knowing(*times).late_s()
    last = times[-200:]
    assert late_s is not None
    assert late_s >= max(percentile(last, 95), 1.5 * percentile(last, 50), 0.25)
    assert late_s in (percentile(last, 95), 1.5 * percentile(last, 50), 0.25)


@pytest.mark.parametrize(
    ("times", "late_s"),
    [
        ([1.0] * 19, None),
        ([1.0] * 20, 1.5),
        ([0.5, 2.0] * 10, 2.0),
        ([0.03] * 40, 0.25),
        ([0.3] * 96 + [10.0] * 4, pytest.approx(0.45)),
        ([0.3] * 90 + [10.0] * 10, 10.0),
        ([9.0] * 300 + [1.0] * 200, 1.5),
    ],
    ids=["unknown", "steady", "scattered", "quick", "some hang", "many hang", "long ago"],
)
def test_when_a_request_is_late(times: list[float], late_s: float | None) -> None:
    assert knowing(*times).late_s() == late_s


def test_what_is_saved_up_has_an_end() -> None:
    hedging = knowing(*[1.0] * 1000)
    assert [hedging.spend() for _ in range(6)] == [True] * 5 + [False]
    assert hedging.late_s() is None


def test_a_service_that_failed_has_no_second_requests_for_twenty_requests() -> None:
    hedging = knowing(*[1.0] * 1000)
    hedging.failed()
    assert hedging.late_s() is None
    for _ in range(20):
        assert not hedging.spend()
        hedging.ask()
    assert hedging.spend()
