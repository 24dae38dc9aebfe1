"""What is a hole in speech, and what a pause of the voice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.core.holes import holes_s

lengths = st.lists(st.floats(0.05, 5), max_size=8)


@pytest.mark.parametrize(
    ("silences", "pauses", "holes"),
    [
        ([], [], []),
        ([0.2], [0.2], []),
        ([0.3], [], [0.3]),
        ([0.15, 0.3, 0.15], [0.15, 0.15], [0.3]),
        ([0.4], [0.15], [0.25]),
        ([0.1], [0.15], []),
        ([], [0.3], []),
        ([0.3, 0.5], [0.1], [0.5, 0.2]),
    ],
    ids=[
        "nothing",
        "a pause",
        "a hole",
        "a hole among pauses",
        "a hole beside a pause",
        "a pause that was shortened",
        "a pause that was left out",
        "the shorter one is taken for the pause",
    ],
)
def test_a_hole_is_silence_that_the_voice_did_not_make(
    silences: list[float], pauses: list[float], holes: list[float]
) -> None:
    assert holes_s(silences, pauses) == pytest.approx(holes)


@given(lengths)
def test_what_came_as_it_was_spoken_has_no_holes(pauses: list[float]) -> None:
    assert sum(holes_s(pauses[::-1], pauses)) == pytest.approx(0, abs=0.06 * 8)


@given(lengths, lengths)
def test_there_are_no_more_and_no_longer_holes_than_silences(
    silences: list[float], pauses: list[float]
) -> None:
    holes = holes_s(silences, pauses)
    assert len(holes) <= len(silences)
    assert all(
        0 < hole <= silence for hole, silence in zip(holes, sorted(silences, reverse=True), strict=False)
    )


@given(lengths)
def test_without_pauses_every_silence_is_a_hole(silences: list[float]) -> None:
    assert holes_s(silences, []) == sorted(silences, reverse=True)
