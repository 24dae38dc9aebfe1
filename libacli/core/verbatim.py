"""Whether what was said is what was to be said: a transcript held against its text, word by word.

Both are reduced to what can be heard: case, marks and the gaps between words go ("e-mail" is "email"), a few
abbreviations are written out, and numbers become digits however they were spelled: in English, and up to 2099
in German, French, Spanish and Italian. "I'm" and "I am" are different words. In other languages a number has
to come back as it was written.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from libacli.core.number_words import MOST_WORDS, number_words, without_accents

_UNITS = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
    sixteen seventeen eighteen nineteen"""
_UNIT_ORDINALS = """zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth
    thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth"""
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_ROMAN = "i ii iii iv v vi vii viii ix x xi xii xiii xiv xv xvi xvii xviii xix xx"

_SMALL: Mapping[str, int] = {
    **{word: value for value, word in enumerate(_UNITS.split())},
    **{word: value for value, word in enumerate(_UNIT_ORDINALS.split())},
    **{word: 10 * value for value, word in enumerate(_TENS.split(), 2)},
    **{word[:-1] + "ieth": 10 * value for value, word in enumerate(_TENS.split(), 2)},
    **{word: value for value, word in enumerate(_ROMAN.split(), 1) if len(word) > 1},
}
_SCALES: Mapping[str, int] = {
    name + ending: value
    for name, value in (("hundred", 100), ("thousand", 10**3), ("million", 10**6), ("billion", 10**9))
    for ending in ("", "th")
}
_BETWEEN_NUMBERS = frozenset({"and", "to", "oh", "o"})
"""Said between two numbers, and written as nothing or as 0: "one hundred and five", "10-15", "7:05"."""

_OF_NUMBERS = _BETWEEN_NUMBERS | {"a", "et", "y", "point", "dollar", "euro", "pound"}
"""What may still become part of a number: "$5" is five dollars, and "$5 thousand" five thousand dollars."""

_HEARD: Mapping[str, str] = {
    "dr": "doctor",
    "mr": "mister",
    "mrs": "missus",
    "prof": "professor",
    "vs": "versus",
    "etc": "etcetera",
    "eg": "forexample",
    "ie": "thatis",
    "okay": "ok",
    "jr": "junior",
    "sr": "senior",
    "inc": "incorporated",
    "approx": "approximately",
    "dept": "department",
    "gov": "governor",
    "ave": "avenue",
    "saint": "st",
    "street": "st",
    "alright": "allright",
    "gray": "grey",
    "negative": "minus",
    "celsius": "c",
    "fahrenheit": "f",
    "prozent": "percent",
    "mon": "monday",
    **dict.fromkeys(("tue", "tues"), "tuesday"),
    "wed": "wednesday",
    **dict.fromkeys(("thu", "thur", "thurs"), "thursday"),
    "fri": "friday",
    "sat": "saturday",
    "sun": "sunday",
    "jan": "january",
    "feb": "february",
    "mar": "march",
    "apr": "april",
    "aug": "august",
    "sept": "september",
    "oct": "october",
    "nov": "november",
    "dec": "december",
    "oclock": "",
    "dot": "",
    **dict.fromkeys(("komma", "virgule", "coma", "virgola"), ""),
    "slash": "",
    "hyphen": "",
    **dict.fromkeys(("kilometers", "kilometres", "kilometer", "kilometre"), "km"),
    **dict.fromkeys(("kilograms", "kilogram", "kilos"), "kg"),
    **dict.fromkeys(("centimeters", "centimetres", "centimeter", "centimetre"), "cm"),
    **dict.fromkeys(("millimeters", "millimetres", "millimeter", "millimetre"), "mm"),
    **dict.fromkeys(("minutes", "minute"), "min"),
    "dollars": "dollar",
    "euros": "euro",
    **dict.fromkeys(("pounds", "lb", "lbs"), "pound"),
    **dict.fromkeys(("foot", "feet"), "ft"),
    "cents": "cent",
    "degrees": "degree",
}
"""Words that are written in more than one way, or of which one of two spellings has nothing."""

