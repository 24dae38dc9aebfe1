from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.core.caption_cue import CaptionCue, clipped
from libacli.core.subtitles import SubtitleFormat, read_subtitles, split_cue, write_subtitles

WORDS = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1, max_size=60).filter(
    lambda text: text == text.strip() and text != ""
)
TEXTS = st.lists(WORDS, min_size=1, max_size=3).map("\n".join)
CUES = st.lists(
    st.builds(
        lambda start, length, text: CaptionCue(start, start + length, text),
        st.integers(0, 350_000_000),
        st.integers(1, 1_000_000),
        TEXTS,
    ),
    min_size=1,
    max_size=8,
).map(lambda cues: sorted(cues, key=lambda cue: (cue.start_ms, cue.end_ms)))

STAMP = r"\d{2,}:[0-5]\d:[0-5]\d\.\d{3}"
BLOCK = re.compile(rf"({STAMP}) --> ({STAMP})\n(?:[^\n]+(?:\n|\Z))+")


def is_webvtt(source: str) -> bool:
    """Whether it is as the grammar of the W3C has it: https://www.w3.org/TR/webvtt1/#syntax."""
    head, *blocks = source.rstrip("\n").split("\n\n")
    cues = [block for block in blocks if not block.startswith("NOTE ")]
    found = [BLOCK.fullmatch(block) for block in cues]
    if head != "WEBVTT" or not all(found):
        return False
    times = [(one[1], one[2]) for one in found if one]
    texts = ["\n".join(block.split("\n")[1:]) for block in cues]
    plain = [re.sub("&(amp|lt|gt);", "", text) for text in texts]
    return (
        all(start < end for start, end in times)
        and all(before[0] <= after[0] for before, after in pairwise(times))
        and not any(mark in text for text in plain for mark in "<>&")
    )


@given(CUES)
def test_what_is_written_as_webvtt_is_valid_and_is_read_as_it_was(cues: list[CaptionCue]) -> None:
    source = write_subtitles(cues, "vtt", note="by liba")
    assert is_webvtt(source)
    assert read_subtitles(source) == cues


@given(CUES)
def test_what_is_written_as_srt_is_read_as_it_was_but_for_its_marks(cues: list[CaptionCue]) -> None:
    plain = [
        CaptionCue(cue.start_ms, cue.end_ms, re.sub(r"[<>{}]", "", cue.text).strip() or "x") for cue in cues
    ]
    expected = [CaptionCue(cue.start_ms, cue.end_ms, _trimmed(cue.text)) for cue in plain]
    assert read_subtitles(write_subtitles(plain, "srt")) == expected


def _trimmed(text: str) -> str:
    return "\n".join(line.strip() for line in text.split("\n") if line.strip())


@given(st.text(max_size=400))
def test_whatever_a_file_holds_it_is_read_or_refused(source: str) -> None:
    try:
        cues = read_subtitles(source)
    except ValueError:
        return
    assert all(cue.start_ms < cue.end_ms and cue.text for cue in cues)


def test_a_file_is_written_as_players_know_it() -> None:
    cues = [CaptionCue(3_600_000, 3_661_001, "Tom & Jerry <3"), CaptionCue(0, 900, "a --> b")]
    assert write_subtitles(cues, "vtt", note="hello") == (
        "WEBVTT\n\nNOTE hello\n\n"
        "00:00:00.000 --> 00:00:00.900\na --&gt; b\n\n"
        "01:00:00.000 --> 01:01:01.001\nTom &amp; Jerry &lt;3\n"
    )
    assert write_subtitles(cues, "srt") == (
        "1\n00:00:00,000 --> 00:00:00,900\na -> b\n\n2\n01:00:00,000 --> 01:01:01,001\nTom & Jerry <3\n"
    )


