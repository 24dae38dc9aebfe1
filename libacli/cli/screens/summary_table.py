"""What `liba metrics summary` prints: a line for each duration of each group, and of all."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from libacli.cli.output import output
from libacli.cli.screens.cells import cell
from libacli.core.summary import Summary

_STATISTICS = ("p50", "p95", "p99", "max")


def show_summary(whole: Summary, groups: Sequence[Summary], by: Sequence[str]) -> None:
    """Prints the groups, whose keys are in the order of `by`, and all together if there are several."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in (*by, "utterances", "done", "duration", *_STATISTICS):
        is_number = name == "utterances" or name in _STATISTICS
        table.add_column(name, justify="right" if is_number else "left", no_wrap=True)
    for group in [*groups, whole] if len(groups) > 1 else groups:
        names = list(group.key) or ["all", *[""] * (len(by) - 1)]
        first = [*names, str(group.count), f"{group.outcomes['done'] * 100 // group.count} %"]
        for name, values in group.statistics().items() or {"": {}}.items():
            numbers = [_milliseconds(values.get(one)) for one in _STATISTICS]
            table.add_row(*map(cell, (*first, name, *numbers)))
            first = [""] * len(first)
    output.table(table)


def _milliseconds(value: float | None) -> str:
    return "" if value is None else f"{value:,.1f} ms"
