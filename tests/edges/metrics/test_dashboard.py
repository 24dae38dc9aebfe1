"""The Grafana dashboard shows what the agent exposes: all of it, and nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest

from libacli.core.lifecycle import OUTCOMES
from libacli.edges.metrics.prometheus import CAPS, REASONS, ROUTES, PrometheusMeter

LABELS: dict[str, set[str]] = {
    "outcome": {*OUTCOMES, "rejected"},
    "route": set(ROUTES),
    "reason": set(REASONS),
    "cap": set(CAPS.values()),
    "version": set(),
    "instance": set(),
}


@pytest.fixture(scope="module")
def dashboard() -> dict[str, Any]:
    text = files("libacli.edges.metrics").joinpath("dashboard.json").read_text(encoding="utf-8")
    parsed: dict[str, Any] = json.loads(text)
    return parsed


def queries(dashboard: dict[str, Any]) -> Iterator[str]:
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield target["expr"]


def metered() -> PrometheusMeter:
    """One that was told of something that has no value before."""
    meter = PrometheusMeter()
    meter.room_opened(1)
    meter.spent(1, dict.fromkeys(CAPS, 0.5))
    return meter


def exposed() -> dict[str, set[str]]:
    """Metric → names of its samples, without the moment of its creation."""
    return {
        family.name: {sample.name for sample in family.samples if not sample.name.endswith("_created")}
        for family in metered().registry.collect()
        if family.name.startswith("liba_")
    }


def test_every_metric_in_a_query_is_one_that_the_agent_exposes(dashboard: dict[str, Any]) -> None:
    known = {name for names in exposed().values() for name in names}
    asked = {name for query in queries(dashboard) for name in re.findall(r"\bliba_\w+", query)}
    assert asked
    assert asked <= known


def test_every_metric_that_the_agent_exposes_is_on_the_dashboard(dashboard: dict[str, Any]) -> None:
    text = " ".join(queries(dashboard))
    missing = [metric for metric, names in exposed().items() if not any(name in text for name in names)]
    assert missing == []


def test_every_label_in_a_query_is_one_that_the_agent_sets(dashboard: dict[str, Any]) -> None:
    for query in queries(dashboard):
        for label, value in re.findall(r'(\w+)!?=~?"([^"]*)"', query):
            assert label == "instance" or value in LABELS[label]
        for labels in re.findall(r"by \(([^)]*)\)", query):
            assert set(labels.split(", ")) <= {*LABELS, "le"}


def test_brackets_in_queries_are_closed(dashboard: dict[str, Any]) -> None:
    for query in queries(dashboard):
        for opening, closing in ("()", "{}", "[]"):
            assert query.count(opening) == query.count(closing), query


def test_both_percentiles_of_every_duration_are_shown_by_route(dashboard: dict[str, Any]) -> None:
    text = "\n".join(queries(dashboard))
    for metric in (
        "liba_waiting",
        "liba_voice",
        "liba_sink",
        "liba_audible",
        "liba_latency",
        "liba_utterance",
    ):
        for quantile in ("0.5", "0.95"):
            assert (
                f"histogram_quantile({quantile}, sum by (le, route) (rate({metric}_duration_seconds_bucket"
                in text
            )


def test_it_can_be_imported_anywhere_and_again(dashboard: dict[str, Any]) -> None:
    assert dashboard["uid"] == "liba-fleet"
    assert "id" not in dashboard
    assert dashboard["schemaVersion"] >= 39
    variables = {variable["name"]: variable for variable in dashboard["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    for panel in dashboard["panels"]:
        if panel["type"] != "row":
            assert panel["datasource"]["uid"] == "${datasource}"
            assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}


def test_panels_have_ids_of_their_own_and_do_not_overlap(dashboard: dict[str, Any]) -> None:
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
