"""The lines of a board: one per utterance, in as many columns as fit."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from rich.cells import set_cell_size
from rich.text import Text

from libacli.cli.screens.board_layout import gap_of, layout
from libacli.cli.screens.cells import clean
from libacli.core.board import Board
from libacli.core.board_row import BoardRow, Budgets, Grade, grade
from libacli.core.event import Report
from libacli.core.lifecycle import WatchedState
from libacli.core.route import route_word

STYLES: dict[Grade, str] = {"fine": "green", "slow": "yellow", "bad": "red"}
VOICE, SINK, AUDIBLE, PENDING, BUDGET, CUT = "█", "▓", "▒", "░", "┊", "»"
STATE_LOOKS: dict[WatchedState, tuple[str, str, str]] = {
    "accepted": ("·", "accepted", "dim"),
    "speaking": ("▷", "speaking", "bold cyan"),
    "audible": ("►", "audible", "bold cyan"),
    "done": ("✓", "done", "green"),
    "interrupted": ("■", "interrupted", "yellow"),
    "failed": ("✗", "failed", "red"),
    "rejected": ("✗", "rejected", "red"),
    "expired": ("○", "expired", "yellow"),
    "unconfirmed": ("?", "unconfirmed", "yellow"),
    "lost": ("~", "lost", "dim"),
}
"""A symbol, a word and a style for each."""


@dataclass(frozen=True)
class View:
    """How a board is shown."""

    width: int
    height: int | None
    """Lines there are; None: as many as it takes."""

    budgets: Budgets
    with_rooms: bool = False
    """Several rooms: a column tells which."""

    with_text: bool = False
    keys: str = ""
    """What can be pressed."""

    ascii_only: bool = False


@dataclass(frozen=True)
class _Drawing:
    """What a cell needs to know besides its row."""

    board: Board
    view: View
    now: float
    scale_ms: float
    """What a whole bar means."""

    playing_ms: float
    """The same for the bar of what is played."""

    widths: dict[str, int]


def table(board: Board, rows: Sequence[BoardRow], view: View, now: float) -> list[Text]:
    widths = layout(view.width, with_rooms=view.with_rooms, with_text=view.with_text)
    played = [ms for row in rows if (ms := row.playing_ms(now)) is not None]
    drawing = _Drawing(board, view, now, scale_ms(rows, view.budgets), max([*played, 1.0]), widths)
    gap = Text(" " * gap_of(view.width))
    titles = [
        _axis(drawing) if name == "bar" else _sized(name, Text(name, "dim"), drawing) for name in widths
    ]
    lines = [gap.join(titles)]
    for row in rows:
        cells = (_sized(name, _CELLS[name](row, drawing), drawing) for name in widths)
        lines.append(gap.join(cells))
        if row.state == "lost":
            lines[-1].stylize("dim")
    if not rows:
        lines.append(Text("nothing was said yet", "dim"))
    return lines


_NUMBERS = frozenset({"latency", "playing", "d01", "d12", "d2a", "queued", "chars"})


def _sized(name: str, cell: Text, drawing: _Drawing) -> Text:
    width = drawing.widths[name]
    cell.truncate(width, overflow="ellipsis")
    pad = max(0, width - cell.cell_len)
    if name in _NUMBERS:
        cell.pad_left(pad)
    else:
        cell.pad_right(pad)
    return cell


def scale_ms(rows: Iterable[BoardRow], budgets: Budgets) -> float:
    """Milliseconds of a whole bar: all of them fit, but for one that is far beyond the others."""
    known = [ms for row in rows if (ms := row.latency_ms) is not None]
    if not known:
        return _round_up(budgets.total)
    return _round_up(max(1.0, min(max(known), 4 * median(known))))


def _round_up(ms: float) -> float:
    """The next number that is easy to read: 1, 1.5, 2, 3, 4, 5, 6 or 8 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(ms))
    return next((step * power for step in (1, 1.5, 2, 3, 4, 5, 6, 8) if step * power >= ms), 10 * power)


def _axis(drawing: _Drawing) -> Text:
    width = drawing.widths["bar"]
    end = f"{in_ms(drawing.scale_ms, exact=True)} ms"
    half = in_ms(drawing.scale_ms / 2, exact=True)
    cells = set_cell_size("0", width - len(end)) + end
    middle = width // 2 - len(half) // 2
    if middle + len(half) + 2 < width - len(end):
        cells = cells[:middle] + half + cells[middle + len(half) :]
    return Text(cells, "dim")


def _budget_at(drawing: _Drawing) -> int | None:
    """Where the budget stands in a bar; None when it is beyond its end."""
    at = int(drawing.view.budgets.total / drawing.scale_ms * drawing.widths["bar"])
    return at if at < drawing.widths["bar"] else None


def _bar(row: BoardRow, drawing: _Drawing) -> Text:
    """Voice, sink and the way to the ears in proportion; where there is nothing to draw, why not."""
    width, budgets = drawing.widths["bar"], drawing.view.budgets
    if (pending := row.pending_ms(drawing.now)) is not None:
        return _drawn([(PENDING, pending, "cyan")], width, drawing)
    report = row.report
    if report.d01 is None or report.d12 is None or report.d2a is None:
        return _why_no_bar(row, drawing)
    spans = (
        (VOICE, report.d01, STYLES[grade(report.d01, budgets.d01)]),
        (SINK, report.d12, STYLES[grade(report.d12, budgets.d12)]),
        (AUDIBLE, report.d2a, STYLES[grade(report.d2a, budgets.d2a)]),
    )
    return _drawn(spans, width, drawing)


