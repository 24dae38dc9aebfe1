from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.core.text_decoder import TextDecoder, is_binary

TEXT = "Grüße, 世界. 🎉 Ça va?\nZoë said “naïve” – 5 €.\n\nEnd"
LATIN = "Grüße, Zoë. Ça va? “Naïve” – 5 €.\nEnd é"


def decoded(data: bytes, *, step: int = 1) -> str:
    decoder = TextDecoder()
    pieces = [data[start : start + step] for start in range(0, len(data), step)]
    return "".join(map(decoder.push, pieces)) + decoder.flush()


WIDE = ["utf-16", "utf-32", "utf-8", "utf-8-sig", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"]
BIG_ENDIAN = {"utf-16-be, marked": b"\xfe\xff", "utf-32-be, marked": b"\0\0\xfe\xff"}


@pytest.mark.parametrize("step", [1, 2, 3, 5, 1000])
@pytest.mark.parametrize("encoding", WIDE)
def test_unicode_is_read_whichever_way_it_is_written_and_wherever_it_is_cut(encoding: str, step: int) -> None:
    assert decoded(TEXT.encode(encoding), step=step) == TEXT


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("text", ["Привет, мир.", "Γειά σου.", "שלום.", "مرحبا.", "Ő, jó!", "I go.", "Zoë."])
def test_without_a_mark_wide_letters_are_known_by_their_upper_halves(encoding: str, text: str) -> None:
    for step in (1, 2, 3, 1000):
        assert decoded(text.encode(encoding), step=step) == text


@pytest.mark.parametrize("step", [1, 3, 1000])
@pytest.mark.parametrize("name", BIG_ENDIAN)
def test_a_mark_says_which_byte_is_first(name: str, step: int) -> None:
    assert decoded(BIG_ENDIAN[name] + TEXT.encode(name.partition(",")[0]), step=step) == TEXT


@pytest.mark.parametrize("step", [1, 2, 3, 1000])
def test_what_is_no_utf_8_is_latin_1_and_that_is_known(step: int) -> None:
    decoder = TextDecoder()
    data = LATIN.encode("cp1252")
    text = "".join(decoder.push(data[start : start + step]) for start in range(0, len(data), step))
    assert text + decoder.flush() == LATIN
    assert decoder.guessed == "cp1252"


def test_latin_1_among_utf_8_spoils_nothing() -> None:
    assert decoded("Grüße. ".encode() + "Grüße. ".encode("latin-1") + "世界".encode()) == "Grüße. Grüße. 世界"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("Grüße 世界".encode()[:-1], "Grüße 世"),
        ("5 €".encode()[:-1], "5 "),
        ("caf\xe9".encode("latin-1"), "café"),
        (TEXT.encode("utf-16")[:-1], TEXT[:-1] + "\ufffd"),
        (b"", ""),
        (b"H", "H"),
        (b"\xff\xfe", ""),
        (b"\xef", "ï"),
    ],
)
def test_of_what_breaks_off_all_is_there_that_came_whole(data: bytes, text: str) -> None:
    assert decoded(data) == text


ENDS = ["\n", "\r\n", "\r", "\0", "\x0c", "\u2028"]


@pytest.mark.parametrize("end", ENDS)
def test_lines_end_as_they_may_and_at_once(end: str) -> None:
    for step in (1, 2, 3, 1000):
        assert decoded(f"One{end}two{end}{end}three{end}".encode(), step=step) == "One\ntwo\n\nthree\n"
    assert TextDecoder().push(f"One{end}".encode()) == "One\n"


def test_a_zero_parts_words_and_takes_none_away() -> None:
    assert decoded(b"One.\0Two.\0\0Three") == "One.\nTwo.\n\nThree"


PIECES = st.lists(st.binary(max_size=12), max_size=12)


@given(PIECES)
def test_how_bytes_are_cut_makes_no_difference(pieces: list[bytes]) -> None:
    decoder = TextDecoder()
    assert "".join(map(decoder.push, pieces)) + decoder.flush() == decoded(b"".join(pieces), step=1000)


@given(st.text(), st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]))
def test_all_of_unicode_is_read_without_a_guess(text: str, encoding: str) -> None:
    decoder = TextDecoder()
    text = f"Ab{text}"  # a zero at the beginning would be that of a wider form
    read = decoder.push(text.encode(encoding)) + decoder.flush()
    assert "".join(read.split()) == "".join(text.replace("\0", " ").split())
    assert not decoder.guessed


@pytest.mark.parametrize(
    "begin", [b"\x7fELF\x02\x01\x01", b"RIFF$\0\0\0WAVEfmt ", b"\0\0\0 ftypisom", b"ID3\x04"]
)
def test_a_sound_or_a_program_is_no_text(begin: bytes) -> None:
    assert is_binary(decoded(begin + Random(1).randbytes(4096), step=10_000))


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\ufffd")))
def test_whatever_has_letters_and_colours_is_a_text(text: str) -> None:
    assert not is_binary(decoded(f"\x1b[31mAb\x1b]0;{text}\x07\b\0{text}".encode(), step=1000))
