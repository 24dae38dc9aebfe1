"""Text on its way to a voice: made clean, cut into chunks that can be spoken one after the other."""

from __future__ import annotations

import re
import unicodedata

_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters, but for tab and newline
    "\xad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # zero width, marks
    "\U000e0000-\U000e007f]"  # tags: whole sentences can be hidden in them
)

_SENTENCE_END = re.compile(r"""[.!?…]+["'”’»)\]]*(?=\s)|[。！？｡]+[」』”’）]*|\n+""")
_CLAUSE_END = re.compile(r"""[,;:—–]["'”’»)\]]*(?=\s)|[，、；：]""")
_SPACE = re.compile(r"\s+")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\"'“‘])(?:[A-Z]|Mr|Mrs|Ms|Dr|Prof|St|Jr|Sr|vs|etc|No|Fig|approx|e\.g|i\.e)\.$"
)
_NEAREST_WORTHWHILE = 12
"""A chunk shorter than this many characters is not worth a request of its own."""


def clean(text: str) -> str:
    """`text` in Unicode's composed form, without what cannot be seen or heard; newlines are kept.

    Raises ValueError for text that is not Unicode (a lone surrogate).
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError("the text holds half a character (a lone surrogate)") from error
    seen = _UNSEEN.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    return unicodedata.normalize("NFC", seen).strip()


def is_speakable(text: str) -> bool:
    """Whether there is a letter or a digit in it: punctuation and emoji alone make no sound."""
    return any(unicodedata.category(character)[0] in "LN" for character in text)


def split_chunks(text: str, *, max_chars: int, first_chars: int) -> list[str]:
    """Cuts `text` into pieces of at most `max_chars` characters; put together again they are `text`.

    A cut falls on the end of a sentence where there is one within reach, else of a clause, else
    between words, else anywhere. Sound can begin when the first piece is spoken, so the first is at
    most `first_chars` long, unless all of it is so short that cutting would only hurt the melody.
    """
    if len(text) <= max(first_chars, min(max_chars, first_chars * 2)):
        return [text] if text else []
    chunks: list[str] = []
    start = 0
    while start < len(text):
        limit = max_chars if chunks else first_chars
        end = start + _cut(text[start:], limit)
        chunks.append(text[start:end])
        start = end
    return chunks


class SentenceStream:
    """Cuts text that arrives in pieces into sentences, each given out as soon as it is complete."""

    def __init__(self, *, max_chars: int) -> None:
        self._max_chars = max_chars
        self._rest = ""

    def push(self, text: str) -> list[str]:
        """Returns the sentences that `text` completes, stripped, without empty ones."""
        self._rest += text
        sentences = []
        while end := self._end():
            sentences.append(self._rest[:end].strip())
            self._rest = self._rest[end:]
        return [sentence for sentence in sentences if sentence]

    def _end(self) -> int:
        """How many characters can be given out; 0 when there is no complete sentence yet."""
        end = _first_sentence_end(self._rest)
        if (end or len(self._rest)) > self._max_chars:
            return _cut(self._rest, self._max_chars)
        return end

    def flush(self) -> list[str]:
        """Returns what is left when no more text will come."""
        rest, self._rest = self._rest.strip(), ""
        return [rest] if rest else []


def _first_sentence_end(text: str) -> int:
    """Index behind the first complete sentence; 0 when there is none yet."""
    for match in _SENTENCE_END.finditer(text):
        if not _ABBREVIATION.search(text[: match.end()]):
            return match.end()
    return 0


def _cut(text: str, limit: int) -> int:
    """How many characters of `text` make the next chunk: 1..limit, white space after the cut included."""
    if len(text) <= limit:
        return len(text)
    reach = text[: limit + 1]
    for pattern in (_SENTENCE_END, _CLAUSE_END):
        ends = [
            match.end()
            for match in pattern.finditer(reach)
            if _NEAREST_WORTHWHILE <= match.end() <= limit and not _ABBREVIATION.search(reach[: match.end()])
        ]
        if ends:
            return _take_space(text, ends[-1], limit)
    words = [match.end() for match in _SPACE.finditer(reach) if match.start() > 0 and match.end() <= limit]
    if words:
        return words[-1]
    return _before_mark(text, limit)


def _take_space(text: str, end: int, limit: int) -> int:
    while end < limit and text[end].isspace():
        end += 1
    return end


def _before_mark(text: str, end: int) -> int:
    """Moves a cut back so that it does not part a letter from its accents or joiners."""
    cut = end
    while cut > 1 and (unicodedata.combining(text[cut]) or text[cut] in "\u200c\u200d\ufe0f"):
        cut -= 1
    return cut if cut > 1 else end
