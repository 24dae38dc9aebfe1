from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.core.agent_status import AgentStatus
from libacli.core.board import SHOWN, Board
from libacli.core.board_row import BoardRow, Budgets, grade
from libacli.core.event import QueueNews, read_event
from libacli.core.latency import counted
from libacli.core.lifecycle import FINAL_STATES, OUTCOMES
from libacli.core.timeline import percentile
from libacli.core.utterance_record import UtteranceRecord
from libacli.errors import RefusedError

AGENT = {
    "epoch": "e1",
    "room": "demo",
    "agent": "liba",
    "model": "hibari",
    "avatar": "ready",
    "queue": 0,
}
MARKS: dict[str, Any] = {"waited": 0.2, "d01": 15.0, "d12": 0.5, "d2a": 70.0}


def event(state: str, utterance_id: str = "u1", **members: Any) -> dict[str, Any]:
    return AGENT | {"t0": 1.0, "id": utterance_id, "state": state} | members


def done(utterance_id: str = "u1", **members: Any) -> dict[str, Any]:
    return event("done", utterance_id, **{**MARKS, "d23": 1070.0, "total": 1085.5} | members)


def tell(board: Board, members: dict[str, Any], now: float) -> BoardRow | None:
    """The board takes what came, as whoever follows a room has it."""
    try:
        told = read_event(members)
        assert not isinstance(told, QueueNews)
        return board.event(told, now)
    except RefusedError:
        board.ignore()
        return None


def answer(board: Board, members: dict[str, Any], now: float) -> None:
    try:
        board.answer(AgentStatus.read(members), now)
    except RefusedError:
        board.ignore()


def states(board: Board) -> list[str]:
    return [row.state for row in board.rows]


def test_an_utterance_moves_on_in_its_row() -> None:
    board = Board()
    for state in ("accepted", "speaking", "audible"):
        tell(board, event(state), 1.0)
        assert states(board) == [state]
        assert board.is_live
    tell(board, done(), 2.0)
    assert states(board) == ["done"]
    assert not board.is_live
    assert board.count == 1


def test_the_newest_come_first() -> None:
    board = Board()
    for utterance_id in ("u1", "u2"):
        tell(board, event("accepted", utterance_id), 1.0)
    tell(board, done("u1"), 2.0)
    assert [row.report.id for row in board.rows] == ["u2", "u1"]


@pytest.mark.parametrize("late", ["accepted", "speaking", "audible", "done", "failed"])
def test_what_has_ended_stays_ended_and_is_counted_once(late: str) -> None:
    board = Board()
    tell(board, done(), 1.0)
    assert tell(board, event(late), 2.0) is None
    assert states(board) == ["done"]
    assert board.count == 1


def test_the_durations_of_one_that_plays_grow_from_the_last_news() -> None:
    board = Board()
    row = tell(board, event("accepted"), 10.0)
    assert row and row.waiting_ms(10.5) == 500 and row.pending_ms(10.5) is None
    row = tell(board, event("speaking", waited=200.0), 11.0)
    assert row and row.waiting_ms(12.0) == 200 and row.pending_ms(11.25) == 250
    assert row.playing_ms(12.0) is None
    row = tell(board, event("audible", **MARKS), 12.0)
    assert row and row.playing_ms(14.0) == 2000
    row = tell(board, done(), 15.0)
    assert row and row.playing_ms(99.0) == 1000


@pytest.mark.parametrize(
    ("marks", "latency"),
    [
        ({"waited": 0.0, "d01": 300.0, "d12": 1.0, "d2a": 80.0}, 381),
        ({"waited": 3000.0, "d01": 300.0, "d12": 1.0, "d2a": 80.0}, 381),
        ({"waited": 0.0, "d01": 300.0}, None),
        ({}, None),
    ],
    ids=["alone", "queued", "not heard", "nothing known"],
)
def test_the_time_in_the_queue_is_not_the_voices_fault(marks: dict[str, Any], latency: float | None) -> None:
    row = tell(Board(), event("failed", **marks), 1.0)
    assert row
    assert row.latency_ms == latency


