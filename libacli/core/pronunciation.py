"""Words that a voice gets wrong, spelled for it as they sound; who reads along sees the author's spelling."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Mapping

from libacli.core.script import Pause, Script, read_script
from libacli.core.spoken import spoken

_LONGEST_WORD, _LONGEST_SPELLING, _MOST_WORDS = 64, 200, 10_000
_SPACELESS = "\u0e01-\u0edf\u1000-\u109f\u1780-\u17ff\u3041-\u30ff\u3400-\u9fff\U00020000-\U0003ffff"
"""Letters of scripts that put no space between words: there a word is wherever it stands."""

_LETTER = rf"(?![{_SPACELESS}])[^\W\u00b2\u00b3\u00b9\u2070-\u2089]"
"""Of a word with space around it. A raised digit is the mark of a footnote, or a power."""

_PART = re.compile(rf"(?:{_LETTER})+|\S")


class Pronunciations:
    """A table of whole words, and how they are spelled for the voice.

    A word in small letters means it however it is written: `gif` is also GIF and Gif. One with a capital
    means exactly that: `US` is not us. The longest one counts where several fit. A word may be several words,
    or a sign. Raises ValueError, which says what is wrong with the table.
    """

    def __init__(self, words: Mapping[str, str] | None = None) -> None:
        table = {_checked(word, "word"): _checked(spelling, word) for word, spelling in (words or {}).items()}
        if len(table) > _MOST_WORDS:
            raise ValueError(f"{len(table)} words, {_MOST_WORDS} are allowed")
        self._table = table
        self._words: dict[str, list[str]] = {}
        """By their first part, the longest first."""

        for word in sorted(table, key=len, reverse=True):
            self._words.setdefault(_first_part(word), []).append(word)

    def respell(self, text: str) -> str:
        """`text` with the words of the table as the voice is to read them."""
        if not self._words:
            return text
        respelled, end = "", 0
        for part in _PART.finditer(text):
            for word in self._words.get(part[0].lower(), ()):
                if part.start() >= end and (found := _pattern(word).match(text, part.start())):
                    respelled += text[end : found.start()] + self._table[word]
                    end = found.end()
        return respelled + text[end:]

    def script_of(self, text: str) -> Script:
        """What the voice reads of `text`, word for word, and where it is silent.

        Raises RefusedError for markup that nobody can perform.
        """
        return tuple(
            item if isinstance(item, Pause) else spoken(self.respell(item)) for item in read_script(text)
        )


def _checked(text: str, of: str) -> str:
    """`text` in the form in which texts come. Raises ValueError."""
    bound = _LONGEST_WORD if of == "word" else _LONGEST_SPELLING
    text = " ".join(unicodedata.normalize("NFC", text).split())
    if not 0 < len(text) <= bound:
        raise ValueError(f"{of!r} must have 1 to {bound} characters")
    return text


def _first_part(word: str) -> str:
    part = _PART.match(word)
    return part[0].lower() if part else word


@functools.lru_cache(maxsize=1024)
def _pattern(word: str) -> re.Pattern[str]:
    """The expression that finds `word` where it begins, its words on one line or on two."""
    found = r"\s+".join(map(re.escape, word.split()))
    stands_alone = f"(?!{_LETTER})" if re.fullmatch(_LETTER, word[-1]) else ""
    return re.compile(found + stands_alone, re.IGNORECASE if word == word.lower() else 0)
