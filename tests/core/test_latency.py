from __future__ import annotations

from collections import defaultdict

import pytest

from libacli.core.board import SHOWN, Board
from libacli.core.event import AgentFacts, Event, Report
from libacli.core.latency import COUNTED, audible_ms, counted
from libacli.core.summary import summarise
from libacli.core.threshold import Threshold
from libacli.core.timeline import percentile
from libacli.core.utterance_record import UtteranceRecord
from tests.latency_cases import ALONE, CASES, REFUSED, WAITED, Case

cases = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])


def records(case: Case) -> list[UtteranceRecord]:
    return [UtteranceRecord(f"u{n}", 1.0, "done", **line) for n, line in enumerate(case.lines)]  # type: ignore[arg-type]


@cases
def test_what_counts_of_each_line(case: Case) -> None:
    found = defaultdict(list)
    for record in records(case):
        for name, ms in counted(record):
            found[name].append(round(ms, 6))
    assert found == case.counted


@cases
def test_a_summary_has_the_percentiles_of_what_counts(case: Case) -> None:
    whole, _ = summarise(records(case))
    told = whole.statistics()
    assert list(told) == [name for name in COUNTED if name in case.counted]
    for name, values in case.counted.items():
        assert told[name]["count"] == len(values)
        assert told[name]["p50"] == pytest.approx(percentile(values, 50))


@cases
def test_an_assert_is_held_against_what_counts(case: Case) -> None:
    whole, _ = summarise(records(case))
    for name, values in case.counted.items():
        limit = max(values)
        assert Threshold.parse(f"{name}.max<={limit:.3f}").check(whole.values) is None
        assert Threshold.parse(f"{name}.count=={len(values)}").check(whole.values) is None


@cases
def test_the_head_of_a_watcher_has_the_percentiles_of_what_counts(case: Case) -> None:
    board = Board()
    for number, line in enumerate(case.lines):
        report = Report.read({"id": f"u{number}", "state": "done", **line})
        board.event(Event(AgentFacts(epoch="e1"), report, t0=1.0), 1.0)
    told = board.statistics()
    assert list(told) == [name for name in SHOWN if name in case.counted]
    for name in told:
        assert told[name]["p95"] == pytest.approx(percentile(case.counted[name], 95))
    assert board.latencies == pytest.approx(case.counted.get("latency", []))


def test_what_is_heard_late_because_it_waited_is_late_all_the_same() -> None:
    lines = (ALONE, WAITED, REFUSED)
    read = [Report.read({"id": "u", "state": "done", **line}) for line in lines]
    assert [audible_ms(report) for report in read] == [pytest.approx(137.3), 6240.0, None]