def test_a_refused_request_is_no_utterance_even_when_it_has_the_id_of_one() -> None:
    board = Board()
    tell(board, AGENT | {"state": "rejected", "rejected": "queue_full", "message": "…", "id": "u1"}, 1.0)
    tell(board, AGENT | {"state": "rejected", "rejected": "malformed", "message": "…"}, 1.0)
    tell(board, event("accepted"), 2.0)
    tell(board, done(), 3.0)
    assert states(board) == ["done", "rejected", "rejected"]
    assert [row.report.reason for row in board.rows] == ["", "malformed", "queue_full"]
    assert board.count == 1


def test_an_agent_that_was_started_anew_has_lost_what_was_on_its_way() -> None:
    board = Board()
    tell(board, done("u1"), 1.0)
    tell(board, event("audible", "u2"), 1.0)
    tell(board, event("accepted", "u1", epoch="e2"), 2.0)
    assert states(board) == ["accepted", "lost", "done"]
    assert (board.restarts, board.facts.epoch) == (1, "e2")


def test_two_agents_of_different_names_are_no_restart() -> None:
    board = Board()
    for _ in range(2):
        tell(board, event("audible", "u1"), 1.0)
        tell(board, event("audible", "u2", agent="other", epoch="e2"), 1.0)
    assert board.restarts == 0
    assert states(board) == ["audible", "audible"]


def test_the_answer_of_an_agent_tells_what_is_on_its_way_and_what_is_not() -> None:
    board = Board()
    tell(board, event("audible", "u1"), 1.0)
    speaking = {"id": "u2", "state": "audible", "route": "tavus"} | MARKS
    waiting = [{"id": "u3", "state": "accepted"}, "nonsense", {"id": 3, "state": "accepted"}]
    answer(board, AGENT | {"queue": 1, "speaking": speaking, "waiting": waiting}, 2.0)
    assert [(row.report.id, row.state) for row in board.rows] == [
        ("u3", "accepted"),
        ("u2", "audible"),
        ("u1", "lost"),
    ]
    assert (board.facts.queue, board.has_agent, board.ignored) == (1, True, 1)


def test_what_an_answer_has_no_room_for_is_not_lost() -> None:
    board = Board()
    for utterance_id in ("u1", "u2", "u3"):
        tell(board, event("accepted", utterance_id), 1.0)
    tell(board, event("audible", "u0"), 1.0)
    waiting = [{"id": "u1", "state": "accepted"}]
    answer(board, AGENT | {"queue": 3, "speaking": None, "waiting": waiting, "waiting_left_out": 2}, 2.0)
    assert states(board) == ["lost", "accepted", "accepted", "accepted"]


def test_what_an_event_told_of_the_time_is_kept_when_an_answer_does_not_tell_it() -> None:
    board = Board()
    tell(board, event("audible", t0=77.0), 1.0)
    answer(board, AGENT | {"speaking": {"id": "u1", "state": "audible"}, "waiting": []}, 2.0)
    assert [(row.event.t0, row.heard_at) for row in board.rows] == [(77.0, 1.0)]


def test_without_an_agent_nothing_is_on_its_way() -> None:
    board = Board()
    tell(board, event("audible"), 1.0)
    board.no_agent(7.0)
    board.no_agent(8.0)
    assert states(board) == ["lost"]
    assert (board.has_agent, board.gone_at) == (False, 7.0)
    tell(board, done(), 9.0)
    assert (states(board), board.has_agent, board.gone_at, board.count) == (["done"], True, None, 1)


def test_where_no_agent_was_none_is_gone() -> None:
    board = Board()
    board.no_agent(7.0)
    assert (board.has_agent, board.gone_at) == (False, None)


