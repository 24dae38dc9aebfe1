from __future__ import annotations

import typing

import pytest

from libacli.core.lifecycle import (
    FINAL_STATES,
    LEVEL_STATES,
    LEVELS,
    MOVES,
    OUTCOMES,
    RANKS,
    IllegalMoveError,
    State,
    WatchedState,
    check_move,
    has_reached,
    is_news,
    is_over,
)
from libacli.core.messages import SayRequest
from libacli.core.timeline import Timeline
from libacli.core.utterance import Utterance

STATES: tuple[State, ...] = typing.get_args(State)
WATCHED: tuple[WatchedState, ...] = (*STATES, "lost")


def test_each_state_has_its_moves_and_its_rank() -> None:
    assert set(MOVES) == set(STATES)
    assert set(RANKS) == set(WATCHED)


def test_rejected_is_the_only_final_state_without_an_utterance() -> None:
    assert {"rejected"} == FINAL_STATES - OUTCOMES


def test_no_move_leads_to_a_lower_rank() -> None:
    assert all(RANKS[after] > RANKS[before] for before in STATES for after in MOVES[before])


def test_each_end_but_that_of_a_refusal_can_be_reached_from_the_beginning() -> None:
    found: set[State] = {"accepted"}
    for _ in STATES:
        found |= {after for before in found for after in MOVES[before]}
    assert found == set(STATES) - {"rejected"}


@pytest.mark.parametrize("before", STATES)
@pytest.mark.parametrize("after", STATES)
def test_an_utterance_moves_as_the_table_says_and_another_move_is_a_defect(
    before: State, after: State
) -> None:
    utterance = Utterance(SayRequest("Hello.", id="a"), Timeline(0.0), state=before)
    if before in FINAL_STATES or before == after:
        assert not utterance.become(after, 1.0)
        assert utterance.state == before
    elif after in MOVES[before]:
        assert utterance.become(after, 1.0)
        assert utterance.state == after
    else:
        with pytest.raises(IllegalMoveError, match=f"from {before} to {after}"):
            utterance.become(after, 1.0)
        assert utterance.state == before


@pytest.mark.parametrize("before", WATCHED)
def test_a_watcher_believes_every_move_of_an_agent_and_no_step_back(before: WatchedState) -> None:
    for after in STATES:
        if before != "lost" and before not in FINAL_STATES and check_or_none(before, after):
            assert is_news(after, before)
        if RANKS[after] < RANKS[before]:
            assert not is_news(after, before)


def check_or_none(before: State, after: State) -> bool:
    try:
        return check_move(before, after)
    except IllegalMoveError:
        return False


def test_what_was_lost_is_over_until_the_agent_says_otherwise() -> None:
    assert is_over("lost")
    assert not is_news("accepted", "lost") and not is_news("speaking", "lost")
    assert is_news("audible", "lost") and all(is_news(end, "lost") for end in FINAL_STATES)


def test_a_level_is_reached_by_itself_and_by_those_after_it() -> None:
    for at, level in enumerate(LEVELS):
        assert [has_reached(level, wanted) for wanted in LEVELS] == [
            wanted_at <= at for wanted_at in range(len(LEVELS))
        ]


def test_nobody_waits_for_more_when_nothing_more_will_be_known() -> None:
    assert all(has_reached("unconfirmed", wanted) for wanted in LEVELS)
    assert set(STATES) >= LEVEL_STATES
