"""The face of the local avatar: drawn once in parts, put together for each picture."""

from __future__ import annotations

import itertools
import math
import random

import av
import numpy
import resvg_py
from numpy.typing import NDArray

from libacli.core.mouth import MouthShape
from libacli.local.face_drawing import UNITS, Look, portrait_svg

_Plane = NDArray[numpy.uint8]
_Box = tuple[int, int, int, int]

_MOUTH_BOX = (164, 230, 184, 150)
_EYES_BOX = (176, 160, 160, 68)
_SHOULDERS_BOX = (0, 382, 512, 130)
"""Parts that change, x, y, width and height in units of the drawing; they do not overlap."""

_OPENNESS_STEPS, _WIDTH_STEPS = 12, 4
_LID_STEPS = 4
_GAZES = ((0.0, 0.0), (-3.0, 0.5), (3.0, 0.0))
_BREATH_STEPS, _BREATH_UNITS, _BREATH_S = 16, 3.0, 4.2
_BLINK_S = 0.15
_BLINK_EVERY_S = (2.6, 5.5)
_GAZE_EVERY_S = 2.3
_BROW_OPENNESS = 0.72
_MINUTES_PLANNED = 10


class Face:
    """A portrait, `size` pixels square, that blinks, breathes, looks around and moves its mouth.

    What it does at a time depends on that time, `seed` and the mouth alone.
    """

    def __init__(self, size: int = UNITS, *, seed: int = 0) -> None:
        if size < 64 or size % 2:
            raise ValueError("size must be even and at least 64")
        self.size = size
        self._base = self._draw(Look(), (0, 0, size, size))
        self._mouth_at, self._eyes_at, self._shoulders_at = (
            self._pixels(box) for box in (_MOUTH_BOX, _EYES_BOX, _SHOULDERS_BOX)
        )
        self._mouths = {
            (step, width): self._draw(
                Look(openness=step / (_OPENNESS_STEPS - 1), width=width / (_WIDTH_STEPS - 1)), self._mouth_at
            )
            for step, width in itertools.product(range(_OPENNESS_STEPS), range(_WIDTH_STEPS))
        }
        self._eyes = {
            (lids, gaze, brows): self._draw(
                Look(lids=lids / (_LID_STEPS - 1), gaze=_GAZES[gaze], brows=float(brows)), self._eyes_at
            )
            for lids, gaze, brows in itertools.product(range(_LID_STEPS), range(len(_GAZES)), (0, 1))
        }
        self._shoulders = [
            self._draw(Look(breath=_BREATH_UNITS * step / (_BREATH_STEPS - 1)), self._shoulders_at)
            for step in range(_BREATH_STEPS)
        ]
        self._blinks = _plan_blinks(random.Random(seed))
        self._gaze_plan = random.Random(seed + 1).choices((0, 0, 0, 1, 2), k=257)

    def render(self, at_s: float, mouth: MouthShape, *, speaking: bool) -> bytes:
        """The picture at `at_s` seconds of any steady clock: I420, BT.601, limited range, `size` square."""
        picture = tuple(plane.copy() for plane in self._base)
        step = round(min(1.0, max(0.0, mouth.openness)) * (_OPENNESS_STEPS - 1))
        width = round(min(1.0, max(0.0, mouth.width)) * (_WIDTH_STEPS - 1))
        _put(picture, self._mouths[step, width], self._mouth_at)
        _put(picture, self._eyes[self._eyes_key(at_s, mouth, speaking)], self._eyes_at)
        breath = (1 - math.cos(2 * math.pi * at_s / _BREATH_S)) / 2
        _put(picture, self._shoulders[round(breath * (_BREATH_STEPS - 1))], self._shoulders_at)
        return b"".join(plane.tobytes() for plane in picture)

    def _eyes_key(self, at_s: float, mouth: MouthShape, speaking: bool) -> tuple[int, int, int]:
        gaze = self._gaze_plan[int(at_s / _GAZE_EVERY_S) % len(self._gaze_plan)]
        brows = int(speaking and mouth.openness > _BROW_OPENNESS)
        return round(self._lids(at_s) * (_LID_STEPS - 1)), gaze, brows

    def _lids(self, at_s: float) -> float:
        """0 open .. 1 closed."""
        at_s %= self._blinks[-1]
        into = min(abs(at_s - blink) for blink in self._blinks)
        return max(0.0, 1 - (into / (_BLINK_S / 2)) ** 2)

    def _pixels(self, box: _Box) -> _Box:
        """A box of the drawing in whole pairs of pixels, as halved colour needs them."""
        scale = self.size / UNITS
        x, y, width, height = (round(value * scale / 2) * 2 for value in box)
        return x, y, min(width, self.size - x), min(height, self.size - y)

    def _draw(self, look: Look, at: _Box) -> tuple[_Plane, ...]:
        """Part `at` (pixels) of the portrait as planes Y, U and V."""
        units = UNITS / self.size
        x, y, width, height = at
        svg = portrait_svg(
            look, box=(x * units, y * units, width * units, height * units), pixels=(width, height)
        )
        png = resvg_py.svg_to_bytes(svg_string=svg, skip_system_fonts=True)
        (decoded,) = av.CodecContext.create("png", "r").decode(av.Packet(png))
        limited = decoded.reformat(
            format="yuv420p", dst_colorspace="ITU601", src_color_range="JPEG", dst_color_range="MPEG"
        )
        planes = limited.to_ndarray().reshape(-1).astype(numpy.uint8, copy=False)
        pixels, quarter = width * height, width * height // 4
        return (
            planes[:pixels].reshape(height, width).copy(),
            planes[pixels : pixels + quarter].reshape(height // 2, width // 2).copy(),
            planes[pixels + quarter :].reshape(height // 2, width // 2).copy(),
        )


def _put(picture: tuple[_Plane, ...], part: tuple[_Plane, ...], at: _Box) -> None:
    x, y, width, height = at
    for plane, piece, scale in zip(picture, part, (1, 2, 2), strict=True):
        plane[y // scale : (y + height) // scale, x // scale : (x + width) // scale] = piece


def _plan_blinks(chance: random.Random) -> list[float]:
    """Times of blinks, in seconds; after the last one the plan begins anew."""
    times = [chance.uniform(*_BLINK_EVERY_S)]
    while times[-1] < _MINUTES_PLANNED * 60:
        times.append(times[-1] + chance.uniform(*_BLINK_EVERY_S))
    return times
