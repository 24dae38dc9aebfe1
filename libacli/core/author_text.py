"""Where in the author's text a voice is: it is given the same words, but not always the same characters."""

from __future__ import annotations

import bisect
import itertools
import re
from collections.abc import Iterable, Iterator

from libacli.core.words import whole_letters

_WORD = re.compile(r"\S+\s*")
_LOOK_AHEAD = 4
"""Words of the author that may have no counterpart before one that has."""

_LONG_WORD = 24
"""What is longer is no word: the script has no spaces, and is shown letter by letter."""


def sounding(text: str) -> int:
    """How many characters it has that are not white space."""
    return sum(map(len, text.split()))


class AuthorText:
    """Places in `words`, the author's text, by how many characters of `spoken` have been said.

    White space does not count. Words that are the same in both are where they meet; between them it is even.
    """

    def __init__(self, words: str, spoken: Iterable[str]) -> None:
        self.words = words
        spoken_words = [word for text in spoken for word in text.split()]
        self._total = sum(map(len, spoken_words))
        meetings = [(0, 0), *_meetings(words, spoken_words), (self._total, len(words))]
        self._said = [said for said, _ in meetings]
        self._places = [place for _, place in meetings]
        self._ends = [word.end() for word in _WORD.finditer(words)]

    def place(self, said: float) -> int:
        """So many characters of the author's have been said, with the white space behind them."""
        if said >= self._total:
            return len(self.words)
        after = bisect.bisect_right(self._said, said)
        before_said, before = self._said[after - 1], self._places[after - 1]
        apart = (self._places[after] - before) / (self._said[after] - before_said)
        return before + int((said - before_said) * apart)

    def shown(self, said: float) -> int:
        """The same with the whole of the word that is being said."""
        place = self.place(said)
        end = next(iter(self._ends[bisect.bisect_right(self._ends, place) :]), len(self.words))
        return end if end - place <= _LONG_WORD else whole_letters(self.words, place + 1)


def _meetings(words: str, spoken: list[str]) -> Iterator[tuple[int, int]]:
    """Where both have the same word: characters of `spoken` before and behind it, and the author's place."""
    authors = [
        (match.start(), match.start() + len(match[0].rstrip()), _letters(match[0]))
        for match in _WORD.finditer(words)
    ]
    ends = itertools.accumulate(map(len, spoken))
    following = 0
    for word, end in zip(spoken, ends, strict=True):
        letters = _letters(word)
        near = range(following, min(following + _LOOK_AHEAD, len(authors)))
        found = next((at for at in near if authors[at][2] == letters), None)
        if found is not None:
            yield end - len(word), authors[found][0]
            yield end, authors[found][1]
            following = found + 1


def _letters(word: str) -> str:
    return "".join(filter(str.isalnum, word)).casefold() or word.strip()
