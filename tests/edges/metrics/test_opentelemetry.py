from __future__ import annotations

import asyncio
import gzip
import importlib
import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import TracebackType
from typing import Any, Self

import pytest
from opentelemetry import trace
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as trace_messages
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as trace_service
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from libacli.config import Settings
from libacli.core.trace_context import TraceContext
from libacli.core.utterance_record import UtteranceRecord
from libacli.edges.metrics.opentelemetry import Telemetry, open_telemetry
from libacli.edges.metrics.rooms_to_worker import RoomMeter
from libacli.edges.metrics.worker import worker_metrics

T0 = 1_800_000_000.125
DONE = UtteranceRecord(
    "u1", T0, "done", room="demo", agent="liba", epoch="e1", route="track", route_reason="402",
    voice="alloy", model="tts", provider="speech", chars=40, chunks=2, frames=100, hold=40.0, underruns=1,
    t3_source="observed", replayed=True, resumed=True,
    waited=20.0, d01=230.5, d12=4.0, d2a=180.0, d23=2000.0, total=2254.5,
)  # fmt: skip


class OtlpReceiver:
    """A collector over HTTP: listens at `url` while it is entered, and keeps what is sent."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.traces: list[trace_messages.ExportTraceServiceRequest] = []
        self.exports: list[ExportMetricsServiceRequest] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                receiver._take(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def spans(self) -> list[Span]:
        """All spans so far."""
        return [
            span
            for request in tuple(self.traces)
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def metrics(self) -> list[Metric]:
        """All metrics of the newest export."""
        return [
            metric
            for request in self.exports[-1:]
            for resource in request.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        ]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _take(self, path: str, headers: dict[str, str], body: bytes) -> None:
        self.paths.append(path)
        self.headers.append(headers)
        if path.endswith("/v1/metrics"):
            self.exports.append(ExportMetricsServiceRequest.FromString(body))
        else:
            self.traces.append(trace_messages.ExportTraceServiceRequest.FromString(body))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("OTEL_"):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def calm() -> Iterator[None]:
    """What was not closed in a test does not hold the SDK's log back in the next one."""
    yield
    sdk = logging.getLogger("opentelemetry")
    sdk.handlers.clear()
    sdk.propagate = True


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as receiver:
        yield receiver


def opened(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Telemetry:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    telemetry = open_telemetry(os.environ)
    assert telemetry is not None
    return telemetry


def attributes(of: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, str(pair.value.WhichOneof("value"))) for pair in of.attributes}


def milliseconds(span: Span) -> tuple[float, float]:
    """Start and end, from T0."""
    t0 = round(T0 * 1000) * 1_000_000
    return (span.start_time_unix_nano - t0) / 1e6, (span.end_time_unix_nano - t0) / 1e6


