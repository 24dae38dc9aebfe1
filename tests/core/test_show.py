from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libacli.core.cue import KEYS, Cue, CueReader, read_pause
from libacli.core.show import Show, read_show
from libacli.errors import RefusedError, UsageError


def show(name: str, source: str, max_text_chars: int = 100) -> Show:
    return read_show(name, source, max_text_chars=max_text_chars)


def told(name: str, source: str) -> list[tuple[int, str]]:
    return [(problem.line, problem.message) for problem in show(name, source).problems]


def lines(*cues: dict[str, Any]) -> str:
    return "\n".join(map(json.dumps, cues))


TOML = '''
room = "stage"
voice = "nova"

[[cue]]
label = "Opening"
text = """
Hello.
[[cue]]
speed = 9
"""

[[cue]] # a pause
pause = "2s"

[[cue]]
text = 'Bye.'
voice = "echo"
step = true
'''


def test_a_show_in_toml_has_a_table_for_each_cue_and_above_them_what_holds_for_all() -> None:
    cues = show("a.toml", TOML).cues
    assert [(cue.line, cue.label, cue.pause_s, cue.voice, cue.room, cue.step) for cue in cues] == [
        (5, "Opening", 0.0, "nova", "stage", False),
        (13, "", 2.0, "nova", "stage", False),
        (16, "", 0.0, "echo", "stage", True),
    ]
    assert cues[0].text == "Hello.\n[[cue]]\nspeed = 9"


def test_a_show_as_json_lines_has_an_object_for_each_cue() -> None:
    source = lines({"text": "Hello.", "speed": 2}, {"pause": 1.5}, {"text": "Bye.", "emotion": "sadness"})
    cues = show("a.jsonl", source.replace("\n", "\n\n")).cues
    assert [(cue.line, cue.text, cue.pause_s, cue.members) for cue in cues] == [
        (1, "Hello.", 0.0, {"speed": 2.0}),
        (3, "", 1.5, {}),
        (5, "Bye.", 0.0, {"emotion": "sadness"}),
    ]


MARKDOWN = """---
title: of no concern
---
# The *opening*

Hello **everyone**,
and [welcome](http://example.org).

<!-- pause 2s -->
<!-- voice: nova --> <!-- a note -->
Slowly. <!-- pause 500ms --> Now.

Second act
----------

<!-- step -->

- one
- two

***

<!-- voice: -->
<!-- speed: 1.5 -->
> Bye.
"""


def test_a_show_in_markdown_has_headings_for_labels_paragraphs_for_lines_and_comments_for_the_rest() -> None:
    found = show("a.md", MARKDOWN)
    assert not found.problems
    assert found.cues == (
        Cue(6, text="Hello everyone,\nand welcome.", label="The opening"),
        Cue(9, pause_s=2.0),
        Cue(11, text="Slowly. [pause 0.5s] Now.", voice="nova"),
        Cue(18, text="one.\n\ntwo.", label="Second act", voice="nova", step=True),
        Cue(25, text="Bye.", speed=1.5),
    )


