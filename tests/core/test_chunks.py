from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.core.chunks import cuts_within, split_chunks

TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=400)


@given(TEXTS, st.integers(20, 200), st.integers(10, 60))
def test_chunks_put_together_are_the_text(text: str, max_chars: int, first_chars: int) -> None:
    assert "".join(split_chunks(text, max_chars=max_chars, first_chars=first_chars)) == text


@given(TEXTS, st.integers(20, 200), st.integers(10, 60))
def test_no_chunk_is_empty_or_longer_than_allowed(text: str, max_chars: int, first_chars: int) -> None:
    chunks = split_chunks(text, max_chars=max_chars, first_chars=first_chars)
    assert all(1 <= len(chunk) <= max(max_chars, first_chars) for chunk in chunks)
    if len(chunks) > 1:
        assert len(chunks[0]) <= first_chars


@pytest.mark.parametrize(
    ("text", "chunks"),
    [
        ("Short.", ["Short."]),
        (
            "Hello there, friend. This is the second sentence, and it goes on. And this is the third.",
            [
                "Hello there, friend. ",
                "This is the second sentence, and it goes on. And this is the third.",
            ],
        ),
        (
            "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen",
            [
                "one two three four five six seven ",
                "eight nine ten eleven twelve thirteen fourteen fifteen",
            ],
        ),
        (
            "According to Dr. Smith and Mrs. Jones, nothing of the kind was ever said by anybody in here.",
            [
                "According to Dr. Smith and ",
                "Mrs. Jones, nothing of the kind was ever said by anybody in here.",
            ],
        ),
        (
            "今日はとても良い天気ですね。散歩に行きましょう。" * 4,
            [
                "今日はとても良い天気ですね。散歩に行きましょう。",
                "今日はとても良い天気ですね。散歩に行きましょう。" * 3,
            ],
        ),
    ],
)
def test_cuts_fall_where_a_speaker_would_breathe(text: str, chunks: list[str]) -> None:
    assert split_chunks(text, max_chars=120, first_chars=36) == chunks


@given(TEXTS, st.integers(1, 200))
def test_the_places_for_a_cut_are_within_reach_and_told_once(text: str, limit: int) -> None:
    cuts = list(cuts_within(text, limit))
    assert all(0 < cut.end <= limit for cut in cuts) or not text
    assert len({cut.end for cut in cuts}) == len(cuts) > 0
    assert [cut.end for cut in cuts if cut.kind == "end"] == ([len(text)] if len(text) <= limit else [])


def test_each_place_for_a_cut_is_told_by_the_strongest_mark_before_it() -> None:
    text = "When it rains, we stay at home. Then we read; or sleep."
    told = {(text[: cut.end].split()[-1], cut.kind) for cut in cuts_within(text, 2000)}
    assert {("rains,", "clause"), ("home.", "sentence"), ("read;", "clause"), ("sleep.", "end")} <= told
    assert {kind for word, kind in told if word[-1].isalpha()} == {"word"}


def test_a_cut_does_not_part_a_letter_from_its_accent() -> None:
    text = "e\u0301" * 100
    assert not any(chunk[0] == "\u0301" for chunk in split_chunks(text, max_chars=33, first_chars=21))