def test_it_begins_with_what_the_agent_remembers_and_counts_that_once() -> None:
    board = Board()
    tell(board, done(id="u2"), 1.0)
    ended = [{"id": f"u{n}", "state": "done", **MARKS} for n in (1, 2, 3)]
    for _ in range(2):
        answer(board, AGENT | {"speaking": {"id": "u4", "state": "audible"}, "ended": ended}, 2.0)
    assert [(row.report.id, row.state) for row in board.rows] == [
        ("u4", "audible"),
        ("u3", "done"),
        ("u1", "done"),
        ("u2", "done"),
    ]
    assert (board.count, len(board.latencies)) == (3, 3)


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"state": ["done"]},
        event("lost"),
        event("done", id=""),
        event("done", t0="now"),
        event("audible", d01="fast"),
        event("audible", d01=-1),
        event("audible", d01=float("nan")),
    ],
)
def test_what_is_malformed_is_counted_and_changes_nothing_else(members: dict[str, Any]) -> None:
    board = Board()
    assert tell(board, members, 1.0) is None
    assert (board.ignored, board.rows, board.facts.agent) == (1, [], "")


def test_captions_find_their_utterance_and_are_bounded() -> None:
    board = Board(keep=3)
    for number in range(5):
        board.caption(f"u{number}", "x" * 9999)
    board.caption("i" * 65, "too long an id")
    row = tell(board, event("speaking", "u4"), 1.0)
    gone = tell(board, event("speaking", "u0"), 1.0)
    assert row and gone
    assert (len(board.text(row)), board.text(gone)) == (4000, "")


def test_grades_follow_the_budget() -> None:
    assert [grade(ms, 50) for ms in (0, 50, 50.1, 100, 100.1)] == ["fine", "fine", "slow", "slow", "bad"]
    assert Budgets(900, 50, 500).total == 1450


durations = st.none() | st.floats(0, 1e6)
records = st.builds(
    UtteranceRecord,
    id=st.text(min_size=1, max_size=3),
    t0=st.floats(0, 1e9),
    outcome=st.sampled_from(sorted(OUTCOMES)),
    d01=durations,
    d12=durations,
    d2a=durations,
    total=durations,
)


@given(st.lists(records, max_size=30), st.integers(1, 20))
def test_percentiles_are_those_of_the_last_records(given_records: list[UtteranceRecord], window: int) -> None:
    board = Board(window=window)
    for record in given_records:
        board.add(record)
    for name in SHOWN:
        values = [ms for record in given_records[-window:] for one, ms in counted(record) if one == name]
        wanted = {f"p{at}": percentile(values, at) for at in (50, 95, 99)} if values else {}
        assert board.statistics().get(name, {}) == wanted


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
likely = st.fixed_dictionaries(
    {"state": st.sampled_from([*sorted(FINAL_STATES), "accepted", "speaking", "audible"])},
    optional={
        "id": st.sampled_from(["a", "b", "c", "d"]) | junk,
        "epoch": st.sampled_from(["e1", "e2"]) | junk,
        "agent": st.text(max_size=2) | junk,
        "queue": junk,
        "t0": st.floats(0, 1e9) | junk,
        "d01": durations | junk,
        "waited": durations,
        "speaking": junk,
        "waiting": junk,
    },
)
any_message = likely | st.dictionaries(st.text(max_size=6), junk, max_size=4)


@given(st.lists(st.tuples(st.booleans(), any_message), max_size=40), st.integers(1, 5))
def test_whatever_comes_a_board_stays_bounded_and_consistent(
    messages: list[tuple[bool, dict[str, Any]]], keep: int
) -> None:
    board = Board(keep=keep, window=4)
    for now, (is_answer, members) in enumerate(messages):
        version, count = board.version, board.count
        if is_answer:
            answer(board, members | {"speaking": members}, float(now))
        else:
            tell(board, members, float(now))
        assert board.version > version or board.count == count
        assert len(board.rows) <= keep
        assert len(board.latencies) <= 4
        assert board.is_live == any(not row.is_over for row in board.rows)
        assert board.facts.queue >= 0
        for row in board.rows:
            assert row.playing_ms(now + 1.0) is None or row.playing_ms(now + 1.0) >= 0  # type: ignore[operator]
