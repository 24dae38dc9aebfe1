"""Markdown that arrives in pieces, as prose that arrives in pieces."""

from __future__ import annotations

import re
from collections.abc import Callable

from libacli.core.chunks import next_cut
from libacli.core.markdown import MarkdownChoice, is_markdown, prose
from libacli.core.sentences import LINE_LULL_S, certain_ends, is_likely_complete, sentence_ends
from libacli.core.unheard import unheard

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})[^\n]*\n")
_HEADING = re.compile(r" {0,3}#{1,6} [^\n]*\n")
_WHOLE = re.compile(r"---\n|\+\+\+\n| {0,3}(?:#{1,6} |\||`{3}|~{3})|[^\n]*\n *\|? *:?-+:? *\|")
"""Headings, tables, code, a file's settings: nothing of them can be read before all of it is there."""

_BLOCK_END = re.compile(
    r"\n[^\S\n]*\n"  # an empty line
    r"|\n(?= {0,3}(?:`{3}|~{3}|#{1,6} ))"  # code or a heading begins
    r"|\n(?=[^\S\n]*(?:[-*+]|1[.)]) +\S)"  # a list begins
)
_ITEM = re.compile(r"[^\S\n]*(?:[-*+]|\d{1,3}[.)]) +\S")
_ITEM_END = re.compile(rf"{_BLOCK_END.pattern}|\n(?={_ITEM.pattern})")

_PAIRS = re.compile(r"`|(?<=\S)\*|\*(?=\S)|(?<!\w)_(?=\S)|(?<=\S)_(?!\w)|~~")
"""What opens something in a line, and closes it."""

_MOST_CHARS = 16_000
"""Of a block that does not end: then it is read as far as it goes."""


class ProseStream:
    """Gives text on in complete pieces, Markdown as prose: blocks, or sentences where no mark is open.

    With `auto` all of it is Markdown from its first clear sign on, and what was before is given as it is.
    Of a paragraph in which no sentence ends `max_chars` characters are given on when there are more.
    """

    def __init__(self, choice: MarkdownChoice, *, max_chars: int) -> None:
        self._max_chars = max_chars
        self._is_auto = choice == "auto"
        self._is_markdown = choice == "on"
        self._rest = ""

    def push(self, text: str) -> list[str]:
        """Returns what can be read out now."""
        self._rest += text
        pieces = []
        while end := _block_end(self._rest) or _sentences_end(self._rest) or self._endless():
            pieces.append(self._take(end))
        return pieces

    def _endless(self) -> int:
        """How much to give on of a paragraph that does not end; a mark may be open for as much again."""
        if len(self._rest) <= self._max_chars or _WHOLE.match(self._rest):
            return 0
        end = next_cut(self._rest, self._max_chars)
        is_too_long = len(self._rest) > 2 * self._max_chars
        return end if is_too_long or _is_balanced(self._rest[:end]) else 0

    def lull(self, seconds: float) -> list[str]:
        """Returns what is likely to be complete, nothing having come for so many seconds."""
        is_hidden = any(len(self._rest) in span for span in _hidden(self._rest))
        is_open = is_hidden or _WHOLE.match(self._rest) or not _is_balanced(self._rest)
        if not is_open and is_likely_complete(self._rest, seconds):
            return self.flush()
        end = _sentences_end(self._rest, sentence_ends) if seconds >= LINE_LULL_S else 0
        return [self._take(end)] if end else []

    def flush(self) -> list[str]:
        """Returns what is left when no more text will come."""
        return [self._take(len(self._rest))]

    def _take(self, end: int) -> str:
        self._is_markdown = self._is_markdown or (self._is_auto and is_markdown(self._rest))
        piece, self._rest = self._rest[:end], self._rest[end:]
        return prose(piece) if self._is_markdown else piece


def _block_end(text: str) -> int:
    """How many characters of `text` are a block that is there as a whole; 0: there is none yet."""
    if len(text) > _MOST_CHARS:
        return max(text.rfind("\n"), text.rfind(" ")) + 1 or len(text)
    if fence := _FENCE.match(text):
        closing = re.compile(rf"^ {{0,3}}{fence[1]}{fence[1][0]}*[^\S\n]*\n", re.MULTILINE)
        closed = closing.search(text, fence.end())
        return closed.end() if closed else 0
    if heading := _HEADING.match(text):
        return heading.end()
    pattern = _ITEM_END if _ITEM.match(text) else _BLOCK_END
    hidden = _hidden(text)
    blocks = (block for block in pattern.finditer(text) if not any(block.start() in span for span in hidden))
    return next((block.end() for block in blocks), 0)


def _sentences_end(text: str, ends_in: Callable[[str], list[int]] = certain_ends) -> int:
    """How many characters of a paragraph that goes on can be read; 0: none yet."""
    if _WHOLE.match(text):
        return 0
    hidden = _hidden(text)
    ends = (end for end in reversed(ends_in(text)) if not any(end in span for span in hidden))
    return next((end for end in ends if _is_balanced(text[:end])), 0)


def _hidden(text: str) -> list[range]:
    """Where nothing of `text` can end: in a comment, or a formula; what is open goes on to the end."""
    return [range(part.start + 1, len(text) + 1 if part.end is None else part.end) for part in unheard(text)]


def _is_balanced(text: str) -> bool:
    """Whether nothing of Markdown is open at the end of `text`."""
    return len(_PAIRS.findall(text)) % 2 == 0 and text.count("[") == text.count("]")
