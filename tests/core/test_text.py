from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.core.text import SentenceStream, clean, is_speakable, split_chunks

BIDI = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
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
        ("A line of up to twice the first limit stays whole, for its melody.", 1),
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
                "According to Dr. Smith and Mrs. ",
                "Jones, nothing of the kind was ever said by anybody in here.",
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
def test_cuts_fall_where_a_speaker_would_breathe(text: str, chunks: list[str] | int) -> None:
    cut = split_chunks(text, max_chars=120, first_chars=36)
    assert (len(cut) if isinstance(chunks, int) else cut) == chunks


def test_a_cut_does_not_part_a_letter_from_its_accent() -> None:
    text = "e\u0301" * 100
    assert not any(chunk[0] == "\u0301" for chunk in split_chunks(text, max_chars=33, first_chars=21))


@given(st.lists(st.text(alphabet="ab.!? ,\n", max_size=20), max_size=20))
def test_a_sentence_stream_loses_nothing_but_space(pieces: list[str]) -> None:
    stream = SentenceStream(max_chars=30)
    sentences = [sentence for piece in pieces for sentence in stream.push(piece)] + stream.flush()
    assert "".join("".join(sentences).split()) == "".join("".join(pieces).split())
    assert all(0 < len(sentence) <= 30 for sentence in sentences)


def test_a_sentence_is_given_out_as_soon_as_it_is_complete() -> None:
    stream = SentenceStream(max_chars=100)
    assert stream.push("Hello the") == []
    assert stream.push("re. And") == ["Hello there."]
    assert stream.push(" more") == []
    assert stream.flush() == ["And more"]


UNSEEN = st.sampled_from("\x00\x1b\x7f\x9b\xad\u061c\u200b\u200e\u202e\u2066\ufeff\ufff9\U000e0041")
HOSTILE = st.text(
    alphabet=st.characters(exclude_categories=["Cs"]) | UNSEEN | st.sampled_from("e\u0301\u0323")
)


@given(HOSTILE)
def test_fault_59_clean_text_is_composed_and_holds_nothing_unseen(text: str) -> None:
    cleaned = clean(text)
    assert unicodedata.is_normalized("NFC", cleaned)
    assert not [char for char in cleaned if unicodedata.category(char) == "Cc" and char not in "\n\t"]
    assert not [char for char in cleaned if unicodedata.bidirectional(char) in BIDI]
    assert not set(cleaned) & set("\u200b\u200e\u200f\u2060\ufeff")
    assert clean(cleaned) == cleaned


@given(st.text(alphabet=st.characters(categories=["Cs", "L", "N"]), min_size=1))
def test_fault_59_text_is_either_encodable_or_refused(text: str) -> None:
    try:
        clean(text).encode()
    except ValueError as error:
        assert not isinstance(error, UnicodeEncodeError)
        assert "surrogate" in str(error)


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("a\x00b\x1b[31m", "ab[31m"),
        ("\ufeffhi\u200b there\u202e", "hi there"),
        ("e\u0301", "é"),
        ("one\r\ntwo", "one\ntwo"),
        ("  padded \n", "padded"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("e\u200b\u0301", "é"),
        ("a\U000e0068\U000e0069b", "ab"),
        ("co\xadoperate", "cooperate"),
    ],
)
def test_fault_59_what_cannot_be_seen_or_heard_is_taken_out(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned


def test_fault_59_half_a_character_is_refused() -> None:
    with pytest.raises(ValueError, match="surrogate"):
        clean("\ud800")


@pytest.mark.parametrize(
    ("text", "speakable"),
    [("a", True), ("7", True), ("好", True), ("", False), ("😀 !?…", False), ("—", False)],
)
def test_fault_60_only_letters_and_digits_make_sound(text: str, speakable: bool) -> None:
    assert is_speakable(text) is speakable
