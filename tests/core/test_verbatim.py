from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from libacli.core.verbatim import Proofreader, spoken

WORDS = """I'm I am a an the one two three nineteen twenty ninety hundred thousand million and to oh point
    first second 1 12 105 1,250 1990 3.14 7:30 7:00 $5 $5.50 $1.5 5% 21st 10-15 -5 Dr. U.S. e-mail OK okay
    vingt et un quatre cent mille treinta y cinco fünfundzwanzig hundert once due $1M nineties II
    o'clock a.m. don't don’t café naïve Straße हिन्दी 今日は Привет etc. km dollars … — ! ,"""
SENTENCES = st.lists(st.sampled_from(WORDS.split()), min_size=1, max_size=20).map(" ".join)
TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=80)


@pytest.mark.parametrize(
    ("text", "transcript"),
    [
        ("Hello, World!", "hello world"),
        ("don’t", "Don't"),
        ("e-mail", "email"),
        ("every day", "everyday"),
        ("U.S.", "US"),
        ("a.m.", "AM"),
        ("okay", "OK"),
        ("Dr. Smith", "Doctor Smith"),
        ("5km at 20°", "five kilometers at twenty degrees"),
        ("example.com", "example dot com"),
        ("I have 12 apples.", "I have twelve apples"),
        ("20", "twenty"),
        ("22", "twenty-two"),
        ("100", "a hundred"),
        ("101", "one hundred one"),
        ("105", "one hundred and five"),
        ("1001", "one thousand one"),
        ("1,250", "one thousand two hundred and fifty"),
        ("1,250", "twelve hundred fifty"),
        ("100,000", "one hundred thousand"),
        ("2,345,678", "two million three hundred forty-five thousand six hundred seventy-eight"),
        ("5 million", "five million"),
        ("123", "one two three"),
        ("555-1234", "five five five, one two three four"),
        ("007", "zero zero seven"),
        ("3.14", "three point one four"),
        ("-5", "minus five"),
        ("5%", "five per cent"),
        ("21st", "twenty-first"),
        ("Nov 28", "November twenty-eighth"),
        ("Sept. 5, 2026", "September fifth, twenty twenty-six"),
        ("1990", "nineteen ninety"),
        ("1900", "nineteen hundred"),
        ("2005", "two thousand and five"),
        ("2005", "twenty oh five"),
        ("2026", "twenty twenty-six"),
        ("7:30", "seven thirty"),
        ("7:05", "seven oh five"),
        ("7:00", "seven o'clock"),
        ("10-15", "ten to fifteen"),
        ("$5", "five dollars"),
        ("$1", "one dollar"),
        ("$5.50", "five dollars and fifty cents"),
        ("$1.5 million", "one point five million dollars"),
        ("7 €", "seven euros"),
        ("$1M", "one million dollars"),
        ("$2.5bn", "two point five billion dollars"),
        ("-5", "negative five"),
        ("5°C", "five degrees Celsius"),
        ("#5", "number five"),
        ("50¢", "fifty cents"),
        ("6 ft", "six feet"),
        ("10 lbs", "ten pounds"),
        ("the 1990s", "the nineteen nineties"),
        ("World War II", "World War Two"),
        ("Chapter XIV", "Chapter 14"),
        ("St. Paul", "Saint Paul"),
        ("Main St.", "Main Street"),
        ("Tue 3 Mar", "Tuesday, 3 March"),
        ("All right", "Alright"),
        ("café in Zürich", "cafe in Zurich"),
        ("5 Katzen", "fünf Katzen"),
        ("25 Katzen und 121 Hunde", "fünfundzwanzig Katzen und hunderteinundzwanzig Hunde"),
        ("30 % im Jahr 1998", "dreißig Prozent im Jahr neunzehnhundertachtundneunzig"),
        ("3,5 Meter", "drei Komma fünf Meter"),
        ("J'ai 3 chats", "J'ai trois chats"),
        ("21 ou 71 ou 80 ou 99", "vingt et un ou soixante et onze ou quatre-vingts ou quatre-vingt-dix-neuf"),
        ("en 2026", "en deux mille vingt-six"),
        ("Tengo 2 gatos", "Tengo dos gatos"),
        ("35 gatos, 100 perros, 126", "treinta y cinco gatos, cien perros, ciento veintiséis"),
        ("Ho 28 gatti", "Ho ventotto gatti"),
        ("nel 2026", "nel duemilaventisei"),
        ("once upon a time", "Once upon a time"),
    ],
)
def test_what_sounds_the_same_counts_as_the_same(text: str, transcript: str) -> None:
    assert spoken(text) == spoken(transcript)


