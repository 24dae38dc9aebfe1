from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.core.acknowledgement import Acknowledgement
from libacli.core.backlog import Backlog
from libacli.core.messages import SayRequest
from libacli.core.queue_requests import MoveRequest
from libacli.core.timeline import Timeline
from libacli.core.utterance import Utterance
from libacli.errors import RefusedError


def request(id: str, **members: int) -> SayRequest:
    return SayRequest("hi", id=id, **members)  # type: ignore[arg-type]


@given(st.lists(st.integers(-3, 3), max_size=40), st.integers(1, 20))
def test_the_queue_never_holds_more_than_its_limit(priorities: list[int], limit: int) -> None:
    backlog = Backlog(limit=limit)
    for number, priority in enumerate(priorities):
        try:
            backlog.offer(request(str(number), priority=priority), 0.0)
        except RefusedError as error:
            assert error.reason == "queue_full"
        assert len(backlog) <= limit


@given(st.permutations(range(8)), st.integers(0, 12))
def test_those_that_ended_last_are_told_in_that_order(order: list[int], count: int) -> None:
    backlog = Backlog(limit=100)
    for number in range(10):
        backlog.offer(request(str(number)), 0.0)
    for at, number in enumerate(order):
        utterance = backlog.find(str(number))
        assert utterance
        utterance.become("interrupted", 1.0 + at)
    ended = [utterance.id for utterance in backlog.ended(count)]
    assert ended == [str(number) for number in order][max(0, len(order) - count) :]