WRONG = {
    "an unknown key": (lines({"text": "a", "vioce": "x"}), [(1, "unknown key vioce: did you mean voice?")]),
    "nothing": (lines({"label": "a"}), [(1, "a cue needs text, audio or pause")]),
    "two kinds": (
        lines({"text": "a", "pause": 1}),
        [(1, "a cue has one of text, audio and pause, not text and pause")],
    ),
    "an empty text": (lines({"text": " "}), [(1, "there is no letter or digit in the text")]),
    "a long text": (
        lines({"text": "a" * 101}),
        [(1, "the text has 101 characters, 100 are allowed")],
    ),
    "a number for a text": (lines({"text": 7}), [(1, "`text` must be a string, not a number")]),
    "an emotion": (
        lines({"text": "a", "emotion": "joy"}),
        [(1, "`emotion` must be one of neutral, happi...")],
    ),
    "a pace": (lines({"text": "a", "speed": 9}), [(1, "`speed` must be 0.25 to 4")]),
    "a pause": (
        lines({"pause": "soon"}),
        [(1, "`pause` must be seconds, or a duration like 2s, 500ms or 1m30s")],
    ),
    "a step at a pause": (
        lines({"pause": 1, "step": True}),
        [(1, "a pause does not wait for the go-ahead: set step on the cue after it")],
    ),
    "captions of a text": (
        lines({"text": "a", "captions": "b"}),
        [(1, "captions belong to audio: a text is its own")],
    ),
    "a label that is a number": (
        lines({"text": "a", "label": "7"}),
        [(1, "`label` must not be a number: --from takes it for that of a cue")],
    ),
    "a label twice": (
        lines({"text": "a", "label": "x"}, {"text": "b", "label": "x"}),
        [(2, "label 'x' stands twice, at line 1 before")],
    ),
    "no JSON": ("{", [(1, "not valid JSON: Expecting property name enclosed in double qu...")]),
    "no object": ("[1]", [(1, "a JSON object is wanted, not an array")]),
    "no cue": ("\n", [(1, "there is no cue in it")]),
    "all of them": (
        lines({"text": ""}, {"speed": 9, "step": 1, "text": "a"}, {"x": 1, "pause": 1}),
        [
            (1, "there is no letter or digit in the text"),
            (2, "`speed` must be 0.25 to 4"),
            (2, "`step` must be true or false"),
            (3, "unknown key x"),
        ],
    ),
}


@pytest.mark.parametrize(("source", "problems"), WRONG.values(), ids=WRONG.keys())
def test_all_that_is_wrong_is_told_with_its_line(source: str, problems: list[tuple[int, str]]) -> None:
    found = [(line, words if len(words) < 75 else words[:37]) for line, words in told("a.jsonl", source)]
    wanted = [(line, words if not words.endswith("...") else words[:37]) for line, words in problems]
    assert [(line, words[:37]) for line, words in found] == [(line, words[:37]) for line, words in wanted]


def test_in_toml_a_problem_is_told_with_the_line_of_its_key() -> None:
    source = '\nroom = 7\nvioce = "x"\n[[cue]]\ntext = """\n\nHi"""\nspede = 2\n[[cue]]\ntext = 2020-01-01\n'
    assert told("a.toml", source) == [
        (2, "`room` must be a text of 1 to 128 characters"),
        (3, "unknown key 'vioce': did you mean voice?"),
        (8, "unknown key spede: did you mean speed?"),
        (10, "`text` must not be a date"),
    ]
    assert told("a.toml", "[[cue]]\ntext = \n")[0][0] == 2
    assert told("a.toml", "cue = 7")[0][1] == "cues are tables: write [[cue]] above the keys of each"


@pytest.mark.parametrize(
    "name", ["text", "audio", "captions", "room", "label", "voice", "instructions", "emotion"]
)
def test_half_a_character_is_told_before_the_show(name: str) -> None:
    """No file is called so, no server takes it, and no room can have that name."""
    cue = {"audio": "a.wav"} if name in ("audio", "captions") else {"text": "Hi."}
    assert len(told("a.jsonl", lines(cue | {name: "a\ud83d"}))) == 1


@pytest.mark.parametrize("room", ["a\nb", "a\u202eb", "\N{GRINNING FACE}" * 65])
def test_what_can_be_no_room_is_told_before_the_show(room: str) -> None:
    problem = "`room` must be printable, and of 256 bytes at most"
    assert told("a.jsonl", lines({"text": "Hi.", "room": room})) == [(1, problem)]


@pytest.mark.parametrize(
    "source",
    [
        pytest.param("Hi.\n\n<!-- note ->\n\nLost.\n\n<!-- step -->\n\nHi.", id="ended by the next one"),
        pytest.param("Hi.\n\n<!-- pause 2s --\n\nLost.", id="never ended"),
        pytest.param("Hi.\n\n<!-- step --> <!-- note\n\nLost.", id="behind another one"),
    ],
)
def test_in_markdown_a_comment_without_an_end_is_told_where_it_begins(source: str) -> None:
    assert told("a.md", source)[0] == (3, "this comment has no end: write `-->` behind it")


