from __future__ import annotations

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.core.caps import Rates, SayCaps
from libacli.core.hour import Account
from libacli.core.usage import Usage
from libacli.errors import RefusedError


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


OWNER, ANN, BEN = Account("key K", is_owner=True), Account("ann"), Account("ben")


def accepted(caps: SayCaps, account: Account, chars: int, now: float = 0.0, *, id: str = "u") -> None:
    caps.check(account, chars, now)
    caps.accept(account, id, chars, now)


def refusal(caps: SayCaps, account: Account, chars: int, now: float = 0.0) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        caps.check(account, chars, now)
    return caught.value


def test_a_refusal_says_which_cap_it_is_and_when_to_try_again() -> None:
    caps = SayCaps(rate_per_minute=60, burst=1, max_chars_per_hour=100)
    accepted(caps, OWNER, 90)
    fast = refusal(caps, OWNER, 5)
    assert "faster than is allowed; try again in 1 s" in str(fast)
    dear = refusal(caps, OWNER, 11, 2.0)
    assert "90 of 100 characters of this hour are used, this has 11; try again in 61 min" in str(dear)
    never = refusal(caps, OWNER, 101, 2.0)
    assert "too much at once" in str(never)
    told = [(found.reason, found.retry_in_s) for found in (fast, dear, never)]
    assert told == [("rate_limited", 1), ("spend_cap", 3658), ("spend_cap", None)]


def test_every_cap_tells_how_much_of_it_is_used() -> None:
    caps = SayCaps(rate_per_minute=60, burst=4, max_chars_per_hour=100)
    accepted(caps, ANN, 30)
    caps.ask("u", 30, 0.0)
    assert caps.usage(ANN, 0.0) == [
        Usage("your requests", 1, 4, "requests", 1.0),
        Usage("your speech", 30, 50, "characters", 3660.0),
        Usage("speech", 30, 100, "characters", 3660.0),
    ]
    assert [(cap.name, cap.used) for cap in caps.usage(OWNER, 0.0)] == [("your requests", 0), ("speech", 30)]
    assert [cap.used for cap in caps.usage(BEN, 0.0)] == [0, 0, 30]
    assert [cap.used for cap in caps.usage(ANN, 4000.0)] == [0, 0, 0]


def test_a_cap_of_zero_is_none() -> None:
    caps = SayCaps(rate_per_minute=0, burst=1, max_chars_per_hour=0)
    for number in range(1000):
        accepted(caps, ANN, 4000, id=f"u{number}")
        caps.ask(f"u{number}", 4000, 0.0)
        caps.end(f"u{number}")
    assert caps.usage(ANN, 0.0) == []


def test_what_is_charged_is_what_the_voice_was_asked_for_and_the_rest_is_free_once_it_is_over() -> None:
    caps = SayCaps(rate_per_minute=0, burst=1, max_chars_per_hour=2000)
    for number in range(30):
        accepted(caps, ANN, 400, id=f"u{number}")
        caps.ask(f"u{number}", 10, 0.0)
        caps.end(f"u{number}")
    assert [cap.used for cap in caps.usage(ANN, 0.0)] == [300, 300]


def test_what_is_asked_for_more_than_once_is_charged_each_time() -> None:
    caps = SayCaps(rate_per_minute=0, burst=1, max_chars_per_hour=1000)
    accepted(caps, ANN, 40)
    for _ in range(3):
        caps.ask("u", 30, 0.0)
    assert caps.usage(ANN, 0.0)[0].used == 90
    caps.end("u")
    caps.end("u")
    assert caps.usage(ANN, 0.0)[0].used == 90


def test_guests_leave_the_owner_his_quarter_and_one_guest_leaves_others_something() -> None:
    caps = SayCaps(rate_per_minute=0, burst=1, max_chars_per_hour=1000)
    accepted(caps, ANN, 500, id="a")
    assert "500 of 500 characters that one caller may use are used" in str(refusal(caps, ANN, 1))
    accepted(caps, BEN, 250, id="b")
    assert "750 of 750 characters that are not kept for the owner are used" in str(refusal(caps, BEN, 1))
    accepted(caps, OWNER, 250, id="o")
    assert "1000 of 1000 characters of this hour" in str(refusal(caps, OWNER, 1))


def test_the_owner_may_use_all_of_it() -> None:
    caps = SayCaps(rate_per_minute=0, burst=1, max_chars_per_hour=1000)
    accepted(caps, OWNER, 1000)
    assert refusal(caps, ANN, 1).reason == "spend_cap"


def test_one_account_that_is_too_fast_slows_no_other_one_down() -> None:
    caps = SayCaps(rate_per_minute=1, burst=1, max_chars_per_hour=0)
    accepted(caps, ANN, 1)
    assert refusal(caps, ANN, 1).reason == "rate_limited"
    caps.check(BEN, 1, 0.0)
    caps.check(OWNER, 1, 0.0)


def test_what_is_asked_for_without_having_been_accepted_is_charged_all_the_same() -> None:
    caps = SayCaps(rate_per_minute=0, burst=1, max_chars_per_hour=1000)
    caps.ask("u", 30, 0.0)
    assert caps.usage(OWNER, 0.0)[0].used == 30
