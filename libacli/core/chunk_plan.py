"""What a voice is asked for next: whole sentences where that costs nothing, less where it is heard sooner.

Every place where the text could be cut is weighed in seconds: how long a listener would wait for the sound,
how long for that of the chunk after it, and how long he would rather wait than hear the joint. So a voice
whose first sound does not come later with a longer text is never asked for a part of a clause.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from libacli.core.chunks import SHORTEST_CHARS, Cut, CutKind, cuts_within
from libacli.core.habits import COMFORTABLE_CHARS, NEXT_CHARS, Habits
from libacli.core.script import Pause
from libacli.core.text import is_speakable
from libacli.core.words import word_ends

_SEAM_S: Mapping[CutKind, float] = {"end": 0.0, "sentence": 0.0, "clause": 0.15, "word": 0.4}
"""A joint behind a clause, or a word, is made only where a listener would wait longer without it."""

_HOLE_WEIGHT = 2.0
"""Of a wait in the middle of speech, against one before it begins."""

_SPARE_S = 0.1
"""What sound in hand is to outlast the wait for the next one."""

_ALIKE_S = 0.1
"""What costs so little more is as good: then the longer chunk is taken."""


@dataclass(frozen=True)
class Chunk:
    """One request to a voice."""

    text: str
    """What the voice gets: no white space around it."""

    kind: CutKind
    """What it ends with; `end` is that of the text, or before a pause that the text asks for."""

    is_first: bool
    whole: str
    """The same with the white space behind it."""


class ChunkPlan:
    """Cuts a script into chunks, one at a time: what is known when one is asked for decides on it."""

    def __init__(self, script: Sequence[str | Pause], *, max_chars: int, first_chars: int) -> None:
        """`max_chars` is the most that a chunk may have, `first_chars` of the first one."""
        self._items = [item for item in script if isinstance(item, Pause) or is_speakable(item)]
        self._max_chars = max_chars
        self._first_chars = min(first_chars, max_chars)
        self._is_first = True

    @property
    def is_empty(self) -> bool:
        return not self._items

    @property
    def next_chars(self) -> int:
        """How many characters the next chunk can have, at most; 0: there is none, or a pause comes first."""
        item = self._items[0] if self._items else ""
        return 0 if isinstance(item, Pause) else min(len(item), self._limit)

    def drop(self) -> None:
        """Forgets what is left."""
        self._items.clear()

    def take(self, habits: Habits, *, hand_s: float = 0.0, is_limited: bool = False) -> Chunk | Pause:
        """The next chunk or pause; there must be one.

        `hand_s` is how long a listener has something to hear without it. `is_limited`: requests are few, so
        each is for as much as possible.
        """
        item = self._items.pop(0)
        if isinstance(item, Pause):
            return item
        cut = _choose(item, self._limit, habits, hand_s, is_limited=is_limited)
        rest = item[cut.end :]
        kind = cut.kind
        if is_speakable(rest):
            self._items.insert(0, rest)
        else:
            kind = "end"
        if kind == "end" and self._items and isinstance(self._items[0], str):
            kind = "sentence"
        chunk = Chunk(item[: cut.end].strip(), kind, self._is_first, item[: cut.end])
        self._is_first = False
        return chunk

    def enlarge(self, chunk: Chunk) -> Chunk:
        """As much as possible instead of `chunk`, which was the last one taken and has come to nothing."""
        if chunk.kind == "end" or not (self._items and isinstance(self._items[0], str)):
            return chunk
        self._items[0] = chunk.whole + self._items[0]
        self._is_first = chunk.is_first
        enlarged = self.take(Habits(), is_limited=True)
        assert isinstance(enlarged, Chunk)
        return enlarged

    @property
    def _limit(self) -> int:
        if not self._is_first:
            return self._max_chars
        words = self._items[0] if self._items else ""
        first_word = 0 if isinstance(words, Pause) else next(iter(word_ends(words)), len(words))
        return max(self._first_chars, min(first_word, self._max_chars))  # an address is not cut


def _choose(text: str, limit: int, habits: Habits, hand_s: float, *, is_limited: bool) -> Cut:
    preferred = limit if is_limited else min(limit, COMFORTABLE_CHARS)
    cuts = _sensible(text, limit)
    costs = [
        (0.0 if is_limited else _wait_s(cut.end, len(text), habits, hand_s)) + _SEAM_S[cut.kind]
        for cut in cuts
    ]
    least_s, seam_s = min((cost_s, _SEAM_S[cut.kind]) for cost_s, cut in zip(costs, cuts, strict=True))
    alike = [
        cut
        for cost_s, cut in zip(costs, cuts, strict=True)
        if cost_s <= least_s + _ALIKE_S and _SEAM_S[cut.kind] <= seam_s
    ]
    # A rest that is short is not worth a joint.
    short = [cut for cut in alike if cut.end <= preferred * (1.25 if cut.kind == "end" else 1)]
    if not short:
        return min(alike, key=_end)
    safe = [cut for cut in short if is_limited or not hand_s or _is_in_time(cut.end, habits, hand_s)]
    return max(safe, key=_end) if safe else min(short, key=_end)


def _sensible(text: str, limit: int) -> list[Cut]:
    """Where it can be cut so that both parts have something to say."""
    cuts = list(cuts_within(text, limit))
    sensible = [
        cut
        for cut in cuts
        if cut.kind == "end" or (len(text) - cut.end >= SHORTEST_CHARS and is_speakable(text[: cut.end]))
    ]
    return sensible or cuts


def _wait_s(end: int, length: int, habits: Habits, hand_s: float) -> float:
    """What it is to wait for a chunk that ends there, and then for the next one."""
    ready_s = habits.first_s(end) + habits.hold_s(end)
    if hand_s:
        ready_s += (habits.p95 - 1) * habits.first_s(end) + _SPARE_S
    wait_s = max(0.0, ready_s - hand_s) * (_HOLE_WEIGHT if hand_s else 1)
    if end == length:
        return wait_s
    sound_s = max(0.0, hand_s - ready_s) + habits.least_pace_s * end
    next_s = habits.p95 * habits.first_s(min(NEXT_CHARS, length - end)) + _SPARE_S
    return wait_s + _HOLE_WEIGHT * max(0.0, next_s - sound_s)


def _is_in_time(end: int, habits: Habits, hand_s: float) -> bool:
    """Whether a chunk that ends there comes before the sound in hand ends, whatever its length delays."""
    first_s = habits.p95 * (habits.base_s + habits.most_growth_s * end)
    return first_s + habits.hold_s(end) + _SPARE_S <= hand_s


def _end(cut: Cut) -> int:
    return cut.end
