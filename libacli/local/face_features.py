"""Eyes, brows, nose and mouth of the portrait as SVG text; coordinates as in `face_drawing`."""

from __future__ import annotations

_EYE_Y = 207.0
_EYES_X = (217.0, 295.0)
_EYE_HALF_WIDTH = 20.0
_MOUTH_X, _MOUTH_Y = 256.0, 290.0


def _gradient(kind: str, name: str, where: str, *stops: tuple[float, str, float]) -> str:
    stop = '<stop offset="{}" stop-color="{}" stop-opacity="{}"/>'
    return (
        f'<{kind}Gradient id="{name}" {where}>{"".join(stop.format(*one) for one in stops)}</{kind}Gradient>'
    )


_ROUND = 'cx=".5" cy=".5" r=".5"'
_LIT = 'cx=".42" cy=".36" r=".7"'
_DOWN = 'x1="0" y1="0" x2="0" y2="1"'
_ACROSS = 'x1="0" y1="0" x2="1" y2="0"'

FEATURE_DEFS = "".join(
    [
        _gradient("radial", "iris", _LIT, (0, "#a9774a", 1), (0.55, "#6f4a2e", 1), (1, "#3a2418", 1)),
        _gradient("linear", "sclera", _DOWN, (0, "#d9d0cb", 1), (0.45, "#fbf8f5", 1), (1, "#f1ebe6", 1)),
        _gradient("radial", "blush", _ROUND, (0, "#ee8d78", 0.34), (1, "#ee8d78", 0)),
        _gradient("linear", "nose", _ACROSS, (0, "#c67f62", 0), (1, "#c67f62", 0.5)),
        _gradient("linear", "upperlip", _DOWN, (0, "#c9655f", 1), (1, "#ae4b4a", 1)),
        _gradient("linear", "lowerlip", _DOWN, (0, "#c45a58", 1), (0.5, "#dd827a", 1), (1, "#c4635c", 1)),
        _gradient("linear", "throat", _DOWN, (0, "#3a1216", 1), (1, "#6b2529", 1)),
    ]
)


def eyes_svg(lids: float, gaze: tuple[float, float]) -> str:
    """Both eyes; `lids` 0 open .. 1 closed, `gaze` in units right and down of straight ahead."""
    return "".join(_eye_svg(x, lids, gaze, outward) for x, outward in zip(_EYES_X, (-1, 1), strict=True))


def _eye_svg(x: float, lids: float, gaze: tuple[float, float], outward: int) -> str:
    left, right = x - _EYE_HALF_WIDTH, x + _EYE_HALF_WIDTH
    upper = _EYE_Y - 27 * (1 - lids) + 9 * lids
    lower = _EYE_Y + 17 * (1 - lids) + 9 * lids
    opening = f"M{left} {_EYE_Y}Q{x} {upper} {right} {_EYE_Y}Q{x} {lower} {left} {_EYE_Y}Z"
    iris_x, iris_y = x + gaze[0], _EYE_Y - 4 + gaze[1]
    name = f"eye{x:.0f}"
    corner = x + outward * _EYE_HALF_WIDTH
    return (
        f'<clipPath id="{name}"><path d="{opening}"/></clipPath>'
        f'<g clip-path="url(#{name})"><path d="{opening}" fill="url(#sclera)"/>'
        f'<circle cx="{iris_x}" cy="{iris_y}" r="11" fill="url(#iris)"/>'
        f'<circle cx="{iris_x}" cy="{iris_y}" r="5" fill="#170d0a"/>'
        f'<circle cx="{iris_x - 4}" cy="{iris_y - 4.5}" r="3" fill="#fff" fill-opacity=".95"/>'
        f'<circle cx="{iris_x + 4}" cy="{iris_y + 4}" r="1.5" fill="#fff" fill-opacity=".5"/>'
        f'<path d="M{left} {_EYE_Y - 4}Q{x} {upper + 5} {right} {_EYE_Y - 4}" fill="none" stroke="#3b241d" '
        'stroke-opacity=".22" stroke-width="7"/></g>'
        f'<path d="M{left - 1} {_EYE_Y + 1}Q{x} {upper - 1} {right + 1} {_EYE_Y + 1}" fill="none" '
        'stroke="#2a1815" stroke-width="3.4" stroke-linecap="round"/>'
        f'<path d="M{corner} {_EYE_Y}Q{corner + outward * 4} {_EYE_Y - 2} {corner + outward * 6} '
        f'{_EYE_Y - 6}" fill="none" stroke="#2a1815" stroke-width="2.4" stroke-linecap="round"/>'
        f'<path d="M{left + 1} {_EYE_Y - 10}Q{x} {min(upper, _EYE_Y - 12) - 9} {right - 1} {_EYE_Y - 10}" '
        'fill="none" stroke="#b06c50" stroke-opacity=".55" stroke-width="1.6"/>'
        f'<path d="M{left + 5} {_EYE_Y + 5}Q{x} {lower + 2} {right - 5} {_EYE_Y + 5}" fill="none" '
        'stroke="#a8664d" stroke-opacity=".4" stroke-width="1.3"/>'
    )


