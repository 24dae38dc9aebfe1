"""Who sits for the portrait: hair and colours of each; coordinates as in `face_drawing`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from libacli.local.face_paint import line, soft

HAIR_BOX = (110, 40, 290, 375)
"""x, y, width and height that no hair goes beyond."""

_COLOUR = re.compile(r"#[0-9a-f]{6}\b")


@dataclass(frozen=True)
class Sitter:
    """What one face has for itself. SVG text, from behind the head to before it."""

    name: str
    """By which one asks for it."""

    behind: str
    shadow: str
    hair: tuple[tuple[tuple[float, float, float, float], str], ...]
    """Its layers, each with the box that it stays within: what a part does not meet is not drawn for it."""

    hides_backdrop: bool = False
    """Whether nothing of the backdrop is seen beside face and neck."""

    lashes: float = 1.0
    """How long they are; 0: hardly to be seen."""

    colours: Mapping[str, str] = field(default_factory=dict)
    """What stands for which colour of the drawing."""

    def coloured(self, svg: str) -> str:
        """`svg` in the sitter's own colours."""
        return _COLOUR.sub(lambda found: self.colours.get(found[0], found[0]), svg) if self.colours else svg


_LONG_BEHIND = (
    '<path fill="#2b1a18" d="M256 60C176 56 136 110 138 190C140 250 124 300 134 360'
    "C140 398 172 412 208 402L304 402C340 412 372 398 378 360C388 300 372 250 374 190"
    'C376 110 336 56 256 60Z"/>'
)

_LONG = (
    "M230 114C204 124 186 150 178 190C172 226 180 254 173 292C167 330 180 362 171 394C148 412 116 400 115 358"
    "C112 302 131 256 126 196C121 106 176 44 254 43C334 42 391 106 386 196C382 256 400 302 397 358"
    "C396 400 364 412 341 394C332 362 345 330 339 292C333 256 344 226 335 188C316 134 266 130 230 114Z"
)

_LONG_BODY = f'<path d="{_LONG}" fill="url(#hair)"/>'
_STRANDS = (
    line("M214 72C172 92 146 138 145 196C146 246 134 286 134 344", "url(#strand)", 5)
    + line("M222 88C188 106 164 146 160 196C157 240 152 276 153 350", "url(#strand)", 2.5)
    + line("M226 100C196 118 174 152 169 200C164 246 166 290 162 366", "url(#gap)", 2)
    + line("M204 70C164 92 138 136 136 196C137 244 124 290 125 350", "url(#gap)", 1.6)
    + line("M250 66C300 72 352 112 362 182C366 236 376 284 378 340", "url(#strand)", 4)
    + line("M242 94C288 104 336 134 347 188C352 230 346 270 352 330", "url(#strand)", 2.5)
    + line("M240 82C292 90 342 126 354 184C360 236 358 290 360 362", "url(#gap)", 2)
    + line("M262 60C318 66 368 112 374 184C377 238 388 290 388 346", "url(#gap)", 1.6)
    + line("M230 113C229 92 235 68 247 50", "#2b1815", 2.2, 0.55)
)
_INSIDE_LONG = f'<clipPath id="inhair"><path d="{_LONG}"/></clipPath><g clip-path="url(#inhair)">%s</g>'
_TOP_SHINE = _INSIDE_LONG % (soft("shine", 178, 108, 62, 44) + soft("shine", 316, 92, 54, 28))
_SIDE_SHINE = _INSIDE_LONG.replace("inhair", "inlock") % soft("shine", 140, 300, 22, 70)


_LONG_SHADOW = (
    '<path fill="#a9573f" fill-opacity=".2" d="M224 112L235 121C209 131 192 156 184 196'
    "C180 218 180 234 174 252L169 236L168 200C176 150 200 120 224 112Z"
    'M224 112L235 121C270 137 316 140 338 192L342 180C316 130 266 128 224 112Z"/>'
)


