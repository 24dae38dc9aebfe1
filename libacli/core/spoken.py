"""What is written, as any voice can read it: without what has no sound, in characters that have one."""

from __future__ import annotations

import functools
import re
import unicodedata

from libacli.core.paragraphs import paragraphs
from libacli.core.text import ended

_PICTURES = (
    "\U0001f000-\U0001f0ff\U0001f170-\U0001faff"  # emoji, flags, skin tones
    "\u2600-\u266c\u2670-\u2775\u2794-\u27bf\u2b00-\u2bff"  # symbols and dingbats, but for ♭♮♯ and digits
    "\u231a\u231b\u2328\u23cf\u23e9-\u23fa\u303d\u3030"
    "\u2500-\u25ff\u2800-\u28ff\ue000-\uf8ff\U000f0000-\U0010ffff"  # boxes, bullets, Braille, icon fonts
    "\u00ae\u2122\u2120\ufffc\ufffd"  # ®, ™, ℠, and what stands for something that is not there
)
_PICTURE = re.compile(
    rf"(?<![^\S\n])[^\S\n]*(?:[{_PICTURES}\ufe0e\ufe0f\u20e3][\ufe0e\ufe0f\u20e3\u200d]*[^\S\n]*)+"
)
_KEYCAP = re.compile("([0-9])\ufe0f?\u20e3|[#*]\ufe0f?\u20e3")
_VARIANT = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")

_RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹"
_NOTE_NUMBERS = rf"(?:[{_RAISED}]+(?:[,⁻–-][{_RAISED}]+)*|\[\d{{1,3}}(?:[,–-] ?\d{{1,3}})*\]|[†‡])+"
_FOOTNOTE = re.compile(
    rf"(?:(?<=[^\W\d_]{{3}})|(?<=[.,;:!?\"”’»])){_NOTE_NUMBERS}|(?<=\))¹(?![{_RAISED}])|(?<=\w)[†‡]+"
)
"""Behind a word of three letters or more, or behind its mark; behind fewer it is a power, or an index."""

_WORD_BEFORE = re.compile(r"\w\W*$")
_POWER = re.compile(rf"(?<=[\w)])[⁺⁻]?[{_RAISED}]+")
_ALONE = re.compile(rf"(?<![\w)])[⁺⁻]?[{_RAISED}]+")
_LOWERED = str.maketrans(_RAISED + "⁺⁻", "0123456789+-")
_FRACTION = re.compile("(\\d?)([\u00bc-\u00be\u2150-\u215e\u2189])")
_ROMAN = re.compile("[\u2160-\u2182\u2185-\u2188]+")
_ROMAN_VALUES = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}

_FORMS = frozenset(
    f"<{form}>"
    for form in (
        *("wide", "narrow", "circle", "square", "font", "compat", "sub", "super"),
        *("initial", "medial", "final", "isolated"),
    )
)
"""What makes a character another form of others: https://www.unicode.org/reports/tr44/#Decomposition_Type"""

_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_NUMBERED = re.compile("[\u2460-\u2473\u24ea-\u24ff\u2776-\u2793]")
_KEPT = frozenset(_RAISED + "⁺⁻ªº…¨¯´¸¼½¾µ")
_MICRO = re.compile(r"(?<![^\W\d_])μ(?=[A-Za-z]{1,3}\b)")
"""The Greek letter where the sign is meant, of 10^-6: voices that know no Greek know the sign."""

_HANGUL_LETTERS = range(0x3130, 0x3190)
"""They stand alone, as in ㅋㅋㅋ; composed they would be other ones."""

_GROUPED = re.compile("(?<!\\d)\\d{1,3}(?:[\u00a0\u2009\u202f]\\d{3})+(?!\\d)")
_MINUS = re.compile("(?<!\\S)\u2212(?=\\d)")
_APOSTROPHE = re.compile(r"(?<=\w)[`´ʼ](?=\w)")
_SIGNS = str.maketrans(
    dict.fromkeys("\u2010\u2011\u2012\u2043", "-")
    | {"\u2015": "—", "\u2044": "/", "\u2215": "/", "\u2028": "\n", "\u2029": "\n\n"}
)
_FULL_WIDTH = str.maketrans({code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)})
_WIDE_SCRIPT = re.compile("[\u3041-\u30ff\u3400-\u9fff\uac00-\ud7af\U00020000-\U0003ffff]")
"""Letters of scripts whose own marks are of full width."""

_RULE = re.compile(r"^[^\S\n]*([-=_*~#+·•])(?:[^\S\n]*\1){2,}[^\S\n]*$", re.MULTILINE)
_QUOTE = re.compile(r"^[^\S\n]*>[> ]*", re.MULTILINE)
"""In front of the lines of a mail that somebody answers; a single one may be a sign."""

