from __future__ import annotations

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.core.gate import AT_ONCE, FLOOD_S, PER_SECOND, Gate


def sent(gate: Gate, sender: str, per_second: float, for_s: float, *, start: float = 0.0) -> list[str]:
    """What becomes of requests that come evenly."""
    count = round(per_second * for_s)
    return [gate.take(sender, start + number / per_second) for number in range(count)]


@given(st.lists(st.floats(0, 0.2), min_size=1, max_size=600))
def test_a_sender_gets_what_may_come_at_once_and_then_its_rate(gaps: list[float]) -> None:
    gate, admitted, now = Gate(), 0, 0.0
    for now in accumulate(gaps):
        admitted += gate.take("a", now) == "admitted"
    assert admitted <= AT_ONCE + (now - gaps[0]) * PER_SECOND + 1
    assert admitted >= min(len(gaps), AT_ONCE)


def test_one_sender_takes_nothing_from_another() -> None:
    gate = Gate()
    sent(gate, "mallory", 700, 3.0)
    assert sent(gate, "ann", 40, 3.0, start=3.0) == ["admitted"] * 120


@pytest.mark.parametrize("per_second", [60, 100, 200, 700, 5000])
def test_who_goes_on_with_too_many_for_five_seconds_is_flooding_and_told_of_once_in_that_time(
    per_second: float,
) -> None:
    passages = sent(Gate(), "a", per_second, 14.0)
    at = [number / per_second for number, passage in enumerate(passages) if passage == "flooding"]
    assert len(at) == 2
    assert FLOOD_S <= at[0] <= FLOOD_S + 1.1
    assert FLOOD_S <= at[1] - at[0] <= FLOOD_S + 1.1


@pytest.mark.parametrize(
    "times",
    [
        [number / PER_SECOND for number in range(PER_SECOND * 60)],
        [0.0] * 1000,
        [float(number // 1000) * 3 for number in range(10_000)],
        [number / 200 for number in range(800)] + [number / 200 for number in range(1200, 2000)],
        [0.0] * 1000 + [float(number) for number in range(60)],
    ],
    ids=[
        "as fast as may be",
        "all at once",
        "bursts with pauses",
        "four seconds, twice",
        "a burst, then slow",
    ],
)
def test_who_is_as_fast_as_may_be_or_sends_a_burst_is_not_flooding(times: list[float]) -> None:
    gate = Gate()
    assert "flooding" not in [gate.take("a", at) for at in times]


def test_a_flood_is_seen_through_moments_in_which_nothing_is_taken_in() -> None:
    gate = Gate()
    times = [number / 200 for number in range(200 * 10)]
    late = [at if at % 3 < 1.6 else (at // 3 + 1) * 3 - 0.01 for at in times]  # 1.4 s of each 3 come together
    assert "flooding" in [gate.take("a", at) for at in late]


def test_senders_are_remembered_in_bounded_number_and_a_flood_among_them_is_seen() -> None:
    gate = Gate()
    passages = []
    for number in range(14_000):
        passages.append(gate.take("mallory", number / 200))
        gate.take(f"call-{number}", number / 200)
    assert "flooding" in passages
    assert len(gate._seconds) <= 256
    assert len(gate._rates._full_at) <= 512
