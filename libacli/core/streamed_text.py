"""What is to be said of a text that arrives in pieces: all of it at once, or each sentence as it comes."""

from __future__ import annotations

from collections.abc import Iterable

from libacli.core.chunks import split_chunks
from libacli.core.script import without_pauses
from libacli.core.sentence_stream import LONGEST_CHARS, SentenceStream
from libacli.core.text import is_speakable


class StreamedText:
    """Cuts a text into what is said in one go, at most `max_chars` characters each.

    A text whose `size` in UTF-8 bytes is known is one, as soon as all of it is there: it is sent as a whole,
    and merely arrives in packets. Of one that is being written, by a model perhaps, each sentence is one.
    """

    def __init__(self, *, max_chars: int, size: int | None = None) -> None:
        self._max_chars = max_chars
        self._sentences = SentenceStream(max_chars=min(max_chars, LONGEST_CHARS))
        self._whole = ""
        self._missing = size or 0
        """Bytes that the whole still lacks; 0: it is not waited for."""

    def push(self, piece: str) -> list[str]:
        """What `piece` completes, as far as there is something to say in it."""
        if not self._missing:
            return _speakable(self._sentences.push(piece))
        self._whole += piece
        self._missing = max(0, self._missing - len(piece.encode(errors="surrogatepass")))
        return [] if self._missing else self._take_whole()

    def lull(self, seconds: float) -> list[str]:
        """What is likely to be complete, nothing having come for so long."""
        if self._missing:  # it is not sent as a whole, after all
            self._missing = 0
            whole, self._whole = self._whole, ""
            return _speakable(self._sentences.push(whole) + self._sentences.lull(seconds))
        return _speakable(self._sentences.lull(seconds))

    def flush(self) -> list[str]:
        """What is left when no more comes."""
        return self._take_whole() + _speakable(self._sentences.flush())

    def _take_whole(self) -> list[str]:
        self._missing = 0
        whole, self._whole = self._whole, ""
        return _speakable(split_chunks(whole, max_chars=self._max_chars, first_chars=self._max_chars))


def _speakable(lines: Iterable[str]) -> list[str]:
    return [line for line in lines if is_speakable(without_pauses(line))]
