"""Eyes, brows, nose and mouth of the portrait as SVG text; coordinates as in `face_drawing`."""

from __future__ import annotations

from collections.abc import Sequence

from libacli.core.mouth import Contact
from libacli.local.face_expression import Expression
from libacli.local.face_paint import line, linear, points, radial, soft

_MIDDLE = 256.0
_EYE_Y, _EYE_APART = 217.0, 40.0
"""Middles of the eyes: height, and distance from the middle of the face."""

_BROW_Y = 187.0
_MOUTH_Y = 292.0
_LASHES = "#2c1916"

FEATURE_DEFS = "".join(
    [
        linear("ball", 0, -12, 0, 10, (0, "#d6cbc8", 1), (0.45, "#fdfaf8", 1), (1, "#f0e8e4", 1)),
        radial(
            "iris",
            0,
            2.5,
            13,
            (0, "#b98a55", 1),
            (0.45, "#80562f", 1),
            (0.8, "#50321f", 1),
            (1, "#2a1a14", 1),
        ),
        linear("lid", 0, -16, 0, 10, (0, "#f0b695", 1), (1, "#dc9878", 1)),
        radial("blush", 0, 0, 1, (0, "#f07d6b", 0.22), (0.55, "#f07d6b", 0.1), (1, "#f07d6b", 0)),
        radial("socket", 0, 0, 1, (0, "#b5654c", 0.2), (0.6, "#b5654c", 0.1), (1, "#b5654c", 0)),
        radial("gleam", 0, 0, 1, (0, "#fff4e6", 0.7), (0.5, "#fff4e6", 0.3), (1, "#fff4e6", 0)),
        radial("shade", 0, 0, 1, (0, "#a9573f", 0.42), (0.6, "#a9573f", 0.16), (1, "#a9573f", 0)),
        linear("nose", 0, 212, 0, 262, (0, "#cf8565", 0), (0.6, "#cf8565", 0.24), (1, "#cf8565", 0.4)),
        linear("upperlip", 0, 280, 0, 298, (0, "#cd6a63", 1), (1, "#b24c4c", 1)),
        linear("throat", 0, 284, 0, 326, (0, "#340e14", 1), (0.6, "#4a151c", 1), (1, "#611f27", 1)),
        radial("tongue", 0, 0, 1, (0, "#c05a5e", 1), (0.7, "#a5454d", 1), (1, "#7d2f38", 1)),
        radial("tip", 0, 0, 1, (0, "#e08a86", 1), (0.75, "#c8686a", 1), (1, "#a94c53", 1)),
        linear("teeth", 226, 0, 288, 0, (0, "#efe6e0", 1), (0.4, "#fffcf8", 1), (1, "#e6dad3", 1)),
    ]
)


def eyes_svg(lids: float, gaze: tuple[float, float], *, lashes: float = 1.0) -> str:
    """Both eyes; `lids` 0 open .. 1 closed, `gaze` in units right and down of straight ahead."""
    left = _eye_svg("left", lids, gaze, lit_from=-1, lashes=lashes)
    right = _eye_svg("right", lids, (-gaze[0], gaze[1]), lit_from=1, lashes=lashes)
    return (
        f'<g transform="translate({_MIDDLE - _EYE_APART} {_EYE_Y})">{left}</g>'
        f'<g transform="translate({_MIDDLE + _EYE_APART} {_EYE_Y}) scale(-1 1)">{right}</g>'
    )


_OPEN_LID = (-21.0, 2.0, -17.0, -7.0, -9.0, -12.6, 0.0, -12.6, 8.5, -12.6, 16.0, -4.5, 20.0, 5.0)
_CLOSED_LID = (-21.0, 2.0, -17.0, 8.0, -9.0, 11.0, 0.0, 11.0, 8.0, 11.0, 15.0, 8.5, 20.0, 5.0)
"""The edge of the upper lid as a path of two curves, from the outer to the inner corner; closed, it lies on
the lower lid."""

_LOWER_LID = "C15 8.5 8 11 0 11C-9 11 -17 8 -21 2"


def _upper_lid(lids: float) -> list[float]:
    return [a + (b - a) * lids for a, b in zip(_OPEN_LID, _CLOSED_LID, strict=True)]


