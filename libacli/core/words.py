"""Where a text can be cut between words, and where between letters if there is no other way."""

from __future__ import annotations

import re
import unicodedata

from libacli.core.sentences import sentence_ends

_SPACE = re.compile(r"(?<=\S)\s+(?=\S)")
_ABBREVIATION = re.compile(r"\w\.[\"'”’»)\]]*$")
_SIGN = re.compile(r"(?:^|\s)[$€£¥₹₩§#№]$")
_VIRAMA = 9
"""Its canonical combining class: it joins the letters on both sides of it."""

_JOINER = "\u200d"
_JOINED = re.compile(
    "[\u200c\u200d\ufe00-\ufe0f\uff9e\uff9f\U0001f3fb-\U0001f3ff"
    "\u1160-\u11ff\u0e30-\u0e33\u0e45\u0eb0-\u0eb3\U000e0020-\U000e007f]"
)
"""What belongs to the letter before it, besides marks: joiners, skin tones, Hangul, vowels of Thai."""

_LEADING = re.compile("[\u0e40-\u0e44\u0ec0-\u0ec4]")
"""Vowels of Thai and Lao that are written before their consonant."""

_FLAG_HALVES = "".join(map(chr, range(0x1F1E6, 0x1F200)))
"""Letters that make a flag, two by two."""


def word_ends(text: str) -> list[int]:
    """Indices behind the white space where a cut parts no number, abbreviation or name with a title."""
    ends = set(sentence_ends(text))
    return [space.end() for space in _SPACE.finditer(text) if space.start() in ends or _parts(text, space)]


def whole_letters(text: str, end: int) -> int:
    """`end`, or the nearest index before it that parts no letter from its accents and joiners; never 0."""
    cut = end
    while cut > 1 and _is_inside(text, cut):
        cut -= 1
    return end if _is_inside(text, cut) else cut


def _parts(text: str, space: re.Match[str]) -> bool:
    """Whether that space lies between two words that can be read one after the other."""
    before, after = text[max(0, space.start() - 8) : space.start()], text[space.end()]
    if before[-1].isdigit() and (after.isdigit() or after in "%°‰€$£¥"):
        return False
    return not (_ABBREVIATION.search(before) or _SIGN.search(before))


def _is_inside(text: str, cut: int) -> bool:
    """Whether `cut`, from 1, falls inside what is seen as one letter."""
    if cut >= len(text):
        return False
    before, after = text[cut - 1], text[cut]
    if unicodedata.category(after).startswith("M") or _JOINED.match(after) or before == _JOINER:
        return True
    if _LEADING.match(before) or (unicodedata.combining(before) == _VIRAMA and after.isalpha()):
        return True
    return after in _FLAG_HALVES and (cut - len(text[:cut].rstrip(_FLAG_HALVES))) % 2 == 1
