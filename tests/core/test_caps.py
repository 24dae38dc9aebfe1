from __future__ import annotations

import math
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.core.caps import Rates, SayCaps, Window
from libacli.core.usage import Usage
from libacli.errors import RefusedError

GAPS = st.lists(st.floats(0, 900, allow_nan=False), max_size=80)


@given(GAPS, st.integers(1, 400))
def test_no_hour_has_more_in_it_than_the_limit(gaps: list[float], amount: int) -> None:
    window, taken = Window(1000), list[float]()
    for now in accumulate(gaps):
        if not window.fits_in_s(amount, now):
            window.add(amount, now)
            taken.append(now)
    for first in taken:
        assert sum(amount for at in taken if first <= at < first + 3600) <= 1000


@given(GAPS, st.integers(1, 1000))
def test_what_does_not_fit_fits_when_the_window_says_and_not_a_minute_before(
    gaps: list[float], amount: int
) -> None:
    window, now = Window(1000), 0.0
    for now in accumulate(gaps):
        window.add(min(300.0, window.limit - window.used(now)), now)
    if wait_s := window.fits_in_s(amount, now):
        assert window.fits_in_s(amount, now + wait_s - 0.001) > 0
        assert window.fits_in_s(amount, now + wait_s) == 0


def test_what_is_more_than_the_limit_never_fits() -> None:
    assert math.isinf(Window(10).fits_in_s(11, 0.0))


def test_what_is_given_back_is_free_again_and_what_is_forgotten_is_not_given_back_twice() -> None:
    window = Window(100)
    window.add(60, 10.0)
    window.add(40, 70.0)
    window.take_back(60, 10.0)
    assert window.used(80.0) == 40
    assert window.used(5000.0) == 0
    window.take_back(40, 70.0)
    assert (window.used(5000.0), window.resets_in_s(5000.0)) == (0, 0)


def test_a_window_holds_no_more_than_its_minutes() -> None:
    window = Window(1e9)
    for second in range(100_000):
        window.add(1, float(second))
        assert second % 1000 or window.used(float(second)) <= 3660
    assert len(window._slots) <= 1100  # those since it was asked last


@given(st.floats(1, 600), st.integers(1, 50), st.lists(st.floats(0, 5), min_size=1, max_size=200))
def test_a_sender_gets_its_burst_and_then_its_rate(per_minute: float, burst: int, gaps: list[float]) -> None:
    rates, taken, now = Rates(per_minute, burst), 0, 0.0
    for now in accumulate(gaps):
        if not rates.fits_in_s("a", now):
            rates.take("a", now)
            taken += 1
    since_s = now - gaps[0]
    assert taken <= burst + since_s * per_minute / 60 + 1e-3
    assert taken >= min(len(gaps), burst)


def test_who_waits_as_long_as_it_is_told_gets_through() -> None:
    rates = Rates(120, 2)
    rates.take("a", 0.0)
    rates.take("a", 0.0)
    assert rates.fits_in_s("a", 0.0) == pytest.approx(0.5)
    assert rates.fits_in_s("a", 0.5) == 0
    assert rates.fits_in_s("b", 0.0) == 0


def test_senders_are_forgotten_when_their_bucket_is_full_again() -> None:
    rates = Rates(60, 1)
    for number in range(10_000):
        rates.take(f"sender-{number}", float(number))
    assert len(rates._full_at) <= 256


def test_a_refusal_says_which_cap_it_is_and_when_to_try_again() -> None:
    caps = SayCaps(rate_per_minute=60, burst=1, max_chars_per_hour=100)
    caps.charge("a", 90, 0.0)
    with pytest.raises(RefusedError, match="faster than is allowed; try again in 1 s") as fast:
        caps.check("a", 5, 0.0)
    with pytest.raises(
        RefusedError, match=r"90 of 100 characters .* this has 11; try again in 61 min"
    ) as dear:
        caps.check("b", 11, 0.0)
    with pytest.raises(RefusedError, match="too much at once") as never:
        caps.check("b", 101, 0.0)
    told = [(found.value.reason, found.value.retry_in_s) for found in (fast, dear, never)]
    assert told == [("rate_limited", 1), ("spend_cap", 3660), ("spend_cap", None)]


def test_every_cap_tells_how_much_of_it_is_used() -> None:
    caps = SayCaps(rate_per_minute=60, burst=4, max_chars_per_hour=100)
    caps.charge("a", 30, 0.0)
    assert caps.usage("a", 0.0) == [
        Usage("your requests", 1, 4, "requests", 1.0),
        Usage("speech", 30, 100, "characters", 3660.0),
    ]
    assert [cap.used for cap in caps.usage("b", 0.0)] == [0, 30]
    assert [cap.used for cap in caps.usage("a", 4000.0)] == [0, 0]


def test_a_cap_of_zero_is_none() -> None:
    caps = SayCaps(rate_per_minute=0, burst=1, max_chars_per_hour=0)
    for _ in range(1000):
        caps.check("a", 4000, 0.0)
        caps.charge("a", 4000, 0.0)
    caps.give_back(4000, 0.0)
    assert caps.usage("a", 0.0) == []
