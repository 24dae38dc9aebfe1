"""What a worker says of its load, against the rule by which livekit-server 1.13 chooses."""

from __future__ import annotations

import itertools

import pytest

from libacli.core.capacity import load

TARGET = 0.7
"""A node is asked by how much its workers are below this, and not at all when none is."""


@pytest.mark.parametrize("most", [1, 2, 4, 10, 50])
def test_a_worker_with_room_for_one_more_is_offered_rooms_and_a_full_one_is_not(most: int) -> None:
    assert all(load(taken, most) < TARGET for taken in range(most))
    assert load(most, most) == load(most + 1, most) == 1


@pytest.mark.parametrize("most", [1, 2, 4, 10, 50])
def test_each_room_that_is_taken_makes_the_next_one_less_likely(most: int) -> None:
    loads = [load(taken, most) for taken in range(most + 1)]
    assert loads[0] == 0
    assert all(before < after for before, after in itertools.pairwise(loads))


def test_of_two_workers_the_one_with_more_room_is_likelier_whatever_their_sizes() -> None:
    assert load(1, 2) > load(4, 10) > load(3, 10)
