from __future__ import annotations

import numpy
import pytest

from libacli.core.mouth import MouthShape
from libacli.local.face import Face
from libacli.local.face_drawing import Look
from libacli.local.face_parts import Box, Shifts, draw, even_box, runs

MOUTH, EYES, BROWS = (170, 244, 172, 140), (184, 194, 144, 44), (184, 168, 144, 26)


@pytest.mark.parametrize("box", [MOUTH, EYES, BROWS])
@pytest.mark.parametrize("size", [256, 512])
def test_a_part_drawn_alone_looks_as_it_does_in_the_whole(box: Box, size: int) -> None:
    x, y, width, height = even_box(box, size=size)
    look = Look(openness=0.5, lids=0.3)
    part = draw(look, (x, y, width, height), size=size).luma.get(0, 0).astype(int)
    whole = draw(look, (0, 0, size, size), size=size).luma.get(0, 0).astype(int)
    difference = numpy.abs(part - whole[y : y + height, x : x + width])
    assert (difference > 12).sum() < 10, "more than edges that are smoothed in another way"
    assert difference.mean() < 0.1


@pytest.mark.parametrize(
    ("box", "look"),
    [(MOUTH, Look(openness=1.0, width=1.0)), (EYES, Look(lids=1.0)), (BROWS, Look(brows=1.0))],
)
def test_a_part_that_has_changed_meets_its_surroundings_without_a_seam(box: Box, look: Look) -> None:
    at = even_box(box, size=512)
    before, after = (draw(one, at, size=512).luma.get(0, 0).astype(int) for one in (Look(), look))
    change = numpy.abs(after - before)
    assert max(change[0].max(), change[-1].max(), change[:, 0].max(), change[:, -1].max()) <= 4
    assert change.max() > 40


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_a_shift_moves_by_quarters_of_a_pixel(quarters: int) -> None:
    ramp = numpy.tile(numpy.arange(24, 224, 4, dtype=numpy.uint8), (50, 1))
    moved_right = Shifts(ramp, 4).get(0, quarters)
    assert (moved_right == ramp[4:-4, 4:-4] - quarters).all()
    moved_down = Shifts(ramp.T.copy(), 4).get(quarters, 0)
    assert (moved_down == ramp.T[4:-4, 4:-4] - quarters).all()


def test_a_shift_stays_within_a_limited_range() -> None:
    edge = numpy.full((20, 20), 16, numpy.uint8)
    edge[:, 10:] = 235
    moved = Shifts(edge, 4).get(2, 2)
    assert moved.min() >= 16
    assert moved.max() <= 235


@pytest.mark.parametrize("size", [64, 130, 256, 302, 512, 720])
def test_boxes_are_even_and_do_not_overlap(size: int) -> None:
    boxes = [even_box(box, size=size) for box in (BROWS, EYES, MOUTH)]
    assert all(value % 2 == 0 for box in boxes for value in box)
    assert boxes[0][1] + boxes[0][3] <= boxes[1][1]
    assert boxes[1][1] + boxes[1][3] <= boxes[2][1]


def test_runs_end_where_any_row_changes() -> None:
    one, other = numpy.array([0, 0, 1, 1, 1]), numpy.array([5, 5, 5, 5, 6])
    assert runs(one, other) == [(0, 2), (2, 4), (4, 5)]
    assert runs(one[:1]) == [(0, 1)]


@pytest.mark.parametrize("size", [64, 128, 256])
def test_no_pixel_of_a_picture_is_left_out(size: int) -> None:
    face = Face(size)
    for step in range(200):
        picture = face.render(step * 0.7, MouthShape(1.0, 1.0), speaking=True)
        assert min(picture) >= 16
        assert numpy.frombuffer(picture, numpy.uint8)[: size * size].reshape(size, size)[0].min() > 90
