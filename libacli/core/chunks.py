"""Where a text can be cut into chunks that a voice is asked for one after the other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from libacli.core.sentences import sentence_ends
from libacli.core.words import whole_letters, word_ends

CutKind = Literal["end", "sentence", "clause", "word"]
"""Behind what a cut is; `end` is that of the text."""

_CLAUSE_END = re.compile(r"""[,;:—–]["'”’»)\]]*(?=\s)|[，、；：]""")
_SEEN_CHARS = 40
"""What is looked at behind the limit: an end is one by what follows it."""

SHORTEST_CHARS = 12
"""A chunk of fewer characters is not worth a request of its own."""


@dataclass(frozen=True)
class Cut:
    """A place where a text can be cut."""

    end: int
    """So many characters are before it, white space included."""

    kind: CutKind


def cuts_within(text: str, limit: int) -> Iterator[Cut]:
    """All places where `text` can be cut behind at most `limit` characters, by kind, each in order.

    There is always one: where nothing else is, it is anywhere, but not between a letter and its accent.
    """
    if len(text) <= limit:
        yield Cut(len(text), "end")
    reach = text[: limit + _SEEN_CHARS]
    seen = {len(text)}
    sentences = [_take_space(text, end, limit) for end in sentence_ends(reach) if end <= limit]
    clauses = [_take_space(text, match.end(), limit) for match in _CLAUSE_END.finditer(reach)]
    words = word_ends(reach)
    kinds: tuple[tuple[CutKind, list[int]], ...] = (
        ("sentence", sentences),
        ("clause", clauses),
        ("word", words),
    )
    for kind, ends in kinds:
        for end in ends:
            if SHORTEST_CHARS <= end <= limit and end not in seen:
                seen.add(end)
                yield Cut(end, kind)
    if len(seen) == 1 and len(text) > limit:
        yield Cut(max((end for end in words if end <= limit), default=whole_letters(text, limit)), "word")


def split_chunks(text: str, *, max_chars: int, first_chars: int) -> list[str]:
    """Cuts `text` into pieces of at most `max_chars` characters, the first at most `first_chars`.

    Put together again they are `text`. A cut falls on the end of a sentence where there is one within reach,
    else of a clause, else between words, else anywhere.
    """
    chunks: list[str] = []
    while text:
        end = next_cut(text, max_chars if chunks else first_chars)
        chunks.append(text[:end])
        text = text[end:]
    return chunks


def next_cut(text: str, limit: int) -> int:
    """How many characters of `text` make the next of these pieces: 1..limit."""
    cuts = list(cuts_within(text, limit))
    return max(cut.end for cut in cuts if cut.kind == cuts[0].kind)


def _take_space(text: str, end: int, limit: int) -> int:
    while end < min(limit, len(text)) and text[end].isspace():
        end += 1
    return end
