"""What `liba doctor --capacity` makes of what it measured. It measures in tests/live/test_doctor.py."""

from __future__ import annotations

import pytest

from libacli.cli.runs.doctor_capacity import Reached, judged
from libacli.config import Settings


@pytest.mark.parametrize(
    ("reached", "max_rooms", "verdict", "fix"),
    [
        (Reached(8, "of 10 rooms 3 broke off"), 8, "warn", "agent.max_rooms = 6"),
        (Reached(8, "of 10 rooms 3 broke off"), 6, "ok", ""),
        (Reached(64, ""), 8, "ok", "agent.max_rooms = 48 would do"),
        (Reached(1, "memory, of which 300 MB are left"), 8, "warn", "agent.max_rooms = 1"),
    ],
)
def test_a_quarter_of_what_was_reached_is_left_free(
    reached: Reached, max_rooms: int, verdict: str, fix: str
) -> None:
    finding = judged(Settings(agent_max_rooms=max_rooms), reached)
    assert (finding.verdict, finding.fix) == (verdict, fix)
    assert reached.ended_by in finding.message
    assert str(reached.rooms) in finding.message


def test_a_machine_that_cannot_speak_in_one_room_is_told_why() -> None:
    finding = judged(Settings(), Reached(0, "of 1 rooms 1 broke off"))
    assert finding.verdict == "warn"
    assert "not even one room" in finding.message
    assert "1 broke off" in finding.message
