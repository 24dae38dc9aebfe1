"""Sound that waits until a transcript vouches for it: what is said in other words can be taken back."""

from __future__ import annotations

from collections import deque

from libacli.core.audio import duration_s

_S_PER_LETTER = 0.06
"""How much sound a letter accounts for at normal speed: the usual pace."""

_FIRST_LETTERS = 12
"""About three words: what answers instead of reading has shown it by then."""


class HeldSound:
    """Gives sound out as far as its transcript agrees with a text of so many `letters`.

    The transcript of speech comes ahead of the sound, or beside it. A piece goes out when the letters that
    agree account for all the sound before it, the first one when some words do, and each at the latest
    `hold_s` seconds after it has come. A wait with a bound costs little and takes back nearly all; without a
    bound there would be holes where a transcript comes late. `speed` is the pace that was asked for, `now`
    the seconds of any clock.
    """

    def __init__(self, letters: int, *, hold_s: float, speed: float = 1.0) -> None:
        self.out_s = 0.0
        """Seconds of sound that have gone out: these cannot be taken back."""

        self._first_letters = min(letters, _FIRST_LETTERS)
        self._hold_s = hold_s
        self._s_per_letter = _S_PER_LETTER / speed
        self._vouched_s = 0.0
        self._held: deque[tuple[float, bytes]] = deque()

    def add(self, pcm: bytes, now: float) -> None:
        self._held.append((now + self._hold_s, pcm))

    def vouch(self, letters: int) -> None:
        """So many letters were said as they are written, from the beginning."""
        if letters >= self._first_letters:
            self._vouched_s = max(self._vouched_s, letters * self._s_per_letter)

    def release(self) -> None:
        """Nothing is held from now on."""
        self._vouched_s = float("inf")

    @property
    def due_at(self) -> float | None:
        """When the next piece goes out unvouched; None: nothing is held."""
        return self._held[0][0] if self._held else None

    def take(self, now: float) -> bytes:
        """The next piece that may go out; empty when there is none."""
        if self._held and (self.out_s < self._vouched_s or now >= self._held[0][0]):
            pcm = self._held.popleft()[1]
            self.out_s += duration_s(len(pcm))
            return pcm
        return b""
