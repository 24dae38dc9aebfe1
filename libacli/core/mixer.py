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
    on the clock - one comes before its time, all come late for a second - is the track moved: what was not
    given out yet with it, so that nothing is lost of a track whose first pieces were late.
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
            if shift > 0:
                self._lay(known, known.end)
                known.earliest = known.start
                known.start += shift
            else:
                moved = min(-shift, known.start - max(self._given, known.earliest))
                known.start -= moved
                pcm = pcm[(-shift - moved) * BYTES_PER_SAMPLE :]
        known.pcm += pcm

    def drop(self, track: str) -> None:
        """No more comes from this track."""
        if known := self._tracks.pop(track, None):
            self._lay(known, known.end)

    def mixed_until(self, until: float) -> bytes:
        """What was not given out yet, up to the clock's `until`, or to where all tracks have come to."""
        now = self._position(until)
        ends = (track.end for track in self._tracks.values() if now - track.end <= _LONGEST_WAIT)
        size = max(0, min([now, *ends]) - self._given)
        for track in self._tracks.values():
            self._lay(track, self._given + size)
        self._given += size
        mixed = bytes(self._mixed[: size * BYTES_PER_SAMPLE]).ljust(size * BYTES_PER_SAMPLE, b"\0")
        del self._mixed[: len(mixed)]
        return mixed

    def _position(self, at: float) -> int:
        return round((at - self._starts_at) * SAMPLE_RATE)

    def _lay(self, track: _Track, until: int) -> None:
        """Adds what a track has up to there to the others: it can be moved no more."""
        start = (track.start - self._given) * BYTES_PER_SAMPLE
        pcm = track.take(until)
        end = start + len(pcm)
        self._mixed.extend(bytes(max(0, end - len(self._mixed))))
        there = bytes(self._mixed[start:end])
        self._mixed[start:end] = pcm if there.count(0) == len(there) else _sum(there, pcm)


class _Track:
    def __init__(self, start: int) -> None:
        self.start = start
        """Where on the timeline `pcm` begins."""

        self.earliest = 0
        """Where it may begin: behind what came before it."""

        self.pcm = bytearray()
        """What was not given out yet."""

        self.delays: deque[tuple[int, int]] = deque()
        """Of the latest pieces: when they came, and how much later than their place says; in samples."""

    @property
    def end(self) -> int:
        """Where its next sample goes on the timeline."""
        return self.start + len(self.pcm) // BYTES_PER_SAMPLE

    def take(self, until: int) -> bytes:
        """Its sound up to there, which it has no more after that."""
        taken = bytes(self.pcm[: max(0, until - self.start) * BYTES_PER_SAMPLE])
        del self.pcm[: len(taken)]
        self.start += len(taken) // BYTES_PER_SAMPLE
        return taken

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
