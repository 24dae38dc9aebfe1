from __future__ import annotations

from dataclasses import replace

import pytest

from libacli.core.probe_result import MEASURES, ProbeResult, counts_of, summary_of, values_of
from libacli.core.threshold import Threshold
from libacli.core.utterance_record import UtteranceRecord

WHOLE = ProbeResult(
    "u1",
    "done",
    "avatar",
    heard=90.0,
    seen=110.0,
    claim=80.0,
    speech=1000,
    span=990,
    gap=60,
    lag=-5,
    at_s=1.5,
    silences=(60.0,),
    holes=(30.0,),
)
MUTE = ProbeResult("u2", "done", "track", claim=80.0, speech=1000)


@pytest.mark.parametrize(
    ("heard", "verdict"),
    [
        (WHOLE, "HEARD"),
        (MUTE, "NOT HEARD"),
        (replace(WHOLE, span=900), "HEARD"),
        (replace(WHOLE, span=899), "CUT OFF"),
        (replace(WHOLE, span=700, caught_up=200), "HEARD"),
        (replace(WHOLE, span=699, caught_up=200), "CUT OFF"),
        (replace(WHOLE, span=3000), "HEARD"),
        (replace(WHOLE, outcome="unconfirmed"), "HEARD"),
        (replace(WHOLE, outcome="interrupted"), "CUT OFF"),
        (replace(WHOLE, outcome="failed"), "CUT OFF"),
        (replace(MUTE, outcome="expired", speech=0), "NOT HEARD"),
    ],
)
def test_heard_means_from_the_first_to_the_last_sound(heard: ProbeResult, verdict: str) -> None:
    assert heard.verdict == verdict


def test_what_is_missing_and_what_is_too_much_are_told_apart() -> None:
    assert (replace(WHOLE, span=600).cut, replace(WHOLE, span=600).stretch) == (400, 0)
    assert (replace(WHOLE, span=1600).cut, replace(WHOLE, span=1600).stretch) == (0, 600)
    assert (MUTE.cut, MUTE.stretch) == (1000, None)


def test_the_claim_is_the_way_from_the_request_to_the_first_sound() -> None:
    record = UtteranceRecord(
        "u1", 1.0, "done", waited=5.0, d01=10.0, d12=1.0, d2a=70.0, d23=900.0, speech_ms=900.0
    )
    assert ProbeResult.of(record, heard=90.0, span=900.0, silences=[]).claim == 86.0
    assert ProbeResult.of(replace(record, d2a=None), heard=90.0, span=900.0, silences=[]).claim is None


def test_it_is_told_with_all_its_members() -> None:
    assert WHOLE.encode() == {
        "verdict": "HEARD",
        "id": "u1",
        "outcome": "done",
        "route": "tavus",
        "route_reason": "",
        "reason": "",
        "heard_ms": 90.0,
        "claim_ms": 80.0,
        "seen_ms": 110.0,
        "cut_ms": 10.0,
        "stretch_ms": 0.0,
        "gap_ms": 60,
        "lag_ms": -5,
        "hole_ms": 30.0,
        "speech_ms": 1000,
        "span_ms": 990,
        "caught_up_ms": 0.0,
        "at_s": 1.5,
        "silences_ms": [60.0],
    }


def test_what_was_not_measured_is_null_and_counts_nowhere() -> None:
    assert MUTE.encode()["heard_ms"] is MUTE.encode()["seen_ms"] is MUTE.encode()["gap_ms"] is None
    values = values_of([WHOLE, MUTE])
    assert tuple(values) == MEASURES
    assert values["heard"] == [90.0]
    assert values["cut"] == [10.0, 1000.0]
    assert "seen" not in summary_of([MUTE])


def test_a_summary_says_how_many_there_were() -> None:
    many = [replace(WHOLE, heard=float(number)) for number in range(1, 101)]
    assert summary_of(many)["heard"] == {"count": 100, "p50": 50, "p95": 95, "max": 100}
    assert counts_of([*many, MUTE], "route") == {"tavus": 100, "fallback": 1}
    assert counts_of([*many, MUTE], "verdict") == {"HEARD": 100, "NOT HEARD": 1}


def test_a_condition_can_be_put_on_every_measure() -> None:
    for name in MEASURES:
        assert Threshold.parse(f"{name}.count>=1").check(values_of([WHOLE])) is None
        assert Threshold.parse(f"{name}.count>=2").check(values_of([WHOLE]))
