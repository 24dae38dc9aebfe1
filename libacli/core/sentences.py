"""Where sentences end. The rules of languages are sentencex's (https://github.com/wikimedia/sentencex)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from libacli.core.paragraphs import paragraphs
from libacli.core.script import pause_spans
from libacli.core.sentence_language import language_of
from libacli.core.text import is_speakable

SENTENCE_LULL_S = 0.3
"""Silence after which a sentence with its mark is taken for complete, though nothing follows yet."""

LINE_LULL_S = 1.0
"""The same for a line without a mark: somebody types, or writes down what he hears."""

_UNKNOWN_WORD = "Qq"
_LONG_WORD_END = re.compile(r"[^\W\d_]{4,}[.!?…。！？।۔]+\W*$")
_WHOLE_WORD = re.compile(r"\W*\w\S*\s")

_CLOSERS = "\"'”’“‘»›«‹)]}*`_）】」』〉》〕"
_CLOSING = re.compile(rf"(?:[{re.escape(_CLOSERS)}]|\[\d{{1,3}}\]|[¹²³⁰-⁹]+|[^\S\n][»›](?!\S))*")
"""What still belongs to a sentence behind its mark: closers, marks of footnotes, and `« ainsi. »`."""

_BRACKETS = re.compile(
    r"""[^\S ]|["“”„‟«»‹›()\[\]{}<>*`（）【】「」『』〈〉《》〔〕]|(?<!\w)['‘’‚‛_]|['‘’‚‛_](?!\w)"""
)
"""White space of all kinds, quotes, brackets and marks of emphasis: a sentence ends inside them, too."""

_UNKNOWN_MARKS = str.maketrans({"។": "।", "៕": "।", "།": "।", "༎": "।"})
"""Of Khmer and Tibetan: sentencex takes them for nothing."""

_ELLIPSIS = re.compile(r"…(?=\s+(\w))")
_ONLY_A_MARKER = re.compile(r"\W*(?:\d{1,3}|[A-Za-z]|[ivxIVX]{2,5})[.)]\W*")
_ORDINAL = re.compile(r"(?:^|\s)\d{1,3}\.$")
_ORDINAL_LANGUAGES = frozenset(("de", "da", "fi", "pl"))
"""Here `3.` is the third; elsewhere it is the end of a sentence."""

_BEFORE_NUMBER = re.compile(
    r"\b(?:abb|abs|app|approx|apt|art|avg|blz|ca|cap|ch|chap|circa|eqs?|est|ext|figs?|kap|max|min|nos?|nn|nr|núm|pág|pp"
    r"|refs?|sec|sect|tab|tel|vols?|ziff|кв|рис|стр|[a-zд]|\w*str)\.$",
    re.IGNORECASE,
)
"""Of a number that is behind it: `approx. 5`, `Abb. 3`, `Hauptstr. 5`."""

_PLAN_B = re.compile(r"\b[A-Z]\.$")
"""A capital alone is a name as often: `vitamin C. 5 people`."""

_GOES_ON = re.compile(
    r"\b(?:Dr|Mr|Mrs|Ms|Prof|Mme|Mlle|Sra|Srta|Dña|Dra|Profa|Dott|Avv|Mevr|Dhr|Drs|Dipl|Ing|Frl|Messrs"
    r"|sig|(?:sig|dott|prof)\.(?:ra|ssa)"
    r"|bzw|einschl|abzgl|zzgl|inkl|exkl|evtl|ggf|sog|vgl|bspw|insb|zw|tzw|bijv|cf|vs|av"
    r"|approx|o\.a|t\.ex|bl\.a|ad es|např|tj"
    r"|д|ул|пл|пос|тов|т\. ?[ек]|(?<!\d )г)"
    r"\.$",
    re.IGNORECASE,
)
"""Titles and short forms that always have something behind them, in whatever language."""

_GOES_ON_IN = {
    "fr": re.compile(r"\b(?:MM?|Ste?)\.$"),
    "de": re.compile(r"\b(?:Fa|[Hh]l)\.$"),
    "nl": re.compile(r"\b[Mm]w\.$"),
}
"""The same in one language alone, where others end sentences with such a word, or letter."""

_SHORT_WORD = re.compile(r"(?:^|[^\w.])(?![a-z])[^\W\d_]{1,3}\.$|\w\.-?\w+\.$")
"""Behind it a small letter goes on: `Mme. de`, `J.-C. est`."""

_LETTER, _NEXT_LETTER = re.compile(r"(?:^|\W)[^\W\d_]\.$"), re.compile(r"\s*[^\W\d_]\.")
"""Two of them are one abbreviation, `z. B.`, or initials."""

_SPACELESS_MARK = re.compile(r"[^\x00-\x7f…]$")
"""A mark of a script that needs no space behind it: `。`, `।`."""

_UNMARKED_SPACE = re.compile(
    "(?<=[\u0e01-\u0e45\u0e47-\u0e4f])[^\\S\n]+(?=[\u0e01-\u0e5b])"
    "|(?<=[\u0e80-\u0ec5\u0ec7-\u0edf])[^\\S\n]+(?=[\u0e80-\u0edf])"
)
"""Thai and Lao have no marks: a space ends a clause or a sentence."""

