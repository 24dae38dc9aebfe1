from __future__ import annotations

import json

from libacli.core.agent_status import AgentStatus
from libacli.core.event import AgentFacts, Report
from libacli.core.fleet import AgentMissing, AgentTold, Fleet, RoomsListed
from libacli.core.room_update import WELL, ConnectionState

SPOKEN = Report("u1", "done", route="avatar", waited=1.0, d01=20.0, d12=1.0, d2a=60.0, total=2000.0)


def told(
    room: str, *ended: Report, epoch: str = "e1", queue: int = 0, speaking: Report | None = None
) -> AgentTold:
    facts = AgentFacts(room=room, agent="liba", epoch=epoch, avatar="ready", queue=queue)
    return AgentTold(room, AgentStatus(facts, speaking, ended=ended, worker="machine-1"))


def report(utterance_id: str, d01: float) -> Report:
    return Report(utterance_id, "done", route="track", waited=0.0, d01=d01, d12=0.0, d2a=0.0)


def test_a_room_is_a_line_once_its_agent_has_answered() -> None:
    fleet = Fleet()
    fleet.take(RoomsListed(("demo", "meeting")), 1.0)
    assert fleet.take(AgentMissing("meeting"), 1.5) == []
    (line,) = fleet.take(told("demo", SPOKEN), 2.0)
    assert (line.room, line.agent, line.worker, line.state) == ("demo", "liba", "machine-1", "idle")
    assert (line.latency, line.p50, line.p95, line.utterances) == (81.0, 81.0, 81.0, 1)
    assert line.last == SPOKEN
    assert line.last_at is None  # when that was nobody knows
    assert [one.room for one in fleet.lines] == ["demo"]


def test_the_same_answer_again_counts_nothing_twice_and_a_newer_one_has_its_moment() -> None:
    fleet = Fleet()
    for now in (1.0, 6.0):
        fleet.take(told("demo", SPOKEN), now)
    (line,) = fleet.take(told("demo", SPOKEN, report("u2", 10.0)), 11.0)
    assert line.utterances == 2
    assert (line.last and line.last.id, line.last_at) == ("u2", 11.0)


def test_what_is_spoken_and_waits_is_told() -> None:
    fleet = Fleet()
    (line,) = fleet.take(told("demo", queue=3, speaking=Report("u1", "audible")), 1.0)
    assert (line.state, line.speaking, line.queue) == ("speaking", "u1", 3)
    totals = fleet.totals()
    assert (totals.speaking, totals.waiting) == (1, 3)


def test_an_agent_that_is_gone_is_shown_so_first_of_all_until_another_one_is_there() -> None:
    fleet = Fleet()
    for room in ("a", "b"):
        fleet.take(told(room, queue=2, speaking=Report("u1", "audible")), 1.0)
    (line,) = fleet.take(AgentMissing("b"), 9.0)
    assert (line.state, line.speaking, line.gone_at) == ("gone", "", 9.0)
    (again,) = fleet.take(AgentMissing("b"), 14.0)
    assert again.gone_at == 9.0
    assert [one.room for one in fleet.lines] == ["b", "a"]
    totals = fleet.totals()
    assert (totals.agents, totals.gone, totals.waiting) == (1, 1, 2)
    (line,) = fleet.take(told("b", epoch="e2"), 20.0)
    assert (line.state, line.gone_at, line.epoch) == ("idle", None, "e2")


def test_a_room_that_is_closed_is_told_once_and_forgotten() -> None:
    fleet = Fleet()
    fleet.take(told("demo", SPOKEN), 1.0)
    (line,) = fleet.take(RoomsListed(()), 2.0)
    assert (line.room, line.state) == ("demo", "closed")
    assert fleet.take(RoomsListed(()), 3.0) == []
    assert fleet.lines == []


def test_percentiles_of_all_rooms_are_of_all_lines_not_of_rooms() -> None:
    fleet = Fleet()
    fleet.take(told("a", *(report(f"u{number}", 10.0) for number in range(19))), 1.0)
    fleet.take(told("b", report("v", 500.0)), 1.0)
    totals = fleet.totals()
    assert (totals.utterances, totals.p50, totals.p95) == (20, 10.0, 10.0)


def test_ids_of_two_rooms_are_not_taken_for_each_other() -> None:
    fleet = Fleet()
    for room in ("a", "b"):
        fleet.take(told(room, SPOKEN), 1.0)
    assert [line.utterances for line in fleet.lines] == [1, 1]


def test_trouble_with_the_server_is_known_until_it_is_over() -> None:
    fleet = Fleet()
    fleet.take(ConnectionState("cannot reach LiveKit"), 1.0)
    assert fleet.connection_words == "cannot reach LiveKit"
    fleet.take(WELL, 2.0)
    assert fleet.connection_words == ""


def test_a_line_can_be_written_as_json() -> None:
    (line,) = Fleet().take(told("demo", SPOKEN), 1.0)
    members = json.loads(json.dumps(line.encode()))
    assert members["last"]["route"] == "tavus"
    assert members.keys() >= {"room", "agent", "worker", "state", "avatar", "speaking", "queue", "p50", "p95"}
    assert "last_at" not in members
