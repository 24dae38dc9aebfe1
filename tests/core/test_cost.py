from __future__ import annotations

from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.core.avatar_time import LOCAL, AvatarTime
from libacli.core.cost import AVATAR, Cost, Price, Prices, bill, digits, encode
from libacli.core.summary import KEYS
from libacli.core.utterance_record import UtteranceRecord

PER_CHAR, PER_MINUTE = Price.read("15 per 1M chars"), Price.read("0.37 per minute")
PRICES = Prices("EUR", {"m1": PER_CHAR, "m2/ann": PER_MINUTE}, Price.read("0.1 per minute"))

records = st.builds(
    UtteranceRecord,
    id=st.just("a"),
    t0=st.floats(0, 10 * 86_400),
    outcome=st.sampled_from(["done", "failed", "interrupted"]),
    room=st.sampled_from(["demo", "hall"]),
    route=st.sampled_from([None, "avatar", "track"]),
    account=st.sampled_from(["", "key K", "key K for laptop", "participant bob in demo"]),
    provider=st.sampled_from(["", "speech", "embedded"]),
    model=st.sampled_from(["m1", "m2", "m3"]),
    voice=st.sampled_from(["ann", "bob"]),
    asked_chars=st.integers(0, 10_000),
    asked_ms=st.floats(0, 1e7),
)
times = st.tuples(
    st.builds(
        AvatarTime,
        began=st.floats(0, 10 * 86_400),
        ended=st.floats(0, 10 * 86_400),
        seconds=st.just(0.0),
        room=st.sampled_from(["demo", "hall"]),
        vendor=st.sampled_from(["tavus", LOCAL]),
    ),
    st.floats(0, 1e5),
)


def one(**members: object) -> UtteranceRecord:
    known = {"id": "a", "t0": 0.0, "outcome": "done", "model": "m1", "voice": "ann", "provider": "speech"}
    return UtteranceRecord(**(known | members))  # type: ignore[arg-type]


def exact_sum(amounts: list[Decimal]) -> Decimal:
    with localcontext(prec=100):
        return sum(amounts, Decimal(0))


@given(
    st.lists(records, max_size=30),
    st.lists(times, max_size=10),
    st.lists(st.sampled_from(sorted(KEYS)), unique=True, min_size=1, max_size=3),
    st.sampled_from([PRICES, Prices()]),
)
def test_groups_cost_together_to_the_last_digit_what_all_cost(
    all_of_them: list[UtteranceRecord],
    avatar_times: list[tuple[AvatarTime, float]],
    by: list[str],
    prices: Prices,
) -> None:
    found = bill(all_of_them, avatar_times, prices, by)
    for name in ("voices", "avatar", "total"):
        assert exact_sum([getattr(group, name) for group in found.groups]) == getattr(found.whole, name)
    for name in ("utterances", "chars", "speech_ms", "avatar_ms", "cached"):
        assert sum(getattr(group, name) for group in found.groups) == getattr(found.whole, name)
    assert set().union(*(group.without_price for group in found.groups)) == found.whole.without_price
    assert [group.key for group in found.groups] == sorted({group.key for group in found.groups})


@pytest.mark.parametrize(
    ("text", "chars", "ms", "cost"),
    [
        ("15 per 1M chars", 2_000_000, 0, "30"),
        ("15 per million  chars", 1, 0, "0.000015"),
        ("0.015 per 1000 chars", 1000, 0, "0.015"),
        ("0.015 per 1K chars", 1000, 0, "0.015"),
        ("0.9 per minute", 0, 90_000, "1.35"),
        ("54 per hour", 0, 60_000, "0.9"),
        ("0", 1000, 1000, "0"),
    ],
)
def test_a_price_is_for_characters_or_for_the_time_of_the_sound(
    text: str, chars: int, ms: int, cost: str
) -> None:
    found = bill([one(asked_chars=chars, asked_ms=ms)], [], Prices(voices={"m1": Price.read(text)}))
    assert Decimal(encode(found.whole, PRICES)["voices"]) == Decimal(cost)


