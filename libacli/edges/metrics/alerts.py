"""When somebody is to be called: alerting rules for what liba tells Prometheus.

https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal

import yaml

_HEAD = (
    "# For Prometheus's `rule_files`, or a PrometheusRule's `spec`: liba metrics alerts > liba.rules.yml\n"
)

_SPOKEN = 'sum(increase(liba_utterances_total{route!="none"}[15m]))'


@dataclass(frozen=True)
class AlertRule:
    """One reason to call somebody."""

    name: str
    query: str
    """PromQL that has a value while there is one."""

    lasting: str
    """For how long that has to be so."""

    severity: Literal["critical", "warning"]
    """`critical`: lines are not spoken, or will not be in a moment."""

    summary: str
    advice: str
    """The next step."""


def alert_rules(*, job: str, latency_budget_ms: float) -> list[AlertRule]:
    """The rules, for scrape jobs whose name matches the regular expression `job`."""
    return [*_workers(job), *_voices(), *_lines(latency_budget_ms / 1000), *_money(), *_web()]


def as_yaml(rules: list[AlertRule]) -> str:
    """A file of rules, as Prometheus reads it."""
    groups = [{"name": "liba", "rules": [_encoded(rule) for rule in rules]}]
    return _HEAD + str(yaml.safe_dump({"groups": groups}, sort_keys=False, width=110, allow_unicode=True))


def _encoded(rule: AlertRule) -> dict[str, object]:
    return {
        "alert": rule.name,
        "expr": rule.query,
        "for": rule.lasting,
        "labels": {"severity": rule.severity},
        "annotations": {"summary": rule.summary, "description": rule.advice},
    }


def _workers(job: str) -> list[AlertRule]:
    return [
        AlertRule(
            "LibaNoWorker",
            "absent(liba_rooms_max)",
            "2m",
            "critical",
            "No liba worker answers Prometheus",
            "No room gets an agent, or metrics.prometheus_port is not set, or nobody scrapes it: see the "
            "workers' logs and Prometheus's targets.",
        ),
        AlertRule(
            "LibaScrapeMissing",
            f"up{{job=~{json.dumps(job)}}} == 0",
            "3m",
            "warning",
            "{{ $labels.instance }} does not answer Prometheus",
            "It hangs, is gone, or its metrics.prometheus_host is not to be reached from there.",
        ),
        AlertRule(
            "LibaWorkersFull",
            "sum(liba_rooms_in_use) / sum(liba_rooms_max) > 0.9",
            "5m",
            "warning",
            "{{ $value | humanizePercentage }} of all places for rooms are taken",
            "Start another worker, or raise agent.max_rooms as far as the machine goes: what does not fit is "
            "refused.",
        ),
        AlertRule(
            "LibaDefect",
            'sum by (reason) (increase(liba_rejected_total{reason=~"internal|takeover"}[10m])) > 0',
            "0m",
            "warning",
            "Requests came to nothing: {{ $labels.reason }}",
            "internal: a defect of the agent; takeover: somebody joined with its identity. Its log tells.",
        ),
    ]


def _voices() -> list[AlertRule]:
    return [
        AlertRule(
            "LibaVoiceUnavailable",
            'sum(increase(liba_rejected_total{reason="voice_unavailable"}[5m])) > 0',
            "0m",
            "critical",
            "No voice is left: lines are refused",
            "liba voices tells why each of them is passed over.",
        ),
        AlertRule(
            "LibaVoiceFailover",
            f"sum(increase(liba_voice_failovers_total[15m])) / {_SPOKEN} > 0.1",
            "5m",
            "warning",
            "{{ $value | humanizePercentage }} of lines are spoken by another voice than the first one",
            "liba voices tells what the first one answers.",
        ),
    ]


def _lines(budget_s: float) -> list[AlertRule]:
    return [
        AlertRule(
            "LibaAvatarFallback",
            f'sum(increase(liba_utterances_total{{route="fallback"}}[15m])) / {_SPOKEN} > 0.25'
            " and on () sum(increase(liba_avatar_seconds_total[1d])) > 0",
            "10m",
            "warning",
            "{{ $value | humanizePercentage }} of lines are spoken without the avatar",
            "Only where an avatar is in use; lines that nobody watches count, too. The workers' logs have "
            "the reasons, behind ROUTE=fallback.",
        ),
        AlertRule(
            "LibaLatencyHigh",
            "histogram_quantile(0.95, sum by (le, route) (rate(liba_latency_duration_seconds_bucket[10m])))"
            f" > {budget_s:g}",
            "10m",
            "warning",
            "{{ $value | humanizeDuration }} until a line is heard (p95, {{ $labels.route }})",
            f"Its budget is {budget_s:g} s (metrics.budget_*); liba metrics watch --all tells where.",
        ),
        AlertRule(
            "LibaSpeechFails",
            'sum(increase(liba_utterances_total{outcome=~"failed|expired|unconfirmed"}[15m]))'
            " / sum(increase(liba_utterances_total[15m])) > 0.05",
            "5m",
            "critical",
            "{{ $value | humanizePercentage }} of lines failed, expired or went unconfirmed",
            "liba metrics summary --by outcome, and the workers' logs.",
        ),
        AlertRule(
            "LibaRefusals",
            "sum(increase(liba_rejected_total[15m])) / sum(increase(liba_utterances_total[15m])) > 0.2",
            "5m",
            "warning",
            "{{ $value | humanizePercentage }} of requests are refused",
            "By reason: sum by (reason) (increase(liba_rejected_total[15m])).",
        ),
    ]


def _money() -> list[AlertRule]:
    return [
        AlertRule(
            "LibaSpendCapNear",
            "max by (cap) (liba_spend_used_ratio) > 0.8",
            "1m",
            "warning",
            "{{ $value | humanizePercentage }} of the cap on {{ $labels.cap }} is used up",
            "At 100 % lines are refused (characters), or spoken without the avatar: say.max_chars_per_hour, "
            "avatar.max_minutes_per_day.",
        ),
        AlertRule(
            "LibaSpendCapReached",
            'sum(increase(liba_rejected_total{reason="spend_cap"}[10m])) > 0',
            "0m",
            "critical",
            "Lines are refused: a spend cap is reached",
            "liba queue --room R tells which one, and when there is more.",
        ),
    ]


def _web() -> list[AlertRule]:
    return [
        AlertRule(
            "LibaHttpSayFails",
            'sum(increase(liba_http_requests_total{route="/api/say",status=~"5.."}[10m]))'
            ' / sum(increase(liba_http_requests_total{route="/api/say"}[10m])) > 0.05',
            "5m",
            "critical",
            "{{ $value | humanizePercentage }} of POST /api/say fail",
            "No agent came, LiveKit is away, or no voice is left: the reason of the answers tells.",
        ),
    ]
