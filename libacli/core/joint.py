"""Silence around what a voice says, cut down to what a speaker would leave: a joint is not to be heard.

Servers put 0.3 s and more before and after each answer; in the middle of a sentence that is a hole.
"""

from __future__ import annotations

from array import array

from libacli.core.audio import BYTES_PER_SAMPLE, BYTES_PER_SECOND, SAMPLE_RATE, as_pcm, samples

SILENT_PEAK = 66
"""Below it (-54 dBFS) nothing is heard, between words at least. Quiet consonants are above: the "f" of "half"
and "faith" passes from -40 to -54 dBFS within 40 ms (the embedded voice, measured)."""

LEAD_IN_S = 0.02
"""What stays in front of the first sound: a consonant may begin below what counts as silence."""

_WINDOW_S = 0.01
_FADE_S = 0.005
_LONGEST_PAUSE_S = 10.0
"""Silence in the middle of a text that is longer is cut to this."""


def _bytes(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE) * BYTES_PER_SAMPLE


_WINDOW, _FADE = _bytes(_WINDOW_S), _bytes(_FADE_S)


class Joint:
    """Trims one piece of speech while it streams: `push` what comes, then `end`.

    Of the silence in front `lead_in_s` stays, of that behind `pause_s`; what is in the middle stays whole.
    Sound is given out at once, and silence too as far as it will stay; the rest is held until it is known to
    be in the middle.
    """

    def __init__(self, *, lead_in_s: float = LEAD_IN_S, pause_s: float) -> None:
        self._lead_in = _bytes(lead_in_s)
        self._pause = max(_bytes(pause_s) - _FADE, 0)
        self._odd = b""
        self._has_begun = False
        self._is_cut = False
        self._held = bytearray()
        """Before the sound begins, the last of the silence; afterwards, silence that may be the end."""

        self._room = self._pause
        """How much more silence may be given out before the next sound."""

    @property
    def held_s(self) -> float:
        """Seconds of silence that came behind a sound and were not given out."""
        return len(self._held) / BYTES_PER_SECOND if self._has_begun else 0.0

    def push(self, pcm: bytes) -> bytes:
        """What can be played now that `pcm` has come, which may begin or end in the middle of a sample."""
        pcm = self._odd + pcm
        whole = len(pcm) - len(pcm) % BYTES_PER_SAMPLE
        pcm, self._odd = pcm[:whole], pcm[whole:]
        return self._go_on(pcm) if self._has_begun else self._begin(pcm)

    def release(self, seconds: float) -> bytes:
        """So much, at most, of the silence that is held: it is needed now, whatever comes after it."""
        released = bytes(self._held[: _bytes(seconds)]) if self._has_begun else b""
        del self._held[: len(released)]
        return released

    def end(self) -> bytes:
        """What is left to be played when nothing more comes."""
        rest = self._held[:_FADE] if self._has_begun else b""
        self._held.clear()
        return _faded(rest, is_out=True)

    def _begin(self, pcm: bytes) -> bytes:
        pcm = bytes(self._held) + pcm
        values = samples(pcm)
        start = next((at for at in range(0, len(pcm), _WINDOW) if _sounds(values, at)), None)
        cut = max(0, (len(pcm) if start is None else start) - self._lead_in)
        self._is_cut = self._is_cut or cut > 0
        self._held[:] = pcm[cut:]
        if start is None:
            return b""
        self._has_begun = True
        pcm = bytes(self._held)
        self._held.clear()
        return self._go_on(_faded(pcm[:_FADE], is_out=False) + pcm[_FADE:] if self._is_cut else pcm)

    def _go_on(self, pcm: bytes) -> bytes:
        end = _end_of_sound(pcm)
        out = b""
        if end:
            out = bytes(self._held) + pcm[:end]
            self._held.clear()
            self._room = self._pause
            pcm = pcm[end:]
        out += pcm[: self._room]
        self._held += pcm[self._room :]
        self._room = max(0, self._room - len(pcm))
        del self._held[_bytes(_LONGEST_PAUSE_S) :]
        return out


def _sounds(values: array[int], at: int) -> bool:
    """Whether something sounds in the window that begins at byte `at`."""
    window = values[at // BYTES_PER_SAMPLE : (at + _WINDOW) // BYTES_PER_SAMPLE]
    return max(window) >= SILENT_PEAK or min(window) <= -SILENT_PEAK


def _end_of_sound(pcm: bytes) -> int:
    """Where the last window ends in which something sounds, in bytes; 0 where there is none."""
    values = samples(pcm)
    # Windows are counted from the end: mostly the last one sounds, and no other is looked at.
    starts = range(len(pcm) - _WINDOW, -_WINDOW, -_WINDOW)
    return next((at + _WINDOW for at in starts if _sounds(values, max(0, at))), 0)


def _faded(pcm: bytes | bytearray, *, is_out: bool) -> bytes:
    """`pcm`, which is short, from nothing to itself, or the other way round."""
    values = samples(bytes(pcm))
    count = len(values)
    for position, value in enumerate(values):
        share = (count - position if is_out else position) / count
        values[position] = round(value * share)
    return as_pcm(values)
