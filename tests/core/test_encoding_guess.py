from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.core.encoding_guess import guess_encoding, python_name

LINES = {
    "Добрый день.": ("cp1251", "koi8_r", "cp866", "iso8859_5"),
    "Привет, мир. Как дела?": ("cp1251", "koi8_r", "cp866"),
    "добрый день, уважаемые гости": ("cp1251", "koi8_r", "cp866"),
    "Сцена 2: «Вишнёвый сад».": ("cp1251",),
    "Да.": ("cp1251", "koi8_r"),
    "Доброго дня, шановні гості.": ("cp1251", "koi8_u"),
    "Добар дан, драги гости. Почињемо.": ("cp1251",),
    "Dzień dobry. Zażółć gęślą jaźń.": ("cp1250", "iso8859_2"),
    "Vážení hosté. Příliš žluťoučký kůň.": ("cp1250", "iso8859_2"),
    "Jó napot. Árvíztűrő tükörfúrógép, őszintén.": ("cp1250", "iso8859_2"),
    "Grüße aus Köln. Ça va, Zoë? – “Schön”, 5 €.": ("cp1252",),
    "Bonjour à tous, c'était très agréable. Où êtes-vous ?": ("cp1252", "latin_1"),
    "Señor, ¿qué tal? Mañana.": ("cp1252", "latin_1"),
    "Não sei, amanhã às três.": ("cp1252", "latin_1"),
    "Smørrebrød på bordet.": ("cp1252", "latin_1"),
    "café": ("cp1252", "latin_1"),
    "Günaydın, değerli konuklar. Başlıyoruz. İyi günler.": ("cp1254", "iso8859_9"),
    "Ačiū, gražių švenčių.": ("cp1257",),
    "Καλημέρα σας, κυρίες και κύριοι.": ("cp1253", "iso8859_7"),
    "שלום לכולם, אנחנו מתחילים עכשיו.": ("cp1255", "iso8859_8"),
    "مرحبا بكم جميعا، سنبدأ الآن.": ("cp1256",),
    "こんにちは、皆さん。今日はいい天気ですね。": ("cp932", "shift_jis", "euc_jp"),
    "ありがとうございます。": ("cp932", "euc_jp"),
    "大家好，欢迎来到今天的节目。": ("gb18030", "gbk"),
    "你好。": ("gb18030", "big5"),
    "大家好，歡迎來到今天的節目。": ("big5",),
    "안녕하세요 여러분. 오늘 공연을 시작하겠습니다.": ("cp949", "euc_kr"),
    "감사합니다.": ("cp949", "euc_kr"),
}
CASES = [(text, encoding) for text, encodings in LINES.items() for encoding in encodings]


@pytest.mark.parametrize(("text", "encoding"), CASES)
def test_a_line_is_read_as_what_it_is(text: str, encoding: str) -> None:
    data = text.encode(encoding)
    assert data.decode(guess_encoding(data)) == text


@pytest.mark.parametrize(("text", "encoding"), CASES)
def test_a_line_that_breaks_off_in_a_character_is_known_too(text: str, encoding: str) -> None:
    data = (text * 2).encode(encoding)[:-1]
    assert data.decode(guess_encoding(data), "ignore")[: len(text)] == text


def test_where_two_are_as_likely_the_preferred_one_is_taken() -> None:
    data = "Őszinte.".encode("iso8859_2")
    assert guess_encoding(data, preferred="iso8859_2") == "iso8859_2"
    assert guess_encoding("café".encode("latin_1"), preferred="koi8_r") == "cp1252"


@given(st.binary(max_size=80))
def test_whatever_comes_there_is_a_guess_that_python_knows(data: bytes) -> None:
    assert python_name(guess_encoding(data))


@pytest.mark.parametrize(
    ("name", "known"),
    [("KOI8-R", "koi8_r"), ("cp-1251", ""), ("latin2", "iso8859_2"), ("rot13", ""), ("hex", ""), ("a\0", "")],
)
def test_a_name_is_known_or_it_is_not(name: str, known: str) -> None:
    assert python_name(name) == known