@given(st.lists(st.booleans(), max_size=60), st.integers(1, 20))
def test_guests_never_keep_the_owner_out_and_get_no_more_places_than_there_are(
    owners: list[bool], limit: int
) -> None:
    backlog = Backlog(limit=limit)
    for number, is_owners in enumerate(owners):
        owned = sum(waiting.is_owners for waiting in backlog.waiting)
        fits = len(backlog) < limit or (is_owners and owned < max(1, limit // 4))
        try:
            backlog.offer(request(str(number)), 0.0, is_owners=is_owners)
            assert fits
        except RefusedError:
            assert not fits
        guests = sum(not waiting.is_owners for waiting in backlog.waiting)
        assert guests <= limit
        assert len(backlog) <= limit + max(1, limit // 4)


@given(st.lists(st.integers(-3, 3), max_size=20))
def test_higher_priority_goes_first_and_equals_in_order_of_arrival(priorities: list[int]) -> None:
    backlog = Backlog(limit=100)
    for number, priority in enumerate(priorities):
        backlog.offer(request(str(number), priority=priority), 0.0)
    order = []
    while utterance := backlog.pop():
        order.append(int(utterance.id))
    assert order == sorted(range(len(priorities)), key=lambda number: (-priorities[number], number))


def test_the_position_counts_what_is_spoken_before() -> None:
    backlog = Backlog(limit=10)
    assert backlog.offer(request("a"), 0.0) == Acknowledgement("a", 0)
    assert backlog.offer(request("b"), 0.0) == Acknowledgement("b", 1)
    assert backlog.offer(request("c", priority=1), 0.0) == Acknowledgement("c", 0)
    speaking = backlog.pop()
    assert backlog.offer(request("d"), 0.0, speaking=speaking) == Acknowledgement("d", 3)


def test_a_known_id_is_answered_and_not_queued_again() -> None:
    backlog = Backlog(limit=1)
    backlog.offer(request("a"), 0.0)
    assert backlog.offer(request("a"), 1.0) == Acknowledgement("a", 0, duplicate=True)
    spoken = backlog.pop()
    assert spoken
    spoken.become("speaking", 1.0)
    spoken.become("done", 2.0)
    assert backlog.offer(request("a"), 601.0).duplicate
    assert not backlog.offer(request("a"), 603.0).duplicate


@pytest.mark.parametrize(
    "change",
    [{"text": "Bye."}, {"voice": "heart"}, {"speed": 2.0}, {"instructions": "Whisper."}, {"emotion": "fear"}],
    ids=str,
)
def test_a_known_id_with_something_else_to_say_is_refused_until_it_is_forgotten(
    change: dict[str, Any],
) -> None:
    backlog = Backlog(limit=2)
    backlog.offer(request("a"), 0.0)
    for other in (replace(request("a"), **change), replace(request("a", priority=1), **change)):
        with pytest.raises(RefusedError) as refused:
            backlog.offer(other, 1.0)
        assert refused.value.reason == "id_reused"
    assert backlog.offer(replace(request("a"), priority=1, ttl_ms=5), 1.0).duplicate
    assert len(backlog) == 1
    spoken = backlog.pop()
    assert spoken
    spoken.become("speaking", 1.0)
    spoken.become("done", 2.0)
    assert not backlog.offer(replace(request("a"), **change), 603.0).duplicate


def test_a_flood_of_ids_does_not_fill_the_memory() -> None:
    backlog = Backlog(limit=1, memory_count=10)
    for number in range(100):
        backlog.offer(request(str(number)), 0.0)
        spoken = backlog.pop()
        assert spoken
        spoken.become("speaking", 0.0)
        spoken.become("done", 0.0)
    assert sum(backlog.find(str(number)) is not None for number in range(100)) <= 11


def test_what_waited_longer_than_it_is_worth_expires() -> None:
    backlog = Backlog(limit=10)
    backlog.offer(request("short", ttl_ms=100), 0.0)
    backlog.offer(request("long", ttl_ms=10_000), 0.0)
    assert backlog.expire(0.1) == []
    assert [(gone.id, gone.state) for gone in backlog.expire(0.2)] == [("short", "expired")]
    assert len(backlog) == 1


def test_clearing_interrupts_everything_that_waits() -> None:
    backlog = Backlog(limit=10)
    backlog.offer(request("a"), 0.0)
    backlog.offer(request("b"), 0.0)
    assert [(gone.id, gone.state, gone.reason) for gone in backlog.clear(1.0, reason="stopped")] == [
        ("a", "interrupted", "stopped"),
        ("b", "interrupted", "stopped"),
    ]
    assert backlog.pop() is None


def test_a_closed_queue_takes_nothing_new_but_answers_what_it_knows() -> None:
    backlog = Backlog(limit=10)
    backlog.offer(request("a"), 0.0)
    backlog.close()
    assert backlog.offer(request("a"), 0.0).duplicate
    with pytest.raises(RefusedError) as caught:
        backlog.offer(request("b"), 0.0)
    assert caught.value.reason == "draining"


def test_a_final_state_is_final() -> None:
    utterance = Utterance(request("a"), Timeline(0.0))
    assert utterance.become("interrupted", 1.0, reason="stopped")
    assert not utterance.become("done", 2.0)
    assert (utterance.state, utterance.reason, utterance.ended_at) == ("interrupted", "stopped", 1.0)


def test_a_report_never_holds_the_text() -> None:
    utterance = Utterance(SayRequest("canary", id="a"), Timeline(0.0))
    assert "canary" not in str(utterance.report())


# What another agent has left, and what is left to another one


def accepted(id: str, *, resumed: bool = False, priority: int = 0) -> Utterance:
    return Utterance(SayRequest("hi", id=id, priority=priority), Timeline(0.0), resumed=resumed)


def test_what_was_accepted_elsewhere_finds_its_place_however_many_wait_and_what_was_cut_goes_first() -> None:
    backlog = Backlog(limit=1)
    for utterance in (
        accepted("plain"),
        accepted("early", priority=100),
        accepted("cut", resumed=True),
        accepted("next"),
    ):
        backlog.take_up(utterance)
    assert [utterance.id for utterance in backlog.waiting] == ["cut", "early", "plain", "next"]
    assert backlog.offer(request("cut"), 1.0).duplicate


def test_what_has_ended_elsewhere_is_known_for_ten_minutes() -> None:
    backlog = Backlog(limit=10)
    ended = Utterance(SayRequest("", id="a"), Timeline(0.0), state="done", ended_at=0.0)
    backlog.remember(ended)
    assert backlog.find("a") is ended
    assert backlog.offer(request("a"), 599.0).duplicate
    assert not backlog.offer(request("a"), 601.0).duplicate


def test_what_is_handed_on_is_over_here_and_its_end_is_not_told() -> None:
    backlog = Backlog(limit=10)
    for id in "abc":
        backlog.offer(request(id), 0.0)
    handed_on = backlog.hand_on(1.0, keeps=lambda utterance: utterance.id != "b")
    assert [utterance.id for utterance in handed_on] == ["a", "c"]
    assert [utterance.id for utterance in backlog.waiting] == ["b"]
    for utterance in handed_on:
        assert (utterance.is_over, utterance.state) == (True, "accepted")
        assert not utterance.become("interrupted", 2.0)
    assert backlog.ended(10) == []


WHERE = st.sampled_from(["first", "last", "before"])


@given(
    st.lists(st.integers(-3, 3), min_size=1, max_size=12),
    st.lists(st.tuples(st.integers(0, 11), WHERE, st.integers(0, 11)), max_size=12),
    st.lists(st.integers(-3, 3), max_size=6),
)
def test_moves_lose_and_double_nothing_and_what_comes_later_keeps_to_the_priorities(
    priorities: list[int], moves: list[tuple[int, str, int]], later: list[int]
) -> None:
    backlog = Backlog(limit=100)
    for number, priority in enumerate(priorities):
        backlog.offer(request(str(number), priority=priority), 0.0)
    for moved, where, other in moves:
        id, before = str(moved % len(priorities)), str(other % len(priorities))
        others = [utterance.id for utterance in backlog.waiting if utterance.id != id]
        asked = MoveRequest(id, before=before) if where == "before" else MoveRequest(id, where)  # type: ignore[arg-type]
        place = backlog.move(asked)
        order = [utterance.id for utterance in backlog.waiting]
        assert order.index(id) == place
        assert [one for one in order if one != id] == others, "another one changed its place"
        wanted = {"first": 0, "last": len(others)}.get(where)
        if wanted is None and before != id:
            wanted = others.index(before)
        assert wanted in (None, place)
    for number, priority in enumerate(later):
        backlog.offer(request(f"later {number}", priority=priority), 0.0)
    ranks = [-utterance.request.priority for utterance in backlog.waiting]
    assert ranks == sorted(ranks)
    newcomers = [u for u in backlog.waiting if u.id.startswith("later")]
    for newcomer in newcomers:  # behind all of its priority that were there before
        same = [u for u in backlog.waiting if u.request.priority == newcomer.request.priority]
        assert all(u.id.startswith("later") for u in same[same.index(newcomer) :])


def test_a_line_that_goes_before_one_that_is_resumed_is_first() -> None:
    backlog = Backlog(limit=10)
    backlog.take_up(Utterance(request("cut off"), Timeline(t0=0.0), resumed=True))
    backlog.offer(request("a"), 0.0)
    backlog.move(MoveRequest("a", "first"))
    backlog.offer(request("b", priority=100), 0.0)
    assert [utterance.id for utterance in backlog.waiting] == ["a", "cut off", "b"]
    backlog.move(MoveRequest("cut off", "last"))
    backlog.offer(request("c", priority=100), 0.0)
    assert [utterance.id for utterance in backlog.waiting] == ["a", "b", "cut off", "c"]


@given(st.lists(st.tuples(st.floats(0, 50), st.booleans()), max_size=10))
def test_no_time_to_live_runs_while_it_is_paused(steps: list[tuple[float, bool]]) -> None:
    backlog = Backlog(limit=10)
    backlog.offer(request("a", ttl_ms=60_000), 0.0)
    now = running_s = 0.0
    for seconds, is_paused in steps:
        (backlog.pause if is_paused else backlog.resume)(now)
        now += seconds
        running_s += 0.0 if is_paused else seconds
        gone = [utterance.id for utterance in backlog.expire(now)]
        if abs(running_s - 60.0) < 0.001:
            return
        assert gone == (["a"] if running_s > 60.0 else [])
        if gone:
            return


def test_while_it_is_paused_nothing_is_next_and_everything_waits() -> None:
    backlog = Backlog(limit=10)
    backlog.offer(request("a"), 0.0)
    assert (backlog.pause(1.0), backlog.pause(2.0)) == (True, False)
    assert backlog.peek() is backlog.pop() is None
    assert backlog.offer(request("b"), 3.0).paused
    assert [utterance.id for utterance in backlog.waiting] == ["a", "b"]
    assert (backlog.resume(4.0), backlog.resume(5.0)) == (True, False)
    assert [utterance.paused_s for utterance in backlog.waiting] == [3.0, 1.0]
    assert not backlog.offer(request("b"), 6.0).paused
    first = backlog.pop()
    assert first is not None and first.id == "a"
