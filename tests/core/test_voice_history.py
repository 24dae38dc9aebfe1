from __future__ import annotations

from typing import Any

from libacli.core.utterance_record import UtteranceRecord
from libacli.core.voice_history import histories


def record(t0: float, provider: str, **members: Any) -> UtteranceRecord:
    return UtteranceRecord(f"u{t0:g}", t0, "done", provider=provider, **members)


def test_records_are_told_by_provider_with_what_was_another_ones_to_speak() -> None:
    found = histories(
        [
            record(1, "speech", d01=400.0, waited=20.0),
            record(2, "embedded", d01=30.0, voice_reason="speech: no quota (429)"),
            record(3, "embedded", d01=40.0, voice_reason="speech: wrong key (401)"),
            record(4, "speech", d01=900.0),
            record(5, "", d01=900.0),
        ]
    )
    assert list(found) == ["speech", "embedded"]
    speech, embedded = found["speech"], found["embedded"]
    assert (speech.utterances, speech.last_at, speech.p50_ms, speech.stood_in) == (2, 4, 400.0, 0)
    assert (embedded.stood_in, embedded.last_reason) == (2, "speech: wrong key (401)")
    assert speech.encode() == {
        "utterances": 2,
        "last_at": 4,
        "stood_in": 0,
        "last_reason": "",
        "p50_ms": 400.0,
    }


def test_a_voice_that_never_sounded_has_no_latency() -> None:
    (history,) = histories([record(1, "speech")]).values()
    assert history.p50_ms is None
