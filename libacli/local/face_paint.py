"""Words for SVG: gradients and numbers, short enough not to cost more than the drawing."""

from __future__ import annotations

Stop = tuple[float, str, float]
"""Offset 0 .. 1, colour, opacity."""


def linear(name: str, x1: float, y1: float, x2: float, y2: float, *stops: Stop) -> str:
    """A gradient along a line, in units of where it is used."""
    line = f'x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}"'
    return (
        f'<linearGradient id="{name}" gradientUnits="userSpaceOnUse" {line}>{_stops(stops)}</linearGradient>'
    )


def radial(name: str, x: float, y: float, radius: float, *stops: Stop) -> str:
    """A gradient from a middle outwards, in units of where it is used."""
    return (
        f'<radialGradient id="{name}" gradientUnits="userSpaceOnUse" cx="{x}" cy="{y}" r="{radius}">'
        f"{_stops(stops)}</radialGradient>"
    )


def soft(name: str, x: float, y: float, half_width: float, half_height: float) -> str:
    """A spot filled with gradient `name`, which is made for a circle of radius 1 around the origin."""
    place = f"translate({x} {y}) scale({half_width} {half_height})"
    return f'<circle r="1" fill="url(#{name})" transform="{place}"/>'


def line(path: str, colour: str, width: float, opacity: float = 1.0) -> str:
    """A stroke with round ends."""
    return (
        f'<path d="{path}" fill="none" stroke="{colour}" stroke-opacity="{opacity}" '
        f'stroke-width="{width}" stroke-linecap="round" stroke-linejoin="round"/>'
    )


def points(*values: float) -> str:
    """Coordinates for a path."""
    return " ".join(f"{value:.2f}" for value in values)


def _stops(stops: tuple[Stop, ...]) -> str:
    stop = '<stop offset="{}" stop-color="{}" stop-opacity="{}"/>'
    return "".join(stop.format(*values) for values in stops)
