from __future__ import annotations

import pickle

import pytest

from libacli.core.acquaintance import Acquaintance, Acquaintances
from libacli.core.habits import Answer, Habits

FRAME_S = 0.02
OPENAI, ECHO = ("speech", "tts-1", "alloy"), ("speech", "tts-1", "echo")


def steady(chars: int = 100, first_s: float = 0.3) -> Answer:
    return Answer(chars, first_s, chars * 0.06, 0.0)


def test_a_voice_that_has_read_all_lines_whole_is_not_held() -> None:
    known = Acquaintance()
    for _ in range(40):
        known.learn_line(need_s=0.0, chars=100)
    assert known.hold_s(100) == 0


def test_the_hold_is_the_shortest_that_keeps_95_percent_of_recent_lines_whole() -> None:
    known = Acquaintance()
    for tenths in range(1, 41):
        known.learn_line(need_s=tenths / 10, chars=100)
    needs = [tenths / 10 for tenths in range(1, 41)] + [0.0] * 19
    hold_s = known.hold_s(100)
    assert sum(need <= hold_s for need in needs) >= 0.95 * len(needs)
    assert sum(need <= hold_s - 0.11 for need in needs) < 0.95 * len(needs)


def test_one_late_line_does_not_make_all_others_wait_but_a_second_one_does() -> None:
    known = Acquaintance()
    known.learn_line(need_s=2.0, chars=100)
    assert known.hold_s(100) == 0
    known.learn_line(need_s=1.5, chars=100)
    assert known.hold_s(100) == pytest.approx(1.5 + FRAME_S)


def test_what_nobody_hears_is_not_held_for() -> None:
    known = Acquaintance()
    for _ in range(40):
        known.learn_line(need_s=0.015, chars=100)
    assert known.hold_s(100) == 0


def test_old_lines_and_answers_are_forgotten() -> None:
    known = Acquaintance()
    for _ in range(40):
        known.learn(steady(first_s=3.0))
        known.learn_line(need_s=2.0, chars=100)
    for _ in range(64):
        known.learn(steady(first_s=0.3))
        known.learn_line(need_s=0.0, chars=100)
    assert known.hold_s(100) == 0
    assert known.habits.p99 == pytest.approx(1)


def test_a_limit_is_remembered_for_a_while() -> None:
    known = Acquaintance()
    assert known.limit_s(0.0) == 0
    known.learn_limit(20.0, 100.0)
    assert known.limit_s(400.0) == 20
    assert known.limit_s(800.0) == 0


def test_it_is_asked_so_early_that_the_latest_of_a_hundred_answers_comes_in_time() -> None:
    known = Acquaintance()
    for hundredths in range(64):
        known.learn(steady(first_s=2 + hundredths / 10))
    assert known.lead_s(100, 0.0) > 8.3
    assert 8 < known.least_lead_s() < known.lead_s(100, 0.0)
    known.learn_limit(20.0, 0.0)
    assert known.lead_s(100, 1.0) > 28


def test_a_quick_voice_is_asked_no_sooner_than_something_could_go_wrong() -> None:
    known = Acquaintance()
    for _ in range(64):
        known.learn(steady(first_s=0.05))
    assert known.lead_s(100, 0.0) == 8
    assert known.least_lead_s() < 0.2


def test_who_answered_the_last_time_is_expected_the_next_time() -> None:
    voices = Acquaintances()
    voices.speaks(OPENAI, asked=OPENAI).learn(steady(first_s=0.3))
    voices.speaks(ECHO, asked=OPENAI).learn(steady(first_s=2.0))
    assert voices.expected(OPENAI).habits.base_s > 1
    voices.speaks(OPENAI, asked=OPENAI)
    assert voices.expected(OPENAI).habits.base_s < 1


def test_of_a_voice_that_never_spoke_nothing_is_known_nor_kept() -> None:
    voices = Acquaintances()
    assert voices.expected(OPENAI).habits == Habits()
    assert voices.expected(OPENAI) is not voices.expected(OPENAI)


def test_names_without_end_do_not_fill_the_memory() -> None:
    voices = Acquaintances()
    for number in range(1000):
        name = ("speech", "tts-1", str(number))
        voices.speaks(name, asked=name).learn(steady())
    names = [("speech", "tts-1", str(number)) for number in range(1000)]
    kept = [number for number, name in enumerate(names) if voices.expected(name).habits != Habits()]
    assert kept == list(range(1000 - len(kept), 1000))
    assert len(kept) < 100


def test_it_can_be_given_to_another_process() -> None:
    voices = Acquaintances()
    voices.speaks(OPENAI, asked=OPENAI).learn(steady())
    copy = pickle.loads(pickle.dumps(voices))
    assert copy.expected(OPENAI).habits == voices.expected(OPENAI).habits