@pytest.mark.parametrize("kind", ["vtt", "srt"])
def test_a_cue_without_text_is_none_and_empty_lines_end_none(kind: SubtitleFormat) -> None:
    source = write_subtitles([CaptionCue(0, 1, " \n "), CaptionCue(5, 5, "one\n\n \ntwo")], kind)
    assert read_subtitles(source) == [CaptionCue(5, 6, "one\ntwo")]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("WEBVTT\n\n00:01.000 --> 00:02.000 align:start position:0%\nHi", [CaptionCue(1000, 2000, "Hi")]),
        (
            "\ufeffWEBVTT - by somebody\r\n\r\nid\r\n00:01.5 --> 00:02.50\r\nHi",
            [CaptionCue(1500, 2500, "Hi")],
        ),
        (
            "WEBVTT\n\nSTYLE\n::cue { color: red }\n\nNOTE 00:00.000 --> 00:01.000\nno\n\n"
            "100:00:00.000 --> 100:00:01.000\nlate\n\n00:00.000 --> 00:01.000\n<v Ann>Hi <i.x>there</i> "
            "&amp; <00:00:00.500>you",
            [CaptionCue(0, 1000, "Hi there & you")],
        ),
        (
            "1\n00:00:01,000 --> 00:00:02,000\n{\\an8}<i>Hi</i> & <b>you\n\n2\nbroken",
            [CaptionCue(1000, 2000, "Hi & you")],
        ),
        ("00:00:01.000 --> 00:00:02.000\rone\rtwo", [CaptionCue(1000, 2000, "one\ntwo")]),
        ("1\n00:00:02,000 --> 00:00:03,000\nb\n\n9\n0:00:01,000 --> 0:00:02,000\na\n",
         [CaptionCue(1000, 2000, "a"), CaptionCue(2000, 3000, "b")]),
    ],
    ids=["settings", "mark and identifier", "blocks and tags", "markup of SRT", "CR alone", "order"],
)  # fmt: skip
def test_what_others_write_is_read(source: str, expected: list[CaptionCue]) -> None:
    assert read_subtitles(source) == expected


@pytest.mark.parametrize(
    "source",
    ["", "WEBVTT\n", "hello there", "00:02.000 --> 00:01.000\nbackwards", "00:01.000 --> 00:02.000\n \n"],
    ids=["empty", "no cue", "text", "backwards", "silent"],
)
def test_what_has_no_captions_is_refused(source: str) -> None:
    with pytest.raises(ValueError, match="no captions"):
        read_subtitles(source)


@given(st.text(max_size=400), st.integers(0, 10_000), st.integers(1, 100_000))
def test_a_long_cue_is_cut_into_two_lines_each_and_loses_nothing(text: str, start: int, length: int) -> None:
    cue = CaptionCue(start, start + length, text)
    split = split_cue(cue)
    assert "".join("".join(one.text for one in split).split()) == "".join(text.split())
    for one in split:
        assert len(one.text.split("\n")) <= 2
        assert all(len(line) <= 42 for line in one.text.split("\n"))
    if split:
        assert (split[0].start_ms, split[-1].end_ms) == (cue.start_ms, cue.end_ms)
        assert all(before.end_ms == after.start_ms for before, after in pairwise(split))


def test_a_long_cue_is_cut_behind_sentences_and_each_lasts_as_long_as_its_text() -> None:
    text = "This is the first sentence. " + "And here is another one, which is a good deal longer than that."
    assert split_cue(CaptionCue(0, 9_000, text)) == [
        CaptionCue(0, 2_700, "This is the first sentence."),
        CaptionCue(2_700, 9_000, "And here is another one, which\nis a good deal longer than that."),
    ]


def test_what_is_behind_the_end_is_not_shown() -> None:
    assert clipped([CaptionCue(0, 10, "a"), CaptionCue(5, 30, "b"), CaptionCue(20, 30, "c")], 20) == [
        CaptionCue(0, 10, "a"),
        CaptionCue(5, 20, "b"),
    ]
