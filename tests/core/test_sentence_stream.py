from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.core.markdown import MarkdownChoice
from libacli.core.sentence_stream import SentenceStream

PIECES = st.lists(st.text(alphabet="ab.!? ,\n", max_size=20), max_size=20)
DOCUMENT = """## Plan

**Buy.** Then `milk` ✅ and *bread*. See [the shop. Or not](https://a.b/C.D), all right.

- [x] wash the **car**
- feed the cat. It is hungry.

Like this:
```py
x = 1. Y

z = 2
```
That is it.

| Name | Age |
|------|-----|
| Ann  | 5   |

Done"""
PROSE = [
    *("Plan.", "Buy.", "Then milk ✅ and bread.", "See the shop.", "Or not, all right."),
    *(
        "wash the car.",
        "feed the cat.",
        "It is hungry.",
        "Like this:",
        "That is it.",
        "Name: Ann, Age: 5.",
        "Done",
    ),
]


def said(text: str, *, step: int, markdown: MarkdownChoice = "off") -> list[str]:
    stream = SentenceStream(max_chars=400, markdown=markdown)
    pieces = [text[start : start + step] for start in range(0, len(text), step)]
    return [sentence for piece in pieces for sentence in stream.push(piece)] + stream.flush()


@given(PIECES)
def test_a_sentence_stream_loses_nothing_but_space(pieces: list[str]) -> None:
    stream = SentenceStream(max_chars=30)
    sentences = [sentence for piece in pieces for sentence in stream.push(piece)] + stream.flush()
    assert "".join("".join(sentences).split()) == "".join("".join(pieces).split())
    assert all(0 < len(sentence) <= 30 for sentence in sentences)


@given(PIECES, st.lists(st.sampled_from([0.0, 0.3, 1.0]), min_size=20, max_size=20))
def test_silences_lose_nothing_either(pieces: list[str], silences: list[float]) -> None:
    stream = SentenceStream(max_chars=30, markdown="auto")
    sentences = []
    for piece, silent_s in zip(pieces, silences, strict=False):
        sentences += stream.push(piece) + stream.lull(silent_s)
    sentences += stream.flush()
    assert "".join("".join(sentences).split()) == "".join("".join(pieces).split())


def test_a_sentence_is_given_out_as_soon_as_it_is_complete() -> None:
    stream = SentenceStream(max_chars=100)
    assert stream.push("Hello the") == []
    assert stream.push("re. And") == ["Hello there."]
    assert stream.push(" more") == []
    assert stream.flush() == ["And more"]


@pytest.mark.parametrize("markdown", ["off", "auto", "on"])
def test_a_short_form_waits_for_the_word_behind_it(markdown: MarkdownChoice) -> None:
    stream = SentenceStream(max_chars=100, markdown=markdown)
    assert stream.push("We live in the U.S. Ar") == []
    assert stream.push("my bases. We ") == ["We live in the U.S. Army bases."]
    assert stream.push("like the U.S. The") == []
    assert stream.push(" food ") == ["We like the U.S."]


@pytest.mark.parametrize("step", [1, 7, 1000])
@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Meet at 5 p.m. tomorrow in the U.S. office of Acme Inc. on Jan. 5.", 1),
        (
            "Two lines\nof one sentence.\nAnd a\nsecond one.",
            ["Two lines\nof one sentence.", "And a\nsecond one."],
        ),
        ("Title\n\nText", ["Title", "Text"]),
        ("Buy:\n- milk\n- eggs\n", ["Buy:", "- milk", "- eggs"]),
        ("यह पहला वाक्य है। यह दूसरा है।", ["यह पहला वाक्य है।", "यह दूसरा है।"]),
        ("今日は。いい天気ですね！", ["今日は。", "いい天気ですね！"]),
        ("Hello.\n[pause:2s]\nBye.\n", ["Hello.", "[pause:2s]\nBye."]),
        ("Hi.\n\n[pause 1s]\n\n<break/>\n\nBye", ["Hi.", "[pause 1s] <break/> Bye"]),
    ],
)
def test_however_it_arrives_the_sentences_are_the_same(
    text: str, sentences: list[str] | int, step: int
) -> None:
    found = said(text, step=step)
    assert (len(found) if isinstance(sentences, int) else found) == sentences
    assert said(text, step=step, markdown="auto" if "- " not in text else "off") == found


def test_in_a_silence_a_sentence_with_its_mark_is_given_out_and_then_a_line() -> None:
    stream = SentenceStream(max_chars=100)
    assert stream.push("यह है। ") == []
    assert stream.lull(0.3) == ["यह है।"]
    assert stream.push("a line without a mark\n") == []
    assert stream.lull(0.3) == []
    assert stream.lull(1.0) == ["a line without a mark"]
    assert stream.push("Meet Dr.") + stream.lull(0.3) + stream.lull(1.0) == []
    assert stream.push(" Smith.") + stream.lull(0.3) == ["Meet Dr. Smith."]