async def test_an_utterance_is_one_trace_with_its_marks_as_spans(
    receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    telemetry = opened(monkeypatch, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)
    telemetry.observe(DONE)
    await telemetry.aclose()
    spans = {span.name: span for span in receiver.spans()}
    assert {name: milliseconds(span) for name, span in spans.items()} == {
        "utterance": (0, 2254.5),
        "queue": (0, 20),
        "voice": (20, 250.5),
        "sink": (250.5, 254.5),
        "audible": (254.5, 434.5),
        "playback": (254.5, 2254.5),
    }
    root = spans.pop("utterance")
    assert root.parent_span_id == b""
    assert {span.parent_span_id for span in spans.values()} == {root.span_id}
    assert {span.trace_id for span in spans.values()} == {root.trace_id}
    assert root.status.code == Status.STATUS_CODE_UNSET
    assert attributes(root) == {
        "gen_ai.operation.name": "generate_content", "gen_ai.output.type": "speech",
        "gen_ai.provider.name": "openai", "gen_ai.request.model": "tts", "liba.provider": "speech",
        "liba.id": "u1", "liba.agent": "liba", "liba.epoch": "e1",
        "liba.outcome": "done", "liba.route": "fallback", "liba.route_reason": "402",
        "liba.voice": "alloy", "liba.model": "tts", "liba.chars": 40, "liba.chunks": 2,
        "liba.frames": 100, "liba.underruns": 1, "liba.replayed": True, "liba.resumed": True,
        "liba.t3_source": "observed",
        "liba.reworded": False, "liba.hedged": False, "liba.cached": False, "liba.hold": 40.0,
    }  # fmt: skip


PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


async def test_an_utterance_is_part_of_its_callers_trace(
    receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    telemetry = opened(monkeypatch, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)
    telemetry.observe(DONE, TraceContext(PARENT, "vendor=value"))
    await telemetry.aclose()
    spans = receiver.spans()
    root = next(span for span in spans if span.name == "utterance")
    assert root.parent_span_id.hex() == "00f067aa0ba902b7"
    assert {span.trace_id.hex() for span in spans} == {"4bf92f3577b34da6a3ce929d0e0e4736"}
    assert {span.trace_state for span in spans} == {"vendor=value"}
    assert {span.parent_span_id for span in spans if span is not root and span.name != "utterance"} == {
        root.span_id
    }


async def test_a_caller_that_takes_no_samples_gets_none(
    receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    telemetry = opened(monkeypatch, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)
    telemetry.observe(DONE, TraceContext(PARENT[:-1] + "0"))
    await telemetry.aclose()
    assert receiver.spans() == []


async def test_a_trace_names_the_room_only_where_that_is_wanted(
    receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
    for with_rooms in (False, True):
        telemetry = open_telemetry(os.environ, with_rooms=with_rooms)
        assert telemetry
        telemetry.observe(DONE)
        await telemetry.aclose()
    roots = [attributes(span) for span in receiver.spans() if span.name == "utterance"]
    assert [root.get("liba.room") for root in roots] == [None, "demo"]
    assert all("demo" not in str(metric) for metric in receiver.metrics())


@pytest.mark.parametrize(
    ("record", "told"),
    [
        (replace(DONE, provider="livekit:elevenlabs"), "elevenlabs"),
        (replace(DONE, provider="realtime"), "openai"),
        (replace(DONE, cached=True), None),
        (UtteranceRecord("u", T0, "expired"), None),
    ],
    ids=["a plugin", "OpenAI's", "from memory", "never spoken"],
)
async def test_a_model_is_named_where_one_was_asked(
    receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch, record: UtteranceRecord, told: str | None
) -> None:
    telemetry = opened(monkeypatch, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)
    telemetry.observe(record)
    await telemetry.aclose()
    root = next(attributes(span) for span in receiver.spans() if span.name == "utterance")
    assert root.get("gen_ai.provider.name") == told
    assert any(name.startswith("gen_ai.") for name in root) == (told is not None)


async def test_each_utterance_has_a_trace_of_its_own_whatever_is_current(
    receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    telemetry = opened(monkeypatch, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)
    current = trace.NonRecordingSpan(trace.SpanContext(7, 8, is_remote=True, trace_flags=trace.TraceFlags(1)))
    with trace.use_span(current):
        telemetry.observe(DONE)
        telemetry.observe(replace(DONE, id="u2"))
    await telemetry.aclose()
    roots = [span for span in receiver.spans() if span.name == "utterance"]
    assert len({span.trace_id for span in roots}) == 2
    assert {span.parent_span_id for span in roots} == {b""}


@pytest.mark.parametrize(
    ("record", "spans", "code"),
    [
        (UtteranceRecord("u", T0, "expired"), {"utterance": (0, 0)}, Status.STATUS_CODE_ERROR),
        (
            UtteranceRecord("u", T0, "failed", reason="the voice stalled", waited=5.0),
            {"utterance": (0, 5), "queue": (0, 5)},
            Status.STATUS_CODE_ERROR,
        ),
        (
            UtteranceRecord("u", T0, "interrupted", waited=1.0, d01=100.0, d12=2.0),
            {"utterance": (0, 103), "queue": (0, 1), "voice": (1, 101), "sink": (101, 103)},
            Status.STATUS_CODE_UNSET,
        ),
        (replace(DONE, outcome="unconfirmed"), None, Status.STATUS_CODE_ERROR),
    ],
    ids=lambda value: getattr(value, "outcome", ""),
)
async def test_an_utterance_that_did_not_come_to_its_end_is_traced_as_far_as_it_came(
    receiver: OtlpReceiver,
    monkeypatch: pytest.MonkeyPatch,
    record: UtteranceRecord,
    spans: dict[str, tuple[float, float]] | None,
    code: Status.StatusCode.ValueType,
) -> None:
    telemetry = opened(monkeypatch, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)
    telemetry.observe(record)
    await telemetry.aclose()
    seen = receiver.spans()
    assert spans is None or {span.name: milliseconds(span) for span in seen} == spans
    root = next(span for span in seen if span.name == "utterance")
    assert root.status.code == code
    if code == Status.STATUS_CODE_ERROR:
        assert root.status.message == (record.reason or record.outcome)
        assert attributes(root)["error.type"] == record.outcome


async def test_durations_are_histograms_by_route(
    receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    telemetry = opened(monkeypatch, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)
    for record in (DONE, DONE, replace(DONE, route="avatar"), UtteranceRecord("u", T0, "expired")):
        telemetry.observe(record)
    telemetry.refuse("queue_full")
    await telemetry.aclose()
    seen = {metric.name: metric for metric in receiver.metrics()}
    assert sorted(seen) == [
        f"liba.{name}.duration" for name in ("audible", "latency", "sink", "utterance", "voice", "waiting")
    ]
    assert {metric.unit for metric in seen.values()} == {"s"}
    points = {
        attributes(point)["route"]: point for point in seen["liba.voice.duration"].histogram.data_points
    }
    assert (points["fallback"].count, points["tavus"].count) == (2, 1)
    assert points["fallback"].sum == pytest.approx(0.461)
    assert points["tavus"].bucket_counts[list(points["tavus"].explicit_bounds).index(0.3)] == 1


async def test_the_standard_variables_name_the_service_and_the_headers(
    receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    telemetry = opened(
        monkeypatch,
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url,
        OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer%20key",
        OTEL_SERVICE_NAME="stage",
        OTEL_RESOURCE_ATTRIBUTES="deployment.environment=test",
    )
    telemetry.observe(DONE)
    await telemetry.aclose()
    assert receiver.headers[0]["authorization"] == "Bearer key"
    resource = attributes(receiver.traces[0].resource_spans[0].resource)
    assert (resource["service.name"], resource["deployment.environment"]) == ("stage", "test")


async def test_a_service_without_a_name_is_liba(
    receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    telemetry = opened(monkeypatch, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)
    telemetry.observe(DONE)
    await telemetry.aclose()
    assert attributes(receiver.traces[0].resource_spans[0].resource)["service.name"] == "liba"


async def test_a_collector_on_this_machine_is_not_asked_for_through_a_proxy(
    receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    telemetry = opened(monkeypatch, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)
    telemetry.observe(DONE)
    await telemetry.aclose()
    assert len(receiver.spans()) == 6


async def test_a_signal_may_go_to_a_place_of_its_own(
    receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    telemetry = opened(monkeypatch, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{receiver.url}/own/place")
    telemetry.observe(DONE)
    await telemetry.aclose()
    assert receiver.paths == ["/own/place"]


@pytest.mark.parametrize(
    ("variables", "paths"),
    [
        ({}, ["/v1/metrics", "/v1/traces"]),
        ({"OTEL_TRACES_EXPORTER": "none"}, ["/v1/metrics"]),
        ({"OTEL_METRICS_EXPORTER": "none"}, ["/v1/traces"]),
        ({"OTEL_METRICS_EXPORTER": "console", "OTEL_TRACES_EXPORTER": "console, otlp"}, ["/v1/traces"]),
    ],
    ids=str,
)
async def test_a_signal_is_sent_unless_it_is_not_wanted(
    receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], paths: list[str]
) -> None:
    telemetry = opened(monkeypatch, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url + "/", **variables)
    telemetry.observe(DONE)
    await telemetry.aclose()
    assert sorted(receiver.paths) == paths


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"OTEL_SERVICE_NAME": "liba"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": " "},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "True"},
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
            "OTEL_TRACES_EXPORTER": "none",
            "OTEL_METRICS_EXPORTER": "none",
        },
    ],
    ids=str,
)
def test_without_a_wish_there_is_no_telemetry(variables: dict[str, str]) -> None:
    assert open_telemetry(variables) is None


def test_without_a_wish_the_sdk_is_not_loaded() -> None:
    code = (
        "import sys; from libacli.edges.metrics.opentelemetry import open_telemetry;"
        "assert open_telemetry({}) is None;"
        "sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    "variables",
    [
        {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"},
        {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "carrier-pigeon"},
        {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_COMPRESSION": "zip"},
    ],
    ids=str,
)
async def test_a_variable_that_is_wrong_costs_its_signal_and_is_told_in_a_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, variables: dict[str, str]
) -> None:
    for name, value in (variables | {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}).items():
        monkeypatch.setenv(name, value)
    if telemetry := open_telemetry(os.environ):
        await telemetry.aclose()
    assert "OTEL_" in caplog.text
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == [
        caplog.records[0].message
    ]
    assert logging.getLogger("opentelemetry").propagate


BROKEN = {
    "no such protocol": {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"},
    "half a protocol": {"OTEL_EXPORTER_OTLP_PROTOCOL": "http"},
    "no address": {"OTEL_EXPORTER_OTLP_ENDPOINT": "collector"},
    "half an address": {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://[::1"},
    "another scheme": {"OTEL_EXPORTER_OTLP_ENDPOINT": "ftp://ann:hunter2hunter2@127.0.0.1:1"},
    "no such host": {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://nowhere.invalid:4318"},
    "nobody there, by gRPC": {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
    },
    "no such compression": {"OTEL_EXPORTER_OTLP_COMPRESSION": "zip"},
    "no number": {"OTEL_EXPORTER_OTLP_TIMEOUT": "ten", "OTEL_BSP_MAX_QUEUE_SIZE": "many"},
    "a port that speaks something else": {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc",
    },
    "no header": {"OTEL_EXPORTER_OTLP_HEADERS": "authorization: Bearer hunter2hunter2"},
    "a header of two lines": {"OTEL_EXPORTER_OTLP_HEADERS": "authorization=hunter2hunter2%0Ahunter2hunter2"},
    "no such certificate": {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "https://127.0.0.1:1",
        "OTEL_EXPORTER_OTLP_CERTIFICATE": "/nowhere/ca.pem",
    },
    "no such sampler": {"OTEL_TRACES_SAMPLER": "sometimes", "OTEL_METRICS_EXEMPLAR_FILTER": "never"},
}

SPEAKING = """
import asyncio, logging, os, sys, time
from libacli.config import Settings
from libacli.cli.log import configure_log
from libacli.core.utterance_record import UtteranceRecord
from libacli.edges.metrics.opentelemetry import open_telemetry

configure_log(Settings())
telemetry = open_telemetry(os.environ)
for number in range(20):
    if telemetry:
        telemetry.observe(UtteranceRecord(str(number), 1.0, "done", waited=1.0, d01=2.0, d12=3.0, d2a=4.0))
    time.sleep(0.02)
print("spoken", flush=True)
if telemetry:
    asyncio.run(telemetry.aclose())
"""


@pytest.mark.parametrize("variables", BROKEN.values(), ids=BROKEN)
def test_otel_protocol_and_whatever_else_is_wrong_speech_goes_on_and_the_log_has_a_line(
    receiver: OtlpReceiver, variables: dict[str, str]
) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")} | {
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
        "OTEL_BSP_SCHEDULE_DELAY": "50",
        "OTEL_METRIC_EXPORT_INTERVAL": "50",
        **variables,
    }
    ended = subprocess.run(
        [sys.executable, "-c", SPEAKING], env=environment, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout) == (0, "spoken\n"), ended.stderr
    assert "Traceback" not in ended.stderr
    told = ended.stderr.splitlines()
    assert 1 <= len(told) <= 2, ended.stderr
    assert all("telemetry" in line or "OTEL_" in line for line in told)
    assert "hunter2" not in ended.stderr


def test_a_collector_that_never_answers_holds_no_process_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        environment = os.environ | {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{deaf.getsockname()[1]}",
            "OTEL_BSP_SCHEDULE_DELAY": "50",
        }
        pipe = subprocess.PIPE
        with subprocess.Popen(
            [sys.executable, "-c", SPEAKING], env=environment, stdout=pipe, stderr=pipe, text=True
        ) as process:
            assert process.stdout
            assert process.stdout.readline() == "spoken\n"
            spoken_at = time.monotonic()
            rest, told = process.communicate(timeout=60)
    assert (process.returncode, rest) == (0, ""), told
    assert "Traceback" not in told
    assert time.monotonic() - spoken_at < 9  # the SDK alone waits 10 s for an answer


async def test_otlp_wrong_port_where_no_collector_is_costs_a_line_and_holds_nothing_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    telemetry = opened(
        monkeypatch,
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1",
        OTEL_BSP_SCHEDULE_DELAY="10",
        OTEL_METRIC_EXPORT_INTERVAL="10",
    )
    with caplog.at_level(logging.WARNING):
        began_at = time.thread_time()  # of this thread alone: what others do on the machine is not counted
        for _ in range(1000):
            telemetry.observe(DONE)
        took_s = time.thread_time() - began_at
        await asyncio.to_thread(time.sleep, 0.2)  # the SDK's threads have no other clock
        began_at = time.perf_counter()
        await telemetry.aclose()
        closing_s = time.perf_counter() - began_at
    assert took_s < 2
    assert closing_s < 5  # its bound is 2 s; the SDK alone would try for 10
    assert [record.name for record in caplog.records] == ["liba.metrics"]
    assert "telemetry does not get through" in caplog.text


async def test_a_key_in_headers_that_are_wrong_is_not_told(
    receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    telemetry = opened(
        monkeypatch,
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url,
        OTEL_EXPORTER_OTLP_HEADERS="api-key: hunter2",
    )
    await telemetry.aclose()
    assert "OTEL_EXPORTER_OTLP_HEADERS" in caplog.text
    assert "hunter2" not in caplog.text


async def test_nothing_global_is_set(receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
    telemetry = opened(monkeypatch, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)
    with trace.get_tracer("somebody else").start_as_current_span("with text in it") as span:
        assert not span.is_recording()
    await telemetry.aclose()
    assert receiver.spans() == []
    assert logging.getLogger("opentelemetry").propagate


async def test_grpc_is_spoken_where_it_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    requests = []

    class Collector(trace_service.TraceServiceServicer):
        def Export(self, request: Any, context: Any) -> Any:
            requests.append(request)
            return trace_messages.ExportTraceServiceResponse()

    server = importlib.import_module("grpc").server(ThreadPoolExecutor(1))
    trace_service.add_TraceServiceServicer_to_server(Collector(), server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    telemetry = opened(
        monkeypatch,
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}",
        OTEL_EXPORTER_OTLP_PROTOCOL="grpc",
        OTEL_METRICS_EXPORTER="none",
    )
    telemetry.observe(DONE)
    await telemetry.aclose()
    server.stop(None).wait()
    assert [len(request.resource_spans[0].scope_spans[0].spans) for request in requests] == [6]


async def test_a_worker_tells_both_of_what_its_rooms_tell(
    receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
    async with worker_metrics(Settings(), os.environ) as address:
        assert address is not None
        line = RoomMeter(address)
        await asyncio.sleep(0.01)
        line.observe(DONE, TraceContext(PARENT))
        await line.aclose()
    assert len(receiver.spans()) == 6
    assert {span.trace_id.hex() for span in receiver.spans()} == {PARENT[3:35]}


async def test_a_worker_that_nobody_asks_for_metrics_has_no_address() -> None:
    async with worker_metrics(Settings(), {}) as address:
        assert address is None
