"""Sentences out of text that arrives in pieces."""

from __future__ import annotations

from collections.abc import Iterable

from libacli.core.chunks import next_cut
from libacli.core.markdown import MarkdownChoice
from libacli.core.prose_stream import ProseStream
from libacli.core.script import pause_spans, without_pauses
from libacli.core.sentences import LINE_LULL_S, certain_ends, is_likely_complete, sentence_ends
from libacli.core.text import is_speakable

LONGEST_CHARS = 400
"""Of a line in a stream, half a minute of speech: where no sentence ends, as in a transcript, it is cut."""

_AT_ONCE_CHARS = 1000
"""What is looked at: to look for the ends of many sentences takes longer than to do so for each of them."""


class SentenceStream:
    """Cuts text that arrives in pieces into sentences, each given out as soon as it is certainly complete.

    That takes a look at what follows: "in the U.S." may go on. See `lull` for where nothing does. Pauses go
    with the sentence behind them. Where it is Markdown by `markdown`, the sentences are those of its prose.
    """

    def __init__(self, *, max_chars: int, markdown: MarkdownChoice = "off") -> None:
        self._max_chars = max_chars
        self._prose = None if markdown == "off" else ProseStream(markdown, max_chars=max_chars)
        self._rest = ""
        self._pauses = ""
        """Marks of pauses that stood alone: they belong to what comes next."""

    def push(self, text: str) -> list[str]:
        """Returns the sentences that `text` completes, stripped."""
        parts = (text[start : start + _AT_ONCE_CHARS] for start in range(0, len(text), _AT_ONCE_CHARS))
        return [sentence for part in parts for sentence in self._push(part)]

    def _push(self, text: str) -> list[str]:
        if self._prose:
            return self._take_whole(self._prose.push(text))
        self._rest += text
        return self._take(certain_ends(self._rest))

    def lull(self, seconds: float) -> list[str]:
        """Returns what is likely to be complete, nothing having come for so many seconds."""
        if self._prose:
            return self._take_whole(self._prose.lull(seconds))
        if is_likely_complete(self._rest, seconds):
            return self._take_whole([""])
        return self._take(sentence_ends(self._rest)) if seconds >= LINE_LULL_S else []

    def flush(self) -> list[str]:
        """Returns what is left when no more text will come."""
        return self._take_whole(self._prose.flush() if self._prose else [""])

    def _take_whole(self, pieces: Iterable[str]) -> list[str]:
        """The sentences of the rest and each of `pieces`, all of which are complete."""
        sentences = []
        for piece in pieces:
            self._rest += piece
            sentences += self._take([*sentence_ends(self._rest), len(self._rest)])
        return sentences

    def _take(self, ends: list[int]) -> list[str]:
        pieces, start = [], 0
        for end in ends:
            pieces += self._within_bounds(self._rest[start:end])
            start = end
        *more, self._rest = self._within_bounds(self._rest[start:])
        stripped = (piece.strip() for piece in pieces + more)
        return [sentence for piece in stripped if piece and (sentence := self._with_pauses(piece))]

    def _within_bounds(self, text: str) -> list[str]:
        pieces = []
        while len(text) > self._max_chars:
            cut = self._cut(text)
            pieces.append(text[:cut])
            text = text[cut:]
        return [*pieces, text]

    def _cut(self, text: str) -> int:
        """Where to cut what is too long, which is not inside the mark of a pause."""
        cut = next_cut(text, self._max_chars)
        return next((start for start, end in pause_spans(text) if 0 < start < cut < end), cut)

    def _with_pauses(self, piece: str) -> str:
        """`piece` with the pauses before it; empty where it is pauses alone, which are kept for the next."""
        if is_speakable(without_pauses(piece)):
            pauses, self._pauses = self._pauses, ""
            return f"{pauses} {piece}" if pauses else piece
        marks = [piece[start:end] for start, end in pause_spans(piece)]
        self._pauses = " ".join(filter(None, [self._pauses, *marks]))
        return "" if marks else piece
