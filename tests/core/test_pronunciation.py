from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.core.pronunciation import Pronunciations

WORDS = {
    "gif": "jif",
    "US": "you ess",
    "nguyen": "win",
    "C++": "see plus plus",
    "new york": "noo york",
    "new york city": "the big apple",
    "東京": "とうきょう",
    "🎉": "hooray",
    "café": "kaffay",
}


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("GIF, Gif and gif's", "jif, jif and jif's"),
        ("gifs, a gif_name, agif", "gifs, a gif_name, agif"),
        ("the US told us, USA", "the you ess told us, USA"),
        ("(Nguyen)", "(win)"),
        ("GIF¹ and gif²", "jif¹ and jif²"),
        ("C++ and c++", "see plus plus and c++"),
        ("New York, New\nYork City", "noo york, the big apple"),
        ("東京都", "とうきょう都"),
        ("Done 🎉", "Done hooray"),
        ("Cafe\u0301", "Cafe\u0301"),
        ("CAFÉ", "kaffay"),
        ("", ""),
    ],
)
def test_whole_words_are_respelled(text: str, read: str) -> None:
    assert Pronunciations(WORDS).respell(text) == read


def test_what_was_respelled_is_not_respelled_again() -> None:
    assert Pronunciations({"a": "b", "b": "a"}).respell("a b") == "b a"


@given(st.text(max_size=60))
def test_without_a_table_nothing_is_changed(text: str) -> None:
    assert Pronunciations().respell(text) == text


@given(st.lists(st.sampled_from(["gif", "other", "gifs", ",", "\n"])))
def test_all_other_words_stay(words: list[str]) -> None:
    read = Pronunciations({"gif": "jif"}).respell(" ".join(words))
    assert read.split() == ["jif" if word == "gif" else word for word in " ".join(words).split()]


@given(
    st.dictionaries(st.text(min_size=1, max_size=8), st.text(min_size=1, max_size=8), max_size=8),
    st.text(max_size=40),
)
def test_any_table_is_taken_or_refused(words: dict[str, str], text: str) -> None:
    try:
        table = Pronunciations(words)
    except ValueError as error:
        assert "must have 1 to" in str(error)
    else:
        assert isinstance(table.respell(text), str)


@pytest.mark.parametrize("words", [{"": "x"}, {" ": "x"}, {"x": ""}, {"x" * 65: "y"}, {"x": "y" * 201}])
def test_a_table_with_nothing_to_find_or_to_read_is_refused(words: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="must have 1 to"):
        Pronunciations(words)


@pytest.mark.timeout(60)  # one that goes over it again and again takes minutes
def test_a_large_table_takes_no_longer() -> None:
    table = Pronunciations({f"word{number}": "x" for number in range(10_000)})
    assert table.respell("word1 " * 4_000).split() == ["x"] * 4_000
    with pytest.raises(ValueError, match="10000 are allowed"):
        Pronunciations({f"word{number}": "x" for number in range(10_001)})