def _path(lid: Sequence[float]) -> str:
    return f"M{points(*lid[:2])}C{points(*lid[2:])}"


def _eye_svg(name: str, lids: float, gaze: tuple[float, float], *, lit_from: int, lashes: float) -> str:
    """An eye around the origin, its outer corner on the left; `lit_from` is the side of the light there."""
    lid = _path(_upper_lid(lids))
    crease = points(-12, -17.5 + 4 * lids, 0, -20.5 + 4.5 * lids, 11, -14.5 + 3.5 * lids)
    return "".join(
        [
            soft("socket", -1, -8, 30, 20),
            f'<path d="{_path(_OPEN_LID)}{_LOWER_LID}Z" fill="url(#lid)"/>' if lids else "",
            f'<clipPath id="{name}"><path d="{lid}{_LOWER_LID}Z"/></clipPath>',
            f'<g clip-path="url(#{name})"><path d="M-24 -18H24V18H-24Z" fill="url(#ball)"/>',
            _iris(gaze[0], gaze[1] - 1.6 + 3 * lids, lit_from),
            f'<path d="{lid}L24 -24H-24Z" transform="translate(0 4)" fill="#3f2019" fill-opacity=".2"/></g>',
            line(f"M{points(-18, -8 + 2 * lids)}C{crease}", "#a8603f", 1.5, 0.5),
            line("M-15 8.7C-9 13 3 13.6 12 10.4", "#b3694f", 1.2, 0.3 * (1 - lids)),
            _lashes(lids, lashes),
        ]
    )


def _iris(x: float, y: float, lit_from: int) -> str:
    return (
        f'<g transform="translate({points(x, y)})"><circle r="11.2" fill="url(#iris)"/>'
        '<circle r="5.2" fill="#150d0a"/>'
        f'<circle cx="{3.8 * lit_from}" cy="-4.2" r="3.3" fill="#fff"/>'
        f'<circle cx="{-4 * lit_from}" cy="4.4" r="1.7" fill="#fff" fill-opacity=".5"/></g>'
    )


def _lashes(lids: float, length: float) -> str:
    """The dark edge of the upper lid: thick in its middle, with a small wing that sinks with the lid."""
    lid = _upper_lid(lids)
    rises = (rise * (0.5 + 0.5 * length) for rise in (0.0, 2.2, 3.4, 3.6, 3.4, 1.6, 0.4))
    thick = [y - rise for y, rise in zip(lid[1::2], rises, strict=True)]
    back = [value for pair in zip(lid[0::2], thick, strict=True) for value in pair]
    below = [
        value for x, y in reversed(list(zip(lid[0::2], lid[1::2], strict=True))) for value in (x, y + 0.4)
    ]
    wing = -4.0 + 9.5 * lids
    edge = f'<path fill="{_LASHES}" d="{_path(back)}C{points(*below[2:])}Z"/>'
    if not length:
        return edge
    return (
        f'{edge}<path fill="{_LASHES}" d="M{points(-20.4, 3.4)}Q{points(-23.6, 0.5 * wing + 2, -26.2, wing)}'
        f'Q{points(-22, 0.6 * wing - 0.6 + 2.4 * lids, -17.6, -6.6 + 12.6 * lids)}Z"/>'
    )


def brows_svg(lift: float, expression: Expression) -> str:
    """Both brows; `lift` 0 at rest .. 1 raised, beyond what the expression does to them."""
    up = min(8.5, 4.5 * (lift + expression.raised) + 2 * abs(expression.slant))
    shape = (
        f'<path transform="translate(0 {points(-up)}) rotate({points(-8 * expression.slant)})" '
        'fill="#4f3028" fill-opacity=".92" '
        'd="M-27 5C-21 -3.5 -8 -8 6 -6.4C13 -5.6 19 -3.6 23 -1C24.6 1 23.6 4.4 20.6 4.4'
        'C10 0.6 -8 -2 -27 5Z"/>'
    )
    return (
        f'<g transform="translate({_MIDDLE - _EYE_APART + 1} {_BROW_Y})">{shape}</g>'
        f'<g transform="translate({_MIDDLE + _EYE_APART - 1} {_BROW_Y}) scale(-1 1)">{shape}</g>'
    )


