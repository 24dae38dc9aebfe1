"""Which language the sentences of a text are cut by: that of its script, else of its commonest words."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping

DEFAULT = "en"

_SCRIPTS: Mapping[str, str] = {
    "ja": "\u3041-\u30ff\u31f0-\u31ff\uff66-\uff9d",
    "zh": "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff",
    "ko": "\u1100-\u11ff\u3130-\u318f\uac00-\ud7af",
    "th": "\u0e01-\u0e5b",
    "lo": "\u0e81-\u0edf",
    "my": "\u1000-\u109f",
    "km": "\u1780-\u17ff",
    "hi": "\u0900-\u097f",
    "bn": "\u0980-\u09ff",
    "pa": "\u0a00-\u0a7f",
    "gu": "\u0a80-\u0aff",
    "ta": "\u0b80-\u0bff",
    "te": "\u0c00-\u0c7f",
    "kn": "\u0c80-\u0cff",
    "ml": "\u0d00-\u0d7f",
    "ar": "\u0600-\u06ff\u0750-\u077f\u08a0-\u08ff\ufb50-\ufdff\ufe70-\ufeff",
    "he": "\u0590-\u05ff",
    "hy": "\u0530-\u058f",
    "ka": "\u10a0-\u10ff",
    "am": "\u1200-\u139f",
    "el": "\u0370-\u03ff\u1f00-\u1fff",
    "ru": "\u0400-\u052f",
}
"""The commonest language of each script, and its letters. Japanese goes before Chinese: it has kana."""

_OTHERS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "ar": (("ur", "\u0679\u0688\u0691\u06ba\u06be\u06d2\u06d4"), ("fa", "\u067e\u0686\u0698\u06af\u06cc")),
    "ru": (("uk", "\u0404\u0406\u0407\u0454\u0456\u0457\u0490\u0491"), ("bg", "\u042a\u044a")),
}
"""Languages with letters of their own in the same script."""

_WORDS: Mapping[str, frozenset[str]] = {
    language: frozenset(words.split())
    for language, words in {
        "en": "the and of to is in it you that was for are with this be we they not a i he she at on no me",
        "de": "der die das und ist nicht ein eine mit von zu den im auf für dem auch es wir ich sie am um",
        "fr": "le la les des et est une dans pour que qui pas sur avec il nous vous ce au du sont",
        "es": "el la los las y es una por para con que no se del al lo su como pero está son",
        "it": "il la lo gli e è una di che non per con del della sono si al nel ma",
        "pt": "o a os as e é um uma não para com do da em que dos das se por mais são",
        "nl": "de het een en is niet van op te dat voor met zijn die er ook aan we",
        "pl": "i w z na nie jest się do to że jak ale po co są",
        "da": "og er det en et ikke på til med for som jeg den vi af",
        "fi": "ja on ei se että oli hän mutta ovat en me tämä myös",
    }.items()
}
"""The commonest words of languages that share the Latin script."""

_WORD = re.compile(r"[^\W\d_]+")
_LOOKED_AT = 1000
"""Characters that are enough to tell."""


def language_of(text: str) -> str:
    """The likely language (ISO 639-1), English where nothing tells."""
    text = text[:_LOOKED_AT]
    if not text.isascii() and (language := _by_script(text)):
        return language
    words = _WORD.findall(text.lower())
    votes = {language: sum(word in common for word in words) for language, common in _WORDS.items()}
    return max(votes, key=votes.__getitem__)


def _by_script(text: str) -> str:
    """The language whose script has most of the letters; empty: that is the Latin one."""
    counts = {language: len(pattern.findall(text)) for language, pattern in _patterns().items()}
    if counts["ja"]:
        counts["ja"] += counts.pop("zh")
    language = max(counts, key=counts.__getitem__)
    letters = sum(len(word) for word in _WORD.findall(text))
    if not counts[language] or 2 * counts[language] < letters:
        return ""
    for other, own in _OTHERS.get(language, ()):
        if any(letter in text for letter in own):
            return other
    return language


@functools.cache
def _patterns() -> Mapping[str, re.Pattern[str]]:
    """Made when there is a text that is not ASCII: that takes some milliseconds."""
    return {language: re.compile(f"[{letters}]") for language, letters in _SCRIPTS.items()}
