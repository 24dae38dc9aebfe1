"""Alerts are of what Prometheus is really told: a rule about anything else never calls anybody."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import promql_parser
import pytest
import yaml

from libacli.config import Settings
from libacli.core.reasons import REFUSALS
from libacli.edges.metrics.alerts import AlertRule, alert_rules, as_yaml
from libacli.edges.metrics.prometheus import CAPS, DURATIONS
from libacli.web.metrics import HttpMetrics
from tests.edges.metrics.test_dashboard import LABELS, metered

RULES = alert_rules(job="liba.*", latency_budget_ms=1450.0)
OF_PROMETHEUS = {"up"}
TEMPLATE = re.compile(r"\{\{ \$labels\.(\w+) \}\}")
SETTING = re.compile(r"\b(metrics|agent|say|avatar)\.(\w+)(?!\w*\*)")


def selectors(rule: AlertRule) -> Iterator[Any]:
    """Each metric that a rule asks for."""
    waiting = [promql_parser.parse(rule.query)]
    while waiting:
        found = waiting.pop()
        if isinstance(found, promql_parser.VectorSelector):
            yield found
        elif isinstance(found, promql_parser.MatrixSelector):
            waiting.append(found.vector_selector)
        elif isinstance(found, promql_parser.Call):
            waiting += found.args
        else:
            parts = (getattr(found, name, None) for name in ("lhs", "rhs", "expr"))
            waiting += [part for part in parts if part is not None]


def exposed(*registries: Any) -> set[str]:
    return {
        sample.name for registry in registries for family in registry.collect() for sample in family.samples
    }


def with_a_request() -> HttpMetrics:
    metrics = HttpMetrics()
    metrics.count_request("/api/say", "POST", 503, 1.0)
    return metrics


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_metric_of_an_alert_is_one_that_is_exposed(rule: AlertRule) -> None:
    known = exposed(metered().registry, with_a_request().registry) | OF_PROMETHEUS
    asked = {selector.name for selector in selectors(rule)}
    assert asked
    assert asked <= known


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_label_of_an_alert_has_values_that_are_told(rule: AlertRule) -> None:
    known = LABELS | {"route": LABELS["route"] | {"/api/say"}}
    for selector in selectors(rule):
        for matcher in selector.matchers.matchers:
            values = set(matcher.value.split("|"))
            assert matcher.name in ("job", "status") or values <= known[matcher.name], matcher


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_what_an_alert_says_names_labels_that_it_has_and_settings_that_there_are(rule: AlertRule) -> None:
    for label in TEMPLATE.findall(rule.summary):
        grouped = re.search(r"by \(([^)]*)\)", rule.query)
        assert label in (grouped[1].split(", ") if grouped else ["instance"])
    for section, key in SETTING.findall(rule.advice):
        assert f"{section}_{key}" in Settings.model_fields


def test_all_that_goes_wrong_has_an_alert() -> None:
    text = " ".join(rule.query for rule in RULES)
    for metric in (
        "liba_rooms_max",
        "liba_voice_failovers_total",
        'route="fallback"',
        "liba_latency_duration_seconds_bucket",
        "liba_rejected_total",
        "liba_spend_used_ratio",
        "liba_rooms_in_use",
        "up{",
    ):
        assert metric in text


def test_reasons_and_caps_that_alerts_are_about_are_ours() -> None:
    assert {"internal", "takeover", "voice_unavailable", "spend_cap"} <= REFUSALS.keys()
    assert set(CAPS.values()) == {"characters", "avatar_minutes"}
    assert "liba_latency_duration" in {metric for metric, _, _ in DURATIONS.values()}


def test_a_file_of_rules_is_what_prometheus_reads() -> None:
    (group,) = yaml.safe_load(as_yaml(RULES))["groups"]
    assert group["name"] == "liba"
    assert [rule["alert"] for rule in group["rules"]] == [rule.name for rule in RULES]
    assert len({rule["alert"] for rule in group["rules"]}) == len(RULES)
    for rule in group["rules"]:
        assert rule.keys() == {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert re.fullmatch(r"\d+m", rule["for"])
        assert rule["annotations"].keys() == {"summary", "description"}


def test_the_budget_and_the_jobs_are_those_that_are_given() -> None:
    rules = {rule.name: rule for rule in alert_rules(job='li"ba\\d', latency_budget_ms=2000.0)}
    assert rules["LibaLatencyHigh"].query.endswith("> 2")
    (selector,) = selectors(rules["LibaScrapeMissing"])
    assert selector.matchers.matchers[0].value == 'li"ba\\d'
