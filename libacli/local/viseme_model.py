"""Which viseme is heard: a small net that looks at the sound of 210 ms around each moment.

It needs neither text nor language, so it serves every voice and every agent. Its weights, `visemes.npz`, are
made and judged by `python -m tests.bench.visemes`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import get_args

import numpy
from numpy.typing import NDArray

from libacli.core.audio import SAMPLE_RATE
from libacli.core.mouth import Viseme

Floats = NDArray[numpy.float32]

VISEME_NAMES: tuple[Viseme, ...] = get_args(Viseme)
WEIGHTS = Path(__file__).with_name("visemes.npz")

HOP = SAMPLE_RATE // 100
"""Samples: a moment each 10 ms."""

PAST_HOPS, FUTURE_HOPS = 12, 9
"""How far the net looks."""

_PLACES = numpy.array([-12, -9, -7, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 7, 9])
"""Moments that it looks at, in hops from the one in question."""

_WINDOW, _FFT = 600, 1024
_BANDS, _LOWEST_HZ, _HIGHEST_HZ = 24, 60.0, 7600.0
"""Of what is heard; voices of 16 kHz have nothing above."""

_FLOOR = 1e-6
USUAL_REFERENCE, _QUIET_REFERENCE = 4.0, 0.0
"""Of a voice at its loudest: as peaks of -9 dBFS have it, and the least."""

_REFERENCE_FALL = 0.01
"""Nepers per hop: what was loud is forgotten within seconds."""

_SILENT = -9.0
"""Nepers below the reference: as quiet as it gets."""


_ONE_THREAD = 65536 * 4
"""Multiplications up to which OpenBLAS uses one thread (interface/gemm.c, param.h)."""


@dataclass(frozen=True)
class Hearing:
    """What a stretch of sound is, hop by hop."""

    bands: Floats
    """Logarithm of the energy, hops x bands."""

    reference: Floats
    """How loud the voice is, hops; logarithm."""

    @property
    def level(self) -> Floats:
        """Energy over that of the voice at its loudest, 0 .. 1."""
        energy = numpy.exp(self.bands).mean(axis=1) / numpy.exp(self.reference)
        level: Floats = energy.clip(0, 1).astype(numpy.float32)
        return level


def hear(samples: Floats, *, reference: float = USUAL_REFERENCE) -> Hearing:
    """`samples`: 24 kHz, -1 .. 1, from rest to rest; `reference`: that of the moment before the first."""
    hops = -(-len(samples) // HOP)
    padded = numpy.pad(samples, (_WINDOW // 2, _WINDOW + HOP))
    frames = numpy.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::HOP][:hops] * _window()
    power = numpy.abs(numpy.fft.rfft(frames, _FFT)) ** 2
    bands = numpy.log(_product(power.astype(numpy.float32), _filters()) + _FLOOR).astype(numpy.float32)
    return Hearing(bands, _references(bands, reference))


def features(heard: Hearing) -> Floats:
    """What the net is given, hops x (places x bands): energies beside that of the voice."""
    beside = (heard.bands - heard.reference[:, None]).clip(min=_SILENT) / 4 + 1
    padded = numpy.pad(beside, ((PAST_HOPS, FUTURE_HOPS), (0, 0)), constant_values=_SILENT / 4 + 1)
    places = (padded[PAST_HOPS + place : PAST_HOPS + place + len(beside)] for place in _PLACES)
    return numpy.concatenate(list(places), axis=1).astype(numpy.float32)


def probabilities(heard: Hearing) -> Floats:
    """How likely each viseme of `VISEME_NAMES` is, hops x visemes."""
    values = features(heard)
    *hidden, last = _LAYERS
    for weights, bias in hidden:
        values = numpy.maximum(_product(values, weights) + bias, 0)
    return softmax(_product(values, last[0]) + last[1])


def softmax(values: Floats) -> Floats:
    """Each row as probabilities."""
    powers = numpy.exp(values - values.max(axis=1, keepdims=True))
    shares: Floats = powers / powers.sum(axis=1, keepdims=True)
    return shares


def _product(values: Floats, weights: Floats) -> Floats:
    """`values @ weights`, in parts that OpenBLAS gives to no other thread: these would mostly spin."""
    rows = max(1, _ONE_THREAD // weights.size)
    parts = [values[row : row + rows] @ weights for row in range(0, len(values), rows)]
    return numpy.concatenate(parts) if parts else numpy.zeros((0, weights.shape[1]), numpy.float32)


def _references(bands: Floats, reference: float) -> Floats:
    found = numpy.empty(len(bands), numpy.float32)
    for hop, level in enumerate(numpy.log(numpy.exp(bands).mean(axis=1) + _FLOOR)):
        found[hop] = reference = max(float(level), reference - _REFERENCE_FALL, _QUIET_REFERENCE)
    return found


def _layers() -> tuple[tuple[Floats, Floats], ...]:
    """Weights and bias of each layer."""
    with numpy.load(WEIGHTS, allow_pickle=False) as stored:
        arrays = [stored[name].astype(numpy.float32) for name in stored.files]
    return tuple(zip(arrays[::2], arrays[1::2], strict=True))


_LAYERS = _layers()
"""Read with the module: not when the first sound is there."""


@cache
def _window() -> Floats:
    return numpy.hanning(_WINDOW).astype(numpy.float32)


@cache
def _filters() -> Floats:
    """Triangles on the mel scale (O'Shaughnessy: 2595 log10(1 + f/700)), frequencies x bands."""
    lowest, highest = (2595 * numpy.log10(1 + hz / 700) for hz in (_LOWEST_HZ, _HIGHEST_HZ))
    edges = 700 * (10 ** (numpy.linspace(lowest, highest, _BANDS + 2) / 2595) - 1)
    rising = (numpy.fft.rfftfreq(_FFT, 1 / SAMPLE_RATE)[:, None] - edges[:-1]) / numpy.diff(edges)
    return numpy.minimum(rising[:, :-1], 1 - rising[:, 1:]).clip(min=0).astype(numpy.float32)