def nose_svg() -> str:
    """The nose, lit from the upper left, and a little colour on the cheeks."""
    return (
        soft("blush", 201, 260, 32, 22)
        + soft("blush", 311, 260, 32, 22)
        + '<path d="M261 208C263 228 268 240 271 249C274 258 268 262 260 262C264 244 263 226 261 208Z" '
        'fill="url(#nose)"/>'
        + soft("shade", 258, 266, 17, 5)
        + soft("gleam", 253, 245, 6, 11)
        + line("M244 257C245.5 262.5 250 261.5 256 264.5C262 261.5 266.5 262.5 268 257", "#b4694f", 2, 0.7)
    )


def mouth_svg(openness: float, width: float, expression: Expression, contact: Contact = "none") -> str:
    """The mouth; `openness` 0 closed .. 1 wide open, `width` 0 round .. 1 wide."""
    half = 27.0 - 1.5 * openness + (width - 0.5) * (8 + 13 * min(1.0, 2.5 * openness))
    half += 2.5 * expression.smile
    gap = 32.0 * openness * (1.08 - 0.16 * width)
    smile = (5.0 + 1.4 * width) * (1 - 0.75 * openness) + 7.5 * expression.smile * (1 - 0.4 * openness)
    top = _MOUTH_Y - 0.2 * gap
    low = _MOUTH_Y + 0.8 * gap
    corner = _MOUTH_Y - smile + 0.24 * gap
    mouth = (
        _folds(half, corner, openness * width)
        + soft("shade", _MIDDLE, low + 15.5 - 2 * openness, 0.62 * half + 3, 5.5)
        + _lips(half, corner, top, low, openness, tucked=4.5 if contact == "bite" else 0.0)
        + (_opening_svg(half, corner, top, low, gap, width, contact) if gap > 0.8 else "")
        + _lip_lights(half, corner, top, low, gap)
    )
    turn = points(-6 * expression.wry, _MIDDLE, _MOUTH_Y)
    return f'<g transform="rotate({turn})">{mouth}</g>' if expression.wry else mouth


def _folds(half: float, corner: float, strength: float) -> str:
    """Between nose and cheeks, where a wide mouth lifts them."""
    left, right = _MIDDLE - half - 9, _MIDDLE + half + 9
    path = (
        f"M{points(_MIDDLE - 21, 264)}Q{points(left + 2, corner - 18, left, corner - 3)}"
        f"M{points(_MIDDLE + 21, 264)}Q{points(right - 2, corner - 18, right, corner - 3)}"
    )
    return line(path, "#b9694d", 2.2, 0.28 * strength) if strength > 0.05 else ""


def _opening_svg(
    half: float, corner: float, top: float, low: float, gap: float, width: float, contact: Contact
) -> str:
    """What is seen between the lips."""
    rim = _rim(half, corner, top + 0.9, low + 1.1, 0.5 + 0.08 * width)
    return (
        f'<clipPath id="inner"><path d="{rim}"/></clipPath>'
        f'<g clip-path="url(#inner)">{_inside(half, top, low, gap, width, contact)}</g>'
    )


def _rim(half: float, corner: float, top: float, low: float, round_off: float) -> str:
    """A closed mouth-like outline between its corners; a larger `round_off` makes it boxier."""
    x, left, right = _MIDDLE, _MIDDLE - half, _MIDDLE + half
    reach = half * round_off
    down = corner + 0.62 * (low - corner)
    up = corner + 0.55 * (top - corner)
    return (
        f"M{points(left, corner)}C{points(left + 0.1 * half, up, x - reach, top, x, top)}"
        f"C{points(x + reach, top, right - 0.1 * half, up, right, corner)}"
        f"C{points(right - 0.02 * half, down, x + reach, low, x, low)}"
        f"C{points(x - reach, low, left + 0.02 * half, down, left, corner)}Z"
    )


