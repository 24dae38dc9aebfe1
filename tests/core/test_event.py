from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.core.agent_status import AgentStatus
from libacli.core.event import AgentFacts, Event, Rejection, Report, read_event
from libacli.core.lifecycle import MOVES
from libacli.core.usage import Usage
from libacli.errors import RefusedError

texts = st.text(max_size=20)
counts = st.integers(0, 10**6)
durations = st.none() | st.floats(0, 1e6)
facts = st.builds(
    AgentFacts,
    room=texts,
    agent=texts,
    model=texts,
    avatar=texts,
    queue=counts,
    epoch=texts,
    voice_state=texts,
)
reports = st.builds(
    Report,
    id=st.text(min_size=1, max_size=20),
    state=st.sampled_from(sorted(set(MOVES) - {"rejected"})),
    reason=texts,
    route=st.sampled_from([None, "avatar", "track"]),
    route_reason=texts,
    voice=texts,
    provider=texts,
    voice_reason=texts,
    reworded=st.booleans(),
    hedged=st.booleans(),
    cached=st.booleans(),
    emotion=texts,
    chunks=counts,
    frames=counts,
    speech_ms=st.floats(0, 1e6),
    hold=st.floats(0, 1e6),
    underruns=counts,
    t3_source=st.sampled_from(["", "reported", "observed", "estimated"]),
    replayed=st.booleans(),
    resumed=st.booleans(),
    chars=counts,
    waited=durations,
    d01=durations,
    d12=durations,
    d2a=durations,
    d23=durations,
    total=durations,
)
events = st.builds(Event, facts, reports, st.floats(0, 4e9))
rejections = st.builds(Rejection, facts, reason=texts, message=texts, id=texts, retry_in_s=st.none() | counts)
caps = st.builds(Usage, texts, counts, counts, texts, st.floats(0, 3600))
statuses = st.builds(
    AgentStatus,
    facts,
    st.none() | reports,
    st.lists(reports, max_size=20).map(tuple),
    st.lists(caps, max_size=3).map(tuple),
    counts,
    ended=st.lists(reports, max_size=20).map(tuple),
)


def through_json(members: dict[str, Any]) -> dict[str, Any]:
    return dict(json.loads(json.dumps(members)))


@given(events | rejections)
def test_what_is_told_is_read_the_same(told: Event | Rejection) -> None:
    assert read_event(through_json(told.encode())) == told


@given(statuses)
def test_a_status_that_is_told_is_read_the_same(status: AgentStatus) -> None:
    assert AgentStatus.read(through_json(status.encode())) == status


@given(statuses, st.integers(2000, 6000))
def test_a_status_that_is_too_long_is_cut_behind_the_next_ones(status: AgentStatus, max_bytes: int) -> None:
    cut = status.within(max_bytes)
    assert cut.waiting == status.waiting[: len(cut.waiting)]
    left_out = status.waiting_left_out + len(status.waiting) - len(cut.waiting)
    assert cut.waiting_left_out == left_out
    assert cut.ended == status.ended[len(status.ended) - len(cut.ended) :]
    without = AgentStatus(status.facts, status.speaking, (), status.caps, left_out)
    if cut.waiting or len(json.dumps(without.encode())) <= max_bytes:
        assert len(json.dumps(cut.encode())) <= max_bytes


def test_what_an_answer_left_out_before_counts_where_it_is_cut_to_a_length() -> None:
    waiting = tuple(Report(id=id, state="accepted") for id in ("u1", "u2", "u3"))
    status = AgentStatus(AgentFacts(), None, waiting, (), waiting_left_out=123_456)
    without = AgentStatus(AgentFacts(), None, (), (), waiting_left_out=123_459)
    for max_bytes in range(len(json.dumps(without.encode())), len(json.dumps(status.encode()))):
        assert len(json.dumps(status.within(max_bytes).encode())) <= max_bytes


def test_half_a_character_comes_no_further_than_to_the_reader() -> None:
    half = json.loads('"\\ud800"')
    members = {"id": half, "state": "done", "t0": 1.0, "reason": f"a{half}b", "room": half, "message": half}
    for told in (members, {"state": "rejected", "rejected": half, "id": half, "message": half}):
        json.dumps(read_event(told).encode(), ensure_ascii=False).encode()


def test_members_are_called_as_ever_and_what_is_not_known_is_left_out() -> None:
    told = AgentFacts("demo", "liba", "hibari", "ready", queue=1, epoch="e1")
    report = Report("u1", "audible", route="track", route_reason="left", chars=6, waited=0.0, d01=15.0)
    assert Event(told, report, t0=1.5).encode() == {
        "epoch": "e1",
        "room": "demo",
        "agent": "liba",
        "model": "hibari",
        "avatar": "ready",
        "queue": 1,
        "t0": 1.5,
        "id": "u1",
        "state": "audible",
        "route": "fallback",
        "route_reason": "left",
        "chars": 6,
        "waited": 0.0,
        "d01": 15.0,
    }


@pytest.mark.parametrize(
    "wrong",
    [
        {"t0": None},
        {"t0": "now"},
        {"id": ""},
        {"id": 5},
        {"state": "lost"},
        {"state": ["done"]},
        {"queue": -1},
        {"room": 5},
        {"d01": "fast"},
        {"d01": True},
        {"frames": float("inf")},
        {"replayed": "yes"},
        {"route": {"name": "tavus"}},
    ],
    ids=str,
)
def test_what_cannot_be_an_event_is_malformed(wrong: dict[str, Any]) -> None:
    with pytest.raises(RefusedError) as caught:
        read_event({"id": "u1", "state": "done", "t0": 1.0} | wrong)
    assert caught.value.reason == "malformed"
