from __future__ import annotations

import itertools
import statistics
from typing import get_args

import numpy
import pytest

from libacli.core.mouth import Contact, MouthShape
from libacli.local.face import Face
from libacli.local.face_sitters import HANA, SITTERS, THEO
from tests.seeing import Plane, brightness, mouth_openness, mouth_width

SIZE = 256


@pytest.fixture(scope="module", params=list(SITTERS.values()), ids=list(SITTERS))
def face(request: pytest.FixtureRequest) -> Face:
    return Face(SIZE, sitter=request.param)


def look(face: Face, at_s: float = 1.0, openness: float = 0.0, width: float = 0.5) -> Plane:
    data = face.render(at_s, MouthShape(openness, width), speaking=openness > 0)
    return brightness(data, SIZE, SIZE)


def test_a_picture_is_i420_in_limited_range(face: Face) -> None:
    data = face.render(0.0, MouthShape(), speaking=False)
    assert len(data) == SIZE * SIZE * 3 // 2
    assert min(data) >= 10
    assert max(data) <= 245


def test_the_same_moment_gives_the_same_picture(face: Face) -> None:
    shape = MouthShape(0.5, 0.5)
    assert face.render(7.3, shape, speaking=True) == face.render(7.3, shape, speaking=True)
    again = Face(SIZE, sitter=face.sitter)
    assert again.render(7.3, shape, speaking=True) == face.render(7.3, shape, speaking=True)


def test_the_faces_are_not_alike() -> None:
    hana, theo = (look(Face(SIZE, sitter=sitter)).astype(int) for sitter in (HANA, THEO))
    assert numpy.abs(hana - theo).mean() > 5


def test_the_mouth_opens_as_far_as_it_is_told(face: Face) -> None:
    told = [step / 11 for step in range(12)]
    seen = [mouth_openness(look(face, openness=openness)) for openness in told]
    assert seen == sorted(seen)
    assert statistics.correlation(told, seen) > 0.97


def test_the_mouth_is_as_wide_as_it_is_told(face: Face) -> None:
    seen = [mouth_width(look(face, openness=0.6, width=width)) for width in (0.0, 0.34, 0.67, 1.0)]
    assert seen == sorted(seen)
    assert seen[-1] > 1.3 * seen[0]


def test_nothing_but_mouth_and_jaw_moves_with_the_mouth(face: Face) -> None:
    changed = look(face) != look(face, openness=0.6)
    rows, columns = numpy.nonzero(changed)
    assert rows.min() >= 0.44 * SIZE
    assert rows.max() <= 0.76 * SIZE
    assert columns.min() >= 0.3 * SIZE
    assert columns.max() <= 0.7 * SIZE


def test_the_openness_can_be_read_through_noise(face: Face) -> None:
    noise = numpy.random.default_rng(0).normal(0, 6, (SIZE, SIZE))
    told = [step / 11 for step in range(12)]
    seen = [
        mouth_openness(numpy.clip(look(face, openness=openness) + noise, 0, 255).astype(numpy.uint8))
        for openness in told
    ]
    assert statistics.correlation(told, seen) > 0.95


def test_the_eyes_close_every_few_seconds_and_open_again(face: Face) -> None:
    eyes = (slice(int(0.38 * SIZE), int(0.44 * SIZE)), slice(int(0.39 * SIZE), int(0.46 * SIZE)))
    dark = [float((look(face, at_s=step / 25)[eyes] < 70).mean()) for step in range(60 * 25)]
    is_closed = [part < 0.5 * statistics.median(dark) for part in dark]
    blinks = sum(after and not before for before, after in itertools.pairwise(is_closed))
    assert 60 / 5.5 - 2 <= blinks <= 60 / 2.6 + 2


def test_it_breathes_when_it_is_silent(face: Face) -> None:
    before, after = look(face, at_s=1.0).astype(int), look(face, at_s=2.0).astype(int)
    assert 0 < numpy.abs(before - after).mean() < 5


@pytest.mark.parametrize("size", [63, 65, 10])
def test_a_size_that_cannot_be_drawn_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="even"):
        Face(size)


def seen_mouth(face: Face, shape: MouthShape) -> Plane:
    rows, columns = slice(int(0.55 * SIZE), int(0.62 * SIZE)), slice(int(0.45 * SIZE), int(0.55 * SIZE))
    return brightness(face.render(1.0, shape, speaking=True), SIZE, SIZE)[rows, columns].astype(int)


def test_each_contact_is_seen_and_looks_like_no_other(face: Face) -> None:
    contacts = get_args(Contact)
    seen = [seen_mouth(face, MouthShape(0.3, 0.5, contact)) for contact in contacts]
    for one, other in itertools.combinations(seen, 2):
        assert numpy.abs(one - other).mean() > 1


def test_no_gap_is_seen_where_the_lower_lip_meets_the_teeth(face: Face) -> None:
    dark = {
        contact: int((seen_mouth(face, MouthShape(0.3, 0.5, contact)) < 60).sum())
        for contact in get_args(Contact)
    }
    assert dark["bite"] < 0.25 * dark["none"]


@pytest.mark.parametrize("contact", get_args(Contact))
def test_a_closed_mouth_is_closed_whatever_touches_in_it(face: Face, contact: Contact) -> None:
    closed = face.render(1.0, MouthShape(0.0, 0.5, contact), speaking=True)
    assert closed == face.render(1.0, MouthShape(0.0, 0.5), speaking=True)


def test_head_and_brows_go_with_a_stressed_syllable(face: Face) -> None:
    eyes = (slice(int(0.3 * SIZE), int(0.45 * SIZE)), slice(int(0.35 * SIZE), int(0.65 * SIZE)))
    plain, stressed = (
        brightness(face.render(1.0, MouthShape(0.5, 0.5, stress=stress), speaking=True), SIZE, SIZE)[eyes]
        for stress in (0.0, 1.0)
    )
    assert numpy.abs(plain.astype(int) - stressed.astype(int)).mean() > 1
