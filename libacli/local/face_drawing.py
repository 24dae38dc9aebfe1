"""The portrait as SVG text: backdrop, hair, clothes and head. Eyes and mouth are in `face_features`.

Coordinates are those of a 512 x 512 picture, whatever its size; the light comes from the upper left.
Soft shades are gradients, not blurs: those would be most of the cost.
"""

from __future__ import annotations

from dataclasses import dataclass

from libacli.core.mouth import Contact
from libacli.local.face_expression import AT_REST, Expression
from libacli.local.face_features import FEATURE_DEFS, brows_svg, eyes_svg, mouth_svg, nose_svg
from libacli.local.face_paint import line, linear, radial
from libacli.local.face_sitters import HAIR_BOX, HANA, Sitter

UNITS = 512
"""Width and height of the picture in the units of this file."""

Box = tuple[float, float, float, float]
"""x, y, width and height, in units."""

BLEED = 40
"""Units that are drawn beyond each edge, for a picture that moves."""


@dataclass(frozen=True)
class Look:
    """Everything about the portrait that is drawn anew when it changes."""

    openness: float = 0.0
    """Of the mouth; 0 closed .. 1 wide open."""

    width: float = 0.5
    """Of the mouth; 0 round .. 1 wide."""

    contact: Contact = "none"
    """In the mouth."""

    lids: float = 0.0
    """0 eyes open .. 1 closed."""

    gaze: tuple[float, float] = (0.0, 0.0)
    """Where the eyes look, in units right and down of straight ahead."""

    brows: float = 0.0
    """0 at rest .. 1 raised, beyond what the expression does to them."""

    expression: Expression = AT_REST

    sitter: Sitter = HANA


def portrait_svg(look: Look, *, box: Box, pixels: tuple[int, int]) -> str:
    """The part `box` (x, y, width, height in units) of the portrait, `pixels` wide and high."""
    x, y, width, height = box
    body = "".join(svg for layer_box, svg in _layers(look) if _meet(layer_box, box))
    is_within = look.sitter.hides_backdrop and _inside(box)
    return look.sitter.coloured(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{x} {y} {width} {height}" '
        f'width="{pixels[0]}" height="{pixels[1]}" preserveAspectRatio="none">'
        f"<defs>{_DEFS}{FEATURE_DEFS}</defs>{'' if is_within else _BACKDROP}{body}"
        f"{'' if is_within else _VIGNETTE}</svg>"
    )


def _layers(look: Look) -> list[tuple[Box, str]]:
    """What is drawn, from the back to the front, each with the box that it stays within."""
    sitter = look.sitter
    jaw = 13 * look.openness
    return [
        (HAIR_BOX, sitter.behind),
        ((178, 290, 156, 182), _neck_svg(jaw)),
        ((0, 392, 512, 150), _CLOTHES),
        ((168, 92, 176, 265), _head_svg(jaw) + sitter.shadow),
        ((168, 205, 176, 80), nose_svg()),
        ((210, 265, 92, 85), mouth_svg(look.openness, look.width, look.expression, look.contact)),
        ((184, 186, 144, 45), eyes_svg(look.lids, look.gaze, lashes=sitter.lashes)),
        ((184, 168, 144, 28), brows_svg(look.brows, look.expression)),
        *sitter.hair,
    ]


def _meet(one: Box, other: Box) -> bool:
    return all(
        one[axis] < other[axis] + other[axis + 2] and other[axis] < one[axis] + one[axis + 2]
        for axis in (0, 1)
    )


def _inside(box: Box) -> bool:
    """Whether hair and face hide the whole backdrop there, and the vignette has not begun."""
    x, y, width, height = box
    return x >= 140 and y >= 150 and x + width <= 372 and y + height <= 398


