from __future__ import annotations

from typing import Any

import pytest

from libacli.core.acknowledgement import Acknowledgement
from libacli.core.delivery import Delivery


@pytest.mark.parametrize("journaled", [None, True, False])
def test_an_acknowledgement_comes_back_as_it_was(journaled: bool | None) -> None:
    given = Acknowledgement("a", 3, True, "e1", journaled)
    assert Acknowledgement.read(given.encode()) == given
    assert ("journaled" in given.encode()) == (journaled is not None)


@pytest.mark.parametrize("journaled", ["yes", 1, [], None])
def test_an_agent_that_says_nothing_of_a_journal_or_nonsense_has_none(journaled: Any) -> None:
    members = Acknowledgement("a", 0, epoch="e1").encode() | {"journaled": journaled}
    assert Acknowledgement.read(members).journaled is None


def test_a_delivery_tells_what_its_agent_has_acknowledged_and_who_has_it_now() -> None:
    said = Delivery.accepted(Acknowledgement("a", 0, epoch="e1", journaled=True)).taken_over("e2")
    assert said.is_journaled
    assert said.encode() == {
        "id": "a",
        "level": "accepted",
        "epoch": "e2",
        "position": 0,
        "duplicate": False,
        "journaled": True,
    }
    assert not Delivery("a", "sent").taken_over("e2").is_journaled
