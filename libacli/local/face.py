"""The face of the local avatar: drawn once in parts, put together for each picture.

A picture is put together by copying alone. Head and shoulders move a little all the time: each row of the
picture has its own shift, none at the collar and most at the crown, in quarters of a pixel; of each part
there are, as they come to be wanted, all sixteen shifts of less than a pixel.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy
from numpy.typing import NDArray

from libacli.core.emotion import NEUTRAL, Emotion
from libacli.core.mouth import Contact, MouthShape
from libacli.local.face_drawing import UNITS, Look
from libacli.local.face_expression import AT_REST, EXPRESSIONS, Expression
from libacli.local.face_motion import GAZES, Motion
from libacli.local.face_parts import QUARTERS, Box, Part, Pixels, Shifts, draw, even_box, runs
from libacli.local.face_sitters import HANA, Sitter

_MOUTH_BOX = (170, 244, 172, 140)
_EYES_BOX = (184, 194, 144, 44)
_BROWS_BOX = (184, 168, 144, 26)
"""Parts that change, in units of the drawing; they do not overlap."""

_OPENNESS_STEPS, _WIDTH_STEPS = 10, 5
_CONTACT_OPENNESS: Mapping[Contact, float] = {"bite": 0.2, "teeth": 0.24, "tongue": 0.34}
"""How far the mouth is open then, however loud it is."""

_CONTACT_WIDTHS = (0, 2, 4)
"""Steps of width in which these are drawn: fewer are seen in so short a time."""

_LID_STEPS, _BROW_STEPS = 5, 4
_SWAY_UNITS, _NOD_UNITS, _BREATH_UNITS = 5.0, 1.8, 2.2
_STRESSED_NODS, _STRESSED_BROWS = 1.2, 0.7
"""How far head and brows go with the loudest syllables, of a nod and a lift by itself."""

_MARGIN_UNITS = 8.0
"""More than these together: what may come into the picture from beyond its edges."""


class Face:
    """A portrait, `size` pixels square, that blinks, breathes, looks around and moves its mouth.

    What it does at a time depends on that time, `seed` and the mouth alone. To make one takes about a second,
    and 40 MB at 512 pixels.
    """

    def __init__(self, size: int = UNITS, *, sitter: Sitter = HANA, seed: int = 0) -> None:
        if size < 64 or size % 2:
            raise ValueError("size must be even and at least 64")
        self.size = size
        self.sitter = sitter
        self._at_rest = Look(sitter=sitter)
        bleed = max(2, round(_MARGIN_UNITS * size / UNITS / 2) * 2)
        self._base = draw(self._at_rest, (-bleed, -bleed, size + 2 * bleed, size + 2 * bleed), size=size)
        self._base.make_shifts()
        self._mouths = self._mouth_parts(AT_REST)
        self._eyes = self._eye_parts()
        self._brows = self._brow_parts(AT_REST)
        self._shown: dict[Emotion, Face] = {NEUTRAL: self}
        self._motion = Motion(seed)
        self._sway, self._nod, self._breath = _profiles(size)

    def express(self, emotion: Emotion) -> Face:
        """The same face with what it shows of an emotion.

        One that was not wanted before takes about half a second, and 20 MB at 512 pixels: it is drawn.
        """
        if emotion not in self._shown:
            shown = copy.copy(self)
            shown._mouths = self._mouth_parts(EXPRESSIONS[emotion])
            shown._brows = self._brow_parts(EXPRESSIONS[emotion])
            self._shown[emotion] = shown
        return self._shown[emotion]

    def _brow_parts(self, expression: Expression) -> list[Part]:
        box = even_box(_BROWS_BOX, size=self.size)
        return [
            draw(
                replace(self._at_rest, brows=step / (_BROW_STEPS - 1), expression=expression),
                box,
                size=self.size,
            )
            for step in range(_BROW_STEPS)
        ]

    def _mouth_parts(self, expression: Expression) -> dict[tuple[int | Contact, int], Part]:
        """By openness in steps, or by what touches; and by width in steps."""
        box = even_box(_MOUTH_BOX, size=self.size)
        looks: dict[int | Contact, Look] = {
            step: replace(self._at_rest, openness=step / (_OPENNESS_STEPS - 1))
            for step in range(_OPENNESS_STEPS)
        }
        for contact, openness in _CONTACT_OPENNESS.items():
            looks[contact] = replace(self._at_rest, openness=openness, contact=contact)
        return {
            (form, step): draw(
                replace(look, width=step / (_WIDTH_STEPS - 1), expression=expression), box, size=self.size
            )
            for form, look in looks.items()
            for step in (range(_WIDTH_STEPS) if look.contact == "none" else _CONTACT_WIDTHS)
        }

    def _eye_parts(self) -> dict[tuple[int, int], Part]:
        box = even_box(_EYES_BOX, size=self.size)
        return {
            (lids, gaze): draw(
                replace(self._at_rest, lids=lids / (_LID_STEPS - 1), gaze=GAZES[gaze]), box, size=self.size
            )
            for lids, gaze in itertools.product(range(_LID_STEPS), range(len(GAZES)))
        }

    def render(self, at_s: float, mouth: MouthShape, *, speaking: bool) -> memoryview:
        """The picture at `at_s` seconds of any steady clock: I420, BT.601, limited range, `size` square.

        The bytes are the caller's own. Brows move only when `speaking`, and with stress; so does the head.
        """
        parts = self._parts(at_s, mouth, speaking)
        sway, breath = self._motion.sway(at_s), self._motion.breath(at_s)
        nod = self._motion.nod(at_s) + _STRESSED_NODS * mouth.stress
        right = self._sway * sway
        down = self._nod * nod - self._breath * breath
        size, half = self.size, self.size // 2
        picture = numpy.empty(size * size * 3 // 2, numpy.uint8)
        luma = picture[: size * size].reshape(size, size)
        chroma = picture[size * size :].reshape(2, half, half)
        _compose(luma, [(part.luma, part.at) for part in parts], right, down, halved=1)
        _compose(chroma, [(part.chroma, part.at) for part in parts], right[::2], down[::2], halved=2)
        return picture.data

    def _parts(self, at_s: float, mouth: MouthShape, speaking: bool) -> tuple[Part, ...]:
        lift = max(self._motion.brows(at_s), _STRESSED_BROWS * mouth.stress) if speaking else 0.0
        return (
            self._base,
            self._mouths[_form(mouth), _width_step(mouth)],
            self._eyes[_step(self._motion.lids(at_s), _LID_STEPS), self._motion.gaze(at_s)],
            self._brows[_step(lift, _BROW_STEPS)],
        )


def _form(mouth: MouthShape) -> int | Contact:
    touches = mouth.contact != "none" and mouth.openness > 0
    return mouth.contact if touches else _step(mouth.openness, _OPENNESS_STEPS)


def _width_step(mouth: MouthShape) -> int:
    step = _step(mouth.width, _WIDTH_STEPS)
    return step if isinstance(_form(mouth), int) else min(_CONTACT_WIDTHS, key=lambda one: abs(one - step))


def _step(value: float, steps: int) -> int:
    return round(min(1.0, max(0.0, value)) * (steps - 1))


def _profiles(size: int) -> Iterator[NDArray[numpy.float64]]:
    """How far each row goes, in pixels, with a full sway to the right, nod down, and breath (up)."""
    rows = (numpy.arange(size) + 0.5) * UNITS / size
    pixels = size / UNITS
    yield _SWAY_UNITS * pixels * (((440 - rows) / 390).clip(0, 1) ** 1.3)
    shoulders = _ramp(rows, 335, 415)
    yield _NOD_UNITS * pixels * (1 - shoulders)
    yield _BREATH_UNITS * pixels * (0.35 + 0.65 * shoulders)


def _ramp(rows: NDArray[numpy.float64], begin: float, end: float) -> NDArray[numpy.float64]:
    """0 before `begin`, 1 after `end`, smooth between."""
    part = ((rows - begin) / (end - begin)).clip(0, 1)
    ramp: NDArray[numpy.float64] = part * part * (3 - 2 * part)
    return ramp


def _compose(
    picture: Pixels,
    parts: list[tuple[Shifts, Box]],
    right: NDArray[numpy.float64],
    down: NDArray[numpy.float64],
    *,
    halved: int,
) -> None:
    """Copies `parts` into `picture` (a plane, or two), each row shifted by `right` and `down` pixels.

    The first part reaches beyond the picture on all sides; the others lie within it. `halved` is 2 for planes
    that have a quarter of the pixels.
    """
    rights = numpy.rint(right * (QUARTERS / halved)).astype(numpy.intp)
    downs = numpy.rint(down * (QUARTERS / halved)).astype(numpy.intp)
    width = picture.shape[-1]
    for begin, end in runs(rights, downs):
        dx, quarter_x = divmod(int(rights[begin]), QUARTERS)
        dy, quarter_y = divmod(int(downs[begin]), QUARTERS)
        for shifts, at in parts:
            x, y = at[0] // halved + dx, at[1] // halved + dy
            first, last = max(begin, y), min(end, y + at[3] // halved)
            if first >= last:
                continue
            source = shifts.get(quarter_y, quarter_x)
            left, stop = max(0, x), min(width, x + source.shape[-1])
            picture[..., first:last, left:stop] = source[..., first - y : last - y, left - x : stop - x]