_SIGNS: Mapping[str, str] = {
    "%": "percent",
    "&": "and",
    "+": "plus",
    "=": "equals",
    "@": "at",
    "°": "degree",
    "$": "dollar",
    "€": "euro",
    "£": "pound",
    "¥": "yen",
    "¢": "cent",
    "#": "number",
}
_REWRITES = (
    (re.compile(r"['’ʼ`]"), ""),
    (re.compile(r"([$€£]\d[\d.,]*)k\b"), r"\1 thousand"),
    (re.compile(r"([$€£]\d[\d.,]*)mn?\b"), r"\1 million"),
    (re.compile(r"([$€£]\d[\d.,]*)bn?\b"), r"\1 billion"),
    (re.compile(r"\b(twent|thirt|fort|fift|sixt|sevent|eight|ninet)ies\b"), r"\1y s"),
    (re.compile(r"(?<=\d),(?=\d{3}(?!\d))"), ""),
    (re.compile(r"([$€£])\s?(\d+)\.(\d\d)(?!\d)"), r"\2 \1 and \3 cent "),
    (re.compile(r"([$€£])\s?(\d[\d.]*(?:\s(?:thousand|million|billion))?)"), r"\2 \1 "),
    (re.compile(r"(?<=\d):00(?!\d)"), " "),
    (re.compile(r"(?<=\d)\.(?=\d)"), " point "),
    (re.compile(r"(?<=\d)(?:st|nd|rd|th)\b"), " "),
    (re.compile(r"(?:(?<=\s)|^)[-−](?=\d)"), " minus "),
    (re.compile(r"(?<=\d)(?=[^\W\d_])|(?<=[^\W\d_])(?=\d)"), " "),
)


def spoken(text: str) -> str:
    """What is heard of `text`, as letters and digits in one run; empty when nothing can be heard of it."""
    return "".join(_canonical(_words(text)))


def _words(text: str) -> list[str]:
    text = without_accents(unicodedata.normalize("NFKC", text).casefold())
    for pattern, replacement in _REWRITES:
        text = pattern.sub(replacement, text)
    text = "".join(f" {_SIGNS[char]} " if char in _SIGNS else char for char in text)
    return "".join(char if unicodedata.category(char)[0] in "LNM" else " " for char in text).split()


def _canonical(words: list[str]) -> Iterator[str]:
    """The words as they are compared, a run of numbers as its digits."""
    number = _Number()
    position = 0
    while position < len(words):
        word = words[position]
        after = words[position + 1] if position + 1 < len(words) else ""
        found, count = _foreign_number(words[position : position + MOST_WORDS])
        if count and (count > 1 or word not in _SMALL):
            yield from number.digits()
            yield found
        elif not number.takes(word, after):
            yield from number.digits()
            yield _HEARD.get(word, word)
        position += count or 1
    yield from number.digits()


def _foreign_number(words: list[str]) -> tuple[str, int]:
    """The digits of the longest number of another language at the front, and its words' count; or ("", 0)."""
    for count in range(len(words), 0, -1):
        number = number_words().get("".join(words[:count]))
        if number is not None:
            return str(number), count
    return "", 0


