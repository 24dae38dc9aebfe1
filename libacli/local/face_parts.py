"""Parts of the portrait as pixels, each in shifts by quarters of a pixel: slow movement is smooth."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import av
import numpy
import resvg_py
from numpy.typing import NDArray

from libacli.local.face_drawing import UNITS, Look, portrait_svg

Pixels = NDArray[numpy.uint8]
Box = tuple[int, int, int, int]
"""x, y, width and height."""

QUARTERS = 4
_PAD = 8
"""Pixels drawn around a part, because a shifted pixel needs its neighbours; even after halving."""

_LOWEST, _HIGHEST = 16, 235
"""What a limited range allows; colours never come near."""

_TAPS = {
    1: (-3, 29, 111, -9),
    2: (-8, 72, 72, -8),
    3: (-9, 111, 29, -3),
}
"""Weights, in 128ths, of the pixels 2 and 1 before, at, and 1 after the place that a shift by so many
quarters fills: Catmull-Rom, which keeps edges sharp."""


class Shifts:
    """A plane (height x width, or two of them) shifted by less than a pixel; made when first wanted."""

    def __init__(self, padded: Pixels, pad: int) -> None:
        self._padded = padded
        self._inner = (..., slice(pad, -pad), slice(pad, -pad))
        self._made: dict[tuple[int, int], Pixels] = {}

    def get(self, down: int, right: int) -> Pixels:
        """The plane moved by so many quarters of a pixel, 0 .. 3."""
        if (made := self._made.get((down, right))) is not None:
            return made
        moved = _shifted(_shifted(self._padded, down, axis=-2), right, axis=-1)
        self._made[down, right] = made = numpy.ascontiguousarray(moved[self._inner])
        return made


@dataclass(frozen=True)
class Part:
    """A rectangle of the portrait in one state."""

    at: Box
    """In pixels of the picture; all even."""

    luma: Shifts
    """Y, height x width."""

    chroma: Shifts
    """U and V, 2 x height/2 x width/2, shifted by quarters of *their* pixels."""

    def make_shifts(self) -> None:
        """Makes all shifts now; for a part so large that to make one takes milliseconds."""
        for down, right in itertools.product(range(QUARTERS), repeat=2):
            self.luma.get(down, right)
            self.chroma.get(down, right)


def draw(look: Look, at: Box, *, size: int) -> Part:
    """Part `at` (even pixels) of a picture of `size` x `size` pixels."""
    x, y, width, height = at
    luma, chroma = _planes(look, (x - _PAD, y - _PAD, width + 2 * _PAD, height + 2 * _PAD), size)
    return Part(at, Shifts(luma, _PAD), Shifts(chroma, _PAD // 2))


def _planes(look: Look, at: Box, size: int) -> tuple[Pixels, Pixels]:
    """Y, and U with V, in BT.601 of limited range."""
    x, y, width, height = at
    units = UNITS / size
    svg = portrait_svg(
        look, box=(x * units, y * units, width * units, height * units), pixels=(width, height)
    )
    png = resvg_py.svg_to_bytes(svg_string=svg, skip_system_fonts=True)
    (decoded,) = av.CodecContext.create("png", "r").decode(av.Packet(png))
    limited = decoded.reformat(
        format="yuv420p", dst_colorspace="ITU601", src_color_range="JPEG", dst_color_range="MPEG"
    )
    flat = limited.to_ndarray().reshape(-1).astype(numpy.uint8, copy=False)
    luma = flat[: width * height].reshape(height, width)
    return luma, flat[width * height :].reshape(2, height // 2, width // 2)


def _shifted(plane: Pixels, quarters: int, *, axis: int) -> Pixels:
    """`plane` moved by `quarters` of a pixel down or right; two pixels at its rim are not right."""
    if not quarters:
        return plane
    signed = plane.astype(numpy.int16) - 128
    total = numpy.full_like(signed, 64)
    for offset, weight in zip((2, 1, 0, -1), _TAPS[quarters], strict=True):
        total += numpy.roll(signed, offset, axis=axis) * numpy.int16(weight)
    moved: Pixels = (numpy.clip(total >> 7, _LOWEST - 128, _HIGHEST - 128) + 128).astype(numpy.uint8)
    return moved


def even_box(box: tuple[float, float, float, float], *, size: int) -> Box:
    """A box of the drawing in whole pairs of pixels, as halved colour needs them."""
    scale = size / UNITS
    left, top, right, bottom = (
        round(edge * scale / 2) * 2 for edge in (box[0], box[1], box[0] + box[2], box[1] + box[3])
    )
    return left, top, right - left, bottom - top


def runs(*rows: NDArray[numpy.intp]) -> list[tuple[int, int]]:
    """Begin and end of the stretches in which none of `rows` changes."""
    changes = numpy.zeros(len(rows[0]) - 1, dtype=bool)
    for row in rows:
        changes |= row[1:] != row[:-1]
    edges = [0, *(numpy.flatnonzero(changes) + 1).tolist(), len(rows[0])]
    return list(itertools.pairwise(edges))
