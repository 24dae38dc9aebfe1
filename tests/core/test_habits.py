from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.core.habits import Answer, Habits

LENGTHS = st.lists(st.integers(3, 400), min_size=8, max_size=64)


def answer(chars: int, first_s: float, *, pace_s: float = 0.06, **members: float) -> Answer:
    return Answer(chars, first_s, chars * pace_s, members.pop("arriving_s", 0.0), **members)


def test_nothing_known_is_a_voice_of_average_speed_that_may_be_unsteady() -> None:
    habits = Habits.of([])
    assert habits == Habits()
    assert 0 < habits.growth_s < habits.most_growth_s
    assert habits.p99 > habits.p95 > 1
    assert habits.hold_s(1000) == 0


@given(LENGTHS, st.floats(0, 2), st.sampled_from([0.002, 0.005, 0.025]))
def test_a_voice_that_grows_with_the_text_is_known_after_a_few_answers(
    lengths: list[int], base_s: float, growth_s: float
) -> None:
    lengths = [20, 120, *lengths]
    habits = Habits.of([answer(chars, base_s + growth_s * chars) for chars in lengths])
    assert habits.growth_s == pytest.approx(growth_s)
    assert habits.most_growth_s == pytest.approx(growth_s)
    assert habits.first_s(200) == pytest.approx(base_s + growth_s * 200)


@given(LENGTHS, st.floats(0.01, 2))
def test_a_voice_that_does_not_grow_is_known_after_a_few_answers(lengths: list[int], base_s: float) -> None:
    habits = Habits.of([answer(chars, base_s) for chars in [20, 120, *lengths]])
    assert habits.growth_s == habits.most_growth_s == 0
    assert habits.base_s == pytest.approx(base_s)


def test_an_unsteady_voice_does_not_seem_to_grow() -> None:
    """First sounds of 0.3 to 2.5 s, as real services have them, and lines of all lengths."""
    chance = random.Random(13)

    def seeming_growth_s(count: int) -> float:
        return Habits.of(
            [answer(chance.randint(10, 300), chance.lognormvariate(-0.23, 0.5)) for _ in range(count)]
        ).growth_s

    for count in (5, 10, 20, 64):
        growths = [seeming_growth_s(count) for _ in range(200)]
        # A clause of 200 characters would be cut for the sake of 0.4 s.
        assert sum(growth > 0.002 for growth in growths) <= 4, count
        assert sum(growth > 0 for growth in growths) <= 12, count


def test_few_answers_show_growth_only_where_it_is_plain() -> None:
    assert Habits.of([answer(20, 0.3), answer(220, 1.3)]).growth_s == Habits().growth_s
    assert Habits.of([answer(20, 0.5), answer(220, 0.4)]).growth_s == 0
    assert Habits.of([answer(20, 0.3), answer(220, 1.3)]).most_growth_s == pytest.approx(0.005)
    plain = [answer(20, 0.5), answer(120, 2.5), answer(220, 4.5)]
    assert Habits.of(plain).growth_s == pytest.approx(0.02)


def test_texts_of_one_length_tell_nothing_of_growth() -> None:
    assert Habits.of([answer(100, 0.3)] * 30).growth_s == Habits().growth_s


def test_a_first_sound_that_stood_behind_another_request_is_not_counted() -> None:
    queued = Answer(100, None, 6.0, 0.0)
    assert Habits.of([queued] * 30) == Habits(least_pace_s=0.06)
    assert Habits.of([*[answer(100, 0.3)] * 30, queued]).p99 == pytest.approx(1)


def test_lateness_is_told_against_what_is_usual_for_that_length() -> None:
    answers = [answer(chars, 0.3 + 0.002 * chars) for chars in range(20, 220, 5)]
    habits = Habits.of([*answers, answer(100, 1.5)])
    assert habits.p95 == pytest.approx(1, abs=0.01)
    assert habits.p99 == pytest.approx(3)


def test_a_voice_at_four_fifths_of_real_time_is_held_by_a_quarter_of_its_sound() -> None:
    slow = [answer(chars, 0.3, arriving_s=chars * 0.06 * 1.25) for chars in (100, 150, 50)]
    habits = Habits.of(slow)
    assert habits.lag == pytest.approx(0.25)
    assert habits.hold_s(200) == pytest.approx(200 * 0.06 * 0.25)


def test_bursts_are_held_for_whatever_the_text_if_they_come_time_and_again() -> None:
    steady, burst = answer(100, 0.3), answer(100, 0.3, need_s=0.8)
    assert Habits.of([steady, burst]).hold_s(50) == 0
    assert Habits.of([steady, burst, burst]).hold_s(50) == 0.8
    assert Habits.of([*[steady] * 40, burst, burst]).hold_s(50) == 0
