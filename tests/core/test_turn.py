"""The avatar's turn: which states follow which, what ends it, and that it always ends once."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.core.audio import AUDIBLE_PEAK
from libacli.core.return_feed import LOUD_PEAK, STALLED_S
from libacli.core.turn import LEAD_S, State, Turn, Verdict, position_told
from libacli.core.turn_history import FINISH_MARGIN_S, LEAST_MARGIN_S, TurnHistory

UNTOLD = "at a place that it does not tell"
AUDIBLE_S = 5.0
WAY_S = 0.1
FRAME_S = 0.02
LOUD = 9000
STALLED = Verdict("lost", "stalled", gives_up="stalled")


def turn_that_is(state: State, *, history: TurnHistory | None = None, frames: int = 50) -> Turn:
    """A turn in `state`: its frames, all of them sound, were written at 0.0 and it has not been heard."""
    turn = Turn(history or TurnHistory(), audible_timeout_s=AUDIBLE_S)
    if state == "opening":
        return turn
    turn.opened()
    for _ in range(frames):
        turn.wrote(0.0, loudness=LOUD)
    if state == "writing":
        return turn
    turn.closing()
    if state == "playing":
        turn.closed()
    if state == "over":
        turn.lost("left")
    return turn


def hear(turn: Turn, from_s: float, until_s: float, *, is_audible: bool = True) -> None:
    """All that comes of the avatar's track between those moments, in the pieces of the SDK."""
    for piece in range(round((until_s - from_s) / 0.01)):
        turn.listened(from_s + piece * 0.01, 0.01, is_audible=is_audible)


def heard_turn(*, history: TurnHistory | None = None, frames: int = 50, until_s: float | None = None) -> Turn:
    """One that plays, and was heard to its end, or until then."""
    turn = turn_that_is("playing", history=history, frames=frames)
    hear(turn, WAY_S, frames * FRAME_S + WAY_S if until_s is None else until_s)
    return turn


def lost(turn: Turn) -> None:
    turn.lost("left")


