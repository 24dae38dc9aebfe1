from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.core.audio import FRAME_BYTES
from libacli.core.backlog import Utterance
from libacli.core.lifecycle import OUTCOMES
from libacli.core.messages import SayRequest
from libacli.core.record import Record
from libacli.core.timeline import Timeline
from libacli.errors import RefusedError

LOUD = b"\x00\x40" * (FRAME_BYTES // 2)
QUIET = bytes(FRAME_BYTES)


def event(**members: Any) -> dict[str, Any]:
    return {"id": "a", "state": "done", "t0": 1_000_000_000.25} | members


def test_the_final_event_of_an_utterance_is_its_record() -> None:
    utterance = Utterance(SayRequest("Hello.", id="a"), Timeline(t0=1.0, turn=1.0, t1=1.3, t2=1.31, t3=3.0))
    for frame in (QUIET, LOUD, QUIET, LOUD, QUIET):
        utterance.took(frame)
    utterance.voice, utterance.route, utterance.t3_source = "ann", "tavus", "reported"
    utterance.become("speaking", 1.0)
    utterance.become("done", 3.0)
    told = {"epoch": "e1", "room": "r1", "agent": "liba", "model": "m", "queue": 3, "avatar": "ready"}
    record = Record.read(event() | told | utterance.report())
    assert record == Record(
        id="a",
        t0=1_000_000_000.25,
        outcome="done",
        room="r1",
        agent="liba",
        epoch="e1",
        route="tavus",
        voice="ann",
        model="m",
        chars=6,
        frames=5,
        speech_ms=60.0,
        t3_source="reported",
        waited=0.0,
        d01=300.0,
        d12=10.0,
        d23=1690.0,
        total=2000.0,
    )


@pytest.mark.parametrize("outcome", sorted(OUTCOMES))
def test_each_way_to_end_gives_a_record(outcome: str) -> None:
    assert Record.read(event(state=outcome)).outcome == outcome


@given(
    st.builds(
        Record,
        id=st.text(min_size=1, max_size=64),
        t0=st.floats(0, 4e9),
        outcome=st.sampled_from(sorted(OUTCOMES)),
        reason=st.text(max_size=100),
        frames=st.integers(0, 10**9),
        replayed=st.booleans(),
        d01=st.none() | st.floats(0, 1e9),
    )
)
def test_what_is_encoded_is_read_back_the_same_even_through_json(record: Record) -> None:
    assert Record.read(json.loads(json.dumps(record.encode()))) == record


@pytest.mark.parametrize(
    "members",
    [
        {"state": "speaking"},
        {"state": "rejected"},
        {"state": None},
        {"id": None},
        {"id": ""},
        {"id": 5},
        {"t0": None},
        {"t0": "now"},
        {"d01": "fast"},
        {"d01": math.nan},
        {"d01": -1},
        {"total": math.inf},
        {"frames": True},
        {"frames": [1]},
        {"replayed": "yes"},
        {"route": {"name": "tavus"}},
    ],
)
def test_what_is_not_a_record_is_malformed(members: dict[str, Any]) -> None:
    with pytest.raises(RefusedError):
        Record.read(event(**members))


@given(
    st.dictionaries(
        st.sampled_from(["id", "state", "t0", "d01", "frames", "replayed", "reason", "x"]),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
            lambda inner: st.lists(inner, max_size=3),
        ),
    )
)
def test_whatever_comes_is_a_record_or_malformed(members: dict[str, Any]) -> None:
    try:
        record = Record.read(event(**members))
    except RefusedError:
        return
    assert record.outcome in OUTCOMES
    assert len(record.reason) <= 500
