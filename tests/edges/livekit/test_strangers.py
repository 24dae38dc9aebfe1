"""Which rooms of others a worker asks about, and when again."""

from __future__ import annotations

from libacli.edges.livekit.api import RoomRow
from libacli.edges.livekit.strangers import Strangers

PARTY = RoomRow("party", "RM_1", people=2, publishers=0)


def asked(strangers: Strangers, *rows: RoomRow, known: tuple[str, ...] = ()) -> list[str]:
    strangers.saw(rows, known)
    return strangers.next(10)


def test_a_room_is_asked_about_once_as_long_as_nobody_begins_to_publish_there() -> None:
    strangers = Strangers()
    assert asked(strangers, PARTY) == ["party"]
    assert asked(strangers, RoomRow("party", "RM_1", people=5)) == []
    assert asked(strangers, RoomRow("party", "RM_1", people=5, publishers=1)) == ["party"]
    assert asked(strangers, RoomRow("party", "RM_1", people=5)) == []


def test_a_room_that_has_closed_and_is_there_again_is_another_one() -> None:
    strangers = Strangers()
    assert asked(strangers, PARTY) == ["party"]
    assert asked(strangers, RoomRow("party", "RM_2", people=2)) == ["party"]
    assert asked(strangers) == []
    assert asked(strangers, RoomRow("party", "RM_2", people=2)) == ["party"]


def test_known_and_empty_rooms_are_not_asked_about() -> None:
    strangers = Strangers()
    assert asked(strangers, PARTY, RoomRow("empty", "RM_3"), known=("party",)) == []


def test_rooms_with_people_come_first_and_what_was_not_asked_stays_to_be() -> None:
    strangers = Strangers()
    rows = [RoomRow(f"r{n}", f"RM_{n}", people=n % 2, publishers=1) for n in range(6)]
    strangers.saw(rows, ())
    assert set(strangers.next(3)) == {"r1", "r3", "r5"}
    assert set(asked(strangers, *rows)) == {"r0", "r2", "r4"}


def test_a_room_that_is_forgotten_is_asked_about_anew() -> None:
    strangers = Strangers()
    assert asked(strangers, PARTY) == ["party"]
    strangers.forget("party")
    assert asked(strangers, PARTY) == ["party"]
