from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.core.text import clean, is_speakable

BIDI = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
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
        ("a\x00b\x1b[31m", "ab"),
        ("\x1b[1;38;5;9mred\x1b[0m, \x1b[?25lhidden\x1b[2K", "red, hidden"),
        ("\x1b]0;title\x07a \x1b]8;;https://example.com\x1b\\link\x1b]8;;\x1b\\", "a link"),
        ("\x1b[31", "[31"),
        ("\ufeffhi\u200b there\u202e", "hi there"),
        ("e\u0301", "é"),
        ("one\r\ntwo", "one\ntwo"),
        ("one\ftwo\vthree\x85four", "one\ntwo\nthree\nfour"),
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