class _Number:
    """Reads number words one by one: "nineteen ninety" is 1990, "one hundred and five" is 105."""

    def __init__(self) -> None:
        self._done: list[str] = []
        """Digits of the numbers before the one that is being read: they run together."""

        self._whole = 0
        """Of the number that is being read, what a thousand or more has closed."""

        self._group: int | None = None
        """The rest of it, below a thousand; None when nothing is being read."""

        self._free = 0
        """What is smaller than this can still be added to the group."""

        self._scale = 0
        """The last thousand, million or billion: only a smaller one can follow."""

    def takes(self, word: str, after: str) -> bool:
        """Whether `word`, which `after` follows, is part of a number; then it has been taken in."""
        is_number = word in _SMALL or word in _SCALES or word.isdecimal()
        if not is_number:
            is_reading = bool(self._done) or self._group is not None or self._whole > 0
            leads = after in _SMALL or after in _SCALES or after.isdecimal()
            if word in _BETWEEN_NUMBERS and is_reading and leads:
                if word in ("oh", "o"):
                    self._add(0, free=0)
                return True
            return word == "a" and after in _SCALES
        if word.isdecimal():
            self._add_digits(word)
        elif word in _SMALL:
            value = _SMALL[word]
            self._add(value, free=10 if value >= 20 else 0)
        else:
            self._multiply(_SCALES[word])
        return True

    def digits(self) -> Iterator[str]:
        """What has been read, and forgets it."""
        self._close()
        if self._done:
            yield "".join(self._done)
        self._done = []

    def _add(self, value: int, *, free: int) -> None:
        if self._group is not None and not 0 < value < self._free:
            self._close()
        self._group = (self._group or 0) + value
        self._free = free

    def _add_digits(self, digits: str) -> None:
        if (
            len(digits) <= 3
            and not digits.startswith("0")
            and (self._group is None or int(digits) < self._free)
        ):
            self._add(int(digits), free=0)
        else:
            self._close()
            self._done.append("".join(str(unicodedata.decimal(char)) for char in digits))

    def _multiply(self, scale: int) -> None:
        if scale == 100:
            self._group, self._free = (self._group or 1) * 100, 100
            return
        if self._scale and scale >= self._scale:
            self._close()
        self._whole += (1 if self._group is None else self._group) * scale
        self._scale, self._group, self._free = scale, 0, 1000

    def _close(self) -> None:
        if self._group is not None:
            self._done.append(str(self._whole + self._group))
        self._whole, self._group, self._free, self._scale = 0, None, 0, 0


@dataclass(frozen=True)
class Agreement:
    """How far a transcript has come, held against its text."""

    letters: int
    """So many letters of the text it has said, as far as is known; those of `Proofreader.length` at most."""

    strays: bool
    """It says something else, and nothing that follows can mend that."""


class Proofreader:
    """Holds a transcript that comes in pieces against `text`."""

    def __init__(self, text: str) -> None:
        self._wanted = spoken(text)
        self._said = ""
        self._closed = ""
        """What was said in parts that are over."""

    @property
    def length(self) -> int:
        """Letters and digits that are to be heard; 0: there is nothing to say."""
        return len(self._wanted)

    @property
    def has_heard(self) -> bool:
        """Whether anything has been said."""
        return bool(spoken(self._said))

    def add(self, delta: str) -> Agreement:
        """Takes in the next piece of the transcript; its last word may be half a word."""
        self._said += delta
        said = spoken(self._said)
        if self._wanted.startswith(said):
            return Agreement(len(said), strays=False)
        settled = "".join(_settled(self._said))
        if self._wanted.startswith(settled):
            return Agreement(len(settled), strays=False)
        return Agreement(0, strays=True)

    def close(self, transcript: str) -> None:
        """A part of what is said is over: `transcript` is what was said in it, unless it is empty."""
        if transcript:
            self._said = self._closed + transcript
        self._closed = self._said = f"{self._said} "

    def replace(self, transcript: str) -> None:
        """Takes `transcript` for all that was said so far."""
        self._said = transcript

    @property
    def is_verbatim(self) -> bool:
        """Whether what was said is all of the text, and nothing else."""
        return spoken(self._said) == self._wanted

    @property
    def is_complete(self) -> bool:
        """Whether all of the text was said, and perhaps more behind it."""
        return spoken(self._said).startswith(self._wanted)

    @property
    def is_cut_off(self) -> bool:
        """Whether what was said is the text's beginning, and not all of it."""
        return not self.is_verbatim and self._wanted.startswith(spoken(self._said))


def _settled(said: str) -> list[str]:
    """The words of an unfinished transcript that what follows cannot change."""
    heard = list(_canonical(_words(said)[:-1]))
    while heard and (heard[-1].isdecimal() or heard[-1] in _OF_NUMBERS):
        heard.pop()
    return heard
