from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.core.audio import FRAME_BYTES
from libacli.core.event import AgentFacts, Event
from libacli.core.lifecycle import MOVES, OUTCOMES
from libacli.core.messages import SayRequest
from libacli.core.timeline import Timeline
from libacli.core.utterance import Utterance
from libacli.core.utterance_record import UtteranceRecord
from libacli.errors import RefusedError

LOUD = b"\x00\x40" * (FRAME_BYTES // 2)
QUIET = bytes(FRAME_BYTES)


def members(**more: Any) -> dict[str, Any]:
    return {"id": "a", "state": "done", "outcome": "done", "t0": 1_000_000_000.25} | more


def test_the_final_event_of_an_utterance_is_its_record() -> None:
    utterance = Utterance(SayRequest("Hello.", id="a"), Timeline(t0=1.0, turn=1.0, t1=1.3, t2=1.31, t3=3.0))
    for frame in (QUIET, LOUD, QUIET, LOUD, QUIET):
        utterance.took(frame)
    utterance.voice, utterance.route, utterance.t3_source = "ann", "avatar", "reported"
    utterance.become("speaking", 1.0)
    utterance.become("done", 3.0)
    facts = AgentFacts("r1", "liba", "m", "ready", queue=3, epoch="e1")
    record = UtteranceRecord.of(Event(facts, utterance.report(), 1_000_000_000.25))
    assert record == UtteranceRecord(
        id="a",
        t0=1_000_000_000.25,
        outcome="done",
        room="r1",
        agent="liba",
        epoch="e1",
        route="avatar",
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
    event = Event.read(members(state=outcome))
    record = UtteranceRecord.of(event)
    assert record.outcome == outcome
    assert UtteranceRecord.of(record.event()) == record


@pytest.mark.parametrize("state", sorted(set(MOVES) - OUTCOMES))
def test_what_has_not_ended_is_no_record(state: str) -> None:
    with pytest.raises(ValueError, match=f"{state} is no end"):
        UtteranceRecord.of(Event.read(members(state=state)))


def test_routes_have_other_words_outside() -> None:
    record = UtteranceRecord("a", 1.0, "done", route="track")
    assert record.encode()["route"] == "fallback"
    assert replace(record, route="avatar").encode()["route"] == "tavus"
    assert replace(record, route=None).encode()["route"] == ""
    for word, route in (("tavus", "avatar"), ("fallback", "track"), ("", None), ("by pigeon", None)):
        assert UtteranceRecord.read(record.encode() | {"route": word}).route == route


@given(
    st.builds(
        UtteranceRecord,
        id=st.text(min_size=1, max_size=64),
        t0=st.floats(0, 4e9),
        outcome=st.sampled_from(sorted(OUTCOMES)),
        reason=st.text(max_size=100),
        frames=st.integers(0, 10**9),
        replayed=st.booleans(),
        resumed=st.booleans(),
        d01=st.none() | st.floats(0, 1e9),
    )
)
def test_what_is_encoded_is_read_back_the_same_even_through_json(record: UtteranceRecord) -> None:
    assert UtteranceRecord.read(json.loads(json.dumps(record.encode()))) == record


@pytest.mark.parametrize(
    "wrong",
    [
        {"outcome": "speaking"},
        {"outcome": "rejected"},
        {"outcome": None},
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
def test_what_is_not_a_record_is_malformed(wrong: dict[str, Any]) -> None:
    with pytest.raises(RefusedError):
        UtteranceRecord.read(members(**wrong))


@given(
    st.dictionaries(
        st.sampled_from(["id", "outcome", "t0", "d01", "frames", "replayed", "reason", "x"]),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
            lambda inner: st.lists(inner, max_size=3),
        ),
    )
)
def test_whatever_comes_is_a_record_or_malformed(told: dict[str, Any]) -> None:
    try:
        record = UtteranceRecord.read(members(**told))
    except RefusedError:
        return
    assert record.outcome in OUTCOMES
    assert len(record.reason) <= 500
