"""Runs `liba metrics alerts`."""

from __future__ import annotations

import re
from dataclasses import asdict

from libacli.cli.output import output
from libacli.config import Settings
from libacli.core.board_row import Budgets
from libacli.edges.metrics.alerts import alert_rules, as_yaml
from libacli.errors import UsageError


def print_alerts(settings: Settings, *, job: str, as_json: bool) -> None:
    """Prints the rules, with the budgets of `settings`. Raises UsageError for a `job` that is no pattern."""
    try:
        re.compile(job)
    except re.error as error:
        raise UsageError(f"--job {job!r} is no regular expression: {error}") from error
    budgets = Budgets(settings.metrics_budget_d01, settings.metrics_budget_d12, settings.metrics_budget_d2a)
    rules = alert_rules(job=job, latency_budget_ms=budgets.total)
    if as_json:
        output.json([asdict(rule) for rule in rules])
    else:
        output.result(as_yaml(rules).rstrip("\n"))
