"""What the engines of the embedded voice make, without the silence that they put around it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from libacli.core.audio import AUDIBLE_PEAK, SAMPLE_RATE

if TYPE_CHECKING:
    import numpy

_FULL_SCALE = 32_767
_LEAD_S = 0.010
_SENTENCE_PAUSE_S, _CLAUSE_PAUSE_S, _WORD_PAUSE_S = 0.15, 0.10, 0.03
"""Silence left at the end of a piece, by its last mark; the models themselves leave 0.3 to 0.6 s."""


def trimmed(wave: numpy.typing.NDArray[numpy.float32], text: str, *, gain: float = 1.0) -> bytes:
    """s16le of a wave (24 kHz, -1..1), louder by `gain` if that fits; empty when nothing can be heard."""
    import numpy

    level = numpy.abs(wave)
    peak = float(level.max(initial=0.0))
    gain = min(gain, 1.0 / peak) if peak else 1.0
    audible = numpy.flatnonzero(level * gain * _FULL_SCALE >= AUDIBLE_PEAK)
    if not audible.size:
        return b""
    start = max(0, int(audible[0]) - round(_LEAD_S * SAMPLE_RATE))
    end = int(audible[-1]) + 1 + round(_pause_after(text) * SAMPLE_RATE)
    return (wave[start:end] * (gain * _FULL_SCALE)).astype("<i2").tobytes()


def _pause_after(text: str) -> float:
    text = text.rstrip().rstrip("\"'”’)")
    if text.endswith((".", "!", "?", "…")):
        return _SENTENCE_PAUSE_S
    return _CLAUSE_PAUSE_S if text.endswith((",", ";", ":", "—", "–")) else _WORD_PAUSE_S
