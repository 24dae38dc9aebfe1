"""What can be seen of an emotion: brows and mouth, and nothing else."""

from __future__ import annotations

import numpy
import pytest

from libacli.core.emotion import EMOTIONS, NEUTRAL, Emotion
from libacli.core.mouth import MouthShape
from libacli.local.face import Face
from libacli.local.face_expression import EXPRESSIONS
from tests.seeing import Plane, brightness, mouth_openness

SIZE = 256
FEELINGS = [emotion for emotion in EMOTIONS if emotion != NEUTRAL]


@pytest.fixture(scope="module")
def face() -> Face:
    return Face(SIZE)


def look(face: Face, emotion: Emotion, openness: float = 0.0) -> Plane:
    shown = face.express(emotion).render(1.0, MouthShape(openness, 0.5), speaking=False)
    return brightness(shown, SIZE, SIZE)


def test_every_emotion_has_an_expression() -> None:
    assert set(EXPRESSIONS) == set(EMOTIONS)
    assert len(set(EXPRESSIONS.values())) == len(EMOTIONS)


@pytest.mark.parametrize("emotion", FEELINGS)
def test_an_emotion_changes_brows_and_mouth_and_nothing_between_and_around(
    face: Face, emotion: Emotion
) -> None:
    changed = numpy.abs(look(face, emotion).astype(int) - look(face, NEUTRAL)) > 8
    rows = numpy.nonzero(changed.any(axis=1))[0] / SIZE
    brows, mouth = rows[rows < 0.4], rows[rows > 0.5]
    assert len(brows) + len(mouth) == len(rows)
    assert len(brows)
    assert len(mouth)
    assert brows.min() > 0.31
    assert mouth.max() < 0.64


def test_corners_of_the_mouth_go_up_with_joy_and_down_with_grief(face: Face) -> None:
    def corners(emotion: Emotion) -> float:
        """Height of the darkest part of the left corner, as a part of the picture, from above."""
        corner = look(face, emotion)[int(0.5 * SIZE) : int(0.63 * SIZE), int(0.44 * SIZE) : int(0.46 * SIZE)]
        return float(corner.astype(float).mean(axis=1).argmin())

    assert corners("happiness") < corners(NEUTRAL) < corners("sadness")


@pytest.mark.parametrize("emotion", EMOTIONS)
def test_the_mouth_opens_with_the_sound_whatever_the_face_shows(face: Face, emotion: Emotion) -> None:
    seen = [mouth_openness(look(face, emotion, openness)) for openness in (0.0, 0.3, 0.6, 1.0)]
    assert seen == sorted(seen)
    assert seen[-1] > seen[0] + 0.08


def test_a_face_that_was_drawn_once_is_kept_and_neutral_is_the_face_itself(face: Face) -> None:
    assert face.express("anger") is face.express("anger")
    assert face.express("anger").express(NEUTRAL) is face
