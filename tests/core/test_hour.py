from __future__ import annotations

import math
from collections import defaultdict
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.core.hour import Account, Hour, Window

GAPS = st.lists(st.floats(0, 900, allow_nan=False), max_size=80)
OWNER, ANN, BEN = Account("key K", is_owner=True), Account("ann"), Account("ben")
ACCOUNTS = (OWNER, ANN, BEN, Account("cleo"))


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


def test_a_window_holds_no_more_than_its_minutes() -> None:
    window = Window(1e9)
    for second in range(100_000):
        window.add(1, float(second))
        assert second % 1000 or window.used(float(second)) <= 3660
    assert len(window._slots) <= 1100  # those since it was asked last


ENDS = st.tuples(st.floats(0, 1), st.booleans())
LINES = st.lists(
    st.tuples(st.floats(0, 900), st.sampled_from(ACCOUNTS), st.integers(1, 400), ENDS), max_size=60
)
"""After so many seconds an account says so many characters: which part is asked for, and whether at once."""

Line = tuple[float, Account, int, tuple[float, bool]]


@given(LINES)
def test_in_no_hour_is_more_spent_than_the_limit_nor_more_of_anybodys_than_his_share(
    lines: list[Line],
) -> None:
    hour, now = Hour(1000), 0.0
    spent: list[tuple[float, Account, int]] = []
    waiting: list[tuple[Account, int, int]] = []

    def speak(account: Account, chars: int, asked: int) -> None:
        hour.promise(hour.name_of(account), -chars)
        hour.spend(hour.name_of(account), asked, now)
        spent.append((now, account, asked))

    for gap_s, account, chars, (part, is_now) in lines:
        now += gap_s
        if any(share.fits_in_s(chars, now) for share in hour.shares(account)):
            if waiting:
                speak(*waiting.pop(0))
            continue
        hour.promise(hour.name_of(account), chars)
        line = (account, chars, round(chars * part))
        speak(*line) if is_now else waiting.append(line)
    for began_at, _, _ in spent:
        used: defaultdict[Account, int] = defaultdict(int)
        for at, account, chars in spent:
            used[account] += chars if began_at <= at < began_at + 3600 else 0
        assert sum(used.values()) <= 1000
        assert sum(used.values()) - used[OWNER] <= 750
        assert all(used[account] <= 500 for account in ACCOUNTS if account is not OWNER)


@given(LINES)
def test_whatever_guests_have_done_a_line_of_the_owners_fits_as_long_as_his_quarter_is_not_used(
    lines: list[Line],
) -> None:
    hour, now = Hour(1000), 0.0
    for gap_s, account, chars, (part, is_now) in lines:
        now += gap_s
        if account.is_owner or any(share.fits_in_s(chars, now) for share in hour.shares(account)):
            continue
        hour.promise(hour.name_of(account), chars)
        if is_now:
            hour.promise(hour.name_of(account), -chars)
            hour.spend(hour.name_of(account), round(chars * part), now)
    assert not any(share.fits_in_s(250, now) for share in hour.shares(OWNER))


def test_what_waits_for_a_promise_is_told_a_time_and_what_never_fits_is_told_that() -> None:
    hour = Hour(1000)
    hour.promise(hour.name_of(OWNER), 1000)
    assert [share.fits_in_s(1, 30.0) for share in hour.shares(OWNER)] == [3630.0]
    assert [share.fits_in_s(1001, 30.0) for share in hour.shares(OWNER)] == [math.inf]
    assert hour.resets_in_s(30.0) == 3630.0


def test_nothing_is_left_of_an_hour_that_is_over() -> None:
    hour = Hour(1000)
    hour.promise(hour.name_of(ANN), 100)
    hour.promise(hour.name_of(ANN), -100)
    hour.spend(hour.name_of(ANN), 100, 0.0)
    assert (hour.used(3600.0), hour.used(3660.0), hour.resets_in_s(3660.0)) == (100, 0, 0)


@pytest.mark.parametrize("amount", [1, 2])
def test_however_many_accounts_there_are_they_are_told_apart_in_bounded_number(amount: int) -> None:
    hour = Hour(1_000_000)
    for number in range(5000):
        hour.spend(hour.name_of(Account(f"guest-{number}")), amount, 0.0)
    assert len(hour._each) <= 1001
    assert hour.used(0.0) == 5000 * amount
    for number in range(3000):
        hour.spend(hour.name_of(Account(f"late-{number}")), amount, 7200.0)
    assert len(hour._each) <= 1001
