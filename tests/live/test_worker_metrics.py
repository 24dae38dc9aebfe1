"""A worker that is asked to tells Prometheus and OpenTelemetry of its rooms, in either isolation."""

from __future__ import annotations

import platform
import socket
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from libacli.core.capacity import load
from tests.edges.metrics.test_opentelemetry import OtlpReceiver, attributes
from tests.live.conftest import Shell, wait_for_line

pytestmark = pytest.mark.live

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
LINES = ("The canary sings at midnight.", "Nobody else hears it.")
SPANS = {"utterance", "queue", "voice", "sink", "audible", "playback"}
TIMEOUT_S = 60.0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def scrape(port: int) -> dict[tuple[str, ...], float]:
    """Samples by their name and the values of their labels, in the order of the labels' names."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{port}/metrics") as answer:
        text = answer.read().decode()
    assert "canary" not in text
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


@pytest.mark.parametrize("isolation", ["process", "thread"])
def test_two_lines_are_seen_by_a_scrape_and_by_a_collector(
    shell: Shell, room: str, tmp_path: Path, isolation: str
) -> None:
    port, log = free_port(), tmp_path / "worker.log"
    name = f"fleet-{isolation}"
    with OtlpReceiver() as receiver:
        command = ("agent", "run", "--agent-name", name, "--isolation", isolation)
        asked_for = {
            "LIBA_METRICS_PROMETHEUS_PORT": str(port),
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
            "OTEL_BSP_SCHEDULE_DELAY": "200",
            "LIBA_METRICS_ROOM_NAMES": "true",
        }
        with shell.running(*command, log=log, **asked_for) as worker:
            wait_for_line(log, "worker is ready", worker)
            assert scrape(port)["liba_rooms_in_use",] == 0
            for line in LINES:
                command = ("say", line, "--room", room, "--wait", "done")
                said = shell.run(*command, LIBA_AGENT_NAME=name, TRACEPARENT=PARENT)
                assert said.returncode == 0, said.stderr
            refused = shell.run("say", "今日は", "--room", room, LIBA_AGENT_NAME=name)
            assert refused.returncode == 6
            wait_until(lambda: scrape(port)["liba_rejected_total", "unsupported_text"] == 1, "no rejection")
            wait_until(lambda: 0 < scrape(port)["liba_spend_used_ratio", "characters"] < 0.1, "no spending")
            seen = scrape(port)
            wait_until(lambda: len(receiver.spans()) >= 2 * len(SPANS), "no spans")
            worker.terminate()
            worker.wait(timeout=TIMEOUT_S)
        metrics = {metric.name: metric for metric in receiver.metrics()}

    assert seen["liba_utterances_total", "done", "fallback"] == 2
    assert seen["liba_rooms_in_use",] == 1
    assert seen["liba_rooms_max",] == 8
    assert seen["liba_queue_length",] == 0
    assert seen["process_resident_memory_bytes",] > 10_000_000
    assert ("lk_agents_active_job_count", platform.node()) in seen or isolation == "thread"
    assert seen["lk_agents_worker_load", platform.node()] == pytest.approx(load(1, 8))
    assert seen["liba_characters_total",] == sum(map(len, LINES))
    durations = ("voice", "sink", "audible", "utterance")
    counts = {name: seen[f"liba_{name}_duration_seconds_count", "fallback"] for name in durations}
    assert counts == dict.fromkeys(durations, 2)
    for duration in durations:
        assert seen[f"liba_{duration}_duration_seconds_sum", "fallback"] > 0
        point = metrics[f"liba.{duration}.duration"].histogram.data_points[0]
        assert point.sum == pytest.approx(seen[f"liba_{duration}_duration_seconds_sum", "fallback"])
    spans = receiver.spans()
    assert {span.name for span in spans} == SPANS
    assert {span.trace_id.hex() for span in spans} == {PARENT[3:35]}
    assert {span.parent_span_id.hex() for span in spans if span.name == "utterance"} == {PARENT[36:52]}
    roots = [attributes(span) for span in spans if span.name == "utterance"]
    assert {root["liba.room"] for root in roots} == {room}
    assert {root["liba.outcome"] for root in roots} == {"done"}
    assert "canary" not in str(receiver.traces)


def test_a_port_that_is_taken_is_told_in_one_line(shell: Shell) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = shell.run("agent", "run", LIBA_METRICS_PROMETHEUS_PORT=port)
    assert ended.returncode == 3
    assert f"port {port}" in ended.stderr
    assert "metrics.prometheus_port" in ended.stderr
    assert "Traceback" not in ended.stderr
