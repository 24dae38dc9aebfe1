"""The avatar's turn: which states follow which, which report is its own, and that it always ends once."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.core.turn import FINISH_MARGIN_S, LEAD_S, State, Turn, TurnHistory, Verdict, played_s

AUDIBLE_S = 5.0


def turn_that_is(state: State, *, history: TurnHistory | None = None, frames: int = 50) -> Turn:
    """A turn in `state`: its frames, all of them sound, were written at 0.0 and it has not been heard."""
    turn = Turn(history or TurnHistory(), audible_timeout_s=AUDIBLE_S)
    if state == "opening":
        return turn
    turn.opened()
    for _ in range(frames):
        turn.wrote(handed_at=0.0, now=0.0, is_audible=True)
    if state == "writing":
        return turn
    turn.closing(0.0)
    if state == "playing":
        turn.closed()
    if state == "over":
        turn.lost("left")
    return turn


def lost(turn: Turn) -> None:
    turn.lost("left")


HAPPENINGS: dict[str, Callable[[Turn], object]] = {
    "opened": Turn.opened,
    "wrote": lambda turn: turn.wrote(handed_at=1.0, now=1.0, is_audible=True),
    "closing": lambda turn: turn.closing(1.0),
    "closed": Turn.closed,
    "reported": lambda turn: turn.reported(turn.pushed_s, 1.0),
    "lost": lost,
    "cleared": Turn.cleared,
    "time": lambda turn: turn.judge(1000.0),
}

NEXT: dict[State, dict[str, State]] = {
    "opening": {
        "opened": "writing",
        "lost": "over",
        "cleared": "over",
        "reported": "opening",
        "time": "opening",
    },
    "writing": {
        "wrote": "writing",
        "closing": "closing",
        "lost": "over",
        "cleared": "over",
        "reported": "writing",
        "time": "over",
    },
    "closing": {"closed": "playing", "reported": "over", "lost": "over", "cleared": "over", "time": "over"},
    "playing": {"reported": "over", "lost": "over", "cleared": "over", "time": "over"},
    "over": dict.fromkeys(HAPPENINGS, "over"),
}


@pytest.mark.parametrize("state", NEXT)
@pytest.mark.parametrize("happening", HAPPENINGS)
def test_each_happening_leads_where_it_should_or_is_a_defect(state: State, happening: str) -> None:
    turn = turn_that_is(state)
    assert turn.state == state
    if happening in NEXT[state]:
        HAPPENINGS[happening](turn)
        assert turn.state == NEXT[state][happening]
        assert (turn.verdict is not None) == (turn.state == "over")
    else:
        with pytest.raises(RuntimeError, match=f"a turn that is {state} cannot be {happening}"):
            HAPPENINGS[happening](turn)


@pytest.mark.parametrize("happening", HAPPENINGS)
def test_a_verdict_stays(happening: str) -> None:
    turn = turn_that_is("over")
    HAPPENINGS[happening](turn)
    assert turn.verdict == Verdict("lost", "left")


@pytest.mark.parametrize(
    ("state", "may_sound", "has_open_stream"),
    [
        ("opening", False, False),
        ("writing", True, True),
        ("closing", True, False),
        ("playing", True, False),
    ],
)
@pytest.mark.parametrize("before", [[], [lost]])
def test_clearing_silences_what_was_sent_once_and_closes_no_stream_twice(
    state: State, may_sound: bool, has_open_stream: bool, before: list[Callable[[Turn], None]]
) -> None:
    history = TurnHistory()
    turn = turn_that_is(state, history=history)
    assert not turn.has_to_be_silenced
    for happening in [*before, Turn.cleared]:
        happening(turn)
    assert turn.has_to_be_silenced == history.was_cleared == may_sound
    assert turn.has_open_stream == has_open_stream
    turn.cleared()
    assert turn.has_to_be_silenced == may_sound, "nobody has done it yet"
    turn.silenced()
    turn.closing(1.0)
    assert not turn.has_to_be_silenced
    assert not turn.has_open_stream


def test_a_turn_that_was_heard_to_its_end_leaves_nothing_to_clear() -> None:
    history = TurnHistory()
    turn = turn_that_is("playing", history=history)
    assert turn.reported(1.0, 1.0)
    turn.cleared()
    assert not turn.has_to_be_silenced
    assert not history.was_cleared


@pytest.mark.parametrize(
    ("position_s", "at_s", "misses", "fits"),
    [
        (1.0, 1.0, 0, True),
        (0.71, 1.0, 0, True),
        (1.29, 1.0, 0, True),
        (0.69, 1.0, 0, False),
        (1.31, 1.0, 0, False),
        (0.0, 1.0, 0, False),
        (1.0, 0.51, 0, True),
        (1.0, 0.49, 0, False),
        (1.0, 0.94, 1, False),
        (1.0, 0.96, 1, True),
        (1.0, 99.0, 0, True),
    ],
)
def test_a_report_is_its_own_when_length_and_time_fit(
    position_s: float, at_s: float, misses: int, fits: bool
) -> None:
    history = TurnHistory(misses=misses)
    turn = turn_that_is("playing", history=history)
    assert turn.reported(position_s, at_s) is fits
    assert (turn.verdict == Verdict("reported")) is fits
    assert history.misses == (0 if fits else misses)


def test_a_report_is_taken_once() -> None:
    turn = turn_that_is("playing")
    assert turn.reported(1.0, 1.0)
    assert not turn.reported(1.0, 1.0)


def test_no_more_than_the_lead_is_sent_ahead() -> None:
    turn = turn_that_is("writing", frames=100)
    assert turn.pushed_s == pytest.approx(LEAD_S)
    assert turn.pause_s(0.0) == pytest.approx(0.0)
    turn.wrote(handed_at=0.0, now=0.0, is_audible=True)
    assert turn.pause_s(0.0) == pytest.approx(0.02)
    assert turn.pause_s(1.0) < 0
    assert turn_that_is("opening").pause_s(7.0) == 0.0


def test_an_avatar_that_is_not_heard_in_time_is_given_up_and_one_that_is_is_not() -> None:
    turn = turn_that_is("writing")
    assert turn.judge(AUDIBLE_S - 0.01) is None
    assert turn.judge(AUDIBLE_S) == Verdict("lost", "stalled", "stalled")
    turn = turn_that_is("writing")
    assert turn.heard(1.0)
    assert turn.judge(1000.0) is None
    silent = turn_that_is("writing", frames=0)
    silent.wrote(handed_at=0.0, now=0.0, is_audible=False)
    assert not silent.awaits_sound
    assert silent.judge(1000.0) is None


def test_an_end_without_report_is_estimated_and_the_second_in_a_row_gives_the_avatar_up() -> None:
    history = TurnHistory()
    for gives_up in ("", "no finish"):
        turn = turn_that_is("playing", history=history, frames=150)
        turn.heard(0.5)
        assert turn.due_at() == pytest.approx(3.0 + FINISH_MARGIN_S)
        assert turn.judge(turn.due_at() - 0.01) is None
        assert turn.judge(turn.due_at()) == Verdict("estimated", gives_up=gives_up)


def test_a_report_in_between_makes_good_for_a_miss() -> None:
    history = TurnHistory()
    turn_that_is("playing", history=history, frames=0).judge(1000.0)
    assert history.misses == 1
    assert turn_that_is("playing", history=history).reported(1.0, 1.0)
    assert history.misses == 0


def test_what_is_left_of_a_cleared_turn_is_not_taken_for_the_next_one() -> None:
    history = TurnHistory()
    first = turn_that_is("writing", history=history)
    assert first.heard(0.5)
    first.cleared()
    second = turn_that_is("writing", history=history)
    assert not second.heard(0.39)
    assert second.heard(0.4)
    assert history.shortest_way_s == 0.5, "a way that may be another's is not learnt from"
    third = turn_that_is("writing", history=history)
    assert third.heard(0.1), "only the turn right after it has an echo to fear"
    assert not third.heard(0.2), "the first sound is told once"


def test_nothing_is_heard_of_a_turn_that_has_sent_no_sound_or_is_over() -> None:
    assert not turn_that_is("opening").heard(1.0)
    assert not turn_that_is("writing", frames=0).heard(1.0)
    assert not turn_that_is("over").heard(1.0)


Step = tuple[str, float]


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["write", "silence", "close", "heard", "report", "lost", "clear", "wait"]),
            st.floats(0, 3),
        ),
        max_size=40,
    ),
    history=st.builds(
        TurnHistory, st.integers(0, 3), st.booleans(), st.sampled_from([0.0, 0.1, 1.0]) | st.floats(0, 2)
    ),
)
def test_whatever_happens_a_turn_ends_once_and_in_time(steps: list[Step], history: TurnHistory) -> None:
    turn = Turn(history, audible_timeout_s=AUDIBLE_S)
    turn.opened()
    now, heard, closes = 0.0, 0, 0
    verdicts: list[Verdict | None] = []
    for step, seconds in steps:
        now += seconds
        match step:
            case "write" | "silence" if turn.state in ("writing", "over"):
                turn.wrote(handed_at=now, now=now, is_audible=step == "write")
            case "close" if turn.state in ("writing", "over"):
                closes += 1
                turn.closing(now)
                turn.closed()
            case "heard":
                heard += turn.heard(now)
            case "report":
                was_all_sent = turn.state in ("closing", "playing")
                assert not turn.reported(turn.pushed_s, now) or was_all_sent
            case "lost":
                turn.lost("left")
            case "clear":
                turn.cleared()
                assert not turn.has_open_stream or closes == 0
            case "wait":
                turn.judge(now)
        verdicts.append(turn.verdict)
    known = [verdict for verdict in verdicts if verdict]
    assert all(verdict == known[0] for verdict in known)
    assert verdicts == [None] * (len(verdicts) - len(known)) + known
    assert heard <= 1
    if turn.state == "writing":
        turn.closing(now)
        turn.closed()
    while turn.judge(now) is None:
        assert turn.due_at() > now, "time alone would never end it"
        now = turn.due_at()
    assert now < math.inf
    assert turn.verdict


@pytest.mark.parametrize(
    ("payload", "position_s"),
    [
        ('{"playback_position": 1.5, "interrupted": false}', 1.5),
        ('{"playback_position": 0}', 0.0),
        ('{"playback_position": -0.1}', None),
        ('{"playback_position": "1.5"}', None),
        ('{"playback_position": true}', None),
        ('{"playback_position": NaN}', None),
        ('{"playback_position": Infinity}', None),
        ('{"playback_position": 1e999}', None),
        ('{"playback_position": null}', None),
        ("{}", None),
        ("[]", None),
        ("3", None),
        ("", None),
        ("not json", None),
        ("[" * 100_000, None),
    ],
)
def test_a_position_is_read_or_there_is_none(payload: str, position_s: float | None) -> None:
    assert played_s(payload) == position_s


@given(st.text())
def test_any_payload_can_be_read(payload: str) -> None:
    played_s(payload)
