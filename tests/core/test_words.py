from __future__ import annotations

import itertools
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.core.words import whole_letters, word_ends

LETTERS = ["e\u0301", "👨‍👩‍👧", "🇩🇪", "👍🏽", "क्षि", "เก่า", "한", "ガ", "a", "1️⃣", "न\u0940"]


@pytest.mark.parametrize(
    "words",
    [
        ["Meet ", "Dr. Smith ", "at ", "10:30 ", "p.m. in ", "the ", "U.S. office."],
        [
            "It ",
            "goes ",
            "on. ",
            "She ",
            "paid ",
            "1 000 000 ",
            "or ",
            "$ 5, ",
            "that ",
            "is ",
            "5 % ",
            "more",
        ],
        ["Wait... ", "what, ", "z. B. hier"],
        ["  one\n", "two"],
        ["one"],
        [],
    ],
)
def test_a_cut_between_words_parts_no_number_and_no_abbreviation(words: list[str]) -> None:
    text = "".join(words)
    ends = [0, *word_ends(text), len(text)]
    assert [text[start:end] for start, end in itertools.pairwise(ends) if start < end] == words


@given(st.lists(st.sampled_from(LETTERS), min_size=2, max_size=12), st.data())
def test_a_cut_parts_nothing_that_is_seen_as_one_letter(letters: list[str], data: st.DataObject) -> None:
    ends = [sum(map(len, letters[: count + 1])) for count in range(len(letters))]
    cut = data.draw(st.integers(ends[0], ends[-1]))
    assert whole_letters("".join(letters), cut) == max(end for end in ends if end <= cut)


@given(st.text(max_size=30), st.integers(1, 30))
def test_there_is_always_a_cut(text: str, end: int) -> None:
    cut = whole_letters(text, end)
    assert 1 <= cut <= end
    if cut < min(end, len(text)):
        assert not unicodedata.combining(text[cut])
