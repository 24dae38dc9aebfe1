from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.core.hour import OWNER, Account, Hour
from libacli.core.hour_count import PROMISE_KEPT_S, HourCount, HourOfAll

NOW = 1_800_000_000.0
MINUTE = int(NOW // 60)

NAMES = st.sampled_from([OWNER, "ann", "ben"])
AMOUNTS = st.dictionaries(NAMES, st.integers(1, 4000), min_size=1)
SPENT = st.dictionaries(st.integers(MINUTE - 59, MINUTE), AMOUNTS)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@given(SPENT, st.dictionaries(st.sampled_from(["a1", "a2"]), AMOUNTS))
def test_what_is_written_is_what_is_read(
    spent: dict[int, dict[str, int]], promised: dict[str, dict[str, int]]
) -> None:
    count = HourCount()
    count.add(spent)
    for agent, accounts in promised.items():
        count.promise(agent, accounts, NOW)
    assert HourCount.read(json.loads(json.dumps(count.encode())), NOW) == count


@given(st.lists(SPENT, max_size=4))
def test_an_hour_that_learns_what_several_have_told_knows_the_sum(
    news: list[dict[int, dict[str, int]]],
) -> None:
    count, hour = HourCount(), Hour(1000)
    for told in news:
        count.add(told)
    hour.learn(count.spent, {})
    assert hour.used(NOW) == sum(sum(accounts.values()) for told in news for accounts in told.values())


@given(ANYTHING)
def test_whatever_stands_in_a_file_it_is_read_and_counts_nothing_that_is_no_number(members: Any) -> None:
    for found in (members, {"spent": members, "promised": members}, {"spent": {str(MINUTE): members}}):
        count = HourCount.read(found, NOW)
        json.dumps(count.encode())
        Hour(1000).learn(count.spent, count.promised_by_others("me"))


@pytest.mark.parametrize(
    ("minute", "counts"),
    [
        (str(MINUTE), True),
        (str(MINUTE - 59), True),
        (str(MINUTE - 60), True),  # a part of it is of the last hour
        (str(MINUTE - 61), False),
        (str(MINUTE + 500), True),  # the clock was set back
        ("-5", False),
        ("", False),
        ("9" * 5000, False),
        ("٣", False),
    ],
)
def test_what_is_older_than_an_hour_counts_no_more(minute: str, counts: bool) -> None:
    found = HourCount.read({"spent": {minute: {"ann": 10}}}, NOW)
    assert bool(found.spent) == counts
    assert all(at <= MINUTE for at in found.spent)


@pytest.mark.parametrize("amount", [0, -5, True, "5", None, [], {}, 1e300, float("nan"), 10**400])
def test_what_is_no_number_of_characters_is_none(amount: object) -> None:
    found = HourCount.read({"spent": {str(MINUTE): {"ann": amount, "ben": 7}}}, NOW)
    assert found.spent == {MINUTE: {"ben": 7}}


def test_a_promise_counts_as_long_as_its_agent_goes_on_saying_so() -> None:
    count = HourCount()
    count.promise("a1", {"ann": 5}, NOW)
    count.promise("a2", {"ann": 7, OWNER: 1}, NOW - PROMISE_KEPT_S - 1)
    found = HourCount.read(count.encode(), NOW)
    assert (found.promised_by_others("a1"), found.promised_by_others("a3")) == ({}, {"ann": 5})
    found.promise("a1", {}, NOW)
    assert found.encode() == {}


def test_promises_of_others_and_ones_own_are_one_sum() -> None:
    hour = Hour(1000)
    hour.promise(hour.name_of(Account("ann")), 100)
    hour.learn({MINUTE: {"ann": 50}}, {"ann": 200, OWNER: 400})
    assert hour.used(NOW) == 750
    assert hour.share_of(Account("ann")).used(NOW) == 350
    assert hour.promises() == {"ann": 100}


def test_what_is_spent_while_the_news_are_on_their_way_is_news_again() -> None:
    hour = Hour(1000)
    hour.spend("ann", 10, NOW)
    news = hour.take_news()
    hour.spend("ann", 1, NOW)
    hour.learn({MINUTE: {"ann": 10, "ben": 20}}, {})
    assert hour.used(NOW) == 31
    assert hour.take_news() == {MINUTE: {"ann": 1}}
    hour.put_back(news)
    assert hour.take_news() == {MINUTE: {"ann": 10}}


def test_what_other_machines_have_spent_and_promise_counts_beside_ones_own() -> None:
    hour = Hour(1000)
    hour.spend("ann", 1, NOW)
    hour.learn_of_others({MINUTE: {"ann": 50}}, {"ann": 200})
    hour.learn({MINUTE: {"ann": 10}}, {"ann": 3})
    assert hour.used(NOW) == 1 + 50 + 200 + 10 + 3
    hour.learn_of_others({}, {})
    assert hour.share_of(Account("ann")).used(NOW) == 1 + 10 + 3
    assert hour.take_news() == {MINUTE: {"ann": 1}}, "it is nobody else's news"


def test_news_that_are_on_their_way_are_not_forgotten_meanwhile() -> None:
    hour = Hour(1000)
    hour.spend("ann", 10, NOW)
    news = hour.take_news()
    hour.learn_of_others({MINUTE: {"ben": 5}}, {})
    assert hour.used(NOW) == 15
    hour.put_back(news)
    hour.learn_of_others({MINUTE: {"ben": 6}}, {})
    assert hour.used(NOW) == 16
    assert hour.untold() == {MINUTE: {"ann": 10}}
    hour.take_news()
    hour.learn({MINUTE: {"ann": 10}}, {})
    assert hour.used(NOW) == 16


def test_what_was_told_once_is_not_forgotten_before_its_hour_is_over() -> None:
    known = HourOfAll(
        {"m1": {MINUTE: {"ann": 10, "ben": 1}}, "m2": {MINUTE - 90: {"ann": 3}}}, {"a1": {"x": 1}}
    )
    found = HourOfAll({"m1": {MINUTE: {"ann": 4, "ben": 2}}}, {"a2": {"ann": 7}})
    grown = known.grown(found, NOW)
    assert grown == HourOfAll({"m1": {MINUTE: {"ann": 10, "ben": 2}}}, {"a2": {"ann": 7}})
    assert grown.without(["m1"], ["a2"]) == HourOfAll({}, {})
    summed = grown.summed()
    assert (summed.spent, summed.promised_by_others("")) == ({MINUTE: {"ann": 10, "ben": 2}}, {"ann": 7})
