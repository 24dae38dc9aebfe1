"""A text as it is performed: words and pauses, in order.

Pauses are written `[pause 500ms]`, as in scripts for people, or `<break time="500ms"/>`, as SSML has it
(https://www.w3.org/TR/speech-synthesis11/#S3.2.3). Other SSML is refused: most voices would read it aloud.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from libacli.core.reasons import refusal
from libacli.errors import RefusedError

MOST_PAUSE_S = 10.0
"""Longest single pause."""

MOST_PAUSES_S = 60.0
"""Longest silence of all pauses of one text: they count as no characters, and hold the queue up."""


@dataclass(frozen=True)
class Pause:
    """Silence between words, whatever the voice."""

    seconds: float


Script: TypeAlias = tuple[str | Pause, ...]
"""What the voice reads, and where it is silent."""

_STRENGTHS = {"none": 0.0, "x-weak": 0.25, "weak": 0.5, "medium": 0.75, "strong": 1.0, "x-strong": 1.25}
"""Seconds of a break by its strength, as Azure has them:
https://learn.microsoft.com/azure/ai-services/speech-service/speech-synthesis-markup-structure"""

_ELEMENTS = frozenset(("speak", "prosody", "phoneme", "say-as", "emphasis", "p", "s"))
_ELEMENTS_WITH_ATTRIBUTES = frozenset(
    ("audio", "desc", "lang", "lexicon", "lookup", "mark", "meta", "sub", "token", "voice", "w")
)
"""Without an attribute they stand in ordinary text: "put your <token> here"."""

_VENDORS = ("amazon:", "google:", "mstts:")
"""Prefixes of elements that some services add."""

_OF_HTML = frozenset(("p", "s", "sub", "audio", "mark", "meta"))
"""Elements of SSML that are HTML's as well."""

_NUMBER, _UNIT = r"\d+(?:[.,]\d+)?|\.\d+", r"ms|msecs?|milliseconds?|s|secs?|seconds?|m|mins?|minutes?"
_MARK = (
    rf"(?:\[\s*pause(?:\s*[:=]\s*|\s+)(?:{_NUMBER})\s*(?:{_UNIT})\s*\]"
    r"|<break(?:\s[^<>]*)?/?>(?:\s*</break\s*>)?)"
)
_PAUSE = re.compile(_MARK, re.IGNORECASE)
_PAUSES = re.compile(rf"(?<!\s)\s*{_MARK}(?:\s*{_MARK})*\s*", re.IGNORECASE)
_TIME = re.compile(rf"({_NUMBER})\s*({_UNIT})", re.IGNORECASE)
_ATTRIBUTE = re.compile(
    r"""([\w:.-]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|[“”„]([^“”„<>]*)[“”]|([^\s"'“”„<>=/]+))"""
)
"""Its value stands in quotes, also in those that a text program makes of them, or in none."""

_BROKEN_BREAK = re.compile(r"<\s*break\s*(?:/|\s(?:time|strength)\s*=)", re.IGNORECASE)
"""A mark that has a blank too many, or no end."""

_TAG = re.compile(
    r"""</?([a-z][\w-]*(?::[\w-]+)?)((?:\s+[\w:.-]+\s*=\s*(?:"[^"]*"|'[^']*'))*)\s*/?>""", re.IGNORECASE
)


def read_script(text: str) -> Script:
    """The words of `text` between its pauses, without white space around them, and the pauses.

    Raises RefusedError, `unsupported_markup`, for other SSML, and for pauses that are too long.
    """
    script = tuple(_items(text))
    if sum(item.seconds for item in script if isinstance(item, Pause)) > MOST_PAUSES_S:
        raise _refused(f"the pauses of one text may last {MOST_PAUSES_S:g} s together")
    return script


def without_pauses(text: str) -> str:
    """`text` as it would stand without them: what captions show, and what is counted."""
    return _PAUSES.sub(_joint, text).strip() if _PAUSE.search(text) else text


def pause_spans(text: str) -> list[tuple[int, int]]:
    """Where the marks of pauses begin and end in `text`."""
    return [mark.span() for mark in _PAUSE.finditer(text)]


def is_ssml(tag: str) -> bool:
    """Whether `tag`, in its angle brackets, is SSML and cannot be HTML."""
    match = _TAG.fullmatch(tag)
    return bool(_PAUSE.fullmatch(tag) or (match and _is_element(match) and match[1].lower() not in _OF_HTML))


def _items(text: str) -> Iterator[str | Pause]:
    start = 0
    for mark in _PAUSE.finditer(text):
        yield from _words(text[start : mark.start()])
        if seconds := _seconds(mark[0]):
            yield Pause(seconds)
        start = mark.end()
    yield from _words(text[start:])


def _words(text: str) -> Iterator[str]:
    for tag in _TAG.finditer(text):
        if _is_element(tag):
            raise _refused(f"<{tag[1]}> is not supported: of SSML only <break> is")
    if _BROKEN_BREAK.search(text):
        raise _unknown_time()
    if words := text.strip():
        yield words


def _is_element(tag: re.Match[str]) -> bool:
    name = tag[1].lower()
    if name in _ELEMENTS or name.startswith(_VENDORS):
        return True
    return name in _ELEMENTS_WITH_ATTRIBUTES and bool(tag[2])


def _seconds(mark: str) -> float:
    """How long a pause lasts. Raises RefusedError where its mark does not tell, or it is too long."""
    if mark.startswith("["):
        return _read_time(mark[1:-1].strip()[len("pause") :].lstrip(":= \t\n"))
    attributes = {name.lower(): "".join(values) for name, *values in _ATTRIBUTE.findall(mark)}
    if "time" in attributes:
        return _read_time(attributes["time"])
    strength = attributes.get("strength", "medium").lower()
    if strength not in _STRENGTHS:
        raise _unknown_time()
    return _STRENGTHS[strength]


def _read_time(words: str) -> float:
    if not (time := _TIME.fullmatch(words.strip())):
        raise _unknown_time()
    seconds = float(time[1].replace(",", ".")) * _unit_s(time[2].lower())
    if seconds > MOST_PAUSE_S:
        raise _refused(f"a pause may last {MOST_PAUSE_S:g} s, this one lasts {seconds:g} s")
    return seconds


def _unit_s(unit: str) -> float:
    if unit.startswith(("ms", "mil")):
        return 0.001
    return 60.0 if unit.startswith("m") else 1.0


def _unknown_time() -> RefusedError:
    return _refused('<break> wants a time, as in <break time="500ms"/>')


def _joint(pauses: re.Match[str]) -> str:
    """What stands in the place of pauses and the white space around them."""
    marks = pauses[0]
    if "\n" in marks:
        return "\n\n" if re.search(r"\n[^\S\n]*\n", marks) else "\n"
    return "" if pauses.string[pauses.end() : pauses.end() + 1] in ".,;:!?…)" else " "


def _refused(message: str) -> RefusedError:
    return refusal("unsupported_markup", message)