_UNMARKED_CHARS = 20
"""Shorter than that it is a clause at most."""


def sentence_ends(text: str) -> list[int]:
    """Indices behind the sentences of `text` that are complete, their closing marks included.

    Complete is what something follows that can be spoken, or an empty line. No end falls inside a number, an
    abbreviation, a name with initials, an address; paragraphs and list items end, a single newline does not.
    """
    ends: list[int] = []
    spans = paragraphs(text)
    for start, end in spans:
        ends += [start + inner for inner in _inner_ends(text[start:end])]
        ends.append(end)
    if spans and not re.search(r"\n[^\S\n]*\n", text[ends[-1] :]):
        ends.pop()
    return ends


def certain_ends(text: str) -> list[int]:
    """Those of `sentence_ends` that stay what they are, whatever comes behind `text`.

    "In the U.S." may go on: what is behind it must be seen.
    """
    if not (ends := sentence_ends(text)):
        return []
    lasting = set(sentence_ends(text + _UNKNOWN_WORD))
    return [end for end in ends if end in lasting and _is_seen(text, end)]


def is_likely_complete(text: str, silent_s: float) -> bool:
    """Whether `text` ends a sentence, nothing having come behind it for so many seconds."""
    end = len(text.rstrip())
    if silent_s >= LINE_LULL_S and "\n" in text[end:]:
        return True
    return silent_s >= SENTENCE_LULL_S and end in sentence_ends(f"{text[:end]} {_UNKNOWN_WORD}")


def _is_seen(text: str, end: int) -> bool:
    """Whether enough is seen of what is behind `end`: a whole word, if what is before may be a short form."""
    is_word_before = _LONG_WORD_END.search(text, max(0, end - 40), end)
    if text.startswith("\n", end) or is_word_before:
        return True
    return bool(_WHOLE_WORD.match(text, end)) or not text[end : end + 1].isspace()


def _inner_ends(paragraph: str) -> Iterator[int]:
    """Ends of sentences with another one behind them."""
    language = language_of(paragraph)
    last = 0
    for end in _candidates(paragraph, language):
        sentence, rest = paragraph[last:end], paragraph[end:]
        if is_speakable(sentence) and is_speakable(rest) and not _goes_on(sentence, rest, language):
            yield end
            last = end


def _goes_on(sentence: str, rest: str, language: str) -> bool:
    """Whether `sentence` is not over, for all its marks."""
    is_spaced = rest[0].isspace() or (_SPACELESS_MARK.search(sentence) and not rest[0].isdigit())
    is_ordinal = language in _ORDINAL_LANGUAGES and _ORDINAL.search(sentence)
    is_initial = _LETTER.search(sentence) and _NEXT_LETTER.match(rest)
    next_letter = rest.lstrip()[0]
    has_number = next_letter.isdigit() and _BEFORE_NUMBER.search(sentence) and not _PLAN_B.search(sentence)
    if not is_spaced or is_ordinal or is_initial or has_number or _is_short_form(sentence, language):
        return True
    if _ONLY_A_MARKER.fullmatch(sentence):
        return True
    if sentence[-1] in _CLOSERS:  # "No!" she said.
        return next_letter.islower() or next_letter in "とっ"
    if not next_letter.islower() or not sentence.endswith("."):
        return False
    return _SHORT_WORD.search(sentence) is not None or _has_capitals(sentence)


def _is_short_form(sentence: str, language: str) -> bool:
    """Whether it ends with one that has something behind it."""
    own = _GOES_ON_IN.get(language)
    return bool(_GOES_ON.search(sentence) or (own and own.search(sentence)))


def _has_capitals(sentence: str) -> bool:
    """Whether its author begins sentences with a capital."""
    return next((char.isupper() for char in sentence if char.isalpha()), False)


def _candidates(paragraph: str, language: str) -> Iterator[int]:
    if language in ("th", "lo"):
        yield from _ends_by_spaces(paragraph)
        return
    at = 0
    for segment in _segments(language, _without_brackets(paragraph)):
        end = at + len(segment.rstrip())
        at += len(segment)
        closing = _CLOSING.match(paragraph, end)
        yield closing.end() if closing else end


def _ends_by_spaces(paragraph: str) -> Iterator[int]:
    last = 0
    for space in _UNMARKED_SPACE.finditer(paragraph):
        if space.start() - last >= _UNMARKED_CHARS:
            last = space.end()
            yield space.start()


def _without_brackets(paragraph: str) -> str:
    """The same length, with spaces in their place, and in that of pauses.

    sentencex takes no end inside quotes and brackets, however much they hold; and it panics at white space of
    more than one byte behind an initial.
    """
    for start, end in pause_spans(paragraph):
        paragraph = paragraph[:start] + " " * (end - start) + paragraph[end:]
    plain = _BRACKETS.sub(" ", paragraph).translate(_UNKNOWN_MARKS)
    return _ELLIPSIS.sub(lambda found: "." if found[1].isupper() else "…", plain)


def _segments(language: str, text: str) -> list[str]:
    import sentencex  # 4 MB that only the agent and `liba say -` need

    try:
        segments: list[str] = sentencex.segment(language, text)
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # of its Rust, and no Exception
            raise
        return [text]
    return segments
