"""The mouth of an utterance, frame by frame, from its sound."""

from __future__ import annotations

import numpy
from numpy.typing import NDArray

from libacli.core.audio import FRAME_BYTES, FRAME_MS
from libacli.core.mouth import VISEMES, Contact, MouthShape
from libacli.local.viseme_model import (
    FUTURE_HOPS,
    HOP,
    PAST_HOPS,
    USUAL_REFERENCE,
    VISEME_NAMES,
    Floats,
    hear,
    probabilities,
)

_HOPS_PER_FRAME = FRAME_BYTES // 2 // HOP
_SPREAD = 1
"""Hops that lips need to part or to meet: shapes are smoothed over so many before and after."""

_REVISED = -(-(FUTURE_HOPS + _SPREAD + 2) // _HOPS_PER_FRAME)
"""Frames whose future was not known when they came: they are looked at again when more has come."""

_KEPT = _REVISED + -(-(PAST_HOPS + 2 * _SPREAD) // _HOPS_PER_FRAME)

_CLOSED_FROM, _CONTACT_FROM = 0.44, 0.3
"""How likely it has to be that lips, or teeth, meet."""

_QUIET, _QUIET_HOPS = 10 ** (-45 / 20), 5
"""Below such a peak (of 1) for so long it is a pause, and the mouth closed: longer than within a "t"."""

_LOUDNESS = 0.5
"""Exponent from energy to how far a mouth is open."""

_WIDEST = 0.7
"""What is said without shouting."""

_STRESS_HOPS, _AROUND_HOPS = 12, 150
"""Time constants: of a syllable, and of the speech around it."""

_JAW = numpy.array([VISEMES[name].openness for name in VISEME_NAMES], numpy.float32)
_WIDTH = numpy.array([VISEMES[name].width for name in VISEME_NAMES], numpy.float32)
_CONTACTS: tuple[Contact, ...] = ("bite", "teeth", "tongue")
_TOUCHES = numpy.array([[VISEMES[name].contact == kind for kind in _CONTACTS] for name in VISEME_NAMES])
_LIPS = VISEME_NAMES.index("PP")


class MouthTrack:
    """Follows the sound of one utterance; closes lips and teeth where it hears that they are."""

    REVISED_S = _REVISED * FRAME_MS / 1000
    """Mouths of so much at the end may still change."""

    def __init__(self, reference: float = USUAL_REFERENCE) -> None:
        self._samples = numpy.zeros(0, numpy.float32)
        self._reference = reference
        self._fast = self._slow = 0.0

    def push(self, frames: bytes) -> list[MouthShape]:
        """Shapes of the last frames (20 ms of 24 kHz mono s16le each): of `frames`, and up to seven before.

        Those before were given already, when what follows them was not known; these are better.
        """
        fresh = numpy.frombuffer(frames, "<i2").astype(numpy.float32) / 32768
        self._samples = numpy.concatenate([self._samples, fresh])
        heard = hear(self._samples, reference=self._reference)
        level = heard.level**_LOUDNESS
        stress = self._stress(level)
        count = min(len(frames) // FRAME_BYTES + _REVISED, len(self._samples) * 2 // FRAME_BYTES)
        shapes = _shapes(probabilities(heard), level * self._is_heard(), stress)[-count:]
        self._forget(heard.reference, level)
        return shapes

    def following(self) -> MouthTrack:
        """That of the next utterance, whose voice is taken to be as loud as this one was."""
        return MouthTrack(self._reference)

    def _is_heard(self) -> NDArray[numpy.bool_]:
        hops = numpy.abs(self._samples).reshape(-1, HOP)
        is_loud = numpy.pad(hops.max(axis=1) >= _QUIET, _QUIET_HOPS // 2)
        around = numpy.lib.stride_tricks.sliding_window_view(is_loud, _QUIET_HOPS)
        return numpy.asarray(around.any(axis=1))

    def _stress(self, level: Floats) -> Floats:
        fast, slow = self._fast, self._slow
        found = numpy.empty(len(level), numpy.float32)
        for hop, value in enumerate(level):
            fast, slow = _approached(fast, slow, float(value))
            found[hop] = min(1.0, max(0.0, 3 * (fast - slow) - 0.25))
        return found

    def _forget(self, references: Floats, level: Floats) -> None:
        """Keeps what the next frames need."""
        spare = max(0, len(level) - _KEPT * _HOPS_PER_FRAME)
        if not spare:
            return
        for value in level[:spare]:
            self._fast, self._slow = _approached(self._fast, self._slow, float(value))
        self._reference = float(references[spare - 1])
        self._samples = self._samples[spare * HOP :]


def _approached(fast: float, slow: float, value: float) -> tuple[float, float]:
    return fast + (value - fast) / _STRESS_HOPS, slow + (value - slow) / _AROUND_HOPS


def _shapes(likely: Floats, level: Floats, stress: Floats) -> list[MouthShape]:
    """One per frame, of what each of its hops asks for."""
    is_closed = (likely[:, _LIPS] >= _CLOSED_FROM) | (level == 0)
    wanted = numpy.where(is_closed, 0, _WIDEST * (likely @ _JAW) * level)
    openness = numpy.where(is_closed, 0, _smoothed(wanted))
    width = _smoothed(likely @ _WIDTH)
    touching = likely @ _TOUCHES
    shapes = []
    for hop in range(_HOPS_PER_FRAME - 1, len(likely), _HOPS_PER_FRAME):
        here = slice(hop - _HOPS_PER_FRAME + 1, hop + 1)
        touches = touching[here].max(axis=0)
        is_sure = touches.max() >= _CONTACT_FROM and not is_closed[here].any()
        shapes.append(
            MouthShape(
                float(openness[here].min() if is_closed[here].any() else openness[here].mean()),
                float(width[here].mean()),
                _CONTACTS[int(touches.argmax())] if is_sure else "none",
                float(stress[hop]),
            )
        )
    return shapes


def _smoothed(values: NDArray[numpy.floating]) -> Floats:
    triangle = numpy.bartlett(2 * _SPREAD + 3)[1:-1]
    padded = numpy.pad(values, _SPREAD, mode="edge")
    return numpy.convolve(padded, triangle / triangle.sum(), mode="valid").astype(numpy.float32)