@pytest.mark.parametrize(
    "text",
    [
        *("", "15", "free", "-1 per minute", "1e9 per minute", "15 per word", "15 USD per minute", "NaN"),
        *("0,5 per minute", "15 per", "per minute", "1000001 per minute", "٣ per minute", "1 per minute x"),
    ],
)
def test_what_is_no_price_is_told_with_how_one_is_written(text: str) -> None:
    with pytest.raises(ValueError, match="write it like '15 per 1M chars'"):
        Price.read(text)


def test_the_price_of_a_speaker_goes_before_that_of_the_model_and_that_before_the_providers() -> None:
    three = {"m1/ann": Price.read("3 per minute"), "m1": PER_CHAR, "speech": PER_MINUTE}
    prices = Prices(voices=three)
    assert prices.of_voice(one()) == three["m1/ann"]
    assert prices.of_voice(one(voice="bob")) == three["m1"]
    assert prices.of_voice(one(model="m9")) == three["speech"]
    assert prices.of_voice(one(model="m9", provider="realtime")) is None


def test_no_price_is_built_in_but_that_what_runs_on_this_machine_is_free() -> None:
    time = AvatarTime(0.0, 60.0, 60.0)
    spoken = [one(asked_chars=10), one(asked_chars=10, provider="embedded", model="hibari")]
    paid = bill(spoken, [(time, 60.0), (AvatarTime(0.0, 60.0, 60.0, vendor=LOCAL), 60.0)], Prices())
    assert paid.whole.total == 0
    assert paid.whole.without_price == {"m1", AVATAR}
    free = bill(spoken[1:], [(AvatarTime(0.0, 60.0, 60.0, vendor=LOCAL), 60.0)], Prices())
    assert (free.whole.without_price, free.whole.avatar_ms) == (set(), 60_000)


def test_what_was_kept_costs_nothing_and_needs_no_price() -> None:
    found = bill([one(cached=True, chars=100, asked_chars=0, asked_ms=0.0)], [], Prices())
    assert (found.whole.cached, found.whole.chars, found.whole.total) == (1, 0, Decimal(0))
    assert found.whole.without_price == set()


def test_what_was_asked_for_twice_costs_twice_whatever_the_text_has() -> None:
    found = bill([one(chars=100, asked_chars=200, replayed=True)], [], PRICES)
    assert digits(found.whole.voices, 6) == "0.003000"


def test_avatar_time_belongs_to_its_room_and_day_and_to_nobody_who_asked() -> None:
    time = AvatarTime(86_400.0, 86_460.0, 60.0, "demo", "tavus")
    found = bill(
        [one(asked_chars=10, room="demo", account="key K for laptop")], [(time, 60.0)], PRICES, ["key"]
    )
    assert [(group.key, digits(group.avatar, 3)) for group in found.groups] == [
        ((AVATAR,), "0.100"),
        (("laptop",), "0.000"),
    ]
    found = bill([], [(time, 60.0)], PRICES, ["room", "day"])
    assert [group.key for group in found.groups] == [("demo", "1970-01-02")]


@pytest.mark.parametrize(
    ("account", "name"),
    [
        ("key APIx for laptop", "laptop"),
        ("key APIx for session 1f", "session 1f"),
        ("key APIx", "key APIx"),
        ("participant bob in demo", "participant bob"),
        ("", "unknown"),
    ],
)
def test_who_asked_is_called_by_the_key_or_the_identity(account: str, name: str) -> None:
    assert KEYS["key"](one(account=account, room="demo")) == name


def test_money_is_rounded_only_where_it_is_shown() -> None:
    prices = Prices(voices={"m1": Price.read("0.1 per minute")})
    found = bill([one(asked_ms=1.0)] * 3, [], prices)
    assert encode(found.whole, prices)["voices"] == "0.000005000"
    assert encode(Cost(), prices)["total"] == "0.000000000"