def test_in_markdown_a_comment_that_is_misspelled_is_told_and_a_note_is_none() -> None:
    source = "<!-- pauze 2s -->\n<!-- note: ask Bob -->\n<!-- speed: 9 -->\n<!-- step -->\n"
    assert told("a.md", source) == [
        (1, "unknown comment 'pauze': did you mean pause?"),
        (3, "`speed` must be 0.25 to 4"),
        (4, "step: no line follows"),
    ]
    assert told("a.md", "One,\ntwo <!-- voice: nova --> three.")[0] == (
        2,
        "voice: put this comment on a line of its own, before the paragraph",
    )


def test_a_sound_that_is_given_has_captions_or_a_text_to_be_shown() -> None:
    for name in ("captions", "text"):
        assert show("a.jsonl", lines({"audio": "a.wav", name: "Hi."})).cues == (
            Cue(1, audio="a.wav", captions="Hi."),
        )


def test_a_show_begins_at_a_label_or_the_number_of_a_cue() -> None:
    found = show("a.jsonl", lines({"text": "a"}, {"text": "b", "label": "Second act"}, {"text": "c"}))
    assert [found.place(wanted) for wanted in ("", "1", "3", "Second act", "second ACT")] == [0, 0, 2, 1, 1]
    for wanted, hint in (
        ("secnd act", "did you mean Second act?"),
        ("4", "the show has 3"),
        ("0", "the show"),
    ):
        with pytest.raises(UsageError) as caught:
            found.place(wanted)
        assert caught.value.hint.startswith(hint)


def test_a_show_in_markdown_begins_at_any_of_the_headings_right_above_a_line() -> None:
    found = show("a.md", "Hi.\n\n# Second act\n\n## In the garden\n\n### *Night*\n\nWho is there?\n\nI.\n")
    assert not found.problems
    assert [found.place(wanted) for wanted in ("second act", "In the garden", "night")] == [1, 1, 1]
    assert [(cue.labels_above, cue.label) for cue in found.cues] == [
        ((), ""),
        (("Second act", "In the garden"), "Night"),
        ((), ""),
    ]


def test_another_kind_of_file_is_refused_by_its_ending() -> None:
    for name in ("a.txt", "show"):
        with pytest.raises(UsageError, match="a show is a"):
            show(name, "")


PAUSES = {"2s": 2, "500ms": 0.5, "1m30s": 90, "1h": 3600, "2": 2, " 1.5 s ": 1.5, "2m": 120, "2 min": 120}


@pytest.mark.parametrize(("words", "seconds"), PAUSES.items())
def test_a_pause_is_read_from_words(words: str, seconds: float) -> None:
    assert read_pause(words) == seconds


@pytest.mark.parametrize(
    "value", [0, -1, "0s", "", "s", "2 weeks", True, None, 1e300, float("nan"), 10**400, "²s"]
)
def test_what_is_no_pause_is_refused(value: object) -> None:
    with pytest.raises(RefusedError):
        read_pause(value)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=3,
)


@given(st.dictionaries(st.sampled_from([*KEYS, "vioce"]), VALUES))
def test_whatever_a_cue_holds_it_is_read_or_said_why_not(members: dict[str, Any]) -> None:
    reader = CueReader(100, [])
    cue = reader.read(members, 1, {})
    assert (cue is None) == bool(reader.problems)
    if cue:
        assert sum(map(bool, (cue.text, cue.audio, cue.pause_s))) == 1


@settings(max_examples=60)
@given(
    st.sampled_from(["a.toml", "a.jsonl", "a.md"]),
    st.text() | st.text("#[]<>!-=\"'\\{}cue: \n\r", max_size=60),
)
def test_whatever_stands_in_a_file_it_is_read_or_said_why_not(name: str, source: str) -> None:
    found = show(name, source)
    assert found.cues or found.problems
    assert all(0 <= problem.line <= source.count("\n") + source.count("\r") + 2 for problem in found.problems)