def _lips(half: float, corner: float, top: float, low: float, openness: float, *, tucked: float) -> str:
    """Both lips as one shape each, fullest in the middle; of the lower one so much is `tucked` in."""
    x, left, right = _MIDDLE, _MIDDLE - half - 2, _MIDDLE + half + 2
    peak, foot = top - 8.6 + 1.6 * openness, low + 11.5 - 2.5 * openness - tucked
    bow, side = 0.24 * half, 0.55 * half
    down = corner + 0.66 * (foot - corner)
    middle = (top + low) / 2
    slope = (corner + peak) / 2
    upper = (
        f"M{points(left, corner)}C{points(left + 0.3 * half, slope, x - side, peak, x - bow, peak)}"
        f"C{points(x - 0.5 * bow, peak, x - 2.5, peak + 2.3, x, peak + 2.3)}"
        f"C{points(x + 2.5, peak + 2.3, x + 0.5 * bow, peak, x + bow, peak)}"
        f"C{points(x + side, peak, right - 0.3 * half, slope, right, corner)}"
        f"C{points(x + side, middle + 2, x - side, middle + 2, left, corner)}Z"
    )
    lower = (
        f"M{points(left + 1, corner)}C{points(left + 0.06 * half, down, x - side, foot, x, foot)}"
        f"C{points(x + side, foot, right - 0.06 * half, down, right - 1, corner)}"
        f"C{points(x + side, middle - 1, x - side, middle - 1, left + 1, corner)}Z"
    )
    stops = (0.0, "#b9524f", 1.0), (0.45, "#df837a", 1.0), (1.0, "#c8655e", 1.0)
    return (
        f"{linear('lowerlip', 0, low, 0, foot, *stops)}"
        f'<path d="{lower}" fill="url(#lowerlip)"/><path d="{upper}" fill="url(#upperlip)"/>'
    )


def _inside(half: float, top: float, low: float, gap: float, width: float, contact: Contact) -> str:
    """Throat, tongue and teeth, before the lips hide most of them."""
    x = _MIDDLE
    edge = top + min(9.5, 0.45 * gap) * (0.7 + 0.3 * width)
    lower_edge = low - 0.14 * gap * max(0.0, width - 0.35)
    tongue = soft("tongue", x, low + 2, 0.66 * half, 0.4 * gap)
    if contact == "bite":
        edge = low + 3
    elif contact == "teeth":
        edge, lower_edge = top + 0.55 * gap, top + 0.55 * gap + 0.7
    elif contact == "tongue":
        tongue = soft("tip", x, edge + 0.35 * gap, 0.5 * half, 0.5 * gap)
    return (
        '<path d="M200 260H312V350H200Z" fill="url(#throat)"/>'
        + (tongue if contact != "tongue" else "")
        + f'<path fill="#e9ded7" d="M200 {points(lower_edge)}'
        f'Q{points(x, lower_edge + 1.5, 312, lower_edge)}V350H200Z"/>'
        f'<path d="M{points(x - half, top - 12)}H{points(x + half)}V{points(edge - 2.5)}'
        f'Q{points(x, edge + 2.5, x - half, edge - 2.5)}Z" fill="url(#teeth)"/>'
        + f'<path d="M200 {points(top - 4)}H312V{points(top + 2.4)}Q{points(x, top + 0.6, 200, top + 2.4)}Z" '
        'fill="#5a1f22" fill-opacity=".28"/>' + (tongue if contact == "tongue" else "")
    )


def _lip_lights(half: float, corner: float, top: float, low: float, gap: float) -> str:
    """The line between closed lips, dimples at the corners, and the gleam on the lower lip."""
    x, left, right = _MIDDLE, _MIDDLE - half, _MIDDLE + half
    parting = ""
    if gap < 3:
        curve = points(x - 0.45 * half, top + 2.4, x - 0.15 * half, top + 0.6, x, top + 1.2)
        back = points(x + 0.15 * half, top + 0.6, x + 0.45 * half, top + 2.4, right, corner)
        parting = line(f"M{points(left, corner)}C{curve}C{back}", "#7c2d31", 1.8, 0.85)
    dimples = line(
        f"M{points(left - 2.6, corner - 2)}Q{points(left - 2.4, corner, left - 0.4, corner + 0.6)}"
        f"M{points(right + 2.6, corner - 2)}Q{points(right + 2.4, corner, right + 0.4, corner + 0.6)}",
        "#a8543f",
        1.5,
        0.45,
    )
    return parting + dimples + soft("gleam", x - 0.16 * half, low + 5.6, 0.3 * half, 2.6)
