"""Names that come from a room are words wherever they are drawn: no markup, no link, no terminal code."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from rich.table import Table

from libacli.cli.output import Output, plain_console
from libacli.cli.screens.board import draw, plain_line
from libacli.cli.screens.board_table import View
from libacli.cli.screens.demo_result import DemoResult, show
from libacli.core.board import Board
from libacli.core.board_row import Budgets
from libacli.core.event import AgentFacts, Event, Report
from libacli.core.utterance_record import UtteranceRecord
from libacli.edges.metrics.store import MetricsStore
from libacli.edges.viewer.listener import AudioCapture
from libacli.edges.viewer.video_watcher import VideoCapture
from tests.cli.conftest import Shell
from tests.core.test_board import AGENT, MARKS
from tests.twirp_server import TwirpServer, reply

CANARIES = {
    "closing": "[/x]",
    "link": "[link=https://e.example]y[/link]",
    "style": "[red]y[/red]",
    "action": "[@click=app.quit]y[/]",
    "emoji": ":bomb:",
    "escaped": r"\[b]y",
    "control": "\x1b]8;;https://e.example\x07y",
}
NOON = 1_795_348_800.0
RECORD = UtteranceRecord(
    "u1", NOON, "done", room="demo", agent="liba", epoch="e1", route="track", total=2300.5, d01=300.0
)
TOLD = (
    "id", "reason", "room", "agent", "epoch", "route_reason", "voice", "model", "provider", "voice_reason",
    "t3_source", "account",
)  # fmt: skip
"""The fields of a record that hold what others wrote."""

SUMMED_UP = ("voice", "model", "provider", "room")

canary = pytest.mark.parametrize("canary", CANARIES.values(), ids=CANARIES)


def as_shown(text: str) -> str:
    return text.replace("\x1b", r"\x1b").replace("\x07", r"\x07")


def check(shown: str, canary: str, *, is_whole: bool = True) -> None:
    """Nothing drives the terminal, and nothing was taken for markup; `is_whole`: the canary stands in it."""
    assert shown.replace("\n", "").isprintable(), shown
    assert "\U0001f4a3" not in shown
    assert not is_whole or as_shown(canary) in shown, shown


def record_with(field: str, text: str) -> UtteranceRecord:
    members: dict[str, Any] = {field: text}
    return replace(RECORD, **members)


@pytest.fixture
def keep(bare_shell: Shell, tmp_path: Path) -> Callable[[UtteranceRecord], None]:
    """Puts a record into the store that the shell's commands read."""
    bare_shell.env["XDG_STATE_HOME"] = str(tmp_path / "state")

    async def put(record: UtteranceRecord) -> None:
        store = MetricsStore(tmp_path / "state" / "liba" / "metrics.db", keep_days=3650, keep_mb=64)
        running = asyncio.get_running_loop().create_task(store.run())
        store.add(record)
        await store.flush()
        running.cancel()
        await asyncio.wait([running])

    return lambda record: asyncio.run(put(record))


def test_each_field_of_a_record_that_others_write_is_looked_at() -> None:
    assert {field.name for field in fields(UtteranceRecord) if field.type == "str"} == set(TOLD)


@canary
@pytest.mark.parametrize("field", TOLD)
def test_a_summary_and_an_export_show_what_was_written_as_it_was(
    bare_shell: Shell, keep: Callable[[UtteranceRecord], None], field: str, canary: str
) -> None:
    keep(record_with(field, canary))
    ended = bare_shell.run("metrics", "summary", "--by", field if field in SUMMED_UP else "route")
    assert ended.code == 0, ended.stderr
    check(ended.stdout, canary, is_whole=field in SUMMED_UP)
    check(bare_shell.run("metrics", "export").stdout, canary)


@canary
@pytest.mark.parametrize("field", TOLD)
def test_the_records_of_this_machine_are_shown_as_they_are(
    bare_shell: Shell, keep: Callable[[UtteranceRecord], None], field: str, canary: str
) -> None:
    keep(record_with(field, canary))
    ended = bare_shell.run("metrics", "watch", "--once")
    assert ended.code == 0, ended.stderr
    check(ended.stdout, canary, is_whole=False)


@canary
@pytest.mark.parametrize("field", ["agent", "model", "avatar", "epoch", "room"])
def test_what_an_agent_says_of_itself_is_shown_as_it_is(
    shell: Shell, server: TwirpServer, field: str, canary: str
) -> None:
    server.play("PerformRpc", reply(**(AGENT | {field: canary}), speaking=None, waiting=[], caps=[]))
    ended = shell.run("queue")
    assert ended.code == 0, ended.stderr
    check(ended.stdout, canary, is_whole=field in ("agent", "avatar", "epoch", "room"))


@canary
@pytest.mark.parametrize("field", ["id", "reason", "route_reason", "voice", "t3_source"])
def test_a_board_and_its_lines_show_what_was_told_as_it_is(field: str, canary: str) -> None:
    told: dict[str, Any] = {"id": "u1", "route": "track", **MARKS} | {field: canary}
    facts = AgentFacts("demo", canary, canary, canary, epoch=canary)
    for state in ("done", "failed", "rejected"):
        board = Board()
        row = board.event(Event(facts, Report(state=state, **told), NOON), 1.0)
        assert row is not None
        board.caption(row.report.id, canary)
        view = View(400, None, Budgets(900, 50, 500), with_text=True)
        console = plain_console(width=400)
        with console.capture() as captured:
            console.print(draw(board, view, 2.0))
        check(captured.get(), canary)
        check(plain_line(row), canary, is_whole=False)


@canary
@pytest.mark.parametrize("field", ["route_reason", "t3_source", "avatar_name"])
def test_the_result_of_a_demo_is_shown_as_it_is(
    field: str, canary: str, capsys: pytest.CaptureFixture[str]
) -> None:
    members = {"id": "u1", "route_reason": "", "t3_source": "reported", "avatar_name": ""} | {field: canary}
    name = members.pop("avatar_name")
    report = Report(state="done", route="avatar" if field == "avatar_name" else "track", **members)  # type: ignore[arg-type]
    show(DemoResult(report, AudioCapture(), VideoCapture(), 80.0, name))
    check(capsys.readouterr().out, canary)


def test_a_table_of_bare_strings_has_no_markup_either(capsys: pytest.CaptureFixture[str]) -> None:
    words = [text for name, text in CANARIES.items() if name != "control"]
    table = Table(title="[b]title", box=None)
    table.add_column("[i]name")
    for word in words:
        table.add_row(word)
    Output().table(table)
    shown = capsys.readouterr().out
    assert all(text in shown for text in ("[b]title", "[i]name", *words))