_DEFS = "".join(
    [
        linear("sky", 120, 0, 380, 512, (0, "#d6e8e6", 1), (0.55, "#a6c8cb", 1), (1, "#7ca3ac", 1)),
        radial("glow", 150, 130, 330, (0, "#fff6e6", 0.8), (0.5, "#fff1dd", 0.3), (1, "#fff1dd", 0)),
        radial("vignette", 256, 236, 390, (0.55, "#17343e", 0), (1, "#17343e", 0.3)),
        linear("hair", 130, 60, 390, 380, (0, "#744936", 1), (0.45, "#4f2f27", 1), (1, "#38231f", 1)),
        radial("shine", 0, 0, 1, (0, "#d49a70", 0.6), (0.5, "#c98a5f", 0.25), (1, "#c98a5f", 0)),
        linear("strand", 0, 68, 0, 350, (0, "#c98a5f", 0), (0.25, "#c98a5f", 0.55), (1, "#c98a5f", 0)),
        linear("gap", 0, 60, 0, 380, (0, "#241412", 0.05), (0.5, "#241412", 0.5), (1, "#241412", 0.1)),
        radial(
            "skin",
            226,
            190,
            172,
            (0, "#ffdfc8", 1),
            (0.45, "#fbcfb1", 1),
            (0.8, "#f0b794", 1),
            (1, "#dd9673", 1),
        ),
        linear("neck", 210, 330, 310, 420, (0, "#f2bd9b", 1), (0.5, "#e7ab89", 1), (1, "#d29273", 1)),
        linear("coat", 60, 400, 440, 512, (0, "#465e8b", 1), (0.5, "#34476f", 1), (1, "#232f50", 1)),
        linear("lapel", 180, 400, 340, 512, (0, "#54709f", 1), (1, "#2e3f67", 1)),
        linear("top", 210, 400, 310, 512, (0, "#fffaf0", 1), (1, "#e9ddcd", 1)),
    ]
)

_WHOLE = f'<path d="M-{BLEED} -{BLEED}H{UNITS + BLEED}V{UNITS + BLEED}H-{BLEED}Z" fill="url(#%s)"/>'
_BACKDROP = _WHOLE % "sky" + _WHOLE % "glow"
_VIGNETTE = _WHOLE % "vignette"


def _neck_svg(jaw: float) -> str:
    return (
        '<path fill="url(#neck)" d="M221 300C221 340 223 366 213 386C200 398 190 402 180 408'
        'L256 470L332 408C322 402 312 398 299 386C289 366 291 340 291 300Z"/>'
        f'<path fill="#a9573f" fill-opacity=".36" d="M221 318L291 318C291 340 290 352 290 362'
        f'C280 {370 + jaw} 238 {372 + jaw} 222 {356 + jaw / 2}Z"/>'
        + line("M236 404C246 410 250 411 254 411", "#b9785a", 2, 0.35)
        + line("M276 404C268 409 264 410 261 411", "#b9785a", 2, 0.35)
        + line("M209 397C224 428 288 428 303 397", "#d9a441", 1.5)
        + '<circle cx="256" cy="420.5" r="3.6" fill="#e2b04e"/>'
        '<circle cx="255" cy="419.4" r="1.2" fill="#fff3cf"/>'
    )


_CLOTHES = (
    '<path fill="url(#top)" d="M198 402C214 450 298 450 314 402L340 420L300 540L212 540L172 420Z"/>'
    + line("M203 413C219 451 293 451 309 413", "#c9b9a4", 1.6, 0.7)
    + '<path fill="url(#coat)" d="M16 540C24 470 78 440 144 420C172 412 188 406 198 396'
    "C204 440 226 490 252 540ZM496 540C488 470 434 440 368 420C340 412 324 406 314 396"
    'C308 440 286 490 260 540Z"/>'
    '<path fill="#141d36" fill-opacity=".3" d="M170 417L176 450L197 454L184 470L250 540H240L172 470L186 454'
    "L164 450L154 418Z"
    'M342 417L336 450L315 454L328 470L262 540H272L340 470L326 454L348 450L358 418Z"/>'
    '<path fill="url(#lapel)" d="M198 394C186 404 172 412 158 416L168 446L190 450L178 466L248 540L254 540'
    'C228 490 206 440 198 394Z"/>'
    '<path fill="url(#lapel)" d="M314 394C326 404 340 412 354 416L344 446L322 450L334 466L264 540L258 540'
    'C284 490 306 440 314 394Z"/>'
    + line("M198 396C206 440 228 490 253 538", "#7e99c6", 1.4, 0.6)
    + line("M84 470C92 486 97 508 99 540", "#1d2947", 2, 0.4)
    + line("M428 470C420 486 415 508 413 540", "#161f38", 2, 0.4)
)


def _head_svg(jaw: float) -> str:
    outline = (
        f"M256 96C308 96 342 138 342 198C342 238 337 264 325 {288 + 0.3 * jaw}"
        f"C312 {312 + 0.7 * jaw} 286 {340 + jaw} 256 {340 + jaw}C226 {340 + jaw} 200 {312 + 0.7 * jaw} "
        f"187 {288 + 0.3 * jaw}C175 264 170 238 170 198C170 138 204 96 256 96Z"
    )
    return f'<path d="{outline}" fill="url(#skin)"/>'
