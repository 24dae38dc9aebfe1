"""Numbers as they are spelled in German, French, Spanish and Italian, from 0 to 2099.

English ones are read word by word (`core.verbatim`); here a number is one word of any length, or several.
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

MOST_WORDS = 7
"""Of one number: "mille neuf cent quatre vingt dix neuf"."""

_END = 2100
_MOSTLY_SOMETHING_ELSE = ("cent", "sept", "due", "once", "sei", "zero", "un", "ein", "uno")
"""Alone: a coin, a month, other words, or what English ones are read as."""

_GERMAN = """null ein zwei drei vier funf sechs sieben acht neun zehn elf zwolf dreizehn vierzehn
    funfzehn sechzehn siebzehn achtzehn neunzehn"""
_GERMAN_TENS = "zwanzig dreissig vierzig funfzig sechzig siebzig achtzig neunzig"
_FRENCH = """zero un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze
    seize dixsept dixhuit dixneuf"""
_FRENCH_TENS = "vingt trente quarante cinquante soixante soixante quatrevingt quatrevingt"
_SPANISH = """cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce
    quince dieciseis diecisiete dieciocho diecinueve"""
_SPANISH_TENS = "veinte treinta cuarenta cincuenta sesenta setenta ochenta noventa"
_SPANISH_HUNDREDS = """ciento doscientos trescientos cuatrocientos quinientos seiscientos
    setecientos ochocientos novecientos"""
_ITALIAN = """zero uno due tre quattro cinque sei sette otto nove dieci undici dodici tredici
    quattordici quindici sedici diciassette diciotto diciannove"""
_ITALIAN_TENS = "venti trenta quaranta cinquanta sessanta settanta ottanta novanta"


class _Parts(NamedTuple):
    """What the numbers of a language are put together from."""

    smalls: Sequence[str]
    """From 0 to 99."""

    hundreds: Sequence[str]
    """From none to nine."""

    thousands: Sequence[str]


@functools.cache
def number_words() -> Mapping[str, int]:
    """Each spelling, in small letters, without accents and without what stands between its words."""
    spelled: dict[str, int] = {}
    for parts in (_german(), _german("ein"), _french(), _spanish(), _italian()):
        for number in range(_END):
            ahead = parts.thousands[number // 1000] + parts.hundreds[number // 100 % 10]
            rest = number % 100
            spelled.setdefault(ahead + parts.smalls[rest] if rest or not ahead else ahead, number)
    spelled.update(_exceptions())
    for word in _MOSTLY_SOMETHING_ELSE:
        spelled.pop(word, None)
    return spelled


def without_accents(text: str) -> str:
    """`text` with plain Latin letters; other scripts keep their marks, which are letters there."""
    if text.isascii():
        return text
    kept: list[str] = []
    for char in unicodedata.normalize("NFD", text):
        if not ("\u0300" <= char <= "\u036f" and kept and kept[-1].isascii()):
            kept.append(char)
    return unicodedata.normalize("NFC", "".join(kept))


def _german(one: str = "") -> _Parts:
    units, tens = _GERMAN.split(), _GERMAN_TENS.split()
    smalls = [*units]
    smalls[1] = "eins"
    smalls += [
        (f"{units[number % 10]}und" if number % 10 else "") + tens[number // 10 - 2]
        for number in range(20, 100)
    ]
    return _Parts(smalls, _times(units, "hundert", one), _times(units, "tausend", one))


def _french() -> _Parts:
    units, tens = _FRENCH.split(), _FRENCH_TENS.split()
    smalls = [*units]
    for number in range(20, 100):
        rest = number % 20 if number >= 60 else number % 10
        joint = "et" if rest in (1, 11) and number < 80 else ""
        smalls.append(tens[number // 10 - 2] + (joint + units[rest] if rest else "s" * (number == 80)))
    return _Parts(smalls, _times(units, "cent"), _times(units, "mille"))


def _spanish() -> _Parts:
    units, tens = _SPANISH.split(), _SPANISH_TENS.split()
    smalls = [*units]
    for number in range(20, 100):
        joint, rest = tens[number // 10 - 2], number % 10
        joint = "veinti" if 20 < number < 30 else joint + "y" * (rest > 0)
        smalls.append(joint + (units[rest] if rest else ""))
    return _Parts(smalls, ["", *_SPANISH_HUNDREDS.split()], _times(units, "mil"))


def _italian() -> _Parts:
    units, tens = _ITALIAN.split(), _ITALIAN_TENS.split()
    smalls = [*units]
    for number in range(20, 100):
        ten, rest = tens[number // 10 - 2], number % 10
        smalls.append((ten[:-1] if rest in (1, 8) else ten) + (units[rest] if rest else ""))
    return _Parts(smalls, _times(units, "cento"), ["", "mille", "duemila"])


def _exceptions() -> Iterator[tuple[str, int]]:
    german, french = _german(), _french()
    for number in range(1100, 2000):  # years
        rest = number % 100
        hundreds = german.smalls[number // 100] + "hundert"
        yield hundreds + (german.smalls[rest] if rest else ""), number
    yield from ((f"{french.smalls[count]}cents", 100 * count) for count in range(2, 10))
    yield from (("cien", 100), ("milcien", 1100))


def _times(units: Sequence[str], word: str, one: str = "") -> list[str]:
    """Nothing, then `word` once, twice and so on up to nine times."""
    return ["", one + word, *(unit + word for unit in units[2:10])]
