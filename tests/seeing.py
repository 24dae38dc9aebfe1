"""Reads the mouth of the drawn face back from a picture, compressed and decoded as a viewer gets it."""

from __future__ import annotations

import numpy
from numpy.typing import NDArray

Plane = NDArray[numpy.uint8]

MOUTH_ROWS, MOUTH_COLUMNS = (0.545, 0.66), (0.43, 0.57)
"""Where the mouth is, as parts of the picture's height and width."""

MOUTH_SHADES = _DARK, _BRIGHT = 75, 200
"""Teeth are brighter, the throat is darker than lips and skin."""


def brightness(data: bytes | memoryview, width: int, height: int) -> Plane:
    """The luminance plane of an I420 picture, height x width."""
    return numpy.frombuffer(data, numpy.uint8, width * height).reshape(height, width)


def mouth_openness(plane: Plane) -> float:
    """Part of the mouth's surroundings that is teeth or throat: 0 closed, about 0.2 wide open."""
    return float(_inside(plane).mean())


def mouth_width(plane: Plane) -> float:
    """Width of what is teeth or throat, as part of the picture's width."""
    return float(_inside(plane).any(axis=0).sum() / plane.shape[1])


def _inside(plane: Plane) -> NDArray[numpy.bool_]:
    height, width = plane.shape
    mouth = plane[
        int(MOUTH_ROWS[0] * height) : int(MOUTH_ROWS[1] * height),
        int(MOUTH_COLUMNS[0] * width) : int(MOUTH_COLUMNS[1] * width),
    ]
    inside: NDArray[numpy.bool_] = (mouth < _DARK) | (mouth > _BRIGHT)
    return inside
