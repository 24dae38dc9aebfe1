"""All rooms of a server, a line each, in as many columns as fit. Pure: it depends on what it is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rich.console import Group
from rich.table import Table
from rich.text import Text

from libacli.cli.output import printable
from libacli.cli.screens.board_table import STATE_LOOKS, STYLES, in_ms
from libacli.cli.screens.cells import cell, clean
from libacli.core.board_row import grade
from libacli.core.event import Report
from libacli.core.fleet import Fleet, FleetLine
from libacli.core.route import route_word

_HEAD_LINES = 4
_AFTER_TABLE = 1
"""What Rich leaves below a screen."""

_COLUMNS: Mapping[str, int] = {
    "room": 13, "now": 12, "latency": 7, "p50": 6, "p95": 6, "last": 12, "avatar": 9, "worker": 8,
    "agent": 8, "route": 14, "said": 6,
}  # fmt: skip
"""Least widths; when it gets narrow the last ones go first."""

_SHOWN = (
    "room", "agent", "worker", "avatar", "now", "latency", "p50", "p95", "last", "route", "said",
)  # fmt: skip
_NUMBERS = frozenset({"latency", "p50", "p95", "said"})
_NONE = "-"


@dataclass(frozen=True)
class FleetView:
    """How a fleet is shown."""

    width: int
    height: int | None
    """Lines there are; None: as many as it takes."""

    budget_ms: float
    """Of the latency."""

    server: str
    """Its address."""

    every_s: float
    """How often each agent is asked."""

    keys: str = ""
    """What can be pressed."""


def draw_fleet(fleet: Fleet, view: FleetView, now: float) -> Group:
    """The whole of it; `now` is of the clock that the fleet was told."""
    lines = fleet.lines
    space = len(lines) if view.height is None else max(1, view.height - _HEAD_LINES - _AFTER_TABLE - 1)
    names = _fitting(view.width)
    table = Table(box=None, width=view.width, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim")
    for name in names:
        table.add_column(
            name,
            no_wrap=True,
            overflow="ellipsis",
            min_width=_COLUMNS[name] - 1,
            justify="right" if name in _NUMBERS else "left",
        )
    for line in lines[:space]:
        style = "bold yellow" if line.state == "gone" else ""
        table.add_row(*(_CELLS[name](line, view, now) for name in names), style=style)
    left_out = len(lines) - space
    after = [Text(f"and {left_out} more", "dim")] if left_out > 0 else []
    if not lines:
        after = [Text("no room has an agent yet: liba agent run", "dim")]
    return Group(*_head(fleet, view), table, *after)


def plain_fleet_line(line: FleetLine, time: str) -> str:
    """What has become of a room, in one line for a log."""
    words = [time, f"{line.room:<20}", f"{line.state:<8}", f"queue={line.queue}"]
    words += ["paused"] if line.paused else []
    words += [f"{name}={in_ms(getattr(line, name)) or _NONE}" for name in ("latency", "p50", "p95")]
    words += [f"avatar={line.avatar or _NONE}", f"agent={line.agent}", f"worker={line.worker or _NONE}"]
    if line.last:
        words.append(f"last={line.last.id} {line.last.state} {_route(line.last)}")
    return printable(" ".join(words).rstrip().replace("\n", " "))


def _head(fleet: Fleet, view: FleetView) -> list[Text]:
    totals = fleet.totals()
    title = Text.assemble(("liba metrics", "bold"), "  all rooms of ", (clean(view.server), "bold"))
    right = Text.assemble((clean(fleet.connection_words), "bold yellow"), "  ", (view.keys, "dim"))
    title.truncate(max(0, view.width - right.cell_len - 1), overflow="ellipsis")
    title.pad_right(max(1, view.width - title.cell_len - right.cell_len))
    p50, p95 = in_ms(totals.p50) or _NONE, in_ms(totals.p95) or _NONE
    rooms = [
        f"rooms {totals.rooms}", f"agents {totals.agents}", f"speaking {totals.speaking}",
        f"waiting {totals.waiting}", f"utterances {totals.utterances}",
    ]  # fmt: skip
    counts = Text("   ".join(rooms))
    if totals.gone:
        counts.append(f"   gone {totals.gone}", "bold yellow")
    latency = f"latency p50 {p50}  p95 {p95}  budget {view.budget_ms:g} ms   asked every {view.every_s:.0f} s"
    told = [title + right, counts, Text(latency), Text()]
    for text in told:
        text.no_wrap = True
        text.truncate(view.width, overflow="ellipsis")
    return told


def _fitting(width: int) -> list[str]:
    """The columns that fit into `width`, from the left."""
    chosen, left = set(), width
    for name, least in _COLUMNS.items():
        if least > left:
            break
        chosen.add(name)
        left -= least
    return [name for name in _SHOWN if name in chosen]


def _now(line: FleetLine, view: FleetView, now: float) -> Text:
    if line.state == "gone":
        return Text(f"gone {_age(line.gone_at, now)}".rstrip())
    waiting = f" +{line.queue}" if line.queue else ""
    state = "paused" if line.paused and line.state == "idle" else line.state
    style = "bold cyan" if line.state == "speaking" else "bold yellow" if line.paused else "dim"
    return Text(f"{state}{waiting}", style)


def _ms(name: str) -> Callable[[FleetLine, FleetView, float], Text]:
    def shown(line: FleetLine, view: FleetView, now: float) -> Text:
        value = getattr(line, name)
        return Text(in_ms(value) or _NONE, "" if value is None else STYLES[grade(value, view.budget_ms)])

    return shown


def _last(line: FleetLine, view: FleetView, now: float) -> Text:
    if not line.last:
        return Text(_NONE, "dim")
    _, word, style = STATE_LOOKS[line.last.state]
    return Text(f"{word} {_age(line.last_at, now)}".rstrip(), style)


def _route(report: Report) -> str:
    reason = report.route_reason if report.route == "track" else ""
    return f"{route_word(report.route, _NONE)} {reason}".rstrip()


def _age(since: float | None, now: float) -> str:
    """How long ago that was; empty: it is not known."""
    if since is None:
        return ""
    seconds = max(0.0, now - since)
    return f"{seconds:.0f}s" if seconds < 100 else f"{seconds / 60:.0f}m" if seconds < 6000 else "long"


_CELLS: Mapping[str, Callable[[FleetLine, FleetView, float], Text]] = {
    "room": lambda line, view, now: cell(line.room),
    "agent": lambda line, view, now: cell(line.agent or _NONE),
    "worker": lambda line, view, now: cell(line.worker or _NONE),
    "avatar": lambda line, view, now: cell(line.avatar or _NONE),
    "now": _now,
    "latency": _ms("latency"),
    "p50": _ms("p50"),
    "p95": _ms("p95"),
    "last": _last,
    "route": lambda line, view, now: cell(_route(line.last) if line.last else _NONE),
    "said": lambda line, view, now: Text(str(line.utterances)),
}