_BULLET = re.compile(r"(?:[*•◦▪‣]\s+)+")
_BULLET_OR_DASH = re.compile(r"(?:[-+*•◦▪‣]\s+)+")
_DASH = re.compile(rf"(?:{_BULLET.pattern})?[-+]\s")
_SPACES = re.compile(r"\s+")


def spoken(text: str) -> str:
    """`text` as a voice is asked for it; its words stay, and their order.

    Left out: emoji (but `1️⃣` is 1), marks of footnotes behind a word (`Note¹`, `word[12]`), rules, bullets.
    Made plain: `½` as 1/2, `Ⅳ` as 4, `10⁶` as 10^6, letters and digits of full width, in circles, in squares
    and of mathematics, ligatures, odd spaces, hyphens and the minus sign. Powers `²` and `³` stay: voices
    know them. Paragraphs and list items are on a line each, an empty one between them, and end with a mark.
    """
    text = _KEYCAP.sub(lambda found: found[1] or "", text)
    text = _VARIANT.sub("", _PICTURE.sub(_gap, text))
    text = _with_plain_signs(_NOT_ASCII.sub(lambda found: _plain(found[0]), text))
    text = _with_plain_numbers(_FOOTNOTE.sub(_note, text))
    return _laid_out(unicodedata.normalize("NFC", text))


def _gap(found: re.Match[str]) -> str:
    """What stands in the place of emoji and the blanks around them."""
    before, after = found.string[: found.start()][-1:], found.string[found.end() : found.end() + 1]
    is_edge = before in ("", "\n") or after == "" or after in "\n.,;:!?…)"
    return "" if is_edge else " "


def _note(found: re.Match[str]) -> str:
    """Nothing, where there is a word that it belongs to."""
    return "" if _WORD_BEFORE.search(found.string, max(0, found.start() - 5), found.start()) else found[0]


def _with_plain_numbers(text: str) -> str:
    text = _POWER.sub(_power, text)
    text = _ALONE.sub(lambda found: found[0].translate(_LOWERED), text)
    text = _FRACTION.sub(_fraction, text)
    text = _ROMAN.sub(_arabic, text)
    return _MINUS.sub("-", _MICRO.sub("µ", text))


def _power(found: re.Match[str]) -> str:
    return found[0] if found[0] in "²³" else f"^{found[0].translate(_LOWERED)}"


def _fraction(found: re.Match[str]) -> str:
    plain = unicodedata.normalize("NFKC", found[2]).replace("\u2044", "/")
    return f"{found[1]} {plain}" if found[1] else plain


def _arabic(found: re.Match[str]) -> str:
    """The value of a Roman numeral: voices read `IV` as two letters as often as not."""
    letters = unicodedata.normalize("NFKC", found[0]).upper()
    if not set(letters) <= _ROMAN_VALUES.keys():
        return " ".join(f"{unicodedata.numeric(letter):g}" for letter in found[0])
    values = [_ROMAN_VALUES[letter] for letter in letters]
    signed = zip(values, [*values[1:], 0], strict=True)
    return str(sum(-value if value < following else value for value, following in signed))


@functools.lru_cache(maxsize=4096)
def _plain(character: str) -> str:
    """The letters, digits or unit that `character` is another form of, or itself."""
    if character in _KEPT or ord(character) in _HANGUL_LETTERS or _ROMAN.match(character):
        return character
    if _NUMBERED.match(character):
        return f" {unicodedata.numeric(character):g} "
    if character == "№":
        return " No. "
    form, *codes = unicodedata.decomposition(character).split() or [""]
    if form not in _FORMS or unicodedata.category(character)[0] not in "LNS":
        return character
    return "".join(_plain(chr(int(code, 16))) for code in codes)


def _with_plain_signs(text: str) -> str:
    text = _GROUPED.sub(lambda found: re.sub(r"\s", "", found[0]), text).translate(_SIGNS)
    if not _WIDE_SCRIPT.search(text):
        text = text.translate(_FULL_WIDTH)
    return _APOSTROPHE.sub("'", text)


def _laid_out(text: str) -> str:
    text = _RULE.sub("", text)
    if len(_QUOTE.findall(text)) > 1:
        text = _QUOTE.sub("", text)
    lines = [_SPACES.sub(" ", text[start:end]) for start, end in paragraphs(text)]
    is_list = sum(_DASH.match(line) is not None for line in lines) > 1
    bullet = _BULLET_OR_DASH if is_list else _BULLET  # a single dash may be a minus
    lines = [line[mark.end() :] if (mark := bullet.match(line)) else line for line in lines]
    return "\n\n".join([*map(ended, lines[:-1]), *lines[-1:]])
