from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.core.spoken import spoken
from libacli.core.text import clean, is_speakable

ODD = st.sampled_from(
    [
        *"¹²³⁴½¼ⅣⅧ①⓵🎉\ufe0f\u20e3\u200d👍🏽123abc.[]() \n-*•†−№ａＡ１，㎡ﬁ®™",
        *("word[1]", "Note¹", "1️⃣", "\n\n", "- ", "* ", "👨‍👩‍👧", "🇩🇪"),
    ]
)
TEXTS = (
    st.lists(ODD | st.text(st.characters(exclude_categories=["Cs"]), max_size=3), max_size=14)
    .map("".join)
    .map(clean)
)
PLAIN = st.text(alphabet="abc ABC 123 éñ .,;:!?\n", max_size=60).map(clean)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("Great! 🎉🎉 Now 👨‍👩‍👧 go 👍🏽.", "Great! Now go."),
        ("🇩🇪 Berlin ❤️", "Berlin"),
        ("one🎉two", "one two"),
        ("1️⃣ one, #️⃣ 2️⃣0️⃣", "1 one, 20"),
        ("★★★☆☆ Nice™ ✓", "Nice"),
        ("\ue000icon", "icon"),
        (
            "Note¹ and word[12], fact.¹² It is[3][4] so.[5] He† (WHO)¹",
            "Note and word, fact. It is[3][4] so. He (WHO)",
        ),
        ("m² x² E=mc² km² 5³ (a+b)²", "m² x² E=mc² km² 5³ (a+b)²"),
        ("10⁶ and 10⁻³ and xⁿ", "10^6 and 10^-3 and xn"),
        ("H₂O ¹ see a[1]", "H2O 1 see a[1]"),
        ("10 µg or \N{GREEK SMALL LETTER MU}m, ㎍; μήλο", "10 µg or µm, µg; μήλο"),
        ("½ cup, 2½ cups, ⅔", "1/2 cup, 2 1/2 cups, 2/3"),
        ("Chapter Ⅳ, ⅩⅣ, ⅷ", "Chapter 4, 14, 8"),
        ("Ａｂｃ １２３，ｈｉ！", "Abc 123,hi!"),
        ("你好，世界！ＡＢＣ", "你好，世界！ABC"),
        ("ﬁrst 𝐇𝐞𝐥𝐥𝐨 ①② ➌ ㎏ ㎡ ℃ № 5", "first Hello 1 2 3 kg m² °C No. 5"),
        ("10\u202f000 and 1\u00a0000\u00a0000 km in 2020\u00a0100", "10000 and 1000000 km in 2020 100"),
        ("odd\ufffd \ufffc text", "odd text"),
        ("−5 is 3 − 8, non‑breaking don´t", "-5 is 3 − 8, non-breaking don't"),
        ("wrapped\nline\twith  blanks", "wrapped line with blanks"),
        ("Title\n\nText\n", "Title.\n\nText"),
        ("Buy:\n- milk\n- eggs\nThanks", "Buy:\n\nmilk.\n\neggs.\n\nThanks"),
        ("- 5 degrees", "- 5 degrees"),
        ("Ann wrote:\n> How\n> are you?\n>> Well.\n>\n> Bye", "Ann wrote: How are you? Well.\n\nBye"),
        ("> 5 is what we need", "> 5 is what we need"),
        ("* see below", "see below"),
        ("• one\n• two!", "one.\n\ntwo!"),
        ("one\n-----\ntwo\n\n* * *\n\nthree", "one.\n\ntwo.\n\nthree"),
        ("题目\n\n正文", "题目。\n\n正文"),
        ("ｶﾞ ㅋㅋㅋ ﻣﺮﺣﺒﺎ می\u200cخواهم क्षि", "ガ ㅋㅋㅋ مرحبا می\u200cخواهم क्षि"),
        ("“Quotes” – and… 5 °C, 1º, C♯, a → b", "“Quotes” – and… 5 °C, 1º, C♯, a → b"),
        ("https://a.b/c?d=1 ann@a.b 10:30 3.14", "https://a.b/c?d=1 ann@a.b 10:30 3.14"),
    ],
)
def test_text_is_made_fit_for_any_voice(text: str, read: str) -> None:
    assert spoken(clean(text)) == read
    assert spoken(read) == read


@given(TEXTS)
def test_whatever_can_be_spoken_still_can(text: str) -> None:
    read = spoken(text)
    assert is_speakable(read) == is_speakable(text) or not is_speakable(text)
    assert unicodedata.is_normalized("NFC", read)
    assert "  " not in read


@given(PLAIN)
def test_plain_text_keeps_all_its_words(text: str) -> None:
    assert spoken(text).replace(".", "").split() == text.replace(".", "").split()


@given(
    st.text(st.characters(categories=["L", "Nd"], max_codepoint=0x24F) | st.sampled_from(" .\n"), max_size=60)
)
def test_letters_of_europe_stay_in_their_order(text: str) -> None:
    def letters(of: str) -> str:
        return "".join(char for char in unicodedata.normalize("NFKC", of) if char.isalnum() and char != "ʼ")

    text = clean(text)
    assert letters(spoken(text)) == letters(text)


@pytest.mark.timeout(60)  # one that goes over it again and again takes minutes
@pytest.mark.parametrize(
    "text",
    [" " * 16_000 + "x", "-" * 16_000 + "x", "- " * 8_000 + "x", "." * 16_000, "🎉 " * 8_000, "[1]" * 5_000],
)
def test_a_text_made_to_take_long_takes_no_longer(text: str) -> None:
    assert isinstance(spoken(text), str)