def brows_svg(lift: float) -> str:
    """Both brows; `lift` 0 at rest .. 1 raised."""
    y = 180 - 7 * lift
    return "".join(
        f'<path fill="#4a2c23" fill-opacity=".92" d="M{256 - side * 18} {y + 2}'
        f"C{256 - side * 30} {y - 6} {256 - side * 50} {y - 9} {256 - side * 64} {y + 3}"
        f'C{256 - side * 50} {y - 4} {256 - side * 32} {y + 1} {256 - side * 18} {y + 8}Z"/>'
        for side in (1, -1)
    )


def nose_svg() -> str:
    """The nose, lit from the upper left, and a little colour on the cheeks."""
    return (
        '<ellipse cx="203" cy="258" rx="27" ry="20" fill="url(#blush)"/>'
        '<ellipse cx="309" cy="258" rx="27" ry="20" fill="url(#blush)"/>'
        '<path fill="url(#nose)" d="M254 206C258 226 268 240 271 251C272 259 264 263 257 263Z"/>'
        '<path d="M243 259C247 264 252 262 256 264C260 262 265 264 270 258" fill="none" stroke="#b56d52" '
        'stroke-width="2.2" stroke-linecap="round" stroke-linejoin="round"/>'
        '<ellipse cx="251" cy="247" rx="5" ry="7" fill="#fff3e4" fill-opacity=".42"/>'
    )


def mouth_svg(openness: float, width: float) -> str:
    """The mouth; `openness` 0 closed .. 1 wide open, `width` 0 round .. 1 wide."""
    half = 21 + 13 * width - 3 * openness * (1 - width)
    gap = 31 * openness
    smile = 7 * (1 - openness)
    x, y = _MOUTH_X, _MOUTH_Y + 1.5 * openness
    left, right = x - half, x + half
    corner = y - 3.5 * (1 - openness)
    top, bottom = y + smile - 0.55 * gap, y + smile + 1.6 * gap
    inner = f"M{left} {corner}Q{x} {top} {right} {corner}Q{x} {bottom} {left} {corner}Z"
    rise = 8.5 + 0.2 * gap
    upper_lip = (
        f"M{left - 2} {corner}C{x - 0.55 * half} {y - rise + 1} {x - 8} {y - rise - 3} {x} {y - rise + 1}"
        f"C{x + 8} {y - rise - 3} {x + 0.55 * half} {y - rise + 1} {right + 2} {corner}"
        f"Q{x} {top} {left - 2} {corner}Z"
    )
    lower_lip = (
        f"M{left - 1} {corner}Q{x} {bottom + 21} {right + 1} {corner}Q{x} {bottom} {left - 1} {corner}Z"
    )
    teeth = y + smile - 0.275 * gap + min(9.0, 0.34 * gap)
    return (
        f'<ellipse cx="{x}" cy="{y + 17 + 0.85 * gap}" rx="{0.55 * half}" ry="5" fill="#b86f55" '
        'fill-opacity=".28"/>'
        f'<path d="{upper_lip}" fill="url(#upperlip)"/><path d="{lower_lip}" fill="url(#lowerlip)"/>'
        f'<clipPath id="inner"><path d="{inner}"/></clipPath><g clip-path="url(#inner)">'
        f'<path d="{inner}" fill="url(#throat)"/>'
        f'<ellipse cx="{x}" cy="{y + smile + 0.86 * gap}" rx="{0.62 * half}" ry="{0.36 * gap}" '
        'fill="#cf6a68"/>'
        f'<path d="M{left} {y - 20}L{right} {y - 20}L{right - 4} {teeth - 3}'
        f'Q{x} {teeth + 2} {left + 4} {teeth - 3}Z" fill="#fbf7f1"/></g>'
        f'<path d="M{left} {corner}Q{x} {top} {right} {corner}" fill="none" stroke="#7d2f31" '
        'stroke-opacity=".75" stroke-width="1.7" stroke-linecap="round"/>'
        f'<path d="M{x - 0.35 * half} {y + smile + 0.85 * gap + 6}Q{x - 2} {y + smile + 0.85 * gap + 9} '
        f'{x + 0.1 * half} {y + smile + 0.85 * gap + 7}" fill="none" stroke="#f4b3a6" stroke-opacity=".6" '
        'stroke-width="2.4" stroke-linecap="round"/>'
    )
