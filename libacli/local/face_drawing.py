"""The portrait as SVG text: backdrop, hair, clothes and head. Eyes and mouth are in `face_features`.

Coordinates are those of a 512 x 512 picture, whatever its size; the light comes from the upper left.
Soft shades are gradients, not blurs: those would be most of the cost.
"""

from __future__ import annotations

from dataclasses import dataclass

from libacli.local.face_features import FEATURE_DEFS, brows_svg, eyes_svg, mouth_svg, nose_svg

UNITS = 512
"""Width and height of the picture in the units of this file."""


@dataclass(frozen=True)
class Look:
    """Everything about the portrait that changes."""

    openness: float = 0.0
    """Of the mouth; 0 closed .. 1 wide open."""

    width: float = 0.5
    """Of the mouth; 0 round .. 1 wide."""

    lids: float = 0.0
    """0 eyes open .. 1 closed."""

    gaze: tuple[float, float] = (0.0, 0.0)
    """Where the eyes look, in units right and down of straight ahead."""

    brows: float = 0.0
    """0 at rest .. 1 raised."""

    breath: float = 0.0
    """How far the shoulders have sunk, in units."""


def portrait_svg(look: Look, *, box: tuple[float, float, float, float], pixels: tuple[int, int]) -> str:
    """The part `box` (x, y, width, height in units) of the portrait, `pixels` wide and high."""
    x, y, width, height = box
    jaw = 13 * look.openness
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{x} {y} {width} {height}" '
        f'width="{pixels[0]}" height="{pixels[1]}" preserveAspectRatio="none">'
        f"<defs>{_DEFS}{FEATURE_DEFS}</defs>"
        f'{_BACKDROP}{_BACK_HAIR}{_neck_svg(jaw)}<g transform="translate(0 {look.breath})">{_CLOTHES}</g>'
        f"{_head_svg(jaw)}{nose_svg()}"
        f"{mouth_svg(look.openness, look.width)}{brows_svg(look.brows)}"
        f"{eyes_svg(look.lids, look.gaze)}{_FRONT_HAIR}{_VIGNETTE}</svg>"
    )


def _linear(name: str, x1: float, y1: float, x2: float, y2: float, *stops: tuple[float, str, float]) -> str:
    return (
        f'<linearGradient id="{name}" gradientUnits="userSpaceOnUse" x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}">'
        f"{_stops(stops)}</linearGradient>"
    )


def _radial(name: str, cx: float, cy: float, r: float, *stops: tuple[float, str, float]) -> str:
    return (
        f'<radialGradient id="{name}" gradientUnits="userSpaceOnUse" cx="{cx}" cy="{cy}" r="{r}">'
        f"{_stops(stops)}</radialGradient>"
    )


def _stops(stops: tuple[tuple[float, str, float], ...]) -> str:
    stop = '<stop offset="{}" stop-color="{}" stop-opacity="{}"/>'
    return "".join(stop.format(*values) for values in stops)


_DEFS = "".join(
    [
        _linear("sky", 120, 0, 380, 512, (0, "#dcebe8", 1), (0.55, "#a9c9cb", 1), (1, "#7fa5ad", 1)),
        _radial("glow", 150, 120, 330, (0, "#fff6e6", 0.75), (0.5, "#fff1dd", 0.3), (1, "#fff1dd", 0)),
        _radial("vignette", 256, 230, 380, (0.55, "#1d3a44", 0), (1, "#1d3a44", 0.34)),
        _linear("hair", 140, 60, 380, 380, (0, "#6b4232", 1), (0.45, "#4a2c25", 1), (1, "#33201d", 1)),
        _linear("backhair", 130, 100, 380, 400, (0, "#3d2521", 1), (1, "#241615", 1)),
        _linear("shine", 0, 90, 0, 330, (0, "#c98a5f", 0), (0.3, "#c98a5f", 0.55), (1, "#c98a5f", 0)),
        _linear("skin", 176, 130, 350, 320, (0, "#ffdcc2", 1), (0.5, "#f6c3a2", 1), (1, "#e3a07f", 1)),
        _linear("neck", 210, 330, 310, 420, (0, "#f0b997", 1), (0.5, "#e3a683", 1), (1, "#cd8a6b", 1)),
        _linear("coat", 60, 400, 440, 512, (0, "#41567f", 1), (0.5, "#31436a", 1), (1, "#222f50", 1)),
        _linear("lapel", 180, 400, 340, 512, (0, "#4c638f", 1), (1, "#2b3a60", 1)),
        _linear("top", 210, 400, 310, 512, (0, "#fffaf0", 1), (1, "#e6d9c8", 1)),
    ]
)

_WHOLE = f'<rect width="{UNITS}" height="{UNITS}" fill="url(#%s)"/>'
_BACKDROP = _WHOLE % "sky" + _WHOLE % "glow"
_VIGNETTE = _WHOLE % "vignette"

_BACK_HAIR = (
    '<path fill="url(#backhair)" d="M256 54C176 50 136 110 138 190C140 250 122 300 132 360'
    "C138 396 170 410 206 404L306 404C342 410 374 396 380 360C390 300 372 250 374 190"
    'C376 110 336 50 256 54Z"/>'
)

_FRONT_HAIR = (
    '<path fill="url(#hair)" d="M236 60C226 104 184 118 175 186C169 232 178 262 170 300'
    'C163 338 178 366 172 396C146 408 122 392 122 356C118 300 136 250 132 190C130 110 170 46 252 50Z"/>'
    '<path fill="url(#hair)" d="M232 58C252 112 318 116 338 192C346 234 336 262 343 300'
    'C350 338 336 366 342 396C368 408 392 390 391 356C395 300 378 250 381 190C384 104 336 44 246 50Z"/>'
)


def _neck_svg(jaw: float) -> str:
    return (
        '<path fill="url(#neck)" d="M222 300C222 340 224 368 214 388C200 398 190 402 180 408'
        'L256 470L332 408C322 402 312 398 298 388C288 368 290 340 290 300Z"/>'
        f'<path fill="#b9694f" fill-opacity=".38" d="M221 318L291 318C290 340 289 352 289 358'
        f'C280 {372 + jaw} 236 {374 + jaw} 223 {356 + jaw / 2}Z"/>'
    )


_CLOTHES = (
    '<path fill="url(#top)" d="M200 402C214 442 298 442 312 402L340 420L300 540L212 540L172 420Z"/>'
    '<path fill="url(#coat)" d="M26 540C34 466 84 438 144 420C172 412 188 406 198 396'
    "C204 440 226 490 252 540ZM486 540C478 466 428 438 368 420C340 412 324 406 314 396"
    'C308 440 286 490 260 540Z"/>'
    '<path fill="url(#lapel)" d="M198 395C186 404 172 412 160 416L168 446L190 450L178 466L248 540L254 540'
    'C228 490 206 440 198 395Z"/>'
    '<path fill="url(#lapel)" d="M314 395C326 404 340 412 352 416L344 446L322 450L334 466L264 540L258 540'
    'C284 490 306 440 314 395Z"/>'
)


def _head_svg(jaw: float) -> str:
    outline = (
        f"M256 100C308 100 342 140 342 198C342 238 337 264 325 {288 + 0.3 * jaw}"
        f"C312 {312 + 0.7 * jaw} 286 {341 + jaw} 256 {341 + jaw}C226 {341 + jaw} 200 {312 + 0.7 * jaw} "
        f"187 {288 + 0.3 * jaw}C175 264 170 238 170 198C170 140 204 100 256 100Z"
    )
    return f'<path fill="url(#skin)" d="{outline}"/>'
