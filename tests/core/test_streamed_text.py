from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.core.streamed_text import StreamedText

TEXT = "Hello there. How are you? Fine"


def said(text: str, *, step: int, size: int | None = None, max_chars: int = 100) -> list[str]:
    stream = StreamedText(max_chars=max_chars, size=size)
    pieces = [text[start : start + step] for start in range(0, len(text), step)]
    return [line for piece in pieces for line in stream.push(piece)] + stream.flush()


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_a_text_that_is_sent_as_a_whole_is_said_as_a_whole(step: int) -> None:
    assert said(TEXT, step=step, size=len(TEXT)) == [TEXT]


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_of_one_that_is_being_written_each_sentence_is_said(step: int) -> None:
    assert said(TEXT, step=step) == ["Hello there.", "How are you?", "Fine"]


def test_the_whole_is_there_with_its_last_byte_and_not_with_its_last_character() -> None:
    stream = StreamedText(max_chars=100, size=len("Grüße".encode()))
    assert (stream.push("Grüß"), stream.push("e")) == ([], ["Grüße"])


def test_a_whole_that_is_late_is_said_as_it_comes() -> None:
    stream = StreamedText(max_chars=100, size=1000)
    assert stream.push("Hello there. How") == []
    assert stream.lull(0.3) == ["Hello there."]
    assert stream.push(" are you? Fine ") == ["How are you?"]
    assert stream.flush() == ["Fine"]


def test_a_whole_that_is_shorter_than_was_said_or_longer_is_said_all_the_same() -> None:
    assert said(TEXT, step=1000, size=1000) == [TEXT]
    assert said("Hello. And more", step=6, size=6) == ["Hello.", "And more"]


def test_what_is_too_long_for_one_go_is_said_in_several() -> None:
    lines = said("A sentence. " * 20, step=1000, size=240, max_chars=50)
    assert max(map(len, lines)) <= 50
    assert "".join(lines).count("A sentence.") == 20


@pytest.mark.parametrize("size", [None, 9])
def test_what_has_no_sound_is_nothing_to_say(size: int | None) -> None:
    assert said("🎉 ...\n", step=1, size=size) == []


@given(
    st.lists(st.text(alphabet="ab. ?!é字[\n🎉", max_size=12), max_size=12),
    st.none() | st.integers(1, 60),
    st.booleans(),
)
def test_nothing_that_can_be_heard_is_lost(pieces: list[str], size: int | None, is_slow: bool) -> None:
    stream = StreamedText(max_chars=30, size=size)
    lines: list[str] = []
    for piece in pieces:
        lines += stream.push(piece) + (stream.lull(0.3) if is_slow else [])
    lines += stream.flush()

    def letters(text: str) -> str:
        return "".join(filter(str.isalnum, text))

    assert letters("".join(lines)) == letters("".join(pieces))
    assert all(len(line) <= 30 for line in lines)
