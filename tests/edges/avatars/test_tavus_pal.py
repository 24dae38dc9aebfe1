from __future__ import annotations

from typing import Any

import pytest

from libacli.edges.avatars.tavus_pal import misfit_of

LIVEKIT = {"transport": {"transport_type": "livekit"}}
FITS = {"pal_id": "p1", "pipeline_mode": "echo", "layers": LIVEKIT}


@pytest.mark.parametrize("told", [FITS, {"data": FITS}, {"data": [FITS]}])
def test_f11_a_pal_of_echo_and_livekit_fits_in_each_form_that_it_comes_in(told: Any) -> None:
    assert misfit_of("p1", told) == ""


@pytest.mark.parametrize(
    "told", [{}, None, [], {"data": []}, {"data": 5}, {"layers": 5}, {"layers": {}}, "x"]
)
def test_f11_what_is_not_told_is_not_held_against_it(told: Any) -> None:
    assert misfit_of("p1", told) == ""


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"pipeline_mode": "full"}, ["pipeline_mode is 'full', not 'echo'"]),
        (
            {"layers": {"transport": {"transport_type": "daily"}}},
            ["transport_type is 'daily', not 'livekit'"],
        ),
        ({"layers": {}}, ["transport_type is not set, not 'livekit'"]),
        ({"pipeline_mode": "full", "layers": {"transport": {}}}, ["'full'", "not set"]),
    ],
)
def test_f11_the_layer_that_is_wrong_is_named(changes: dict[str, Any], wrong: list[str]) -> None:
    said = misfit_of("p1", {"data": [FITS | changes]})
    assert said.startswith("the pal p1 joins no LiveKit room: ")
    for part in wrong:
        assert part in said
