"""What `liba probe` prints: a line for each utterance as it comes, and a summary in the same columns."""

from __future__ import annotations

from collections.abc import Mapping

from libacli.core.probe_result import ProbeResult

_WIDTHS = {"heard": 6, "claim": 6, "seen": 6, "speech": 7, "cut": 5, "stretch": 8, "gap": 5, "lag": 5}


def header() -> str:
    return _line("utterance", "route", {name: name for name in _WIDTHS}, "in ms")


def row(result: ProbeResult) -> str:
    values = {name: getattr(result, name) for name in _WIDTHS}
    cells = {name: f"{value:.0f}" for name, value in values.items() if value is not None}
    return _line(result.id, result.route or "none", cells, result.verdict)


def summary_row(statistic: str, summary: Mapping[str, Mapping[str, float]]) -> str:
    """The line of one statistic; what was not measured is a dash, what is not summed up is left empty."""
    cells = {name: f"{values[statistic]:.0f}" for name, values in summary.items()}
    return _line(statistic, "", {"speech": ""} | cells, "")


def _line(name: str, route: str, cells: Mapping[str, str], verdict: str) -> str:
    columns = " ".join(f"{cells.get(column, '-'):>{width - 1}}" for column, width in _WIDTHS.items())
    return f"{name:<12}{route:<9}{columns}  {verdict}".rstrip()