def _drawn(spans: Iterable[tuple[str, float, str]], width: int, drawing: _Drawing) -> Text:
    bar, end_ms = Text(), 0.0
    for glyph, ms, style in spans:
        end_ms += ms
        cells = round(min(width, end_ms / drawing.scale_ms * width)) - bar.cell_len
        bar.append(glyph * cells, style)
    if end_ms > drawing.scale_ms * 1.001:
        bar.truncate(width - 1)
        bar.append(CUT, "bold")
    if not bar.cell_len:
        bar.append("▏" if not drawing.view.ascii_only else "|", "dim")
    at = _budget_at(drawing)
    if at is not None and at >= bar.cell_len:
        bar.pad_right(at - bar.cell_len)
        bar.append(BUDGET, "yellow")
    return bar


def _why_no_bar(row: BoardRow, drawing: _Drawing) -> Text:
    if row.state == "accepted":
        return Text(f"waits {_seconds(row.waiting_ms(drawing.now))}", "dim")
    if row.state == "lost":
        return Text("its end was not seen", "dim")
    return Text("" if "note" in drawing.widths else clean(row.report.reason), "dim")


def _status(row: BoardRow, drawing: _Drawing) -> Text:
    symbol, word, style = STATE_LOOKS[row.state]
    return Text(f"{symbol} {word}", style)


def _route(row: BoardRow, drawing: _Drawing) -> Text:
    route = row.report.route
    return Text(route_word(route), "yellow" if route == "track" else "")


def _note(row: BoardRow, drawing: _Drawing) -> Text:
    report = row.report
    notes = [report.reason, report.route_reason if report.route == "track" else "", _voice(report)]
    if report.replayed:
        notes.append("replayed")
    if report.resumed:
        notes.append("resumed")
    if report.cached:
        notes.append("cached")
    if report.hold:
        notes.append(f"held {report.hold:.0f} ms")
    if report.underruns:
        notes.append(f"{report.underruns} underrun{'s' if report.underruns > 1 else ''}")
    return Text(clean(", ".join(filter(None, notes))), "yellow")


def _voice(report: Report) -> str:
    """What is out of the usual about who spoke."""
    if report.voice_reason:
        return f"voice of {report.provider} ({report.voice_reason})"
    return "reworded by the voice" if report.reworded else ""


def _latency(row: BoardRow, drawing: _Drawing) -> Text:
    if (pending := row.pending_ms(drawing.now)) is not None:
        return Text(in_ms(pending), "cyan")
    ms = row.latency_ms
    return Text(in_ms(ms)) if ms is None else Text(in_ms(ms), STYLES[grade(ms, drawing.view.budgets.total)])


def _part(name: str) -> Callable[[BoardRow, _Drawing], Text]:
    """A cell for d01, d12 or d2a."""

    def cell(row: BoardRow, drawing: _Drawing) -> Text:
        ms = getattr(row.report, name)
        style = "" if ms is None else STYLES[grade(ms, getattr(drawing.view.budgets, name))]
        return Text(in_ms(ms), style)

    return cell


def _playing(row: BoardRow, drawing: _Drawing) -> Text:
    return Text(_seconds(row.playing_ms(drawing.now)), "" if row.is_over else "bold cyan")


def _played(row: BoardRow, drawing: _Drawing) -> Text:
    ms = row.playing_ms(drawing.now)
    cells = 0 if ms is None else round(ms / drawing.playing_ms * drawing.widths["played"])
    return Text("─" * cells, "" if row.is_over else "bold cyan")


_CELLS: dict[str, Callable[[BoardRow, _Drawing], Text]] = {
    "time": lambda row, drawing: Text(time_of_day(row.event.t0), "dim"),
    "room": lambda row, drawing: Text(clean(row.event.facts.room)),
    "id": lambda row, drawing: Text(clean(row.report.id), "dim"),
    "status": _status,
    "route": _route,
    "note": _note,
    "queued": lambda row, drawing: Text(_seconds(row.waiting_ms(drawing.now), least_ms=50.0), "dim"),
    "d01": _part("d01"),
    "d12": _part("d12"),
    "d2a": _part("d2a"),
    "latency": _latency,
    "bar": _bar,
    "playing": _playing,
    "played": _played,
    "chars": lambda row, drawing: Text(str(row.report.chars), "dim"),
    "voice": lambda row, drawing: Text(clean(row.report.voice), "dim"),
    "text": lambda row, drawing: Text(clean(drawing.board.text(row))),
}


def time_of_day(t0: float) -> str:
    """In the time zone of this machine; blank when it is not known."""
    try:
        return f"{datetime.fromtimestamp(t0):%H:%M:%S}" if t0 else " " * 8
    except (OverflowError, ValueError, OSError):
        return "??:??:??"


def in_ms(ms: float | None, *, exact: bool = False) -> str:
    if ms is None:
        return ""
    if exact:
        return f"{ms:g}"
    return f"{ms:.1f}" if ms < 100 else f"{ms:.0f}" if ms < 10_000 else f"{ms / 1000:.1f}s"


def with_unit(ms: float) -> str:
    """As `in_ms` has it, with its unit."""
    shown = in_ms(ms)
    return f"{shown.removesuffix('s')} s" if shown.endswith("s") else f"{shown} ms"


def _seconds(ms: float | None, *, least_ms: float = 0.0) -> str:
    if ms is None or ms < least_ms:
        return ""
    return f"{ms / 1000:.1f}s" if ms < 600_000 else f"{ms / 60_000:.0f}m"
