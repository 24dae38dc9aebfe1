from __future__ import annotations

import pytest

from libacli.core.sentence_language import language_of


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("", "en"),
        ("3.14", "en"),
        ("The cat is on the table.", "en"),
        ("Das Treffen ist am 3. Oktober.", "de"),
        ("Le chat est sur la table.", "fr"),
        ("El perro no está aquí.", "es"),
        ("Il gatto è sul tavolo.", "it"),
        ("O gato não está em casa.", "pt"),
        ("De kat is niet van mij.", "nl"),
        ("Привет", "ru"),
        ("Привіт", "uk"),
        ("यह है", "hi"),
        ("مرحبا", "ar"),
        ("یہ ہے۔", "ur"),
        ("Բարև", "hy"),
        ("สวัสดี", "th"),
        ("今日はいい天気です", "ja"),
        ("你好世界", "zh"),
        ("안녕하세요", "ko"),
        ("Γειά σου", "el"),
        ("I said привет to the man, and he left.", "en"),
    ],
)
def test_a_language_is_known_by_its_script_or_its_commonest_words(text: str, language: str) -> None:
    assert language_of(text) == language
