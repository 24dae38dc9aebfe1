"""The sound of several tracks as one, each piece put where it belongs by when it arrived."""

from __future__ import annotations

import sys
from array import array
from collections import deque

from libacli.core.audio import BYTES_PER_SAMPLE, SAMPLE_RATE, is_audible, samples

_NOTICED = SAMPLE_RATE * 5 // 1000
"""A track that is off by so many samples is put right in its next silence (5 ms) ..."""

_DISTURBING = SAMPLE_RATE * 40 // 1000
"""... and by so many even while it sounds (40 ms)."""

_LONGEST_WAIT = SAMPLE_RATE * 5
"""A track that is behind by more (5 s) is not waited for."""

_WINDOW = SAMPLE_RATE
"""For so long (1 s) all pieces must be late before it is not just their delivery that stuck."""


class Mixer:
    """Adds up tracks, and fills with silence where there is none: 24 kHz mono s16le, without a gap.

    The pieces of a track follow each other without a seam. Only when they are seen to have left their place
    on the clock - one comes before its time, all come late for a second - is the track moved.
    """

    def __init__(self, starts_at: float) -> None:
        """`starts_at`, in seconds on the clock of all other times given, is where the timeline begins."""
        self._starts_at = starts_at
        self._tracks: dict[str, _Track] = {}
        self._given = 0
        self._mixed = bytearray()

    def add(self, track: str, pcm: bytes, arrived_at: float) -> None:
        """The next piece of a track; its last sample was there at `arrived_at`, in seconds."""
        place = self._position(arrived_at) - len(pcm) // BYTES_PER_SAMPLE
        known = self._tracks.get(track)
        if known is None or known.end < self._given:
            known = self._tracks[track] = _Track(max(place, self._given))
        shift = known.shift_due(place)
        if abs(shift) >= _DISTURBING or (abs(shift) >= _NOTICED and not is_audible(pcm)):
            known.delays.clear()
            pcm = pcm[max(0, -shift) * BYTES_PER_SAMPLE :]
            known.end += max(0, shift)
        self._lay(known.end, pcm)
        known.end += len(pcm) // BYTES_PER_SAMPLE

    def drop(self, track: str) -> None:
        """No more comes from this track."""
        self._tracks.pop(track, None)

    def mixed_until(self, until: float) -> bytes:
        """What was not given out yet, up to the clock's `until`, or to where all tracks have come to."""
        now = self._position(until)
        ends = (track.end for track in self._tracks.values() if now - track.end <= _LONGEST_WAIT)
        size = max(0, min([now, *ends]) - self._given)
        self._given += size
        mixed = bytes(self._mixed[: size * BYTES_PER_SAMPLE]).ljust(size * BYTES_PER_SAMPLE, b"\0")
        del self._mixed[: len(mixed)]
        return mixed

    def _position(self, at: float) -> int:
        return round((at - self._starts_at) * SAMPLE_RATE)

    def _lay(self, position: int, pcm: bytes) -> None:
        start = (position - self._given) * BYTES_PER_SAMPLE
        end = start + len(pcm)
        self._mixed.extend(bytes(max(0, end - len(self._mixed))))
        there = bytes(self._mixed[start:end])
        self._mixed[start:end] = pcm if there.count(0) == len(there) else _sum(there, pcm)


class _Track:
    def __init__(self, end: int) -> None:
        self.end = end
        """Where its next sample goes on the timeline."""

        self.delays: deque[tuple[int, int]] = deque()
        """Of the latest pieces: when they came, and how much later than their place says; in samples."""

    def shift_due(self, place: int) -> int:
        """By how many samples the track must move, now that a piece came at `place`; below 0: back."""
        delay = place - self.end
        self.delays.append((place, delay))
        while len(self.delays) > 1 and place - self.delays[1][0] >= _WINDOW:
            self.delays.popleft()
        if delay < 0:
            return delay  # nothing comes before its time: the place was wrong
        if place - self.delays[0][0] < _WINDOW:
            return 0
        return max(0, min(late for _, late in self.delays))


def _sum(one: bytes, other: bytes) -> bytes:
    values = array(
        "h", (max(-32768, min(32767, a + b)) for a, b in zip(samples(one), samples(other), strict=True))
    )
    if sys.byteorder == "big":
        values.byteswap()
    return values.tobytes()
