"""How long sound is held back before it plays, so that what comes in bursts plays without a hole.

This is the target delay of a jitter buffer, after WebRTC's NetEq (`delay_manager.h`, `underrun_optimizer.cc`
and `histogram.cc` in https://webrtc.googlesource.com/src/+/main/modules/audio_coding/neteq/): how late sound
comes is noted once for each half second of it, in a histogram that forgets, and the target is its 95 %
quantile. The numbers are NetEq's. Two things differ, as what comes here is sent ahead of its time and has a
beginning: sound that came early makes none late that comes after it, and where nothing was late the target is
0, not 80 ms. It is set for one talk-spurt at a time (Moon, Kurose, Towsley: Packet audio playout delay
adjustment, 1998): a hole moves all that follows by as much as it lasts, which no further wait would better.
"""

from __future__ import annotations

from collections import deque
from itertools import accumulate

MOST_S = 1.0
"""The target at most: who waits longer for a first word is worse off than with a hole, and who waits for an
avatar takes it for stalled after 5 s (`avatar.audible_timeout`)."""

_BUCKET_S = 0.02
"""A frame: nobody hears less, and what is late by less is in time."""

_BUCKETS = round(MOST_S / _BUCKET_S)
_QUANTILE = 0.95
_INTERVAL_S = 0.5
_REMEMBERED = 0.983
"""Of each weight, when another half second is noted: after 90 s without any, lateness is forgotten."""

_START_WEIGHT = 2.0
"""The first that are noted count for more: the n-th has 2 / (n + 1) of the weight, until that is less."""

_RECENT_S = 2.0
"""Sound that is compared: a delay that stays is no jitter any more."""

_SLACK_S = 1e-6
"""Clocks and sums are no more exact."""


class JitterTarget:
    """The target for one source: `begin` for each talk-spurt, `came` for each piece of its sound.

    It learns from all talk-spurts that there were.
    """

    def __init__(self) -> None:
        self._weights = [1.0] + [0.0] * _BUCKETS
        self._noted = 0
        self._sound_s = self._noted_until_s = self._late_s = 0.0
        self._first_s: float | None = None
        """When playing had to begin for the first piece to be in time; `_recent`: the same for the others.

        Of these only those that no later one is quicker than, with the sound before them.
        """
        self._recent: deque[tuple[float, float]] = deque()

    @property
    def target_s(self) -> float:
        """Seconds to hold the next talk-spurt back for, from when its first sound has come: 0 to `MOST_S`."""
        late = sum(share < _QUANTILE - _SLACK_S for share in accumulate(self._weights))
        return min((late + 1) * _BUCKET_S, MOST_S) if late else 0.0

    def begin(self) -> None:
        """Another talk-spurt begins, whose delay has nothing to do with that of the one before."""
        if self._sound_s > self._noted_until_s:
            self._note()
        self._sound_s = self._noted_until_s = self._late_s = 0.0
        self._first_s = None
        self._recent.clear()

    def came(self, at_s: float, sound_s: float) -> None:
        """A piece of `sound_s` seconds has come, at `at_s` on a clock that does not go back."""
        delay_s = at_s - self._sound_s
        while self._recent and self._recent[0][0] < self._sound_s - _RECENT_S:
            self._recent.popleft()
        while self._recent and self._recent[-1][1] >= delay_s:
            self._recent.pop()
        self._recent.append((self._sound_s, delay_s))
        self._first_s = delay_s if self._first_s is None else self._first_s
        in_time_s = max(self._first_s, self._recent[0][1])
        self._late_s = max(self._late_s, delay_s - in_time_s)
        self._sound_s += sound_s
        if self._sound_s >= self._noted_until_s + _INTERVAL_S:
            self._note()

    def _note(self) -> None:
        """Half a second has come. What is too late for any target is left out: no wait would mend it."""
        late_s, self._late_s, self._noted_until_s = self._late_s, 0.0, self._sound_s
        if late_s > MOST_S:
            return
        self._noted += 1
        remembered = max(0.0, min(_REMEMBERED, 1 - _START_WEIGHT / (self._noted + 1)))
        self._weights = [weight * remembered for weight in self._weights]
        self._weights[int(late_s / _BUCKET_S + _SLACK_S)] += 1 - remembered
