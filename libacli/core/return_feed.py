"""What comes back of a line, against what was sent of it: whether it is on the air, and heard to its end.

Pure, and told the times, in seconds of one clock. What is sent sounds, at the earliest, when it is there and
what was sent before has sounded; it is heard a way later, which is known when the first of it is heard.

Sound is not compared with sound: an avatar may be louder, later or stretched. It is silence that has to be
explained. What comes back may be silent for as long as what was sent is, somewhere near, and a second longer:
that second is for jitter. Sound that still has to come then is not on the air.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from libacli.core.audio import AUDIBLE_PEAK, FRAME_MS, reaches

STALLED_S = 1.0
"""How much longer than what was sent it may be silent. An avatar holds the 2 s that are sent ahead, so that
less is not heard of a network that falters; a viewer waits no longer for speech to go on."""

SWALLOWED_S = 0.5
"""So much of an end has to be missing that it counts: a codec and an avatar that fades take less, and so does
a receiver that has caught up since the beginning (jitter buffers hold some 0.2 s)."""

LOUD_PEAK = 2 * AUDIBLE_PEAK
"""What is sent has to be heard from this loudness on: an avatar may play it at half of that."""

_PAUSE_S = 0.1
"""A shorter silence is none: lips close for as long within a word."""

_WORD_S = 0.2
"""A shorter sound does not have to be heard: clicks and breath, which a codec takes away."""

_NEAR_S = 1.0
"""By how much what is heard may be late, besides its holes, when it is asked which pause it may be in."""

_HEARD_PAUSE_S = 0.3
_LONG_PAUSE_S = 0.5
_EDGES_S = 0.1
"""Pauses that may have been left out are counted from `_LONG_PAUSE_S` on. Their sound rings on and begins
softly: what is heard of one is shorter, by `_EDGES_S` at most, and is counted from `_HEARD_PAUSE_S` on."""

_FRAME_S = FRAME_MS / 1000


def loudness_of(frame: bytes) -> int:
    """Its loudest sample, as far as it matters here: `LOUD_PEAK` or more, `AUDIBLE_PEAK` or more, or 0."""
    return next((level for level in (LOUD_PEAK, AUDIBLE_PEAK) if reaches(frame, level)), 0)


@dataclass
class _Sound:
    """Sound that was sent, without a pause in it: when it sounds, at the earliest."""

    begins_at: float
    ends_at: float


class ReturnFeed:
    """That of one line."""

    def __init__(self) -> None:
        self.sent_until = -math.inf
        """When the last frame that was sent has sounded, at the earliest."""

        self.audible_at: float | None = None
        """When the first frame that is not silence sounds, at the earliest; None: none was sent."""

        self.has_to_be_heard = False
        """Whether something loud was sent."""

        self.way_s = 0.0
        """From there to here; 0 until something was heard, or is set by who knows better."""

        self.heard_at: float | None = None
        """When something was heard last."""

        self._sounds: list[_Sound] = []
        self._began_at = 0.0
        self._listened_s = 0.0
        self._heard_pauses_s = self._holes_s = 0.0

    def sent(self, now: float, *, loudness: int) -> None:
        """One frame, whose `loudness_of` that is."""
        begins_at = max(now, self.sent_until)
        self.sent_until = begins_at + _FRAME_S
        if self.audible_at is None and loudness >= AUDIBLE_PEAK:
            self.audible_at = begins_at
        if loudness < LOUD_PEAK:
            return
        self.has_to_be_heard = True
        if self._sounds and begins_at - self._sounds[-1].ends_at < _PAUSE_S:
            self._sounds[-1].ends_at = self.sent_until
        else:
            self._sounds.append(_Sound(begins_at, self.sent_until))

    def listened(self, now: float, seconds: float, *, is_audible: bool) -> float:
        """So much more has come back. By how many seconds a silence that ends here was longer than sent."""
        hole_s = 0.0
        if self.heard_at is not None:
            self._listened_s += seconds
            # What came first may have been noticed late. More cannot have come since than there was time for.
            late_s = max(0.0, self._began_at + self._listened_s - now)
            self._began_at -= late_s
            self.way_s = max(0.0, self.way_s - late_s)
            if is_audible and now - self.heard_at >= _HEARD_PAUSE_S:
                hole_s = max(0.0, now - self.silent_until(0.0))
                self._holes_s += hole_s
                self._heard_pauses_s += now - self.heard_at + _EDGES_S
        elif is_audible and self.audible_at is not None:
            self._began_at = now
            self.way_s = now - self.audible_at
        if is_audible:
            self.heard_at = now
        return hole_s

    @property
    def out_at(self) -> float:
        """When all that was sent so far and has to be heard will have been, if nothing is late."""
        sounds = self._words()
        return (sounds[-1].ends_at if sounds else self.sent_until) + self.way_s

    @property
    def out_late_at(self) -> float:
        """The same where it was late by all its holes, which may have been quiet passages."""
        return self.out_at + self._holes_s

    @property
    def unheard_s(self) -> float:
        """How much of what was sent so far would be missing if nothing more were heard, pauses included."""
        if self.heard_at is None or not self._words():
            return 0.0
        return self.out_at - self.heard_at - self._passed_over_s()

    def silent_until(self, longer_s: float) -> float:
        """Until when silence, from what was heard last, is explained by pauses near, and so much longer."""
        if self.heard_at is None:
            return math.inf
        longest_s = 0.0
        for begins_at, ends_at in self._pauses():
            if ends_at < self.heard_at - _NEAR_S - self._holes_s:
                continue
            if begins_at > self.heard_at + longest_s + max(longer_s, SWALLOWED_S):
                break
            longest_s = max(longest_s, ends_at - begins_at)
        return self.heard_at + longest_s + longer_s

    def _words(self) -> list[_Sound]:
        return [sound for sound in self._sounds if sound.ends_at - sound.begins_at >= _WORD_S - _FRAME_S / 2]

    def _pauses(self) -> Iterator[tuple[float, float]]:
        """When each begins and ends to be heard, if nothing is late."""
        for before, after in pairwise(self._words()):
            yield before.ends_at + self.way_s, after.begins_at + self.way_s

    def _passed_over_s(self) -> float:
        """By how much what is heard is ahead: an avatar may play sound alone, and leave pauses out."""
        ahead_s, sent_s = 0.0, 0.0
        for begins_at, ends_at in self._pauses():
            if self.heard_at is None or begins_at - ahead_s > self.heard_at - _EDGES_S:
                break
            if ends_at - begins_at >= _LONG_PAUSE_S:
                sent_s += ends_at - begins_at
                ahead_s = max(0.0, sent_s - self._heard_pauses_s)
        return ahead_s