HAPPENINGS: dict[str, Callable[[Turn], object]] = {
    "opened": Turn.opened,
    "wrote": lambda turn: turn.wrote(1.0, loudness=LOUD),
    "closing": Turn.closing,
    "closed": Turn.closed,
    "reported": lambda turn: turn.reported(1.0),
    "lost": lost,
    "cleared": Turn.cleared,
    "time": lambda turn: (turn.judge(1000.0), turn.judge(1001.0)),
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
    "closing": {
        "closed": "playing",
        "reported": "closing",
        "lost": "over",
        "cleared": "over",
        "time": "over",
    },
    "playing": {"reported": "playing", "lost": "over", "cleared": "over", "time": "over"},
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
    assert turn.has_to_be_silenced == history.may_echo == may_sound
    assert turn.has_open_stream == has_open_stream
    turn.cleared()
    assert turn.has_to_be_silenced == may_sound, "nobody has done it yet"
    turn.silenced()
    turn.closing()
    assert not turn.has_to_be_silenced
    assert not turn.has_open_stream


def test_a_turn_that_was_heard_to_its_end_leaves_nothing_to_clear() -> None:
    history = TurnHistory()
    turn = heard_turn(history=history)
    turn.reported(1.2)
    assert turn.judge(1.2) == Verdict("reported")
    turn.cleared()
    assert not turn.has_to_be_silenced
    assert not history.may_echo


def test_no_more_than_the_lead_is_sent_ahead() -> None:
    turn = turn_that_is("writing", frames=100)
    assert turn.pause_s(0.0) == pytest.approx(0.0)
    turn.wrote(0.0, loudness=LOUD)
    assert turn.pause_s(0.0) == pytest.approx(FRAME_S)
    assert turn.pause_s(1.0) < 0
    turn.wrote(5.0, loudness=LOUD)
    assert turn.pause_s(5.0) == pytest.approx(FRAME_S - LEAD_S), "a voice that was late does not give more"
    assert turn_that_is("opening").pause_s(7.0) < 0


@pytest.mark.parametrize("reported_at", [0.95, 1.1, 1.3, 3.0])
def test_a_report_that_is_not_early_ends_the_line_at_once(reported_at: float) -> None:
    turn = heard_turn(until_s=min(1.1, reported_at))
    turn.reported(reported_at)
    assert turn.judge(reported_at) == Verdict("reported")


@pytest.mark.parametrize("reported_at", [0.0, 0.5, 0.85])
def test_a_report_that_is_early_ends_the_line_when_its_sound_has_ended(reported_at: float) -> None:
    turn = heard_turn(until_s=reported_at) if reported_at > WAY_S else turn_that_is("playing")
    assert turn.reported(reported_at)
    hear(turn, max(reported_at, WAY_S), 1.1)
    assert turn.judge(1.1) is None
    assert turn.due_at(1.1) == pytest.approx(1.2, abs=0.02)
    hear(turn, 1.1, 1.2, is_audible=False)
    assert turn.judge(1.2) == Verdict("reported")


def test_sound_that_goes_on_after_an_early_report_keeps_the_line_open_for_a_while() -> None:
    turn = heard_turn(until_s=0.3)
    turn.reported(0.3)
    hear(turn, 0.3, 2.0)
    assert turn.judge(2.0) is None
    hear(turn, 2.0, 4.1)
    assert turn.judge(4.11) == Verdict("reported"), "it hums, or cannot be waited for"


def test_the_end_without_a_report_is_estimated_and_soon_no_longer_waited_for() -> None:
    history = TurnHistory()
    for margin_s in (FINISH_MARGIN_S, LEAST_MARGIN_S, LEAST_MARGIN_S):
        turn = heard_turn(history=history, frames=150)
        due_at = turn.due_at(3.1)
        assert due_at == pytest.approx(3.1 + margin_s, abs=0.02)
        assert turn.judge(due_at - 0.01) is None
        assert turn.judge(due_at) == Verdict("estimated")


def test_reports_that_come_late_are_waited_for_as_long_as_that() -> None:
    history = TurnHistory()
    turn = heard_turn(history=history)
    turn.reported(2.1)
    assert turn.judge(2.1) == Verdict("reported")
    assert heard_turn(history=history).due_at(1.1) == pytest.approx(1.1 + 0.5 + 2 * 1.0, abs=0.03)


@pytest.mark.parametrize(("came_at", "lag_s"), [(2.1, 1.0), (7.1, 0.0)])
def test_a_report_that_comes_when_nobody_waits_any_more_is_learned_from(came_at: float, lag_s: float) -> None:
    history = TurnHistory()
    heard_turn(history=history).judge(1000.0)
    assert not turn_that_is("writing", history=history).reported(came_at)
    assert history.lag_s == pytest.approx(lag_s, abs=0.02), "one that is very late is not waited for"


def test_the_first_report_after_a_missing_one_is_that_one_and_the_second_is_not() -> None:
    history = TurnHistory()
    heard_turn(history=history).judge(1000.0)
    for is_its_own in (False, True):
        turn = heard_turn(history=history)
        assert turn.reported(1.1) is is_its_own
        assert turn.judge(1000.0) == Verdict("reported" if is_its_own else "estimated")


def test_a_report_in_time_ends_the_waiting_for_late_ones() -> None:
    history = TurnHistory(lag_s=1.2)
    for _ in range(4):
        turn = heard_turn(history=history)
        turn.reported(1.1)
        turn.judge(1.1)
    assert history.margin_s < 0.7


def test_a_report_is_taken_once_and_by_a_turn_that_waits_for_it() -> None:
    turn = turn_that_is("playing")
    assert turn.reported(1.0)
    assert not turn.reported(1.0)
    assert not turn_that_is("writing").reported(1.0)


def test_an_avatar_that_is_not_heard_in_time_is_given_up_and_one_that_is_is_not() -> None:
    turn = turn_that_is("writing")
    assert turn.judge(AUDIBLE_S - 0.01) is None
    assert turn.judge(AUDIBLE_S) == STALLED
    quiet = turn_that_is("writing", frames=0)
    quiet.wrote(0.0, loudness=LOUD_PEAK - 1)
    assert quiet.judge(1000.0) is None, "what is hardly loud may be heard by nobody"


@pytest.mark.parametrize("reported_at", [0.0, 1.0, 4.9, None])
def test_a_report_does_not_make_a_line_heard(reported_at: float | None) -> None:
    turn = turn_that_is("playing")
    if reported_at is not None:
        turn.reported(reported_at)
    assert turn.judge(4.99) is None
    assert turn.judge(AUDIBLE_S) == STALLED


@pytest.mark.parametrize("state", ["writing", "playing"])
@pytest.mark.parametrize("frozen_at", [0.2, 1.0, 2.2])
def test_a_line_that_is_not_heard_any_more_is_stalled_a_second_later(state: State, frozen_at: float) -> None:
    turn = turn_that_is(state, frames=150)
    hear(turn, WAY_S, frozen_at)
    hear(turn, frozen_at, frozen_at + STALLED_S - 0.02, is_audible=False)
    assert turn.judge(frozen_at + STALLED_S - 0.02) is None
    assert turn.judge(frozen_at + STALLED_S) == STALLED


def test_a_line_whose_end_is_swallowed_is_lost_though_it_was_reported() -> None:
    turn = heard_turn(frames=150, until_s=2.1)
    hear(turn, 2.1, 3.1, is_audible=False)
    turn.reported(3.1)
    assert turn.judge(3.1) == STALLED


def test_a_line_that_lacks_a_little_of_its_end_was_heard() -> None:
    turn = heard_turn(frames=150, until_s=2.7)
    hear(turn, 2.7, 3.1, is_audible=False)
    turn.reported(3.1)
    assert turn.judge(3.1) == Verdict("reported")


def test_who_asks_late_looks_twice_before_he_gives_a_line_up() -> None:
    turn = turn_that_is("playing", frames=200)
    hear(turn, WAY_S, 1.0)
    assert turn.judge(2.5) is None, "what has come meanwhile may not be told of yet"
    hear(turn, 2.5, 2.6)
    assert turn.judge(2.6) is None
    hear(turn, 2.6, 2.8)
    assert turn.judge(3.9) is None
    assert turn.judge(4.0) == STALLED


def test_whoever_waits_looks_again_when_the_end_is_in_sight() -> None:
    turn = turn_that_is("playing", frames=150)
    hear(turn, WAY_S, 0.5)
    assert turn.due_at(0.5) == pytest.approx(0.5 + STALLED_S, abs=0.02)
    hear(turn, 0.5, 2.0)
    assert turn.due_at(2.0) == pytest.approx(3.1 - 0.5, abs=0.02)


def test_one_who_looks_twice_and_hears_nothing_gives_it_up() -> None:
    turn = turn_that_is("playing", frames=150)
    hear(turn, WAY_S, 1.0)
    assert turn.judge(2.5) is None
    assert turn.due_at(2.5) == pytest.approx(2.6)
    assert turn.judge(2.8) == STALLED


def test_an_avatar_that_has_faltered_and_went_on_may_do_so_for_longer() -> None:
    history = TurnHistory()
    turn = turn_that_is("writing", history=history, frames=500)
    hear(turn, WAY_S, 1.0)
    hear(turn, 1.0, 1.8, is_audible=False)
    hear(turn, 1.8, 3.0)
    assert history.stalled_s == pytest.approx(1.6, abs=0.05)
    assert turn.judge(4.5) is None
    assert turn.judge(4.62) == STALLED
    history.meet_another()
    assert history.stalled_s == STALLED_S


def test_the_way_of_an_avatar_is_learned_from_lines_that_were_heard() -> None:
    history = TurnHistory()
    for _ in range(3):
        assert turn_that_is("writing", history=history).due_at(0.0) == AUDIBLE_S
        turn = heard_turn(history=history)
        turn.reported(1.2)
        turn.judge(1.2)
    assert turn_that_is("writing", history=history).due_at(0.0) == pytest.approx(WAY_S + STALLED_S)
    assert history.shortest_way_s == history.longest_way_s == pytest.approx(WAY_S)
    history.meet_another()
    assert turn_that_is("writing", history=history).due_at(0.0) == AUDIBLE_S


def test_what_is_left_of_a_cleared_turn_is_not_taken_for_the_next_one() -> None:
    history = TurnHistory()
    first = turn_that_is("writing", history=history)
    assert first.listened(0.5, 0.01, is_audible=True)
    first.cleared()
    second = turn_that_is("writing", history=history)
    assert not second.listened(0.39, 0.01, is_audible=True)
    assert second.listened(0.4, 0.01, is_audible=True)
    second.lost("left")
    assert history.shortest_way_s == 0.5, "a way that may be another's is not learned from"
    history.may_echo = False
    third = turn_that_is("writing", history=history)
    assert third.listened(0.1, 0.01, is_audible=True), "only the turn right after it has an echo to fear"
    assert not third.listened(0.2, 0.01, is_audible=True), "the first sound is told once"


def test_nothing_is_heard_of_a_turn_that_has_sent_no_sound_or_is_over() -> None:
    assert not turn_that_is("opening").listened(1.0, 0.01, is_audible=True)
    assert not turn_that_is("writing", frames=0).listened(1.0, 0.01, is_audible=True)
    assert not turn_that_is("over").listened(1.0, 0.01, is_audible=True)
    assert not turn_that_is("writing").listened(1.0, 0.01, is_audible=False)


def deaf_turn(*, history: TurnHistory | None = None) -> Turn:
    turn = turn_that_is("playing", history=history, frames=500)
    turn.deaf(0.2)
    return turn


@pytest.mark.parametrize(("reported_at", "ends_at"), [(0.0, 10.0), (9.9, 9.9), (10.3, 10.3), (12.9, 12.9)])
def test_an_avatar_that_cannot_be_heard_is_believed_as_far_as_there_was_time(
    reported_at: float, ends_at: float
) -> None:
    turn = deaf_turn()
    turn.reported(reported_at)
    assert turn.judge(ends_at - 0.01) is None
    assert turn.judge(ends_at) == Verdict("reported")


def test_an_avatar_that_can_be_heard_by_nobody_and_says_nothing_has_lost_the_line() -> None:
    assert deaf_turn().judge(10.0 + FINISH_MARGIN_S) == STALLED


def test_an_avatar_that_says_it_began_is_believed_that_it_went_on() -> None:
    turn = deaf_turn()
    turn.started()
    assert turn.judge(10.0 + FINISH_MARGIN_S) == Verdict("estimated")


def test_one_that_is_deaf_before_there_is_anything_to_hear_misses_nothing() -> None:
    turn = turn_that_is("writing", frames=0)
    turn.deaf(0.0)
    turn.wrote(0.0, loudness=LOUD)
    turn.deaf(0.1)
    turn.listened(0.15, 0.01, is_audible=False)
    assert turn.judge(AUDIBLE_S) == STALLED


def test_who_asks_late_about_a_line_that_nobody_could_hear_is_to_ask_once_more() -> None:
    turn = deaf_turn()
    late_at = turn.due_at(0.0) + 0.7
    assert turn.judge(late_at) is None, "what was not heard may be waiting"
    assert turn.due_at(late_at) > late_at
    assert turn.judge(turn.due_at(late_at)) == STALLED


def test_what_is_heard_of_a_line_from_its_middle_on_says_nothing_of_its_way() -> None:
    history = TurnHistory(shortest_way_s=0.2)
    turn = deaf_turn(history=history)
    turn.listened(4.0, 0.01, is_audible=False)
    assert turn.judge(AUDIBLE_S) is None, "what came of it before was missed"
    assert turn.listened(5.0, 0.01, is_audible=True)
    hear(turn, 5.01, 10.2)
    turn.reported(10.2)
    assert turn.judge(10.2) == Verdict("reported")
    assert history.longest_way_s == 0.0


Step = tuple[str, float]
WRITTEN = ["write", "silence", "close"]
HEARD = ["heard", "listened", "report", "deaf", "start"]


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from([*WRITTEN, *HEARD, "lost", "clear", "wait"]),
            st.floats(0, 3),
        ),
        max_size=40,
    ),
    history=st.builds(
        TurnHistory,
        may_echo=st.booleans(),
        shortest_way_s=st.sampled_from([0.0, 0.1, 1.0]) | st.floats(0, 2),
        longest_way_s=st.sampled_from([0.0, 1.0]),
        lines_heard=st.sampled_from([0, 5]),
        longest_hole_s=st.sampled_from([0.0, 1.0]),
        lag_s=st.sampled_from([None, 0.0, 1.0]),
    ),
)
def test_whatever_happens_a_turn_ends_once_and_in_time(steps: list[Step], history: TurnHistory) -> None:
    turn = Turn(history, audible_timeout_s=AUDIBLE_S)
    turn.opened()
    now, first_sounds, closes = 0.0, 0, 0
    verdicts: list[Verdict | None] = []
    for step, seconds in steps:
        now += seconds
        match step:
            case "write" | "silence" if turn.state in ("writing", "over"):
                for _ in range(15):
                    turn.wrote(now, loudness=LOUD if step == "write" else AUDIBLE_PEAK - 1)
            case "close" if turn.state in ("writing", "over"):
                closes += 1
                turn.closing()
                turn.closed()
            case "heard" | "listened":
                first_sounds += turn.listened(now, 0.01, is_audible=step == "heard")
            case "report":
                was_all_sent = turn.state in ("closing", "playing")
                assert not turn.reported(now) or was_all_sent
            case "deaf":
                turn.deaf(now)
            case "start":
                turn.started()
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
    assert first_sounds <= 1
    if turn.state == "writing":
        turn.closing()
        turn.closed()
    while turn.judge(now) is None:
        assert turn.due_at(now) > now, "time alone would never end it"
        now = turn.due_at(now)
    assert now < math.inf
    assert turn.verdict


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        ('{"playback_position": 1.5, "interrupted": false}', "at 1.50 s"),
        ('{"playback_position": 0}', "at 0.00 s"),
        ('{"playback_position": -0.1}', UNTOLD),
        ('{"playback_position": "1.5"}', "at 1.50 s"),
        ('{"playback_position": true}', UNTOLD),
        ('{"playback_position": NaN}', UNTOLD),
        ('{"playback_position": Infinity}', UNTOLD),
        ('{"playback_position": 1e999}', UNTOLD),
        ('{"playback_position": null}', UNTOLD),
        ("{}", None),
        ("[]", None),
        ("3", None),
        ("", None),
        ("not json", None),
        ("[" * 100_000, None),
    ],
)
def test_a_report_is_one_with_or_without_a_position(payload: str, told: str | None) -> None:
    assert position_told(payload) == told


@given(st.text())
def test_any_payload_can_be_read(payload: str) -> None:
    position_told(payload)
