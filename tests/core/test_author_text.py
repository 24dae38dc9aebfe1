from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.core.author_text import AuthorText, sounding
from libacli.core.passage import Passage

TEXTS = st.text(alphabet="abc. é字🎉\n", max_size=80)


@given(TEXTS)
def test_a_text_that_is_spoken_as_it_stands_is_at_each_character_where_the_voice_is(words: str) -> None:
    words = words.strip()
    text = AuthorText(words, [words])
    for at in range(len(words)):
        if not words[at].isspace():
            assert text.place(sounding(words[:at])) == at
    assert text.place(sounding(words)) == len(words)


@given(TEXTS, st.lists(TEXTS, max_size=4))
def test_the_place_goes_from_the_beginning_to_the_end_and_never_back(words: str, spoken: list[str]) -> None:
    text = AuthorText(words, spoken)
    total = sum(map(sounding, spoken))
    places = [text.place(said / 4) for said in range(4 * total + 1)]
    assert places == sorted(places)
    assert places[0] >= 0
    assert places[-1] == len(words)
    shown = [text.shown(said / 4) for said in range(4 * total + 1)]
    assert all(place <= up_to <= len(words) for place, up_to in zip(places, shown, strict=True))


@pytest.mark.parametrize(
    ("words", "spoken", "parts"),
    [
        ("One two. Three.", ["One two.", "Three."], ["One two. ", "Three."]),
        ("A GIF¹. That's it 🎉", ["A jif.", "That's it"], ["A GIF¹. ", "That's it 🎉"]),
        (
            "He has ½ of it. And Ⅳ more.",
            ["He has 1/2 of it.", "And 4 more."],
            ["He has ½ of it. ", "And Ⅳ more."],
        ),
        (
            "- milk\n- eggs\n- a very long word",
            ["milk.", "eggs.", "a very long word"],
            ["- milk\n", "- eggs\n", "- a very long word"],
        ),
        ("今日は。いい天気ですね！", ["今日は。", "いい天気ですね！"], ["今日は。", "いい天気ですね！"]),
    ],
)
def test_where_the_voice_pauses_the_author_does(words: str, spoken: list[str], parts: list[str]) -> None:
    text = AuthorText(words, spoken)
    ends = [text.place(sum(map(sounding, spoken[: number + 1]))) for number in range(len(spoken))]
    starts = [0, *ends[:-1]]
    found = [words[start:end] for start, end in zip(starts, ends, strict=True)]
    # A bullet may stand on either side of the joint: nothing is said of it.
    assert [part.strip(" -\n") for part in found] == [part.strip(" -\n") for part in parts]
    assert "".join(found) == words


def test_a_word_is_shown_when_it_begins() -> None:
    text = AuthorText("One two three.", ["One two three."])
    assert [text.words[: text.shown(said)] for said in (0, 2.9, 3, 5.5, 6.1)] == [
        "One ",
        "One ",
        "One two ",
        "One two ",
        "One two three.",
    ]


def test_a_script_without_spaces_is_shown_letter_by_letter() -> None:
    words = "今日はいい天気ですね" * 5
    text = AuthorText(words, [words])
    assert text.shown(10) == 11


def test_a_passage_is_heard_as_its_sound_is_played() -> None:
    passage = Passage("ten chars.", begins_s=2.0, sound_s=1.0, is_whole=True)
    assert [passage.heard(at) for at in (0.0, 2.0, 2.5, 3.0, 9.0, float("inf"))] == [0, 0, 0.5, 1, 1, 1]


def test_of_one_that_is_still_being_said_the_rest_is_estimated() -> None:
    passage = Passage("x" * 100, begins_s=0.0, sound_s=1.0)
    assert 0.1 < passage.heard(1.0) < 0.3


def test_one_that_others_follow_is_heard_where_they_begin() -> None:
    passage = Passage("x" * 100, begins_s=1.0, sound_s=1.0)
    assert passage.heard(9.0) < 1
    passage.ends(3.0)
    assert (passage.heard(2.0), passage.heard(3.0)) == (0.5, 1)
