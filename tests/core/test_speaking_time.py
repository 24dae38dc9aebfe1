from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.core.speaking_time import oddity, shortest_s

LINE = "The quick brown fox jumps over the lazy dog, and then it does so once more."
LETTERS = sum(map(str.isalpha, LINE))


@pytest.mark.parametrize(
    ("text", "letters"),
    [
        ("", 0),
        ("Hi... !!!!!!!! ", 2),
        ("It is 7:30", 7),
        ("See https://example.org/a/very/long/address?with=parameters#and-more for it.", 8),
        ("[pause:2s]", 0),
        ("Hello.<break time='2s'/> Bye.", 8),
        ("Nooooooooooooooo", 3),
        ("Go to www.example.org/a/very/long/address/that/is/left/out.html now", 7),
        ("Mail ann.smith@department.example.co.uk now", 7),
        ("`some_code(1)` {tag} **bold**", 16),
        ("你好", 2),
    ],
)
def test_false_truncation_only_what_every_voice_speaks_takes_time(text: str, letters: int) -> None:
    assert shortest_s(text, 1.0) == pytest.approx(letters * 0.03)


def test_a_raised_speed_counts_and_a_lowered_one_does_not() -> None:
    assert shortest_s("abcd", 2.0) == pytest.approx(0.06)
    assert shortest_s("abcd", 0.5) == shortest_s("abcd", 1.0)


@pytest.mark.parametrize("s_per_letter", [0.05, 0.068, 0.09, 0.12])
def test_a_usual_pace_is_not_odd(s_per_letter: float) -> None:
    assert oddity(LINE, LETTERS * s_per_letter, 1.0) == ""


@pytest.mark.parametrize(
    ("rate", "told"), [(8_000, "fast"), (16_000, "fast"), (22_050, ""), (44_100, "slow"), (48_000, "slow")]
)
def test_a_wrong_rate_is_odd_when_it_is_far_off(rate: int, told: str) -> None:
    assert oddity(LINE, LETTERS * 0.0695 * rate / 24_000, 1.0) == told


@pytest.mark.parametrize(
    "text",
    ["Short.", "1,234,567 and 7,654,321 and again 1,234,567 and 7,654,321 and that is it", "你好" * 40],
)
def test_where_letters_tell_little_nothing_is_odd(text: str) -> None:
    assert oddity(text, 0.01, 1.0) == oddity(text, 600, 1.0) == ""


@pytest.mark.parametrize("speed", [0.25, 0.5, 1.0, 2.0, 4.0])
def test_the_pace_that_was_asked_for_is_not_odd(speed: float) -> None:
    assert oddity(LINE, LETTERS * 0.075 / speed, speed) == ""
    assert oddity(LINE, LETTERS * 0.075, speed) == ""  # a voice that takes no notice of it


@given(st.text(max_size=200), st.floats(0, 1_000), st.floats(0.25, 4))
def test_any_text_has_a_time(text: str, seconds: float, speed: float) -> None:
    assert shortest_s(text, speed) >= 0
    assert oddity(text, seconds, speed) in ("", "fast", "slow")
