from __future__ import annotations

import pytest

from libacli.core.picture_clock import PictureClock

START = 100.0


def test_a_picture_is_shown_at_its_own_time_whenever_it_was_handed_over() -> None:
    clock = PictureClock()
    assert not clock.is_known
    stamps = [number * 40_000 for number in range(50)]
    late_s = [0.5 if number % 7 == 3 else 0.001 for number in range(50)]
    times = [
        clock.shown_at(5_000_000 + stamp, START + stamp / 1e6 + late)
        for stamp, late in zip(stamps, late_s, strict=True)
    ]
    assert clock.is_known
    assert [time - times[0] for time in times] == pytest.approx([stamp / 1e6 for stamp in stamps])
    assert times[0] == pytest.approx(START + 0.001 + 0.01)