HANA = Sitter(
    "hana",
    behind=_LONG_BEHIND,
    shadow=_LONG_SHADOW,
    hair=(
        (HAIR_BOX, _LONG_BODY),
        ((110, 40, 290, 115), _TOP_SHINE),
        ((110, 230, 50, 140), _SIDE_SHINE),
        (HAIR_BOX, _STRANDS),
    ),
    hides_backdrop=True,
)

_SHORT = (
    "M166 214C156 170 156 120 190 84C222 54 296 48 328 84C358 112 358 168 346 214C343 200 340 190 338 178"
    "C330 150 314 136 292 130C262 134 236 128 214 116C204 134 184 150 175 178C172 190 170 200 166 214Z"
)
_EARS = (
    '<path fill="#e9ac89" d="M172 206C158 200 152 214 155 230C158 246 166 254 174 252Z'
    'M340 206C354 200 360 214 357 230C354 246 346 254 338 252Z"/>'
    + line("M160 216C164 222 164 232 168 240M352 216C348 222 348 232 344 240", "#b5694a", 2, 0.5)
)
_LOCKS = (
    line("M214 112C208 94 216 78 236 68", "url(#strand)", 4)
    + line("M244 120C240 98 252 80 280 72", "url(#strand)", 3.5)
    + line("M282 126C284 104 300 92 318 92", "url(#strand)", 3)
    + line("M190 140C184 122 192 98 212 82", "url(#gap)", 2)
    + line("M228 118C224 100 234 80 258 68", "url(#gap)", 1.8)
    + line("M264 126C262 104 276 84 302 78", "url(#gap)", 1.8)
    + line("M312 136C318 118 330 112 338 116", "url(#gap)", 1.8)
)
_STUBBLE = (
    '<path fill="#5d3a2c" fill-opacity=".06" d="M180 262C186 300 214 340 256 341C298 340 326 300 332 262'
    'C322 290 300 274 256 272C212 274 190 290 180 262Z"/>'
)

THEO = Sitter(
    "theo",
    behind=_EARS,
    shadow=f'<path transform="translate(0 7)" fill="#a9573f" fill-opacity=".18" d="{_SHORT}"/>{_STUBBLE}',
    hair=(((150, 48, 212, 170), f'<path d="{_SHORT}" fill="url(#hair)"/>{_LOCKS}'),),
    lashes=0.0,
    colours={
        # hair and brows
        "#744936": "#3a3331",
        "#4f2f27": "#272220",
        "#38231f": "#191615",
        "#c98a5f": "#6d625c",
        "#d49a70": "#75695f",
        "#241412": "#0d0b0a",
        "#4f3028": "#28201d",
        # skin
        "#ffdfc8": "#e9b894",
        "#fbcfb1": "#d9a27c",
        "#f0b794": "#c68c67",
        "#dd9673": "#ad7250",
        "#f2bd9b": "#cf9873",
        "#e7ab89": "#bf8662",
        "#d29273": "#a87050",
        "#e9ac89": "#c48a66",
        "#f0b695": "#c68c67",
        "#dc9878": "#ad7250",
        # lips, without colour
        "#cd6a63": "#a9645a",
        "#b24c4c": "#8f4d45",
        "#b9524f": "#8f5149",
        "#df837a": "#c07d6d",
        "#c8655e": "#a4655a",
        "#f07d6b": "#c9765c",
        # eyes
        "#b98a55": "#7d96a0",
        "#80562f": "#4c6a78",
        "#50321f": "#2c4450",
        # clothes
        "#465e8b": "#5d6b5c",
        "#34476f": "#46534a",
        "#232f50": "#2c3731",
        "#54709f": "#6c7b69",
        "#2e3f67": "#3c4841",
        "#7e99c6": "#93a38c",
        "#1d2947": "#2a332d",
        "#161f38": "#222a25",
        "#141d36": "#1e2622",
        "#d9a441": "#c9b9a4",
        "#e2b04e": "#c9b9a4",
    },
)

SITTERS: Mapping[str, Sitter] = {sitter.name: sitter for sitter in (HANA, THEO)}
