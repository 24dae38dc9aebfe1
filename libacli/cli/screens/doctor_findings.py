"""What `liba doctor` prints: a line for each finding as it comes, with what to do below it, and the sum."""

from __future__ import annotations

from collections.abc import Sequence

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


def show_json(findings: Sequence[Finding], worst: Verdict) -> None:
    members = ("name", "verdict", "message", "fix")
    checks = [{name: getattr(finding, name) for name in members} for finding in findings]
    output.json({"verdict": worst, "checks": checks})
