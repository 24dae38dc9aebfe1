"""The life of an utterance: its states, their order, which may follow which, and which are its end.

Whoever knows an order of states has it from here; the page has it from the server. The rules:

1. An agent moves an utterance along `MOVES` and in no other way. A state that it has already is no move.
2. A state that nothing follows is final, and stays.
3. A watcher may miss states, but goes back never: `is_news`, by `RANKS`.
4. `lost` is a word of watchers alone: the end was not seen. The agent's own word corrects it, unless that is
   of an earlier time than what the watcher knew before: so it ranks with the last state before the end.
5. A sender is told `LEVELS`, never more than somebody said who knows; `unconfirmed` is all that will ever be
   known, so whoever waits has waited enough.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

State = Literal[
    "accepted",
    "rejected",
    "speaking",
    "audible",
    "done",
    "interrupted",
    "failed",
    "expired",
    "unconfirmed",
]
WatchedState = State | Literal["lost"]

MOVES: Mapping[State, frozenset[State]] = {
    "accepted": frozenset({"speaking", "interrupted", "failed", "expired"}),
    "speaking": frozenset({"audible", "done", "unconfirmed", "interrupted", "failed"}),
    "audible": frozenset({"done", "unconfirmed", "interrupted", "failed"}),
    "done": frozenset(),
    "unconfirmed": frozenset(),
    "interrupted": frozenset(),
    "failed": frozenset(),
    "expired": frozenset(),
    "rejected": frozenset(),
}
"""What may follow each state; `rejected` is the end of a request that never was an utterance."""

FINAL_STATES: frozenset[State] = frozenset(state for state, following in MOVES.items() if not following)

OUTCOMES: frozenset[State] = FINAL_STATES - {"rejected"}
"""How an utterance that was accepted can end."""

RANKS: Mapping[WatchedState, int] = {
    "accepted": 0,
    "speaking": 1,
    "audible": 2,
    "lost": 2,
    **dict.fromkeys(FINAL_STATES, 3),
}

LEVELS = ("sent", "accepted", "audible", "done")
"""What a sender can wait for, `sent` the least."""

LEVEL_STATES: frozenset[str] = frozenset({"audible", "done", "unconfirmed"})
"""States that a sender is told as they are; in the others it has what it was told before."""

SETTLED: frozenset[str] = FINAL_STATES | {"lost", "unknown"}
"""What an utterance can be that nothing more is to be expected of; `unknown`: no agent knows its id."""


class IllegalMoveError(RuntimeError):
    """A defect: an utterance was to go where `MOVES` does not lead."""


def is_over(state: WatchedState) -> bool:
    """Whether nothing more is on its way, as far as a watcher knows."""
    return state == "lost" or state in FINAL_STATES


def is_news(state: WatchedState, before: WatchedState) -> bool:
    """Whether a watcher that knew `before` believes `state`, which may come late."""
    return before not in FINAL_STATES and RANKS[state] >= RANKS[before]


def check_move(before: State, state: State) -> bool:
    """Whether it is a move at all; none from a final state, or to where it is. Raises IllegalMoveError."""
    if before in FINAL_STATES or state == before:
        return False
    if state not in MOVES[before]:
        raise IllegalMoveError(f"from {before} to {state}")
    return True


def has_reached(level: str, wanted: str) -> bool:
    """Whether a sender that was told `level` need not wait for `wanted` any longer."""
    return level == "unconfirmed" or LEVELS.index(level) >= LEVELS.index(wanted)


def is_decided(state: str, wanted: str) -> bool:
    """Whether whoever waits for the level `wanted` has waited enough once an agent says `state`."""
    return state == wanted or state in SETTLED or wanted not in LEVEL_STATES