@pytest.mark.parametrize(
    ("text", "transcript"),
    [
        ("I'm here", "I am here"),
        ("It isn't so", "It is not so"),
        ("You can", "You can't"),
        ("Hello", "Hello there"),
        ("twenty-five", "twenty-six"),
        ("105", "150"),
        ("1990", "nineteen nineteen"),
        ("$5", "five euros"),
        ("5%", "five"),
        ("कि", "की"),
        ("5 Katzen", "sechs Katzen"),
        ("un chat", "deux chats"),
        ("25 gatti", "ventisei gatti"),
    ],
)
def test_what_sounds_different_does_not(text: str, transcript: str) -> None:
    assert spoken(text) != spoken(transcript)


@pytest.mark.parametrize("text", ["", " ", "...", "🎉", "—?!"])
def test_of_marks_alone_nothing_is_heard(text: str) -> None:
    assert spoken(text) == ""
    assert Proofreader(text).length == 0


@example(text="$5 thousand", cuts=[4])
@example(text="It costs £1.5 million.", cuts=[14])
@given(st.one_of(SENTENCES, TEXTS), st.lists(st.integers(0, 80), max_size=10))
def test_a_text_that_is_said_as_it_is_written_never_strays(text: str, cuts: Sequence[int]) -> None:
    reader = Proofreader(text)
    edges = [0, *sorted(cuts), len(text)]
    for start, end in pairwise(edges):
        agreement = reader.add(text[start:end])
        assert not agreement.strays
        assert 0 <= agreement.letters <= reader.length
    assert reader.is_verbatim
    assert not reader.is_cut_off


@given(SENTENCES, SENTENCES)
def test_only_the_same_is_verbatim(text: str, other: str) -> None:
    reader = Proofreader(text)
    reader.add(other)
    assert reader.is_verbatim == (spoken(text) == spoken(other))


def test_it_is_told_at_the_first_word_that_is_another_one() -> None:
    reader = Proofreader("I'm sure that it works.")
    assert not reader.add("I").strays
    assert not reader.add(" am").strays  # it may be the beginning of "amazed"
    assert reader.add(" sure").strays


def test_an_answer_instead_of_a_reading_strays_at_once() -> None:
    assert Proofreader("Tell me a story.").add("Sure! Once").strays


def test_words_after_the_end_stray() -> None:
    reader = Proofreader("Tell me a story.")
    assert reader.add("Tell me a story.").letters == reader.length
    assert reader.add(" Once upon").strays


def test_a_number_that_is_not_said_to_its_end_is_not_judged() -> None:
    reader = Proofreader("It is 1,256 metres high.")
    for delta in ("It is one", " thousand two", " hundred", " and", " fifty", "-six"):
        assert not reader.add(delta).strays
    assert reader.add(" metres high.").letters == reader.length


def test_a_missing_end_is_cut_off_and_not_reworded() -> None:
    reader = Proofreader("One. Two. Three.")
    reader.add("One. Two.")
    assert reader.is_cut_off
    assert not reader.is_verbatim


def test_the_final_transcript_goes_before_its_pieces() -> None:
    reader = Proofreader("I'm here.")
    reader.add("I am here.")
    reader.replace("I'm here.")
    assert reader.is_verbatim


def test_whether_anything_was_said_is_known() -> None:
    reader = Proofreader("Hello.")
    assert not reader.has_heard
    reader.add("Hello.")
    assert reader.has_heard