@pytest.mark.parametrize("markdown", ["off", "auto", "on"])
def test_a_sentence_does_not_wait_for_the_rest_of_the_word_behind_it_for_long(
    markdown: MarkdownChoice,
) -> None:
    stream = SentenceStream(max_chars=400, markdown=markdown)
    assert stream.push("One. Two") + stream.lull(0.3) == []
    assert stream.lull(1.0) == ["One."]
    assert stream.lull(1.0) == []
    assert stream.push("fold. *Th") + stream.lull(0.3) == ["Twofold."]
    assert stream.push("ree.* ") + stream.flush() == ["*Three.*" if markdown == "off" else "Three."]


def test_a_pause_is_kept_for_the_sentence_behind_it_and_never_stands_alone() -> None:
    stream = SentenceStream(max_chars=100)
    assert stream.push("[pause 1s]\n\n") == []
    assert stream.lull(1.0) == []
    assert stream.push("Hello.\n\n") == ["[pause 1s] Hello."]
    assert stream.push("[pause 2s]") + stream.flush() == []


def test_a_mark_of_a_pause_is_not_cut_where_text_is_too_long() -> None:
    stream = SentenceStream(max_chars=30)
    sentences = stream.push("word " * 4 + "word [pause 1s] word ") + stream.flush()
    assert sentences == ["word word word word word", "[pause 1s] word"]


@pytest.mark.parametrize("step", [1, 2, 5, 1000])
@pytest.mark.parametrize("markdown", ["auto", "on"])
def test_markdown_is_read_as_prose_while_it_arrives(step: int, markdown: MarkdownChoice) -> None:
    assert said(DOCUMENT, step=step, markdown=markdown) == PROSE


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_a_comment_or_a_formula_is_not_read_wherever_the_stream_is_cut(step: int) -> None:
    markdown = (
        "# One\n\n<!-- a. B\n\nc. D -->\n\nTwo <!-- e.\n\nF --> three.\n\n$$\na = b\n\nc = d\n$$\n\nFour."
    )
    stream = SentenceStream(max_chars=400, markdown="auto")
    heard = [one for at in range(0, len(markdown), step) for one in stream.push(markdown[at : at + step])]
    assert " ".join(" ".join([*heard, *stream.flush()]).split()) == "One. Two three. Four."


def test_with_off_it_is_read_as_it_stands() -> None:
    assert said(DOCUMENT, step=1)[:2] == ["## Plan", "**Buy.**"]


def test_text_is_markdown_from_its_first_clear_sign_on() -> None:
    text = "A * b * c and x_y. Next one.\n\nThis is **bold**. And *this* too.\n\n<b>Tags</b> go."
    assert said(text, step=4, markdown="auto") == [
        *("A * b * c and x_y.", "Next one.", "This is bold.", "And this too.", "Tags go."),
    ]


@pytest.mark.timeout(60)  # one that goes over it again and again takes minutes
@pytest.mark.parametrize("text", ["Hello there. ", "word ", "- item\n", "a **b** c. ", "```\nx\n"])
@pytest.mark.parametrize("markdown", ["auto", "off"])
def test_much_text_at_once_takes_no_time(text: str, markdown: MarkdownChoice) -> None:
    stream = SentenceStream(max_chars=4000, markdown=markdown)
    assert stream.push(text * (65_536 // len(text))) + stream.flush() is not None


@pytest.mark.parametrize("step", [9, 100_000])
@pytest.mark.parametrize("markdown", ["auto", "on", "off"])
def test_stream_expire_text_without_an_end_is_given_out_while_it_comes(
    step: int, markdown: MarkdownChoice
) -> None:
    words = [f"word{number}" for number in range(1000 if step == 9 else 9000)]
    stream = SentenceStream(max_chars=400, markdown=markdown)
    text = " ".join(words)
    lines, unheard = [], 0
    for start in range(0, len(text), step):
        lines += stream.push(text[start : start + step])
        unheard = max(unheard, min(start + step, len(text)) - len(" ".join(lines)))
    assert unheard <= 402
    assert " ".join(lines + stream.flush()).split() == words


def test_a_mark_that_nobody_closes_keeps_no_text_back_for_long() -> None:
    stream = SentenceStream(max_chars=400, markdown="auto")
    assert "".join(stream.push("It`s a word " + "and another one " * 60)).startswith("It`s a word and")
