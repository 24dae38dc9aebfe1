"""What `liba doctor` prints: a line for each finding as it comes, with what to do below it, and the sum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from libacli.cli.output import output
from libacli.edges.checks.finding import Finding, Verdict

_NAME_WIDTH = 13
"""The longest name is `conversations`."""

_SYMBOLS: dict[Verdict, str] = {"ok": "✓", "warn": "!", "fail": "✗", "skip": "-"}


def show_finding(finding: Finding) -> None:
    lead = f"{_SYMBOLS[finding.verdict]} {finding.verdict:<4}  {finding.name:<{_NAME_WIDTH}}"
    output.result(f"{lead}  {finding.message}")
    if finding.fix:
        output.result(f"{'':{len(lead)}}  → {finding.fix}")


def show_sum(findings: Sequence[Finding]) -> None:
    """How many there are of each verdict."""
    found = [finding.verdict for finding in findings]
    output.status(", ".join(f"{found.count(verdict)} {verdict}" for verdict in _SYMBOLS))


def show_report(report: Mapping[str, Any]) -> None:
    """What to put into a report of an issue; nothing where there is nothing."""
    if not report:
        return
    output.status("for a report of an issue, with no secret in it:")
    for name, value in report.items():
        if isinstance(value, Mapping):
            value = ", ".join(f"{key} {told}" for key, told in value.items())
        output.result(f"  {name}: {', '.join(value) if isinstance(value, list) else value}")


def show_json(findings: Sequence[Finding], worst: Verdict, report: Mapping[str, Any]) -> None:
    members = ("name", "verdict", "message", "fix")
    checks = [{name: getattr(finding, name) for name in members} for finding in findings]
    output.json({"verdict": worst, "checks": checks} | ({"report": report} if report else {}))
