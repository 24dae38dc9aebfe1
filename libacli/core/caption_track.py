"""The captions of a recording: what was said, put where its sound is.

An agent tells when an utterance is heard, and of each part of it how much sound is before it. What is told
comes some milliseconds before or after the sound itself, so an utterance begins with the sound that begins
nearest to that moment.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from libacli.core.audio import FRAME_MS
from libacli.core.caption_cue import CaptionCue
from libacli.core.room_update import CaptionPart
from libacli.core.subtitles import split_cue

_PAUSE_FRAMES = 3
"""Silence before a sound that begins: shorter ones are within words."""

_LONG_PAUSE_FRAMES = 10
"""Behind that much silence something new is said, most likely: what begins nearby begins there."""

_NEARBY_S = 0.3
_BEFORE_S, _BEHIND_S = 0.5, 0.8
"""Where the sound of an utterance is looked for, around the moment at which it was told to be heard."""

_LINE_S = 0.4
"""The same for a line within a part, of which only its share of the text is known."""

_ASTRAY_S = 1.5
"""A part that comes so much later than it should has waited for its sound: the voice has paused before it."""

_PACE_S = 0.065
"""Of a character, where nobody told when it was over."""

_SHORTEST_S = 0.5
_MOST_UTTERANCES = 20_000


@dataclass
class _Part:
    text: str
    came_at: float
    offset_s: float | None
    """How much sound is between the utterance's first and this part; None: it was not told."""

    ended_at: float | None = None


@dataclass
class _Said:
    audible_at: float | None = None
    parts: dict[int, _Part] = field(default_factory=dict)

    @property
    def heard_at(self) -> float:
        """When it was told to be heard; it has parts."""
        if self.audible_at is not None:
            return self.audible_at
        return min(part.came_at for part in self.parts.values())


class CaptionTrack:
    """Collects what is told, on one clock in seconds, and hears the sound of the recording."""

    def __init__(self, *, most_utterances: int = _MOST_UTTERANCES) -> None:
        """Of more than `most_utterances` the oldest are forgotten."""
        self._most_utterances = most_utterances
        self._said: OrderedDict[str, _Said] = OrderedDict()
        self._onsets: list[float] = []
        """Seconds of the recording at which a sound begins."""

        self._new_starts: list[float] = []
        """Those of them behind a longer pause."""

        self._frames = 0
        self._silent_frames = _LONG_PAUSE_FRAMES

    def hear(self, *, is_audible: bool) -> None:
        """The next 20 ms of the recording's sound."""
        if is_audible:
            if self._silent_frames >= _PAUSE_FRAMES:
                self._onsets.append(self._frames * FRAME_MS / 1000)
            if self._silent_frames >= _LONG_PAUSE_FRAMES:
                self._new_starts.append(self._frames * FRAME_MS / 1000)
            self._silent_frames = 0
        else:
            self._silent_frames += 1
        self._frames += 1

    def audible(self, utterance_id: str, at: float) -> None:
        """Its first sound is heard."""
        said = self._of(utterance_id)
        said.audible_at = at if said.audible_at is None else said.audible_at

    def take(self, part: CaptionPart, at: float) -> None:
        """That part of it begins to be heard, or was heard."""
        offset_s = None if part.offset_ms is None else part.offset_ms / 1000
        known = self._of(part.utterance_id).parts.setdefault(part.number, _Part(part.text, at, offset_s))
        known.text = part.text
        if part.is_over:
            known.ended_at = at

    def cues(self, *, began_at: float) -> list[CaptionCue]:
        """All that was said; the recording began at that moment of the clock."""
        timed = sorted(self._timed(began_at), key=lambda one: one[0])
        cues: list[CaptionCue] = []
        for place, (start_s, end_s, is_told, text) in enumerate(timed):
            end_s = max(end_s, start_s + _SHORTEST_S)
            following_s = timed[place + 1][0] if place + 1 < len(timed) else math.inf
            is_meant = is_told and end_s - following_s > _ASTRAY_S  # a sound's own captions may overlap
            if following_s > start_s and not is_meant:
                end_s = min(end_s, following_s)
            cue = CaptionCue(round(start_s * 1000), max(round(end_s * 1000), round(start_s * 1000) + 1), text)
            cues += self._split(cue) if text.strip() else []
        return sorted(cues, key=lambda cue: cue.start_ms)

    def _split(self, cue: CaptionCue) -> list[CaptionCue]:
        """In lines, each of which begins with a sound where there is one nearby: sentences have pauses."""
        split = split_cue(cue)
        starts = [cue.start_ms, *(self._start_near_ms(one.start_ms) for one in split[1:]), cue.end_ms]
        if any(start >= end for start, end in itertools.pairwise(starts)):
            return split
        return [
            CaptionCue(start, end, one.text)
            for (start, end), one in zip(itertools.pairwise(starts), split, strict=True)
        ]

    def _start_near_ms(self, at_ms: int) -> int:
        return round(_nearest(self._onsets, at_ms / 1000, _LINE_S, _LINE_S) * 1000)

    def _of(self, utterance_id: str) -> _Said:
        said = self._said.setdefault(utterance_id, _Said())
        if len(self._said) > self._most_utterances:
            self._said.popitem(last=False)
        return said

    def _timed(self, began_at: float) -> Iterator[tuple[float, float, bool, str]]:
        """When each part begins and ends, in seconds of the recording, and whether its end was told."""
        for said, heard_s in self._heard(began_at):
            for part in said.parts.values():
                start_s = self._start_s(part, heard_s, part.came_at - began_at)
                likely_s = start_s + _PACE_S * len(part.text)
                end_s = likely_s if part.ended_at is None else part.ended_at - began_at
                yield max(0.0, start_s), max(0.0, start_s, end_s), part.ended_at is not None, part.text

    def _heard(self, began_at: float) -> Iterator[tuple[_Said, float]]:
        """Each utterance that has parts, the last one first, and when it began in the recording."""
        following_s = math.inf
        told = [(said.heard_at - began_at, said) for said in self._said.values() if said.parts]
        for at_s, said in sorted(told, key=lambda one: one[0], reverse=True):
            heard_s = _nearest(self._onsets, at_s, _BEFORE_S, _BEHIND_S)
            if heard_s >= following_s > at_s:
                heard_s = at_s  # that sound is the next one's: this one began without a pause before it
            yield said, heard_s
            following_s = heard_s

    def _start_s(self, part: _Part, heard_s: float, came_s: float) -> float:
        if part.offset_s is None:
            return came_s
        start_s = heard_s + part.offset_s
        if came_s - start_s > _ASTRAY_S:
            return _nearest(self._onsets, came_s, _BEFORE_S, _BEHIND_S)
        # Where the sound had to wait on its way, all that follows is later.
        return _nearest(self._new_starts, start_s, _NEARBY_S, _NEARBY_S) if part.offset_s else start_s


def _nearest(onsets: Sequence[float], at_s: float, before_s: float, behind_s: float) -> float:
    """The one that is nearest to `at_s`, within these bounds; `at_s` itself where none is."""
    place = bisect.bisect_left(onsets, at_s - before_s)
    near = itertools.takewhile(lambda onset: onset <= at_s + behind_s, onsets[place : place + 64])
    return min(near, key=lambda onset: abs(onset - at_s), default=at_s)
