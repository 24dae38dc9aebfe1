from __future__ import annotations

import pytest
from rich.cells import cell_len

from libacli.cli.output import plain_console
from libacli.cli.screens.fleet_table import FleetView, draw_fleet, plain_fleet_line
from libacli.core.agent_status import AgentStatus
from libacli.core.event import AgentFacts, Report
from libacli.core.fleet import AgentMissing, AgentTold, Fleet, RoomsListed
from libacli.core.room_update import ConnectionState

NOW = 30.0


@pytest.fixture
def fleet() -> Fleet:
    fleet = Fleet()
    fleet.take(RoomsListed(tuple(f"room-{number}" for number in range(12))), 1.0)
    for number in range(10):
        facts = AgentFacts(
            room=f"room-{number}", agent="liba", epoch="e1", avatar="not watched", queue=number
        )
        speaking = Report("now", "audible") if number % 2 else None
        fleet.take(AgentTold(facts.room, AgentStatus(facts, speaking, worker=f"pod-{number}")), 1.0)
        ended = Report("u", "done", route="track", route_reason="402", d01=900.0, d12=1.0, d2a=700.0)
        status = AgentStatus(facts, speaking, ended=(ended,), worker=f"pod-{number}")
        fleet.take(AgentTold(facts.room, status), 20.0)
    fleet.take(AgentMissing("room-7"), 25.0)
    return fleet


def shown(fleet: Fleet, width: int, height: int | None = 24) -> list[str]:
    console = plain_console(width=width + 20)
    view = FleetView(width, height, 1450.0, "127.0.0.1:7880", 5.0, keys="q quits")
    with console.capture() as captured:
        console.print(draw_fleet(fleet, view, NOW))
    return [line.rstrip() for line in captured.get().splitlines()]


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120, 200])
@pytest.mark.parametrize("height", [8, 12, 24])
def test_nothing_is_wider_or_higher_than_the_screen(fleet: Fleet, width: int, height: int) -> None:
    lines = shown(fleet, width, height)
    assert max(map(cell_len, lines)) <= width
    assert len(lines) <= height


def test_at_80_columns_a_room_tells_worker_avatar_speech_latency_and_what_was_last(fleet: Fleet) -> None:
    row = next(line for line in shown(fleet, 80) if line.startswith("room-3"))
    assert row.split() == [
        "room-3", "pod-3", "not", "watched", "speaking", "+3", "1601", "1601", "1601", "done", "10s",
    ]  # fmt: skip


def test_with_more_room_there_is_more_of_it(fleet: Fleet) -> None:
    row = next(line for line in shown(fleet, 140) if line.startswith("room-3"))
    assert "liba" in row and "not watched" in row and "fallback 402" in row


def test_the_head_has_totals_and_what_goes_wrong(fleet: Fleet) -> None:
    fleet.take(ConnectionState("cannot reach LiveKit"), 26.0)
    head = "\n".join(shown(fleet, 100)[:3])
    for words in (
        "all rooms of 127.0.0.1:7880",
        "cannot reach LiveKit",
        "rooms 12   agents 9   speaking 4   waiting 38   utterances 10   gone 1",
        "latency p50 1601  p95 1601  budget 1450 ms   asked every 5 s",
    ):
        assert words in head


def test_a_room_whose_agent_is_gone_is_on_top_and_says_since_when(fleet: Fleet) -> None:
    rows = shown(fleet, 80)[5:]
    assert rows[0].startswith("room-7")
    assert "gone 5s" in rows[0]


def test_what_does_not_fit_is_counted(fleet: Fleet) -> None:
    assert shown(fleet, 80, 12)[-1] == "and 4 more"


def test_without_an_agent_the_next_step_is_told() -> None:
    assert "liba agent run" in shown(Fleet(), 80)[-1]


@pytest.mark.parametrize("name", ["[red]x[/red]", "[/x]", "a\x1b[2Jb", "line\nbreak", "字" * 60])
def test_names_of_others_are_words_and_no_orders(name: str) -> None:
    fleet = Fleet()
    facts = AgentFacts(room=name, agent=name, avatar=name, epoch="e1")
    (line,) = fleet.take(AgentTold(name, AgentStatus(facts, worker=name)), 1.0)
    text = "\n".join([*shown(fleet, 120), plain_fleet_line(line, "10:00:00")])
    assert "\x1b" not in text
    assert len(shown(fleet, 120)) == 6


def test_for_a_log_a_room_is_a_line(fleet: Fleet) -> None:
    (line,) = fleet.take(AgentMissing("room-1"), 26.0)
    words = plain_fleet_line(line, "10:00:00").split()
    assert words[:4] == ["10:00:00", "room-1", "gone", "queue=1"]
    assert {"latency=1601", "p95=1601", "worker=pod-1", "last=u"} <= set(words)
