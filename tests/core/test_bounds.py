from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.core.bounds import Bounds

SECONDS = st.floats(min_value=1e-3, max_value=3600)  # as the settings have it


@given(frame_s=SECONDS, gate_s=st.none() | SECONDS)
def test_whatever_is_set_the_speaker_waits_longer_than_sinks(frame_s: float, gate_s: float | None) -> None:
    bounds = Bounds.derive(frame_s=frame_s, gate_s=gate_s)
    assert bounds.speaker_write_s >= bounds.frame_s == frame_s
    assert bounds.speaker_open_s > bounds.connection_s + bounds.gate_s + bounds.stream_s
    assert bounds.speaker_clear_s > bounds.clear_s
    if gate_s is not None:
        assert bounds.speaker_write_s > bounds.stream_s + bounds.clear_s
        assert bounds.gate_s == gate_s
        assert 0 < bounds.stream_s <= frame_s


def test_without_an_avatar_a_frame_is_waited_for_as_long_as_is_set() -> None:
    assert Bounds.derive(frame_s=2).speaker_write_s == 2


@pytest.mark.parametrize(
    "turned_round",
    [
        {"speaker_write_s": 4.9},
        {"speaker_write_s": 5.0, "stream_s": 3.0, "clear_s": 2.0},
        {"speaker_open_s": 60.0},
        {"speaker_open_s": 65.0, "gate_s": 5.0},
        {"gate_s": 3600.0},
        {"speaker_clear_s": 2.0},
        {"clear_s": 10.0},
    ],
)
def test_an_order_in_which_the_speaker_gives_up_first_cannot_be_made(turned_round: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="the speaker would"):
        replace(Bounds(), **turned_round)
