from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.core.server_words import presentable, reason_in

TEXT = "The canary sings at midnight, and nobody hears it."


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"error": {"message": "no such model", "type": "x", "code": None}}, "no such model"),
        ({"message": "no such model", "code": "404"}, "no such model"),  # as OpenAI's client hands it on
        ({"error": "no such model"}, "no such model"),
        ({"detail": "no such voice"}, "no such voice"),
        ({"detail": {"error": "validation_error", "message": "no such voice", "type": "x"}}, "no such voice"),
        (
            {"detail": [{"type": "missing", "loc": ["body", "voice"], "msg": "Field required", "input": {}}]},
            "voice: Field required",
        ),
        (
            {"detail": [{"loc": ["body", "a", 0], "msg": "x"}, {"loc": ["query", "b"], "msg": "y"}]},
            "a.0: x; query.b: y",
        ),
        ({"title": "Forbidden", "detail": "not from here", "status": 403}, "not from here"),
        ({"error": "invalid_client", "error_description": "unknown"}, "invalid_client"),
        ("upstream connect error", "upstream connect error"),
        ('{"detail": "in text"}', "in text"),
        ("<html><body>502 Bad Gateway</body></html>", ""),
        ("{broken", ""),
        ("[" * 100_000, ""),
        ("", ""),
        (None, ""),
        ({}, ""),
        ([], ""),
        ({"detail": [1, None, {"loc": "x"}]}, ""),
        ({"message": 7}, ""),
        (17, ""),
    ],
)
def test_the_reason_is_found_wherever_servers_put_it(body: Any, reason: str) -> None:
    assert reason_in(body) == reason


@given(
    st.recursive(
        st.none() | st.text() | st.integers(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_body_has_a_reason_or_none(body: Any) -> None:
    assert isinstance(reason_in(body), str)
    assert isinstance(reason_in(json.dumps(body)), str)


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("  a\r\n\tb  ", "a b"),
        ("a\x1b[2Jb\x00c\x07", "a [2Jb c"),
        ("a\u202eb\u2028c\u200bd", "a b c d"),
        ("&lt;speak&gt; it&#39;s", "<speak> it's"),
        (r"Z\u00e4hne", "Zähne"),
        ("x" * 300, "x" * 200 + "..."),
        (
            "Incorrect API key provided: sk-proj-********************wxyz. See",
            "Incorrect API key provided: [...] See",
        ),
    ],
)
def test_words_are_one_line_of_bounded_length(words: str, shown: str) -> None:
    assert presentable(words) == shown


@pytest.mark.parametrize(
    "quote",
    [
        TEXT,
        TEXT.upper(),
        TEXT[:25],
        TEXT[10:],
        f"  {TEXT}  ",
        json.dumps(TEXT),
        json.dumps(json.dumps({"input": TEXT})),
        TEXT.replace(" ", "\n"),
        TEXT.replace(",", "&#44;"),
    ],
)
def test_what_is_spoken_is_not_quoted(quote: str) -> None:
    shown = presentable(f"the engine failed on <<{quote}>> in line 3", [TEXT])
    assert shown.startswith("the engine failed on <<") and shown.endswith("in line 3")
    assert "[...]" in shown
    assert "canary" not in shown.lower() and "midnight" not in shown.lower()


def test_a_short_text_is_left_out_where_it_stands_alone() -> None:
    assert (
        presentable("cannot say 'Hi.' in this hiding place", ["Hi."])
        == "cannot say '[...]' in this hiding place"
    )


def test_words_that_have_little_in_common_with_the_text_stay() -> None:
    words = "Voice 'bob' not found. Available voices: af_bella, af_sky"
    assert presentable(words, [TEXT, "a", ""]) == words


@given(st.text(min_size=12, max_size=80), st.text(max_size=40), st.text(max_size=40))
def test_ten_characters_of_a_text_never_stand_in_the_words(text: str, before: str, behind: str) -> None:
    shown = presentable(f"{before}{text}{behind}", [text])
    wanted = " ".join(text.split()).lower()
    for at in range(len(wanted) - 12):
        part = wanted[at : at + 12]
        assert part not in shown.lower() or any(char in part for char in "[.&\\*") or not part.isprintable()


def test_a_long_complaint_about_a_long_text_takes_no_time() -> None:
    text = "abcdefghij" * 400
    assert len(presentable(text * 20, [text])) < 300
