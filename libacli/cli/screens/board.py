"""A board as a person likes to look at it: numbers on top, then one line per utterance, newest first.

Pure: everything depends on what it is given. No line is wider than asked for, and none is wrapped.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group
from rich.text import Text

from libacli.cli.output import printable
from libacli.cli.screens.board_table import (
    AUDIBLE,
    BUDGET,
    SINK,
    STYLES,
    VOICE,
    View,
    in_ms,
    scale_ms,
    table,
    time_of_day,
    with_unit,
)
from libacli.cli.screens.cells import clean
from libacli.core.board import SHOWN, Board
from libacli.core.board_row import BoardRow, grade
from libacli.core.route import route_word

_SPARKS = "▁▂▃▄▅▆▇█"
_HEAD_LINES = 8
"""Title, facts, a gap, four lines of numbers, a gap."""

_ASCII = str.maketrans(
    "·▷►✓■✗○–×→…┊»─" + "▏░▒▓█" + "▁▂▃▄▅▆▇",
    ".>>+!xo-x>~!>-" + "|.-=#" + "_.,-=+*",
)


def draw(board: Board, view: View, now: float) -> Group:
    """The whole of it; `now` is of the clock that the board was told."""
    has_head = view.height is None or view.height >= _HEAD_LINES + 5
    head = [*_title(board, view, now), *(_numbers(board, view) if has_head else [])]
    if board.gone_at is not None:  # all of it was true then
        for line in head[2:]:
            line.stylize("dim")
    space = None if view.height is None else max(1, view.height - len(head) - 2)
    rows = board.rows[:space]
    lines = [*head, *table(board, rows, view, now)]
    if view.height is not None:
        lines += [Text()] * (view.height - 1 - len(lines))
    is_marked = view.budgets.total < scale_ms(rows, view.budgets)
    lines = [*lines, _legend(view, is_marked)][: view.height]
    return Group(*(_fitted(line, view) for line in lines))


def plain_line(row: BoardRow) -> str:
    """An utterance that has ended, in one line for a log."""
    report = row.report
    words = [time_of_day(row.event.t0), f"{report.id:<12}", f"{row.state:<11}"]
    words.append(f"{route_word(report.route, '-'):<8}")
    for name, width in (("d01", 7), ("d12", 6), ("d2a", 6), ("d23", 8), ("total", 8)):
        value = getattr(report, name)
        words.append(f"{name}={'-' if value is None else format(value, '.1f'):<{width}}")
    words.append(f"{report.t3_source or '-':<9}")
    notes = [report.reason, report.route_reason if report.route == "track" else "", report.voice_reason]
    return printable(" ".join([*words, *filter(None, notes)]).rstrip().replace("\n", " "))


def _title(board: Board, view: View, now: float) -> list[Text]:
    facts = board.facts
    title = Text.assemble(("liba metrics", "bold"), "  ")
    if view.with_rooms:
        title.append("all rooms of this machine")
    else:
        title.append(f"room {clean(facts.room)}", "bold")
    state = (
        (board.connection_words, "bold yellow")
        if board.connection_words
        else ("► live" if board.is_live else "", "bold cyan")
    )
    right = Text.assemble(state, "  " if state[0] and view.keys else "", (view.keys, "dim"))
    title.truncate(max(0, view.width - right.cell_len - 1), overflow="ellipsis")
    title.pad_right(max(1, view.width - title.cell_len - right.cell_len))
    return [title + right, _facts(board, view, now)]


def _facts(board: Board, view: View, now: float) -> Text:
    facts = board.facts
    parts: list[tuple[str, str, str]] = []
    if not view.with_rooms:
        if board.gone_at is not None:
            parts.append(("agent gone", f"{max(0.0, now - board.gone_at):.0f} s ago", "bold yellow"))
        elif board.has_agent is False:
            parts.append(("no agent yet:", "liba agent run", "bold yellow"))
        elif facts.agent:
            parts.append(("agent", f"{facts.agent} {facts.epoch[:8]}".strip(), "bold"))
            is_ready = facts.avatar == "ready"
            parts.append(("avatar", facts.avatar or "–", "green" if is_ready else "yellow"))
            paused = " paused" if facts.paused else ""
            parts.append(
                ("queue", f"{facts.queue}{paused}", "bold yellow" if paused else "bold" * (facts.queue > 0))
            )
    parts.append(("utterances", str(board.count), "bold"))
    if board.restarts:
        parts.append(("restarted", f"{board.restarts}×", "yellow"))
    if board.ignored:
        parts.append(("ignored", str(board.ignored), "yellow"))
    if facts.model and not view.with_rooms and board.has_agent is not False:
        parts.append(("voice", facts.model, "yellow" if facts.voice_state else ""))
    told = [Text.assemble((name, "dim"), " ", (clean(value), style)) for name, value, style in parts]
    return Text("   ").join(told)


def _numbers(board: Board, view: View) -> list[Text]:
    """Percentiles at the left, the latencies of late at the right."""
    told = board.statistics()
    names = ("p50", "p95", "p99")
    lines = [Text(f"{'ms':7}" + "".join(f"{name:>8}" for name in names) + f"{'budget':>9}", "dim")]
    for name in SHOWN:
        line = Text(f"{name:7}")
        budget = view.budgets.total if name == "latency" else getattr(view.budgets, name)
        for percent in names:
            value = told.get(name, {}).get(percent)
            style = STYLES[grade(value, budget)] if value is not None else ""
            line.append(f"{in_ms(value) or '–':>8}", style)
        line.append(f"{in_ms(budget, exact=True):>9}", "dim")
        lines.append(line)
    left = max(line.cell_len for line in lines)
    for line, beside in zip(lines, _recent(board.latencies, view, view.width - left - 3), strict=False):
        line.pad_right(left + 3 - line.cell_len)
        line.append_text(beside)
    return [Text(), *lines, Text()]


def _recent(latencies: Sequence[float], view: View, width: int) -> list[Text]:
    shown = list(latencies[-min(width, 100) :]) if width >= 8 else []
    if not shown:
        return []
    top = max(shown) or 1.0
    spark = Text()
    for ms in shown:
        spark.append(_SPARKS[min(7, int(ms / top * 8))], STYLES[grade(ms, view.budgets.total)])
    title = f"turn→audible, last {len(shown)}"
    span = f"{with_unit(min(shown))} … {with_unit(max(shown))}, now {with_unit(shown[-1])}"
    return [Text(title[:width], "dim"), spark, Text(span if len(span) <= width else "", "dim")]


def _legend(view: View, is_marked: bool) -> Text:
    """What the bars are made of. `is_marked`: the budget is not beyond their end."""
    budget = f"budget {in_ms(view.budgets.total, exact=True)} ms"
    parts = [(VOICE, "voice"), (SINK, "sink"), (AUDIBLE, "until audible")]
    parts.append((BUDGET, budget) if is_marked else ("", f"({budget} is beyond)"))
    return Text("  ").join(Text.assemble((glyph, ""), (f" {word}", "dim")) for glyph, word in parts)


def _fitted(line: Text, view: View) -> Text:
    line.no_wrap = True
    line.truncate(view.width, overflow="ellipsis")
    if view.ascii_only:
        line.plain = line.plain.translate(_ASCII)
    line.rstrip()
    return line
