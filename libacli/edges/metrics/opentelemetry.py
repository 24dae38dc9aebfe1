"""What rooms measured, for OpenTelemetry: one trace per utterance, its marks as spans, and histograms.

The standard variables (`OTEL_EXPORTER_OTLP_ENDPOINT`, ...) say where it goes; without one nothing is loaded.
Export is done by the SDK's own threads, from bounded queues.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from libacli import __version__
from libacli.config import is_loopback
from libacli.core.latency import counted
from libacli.core.route import route_word
from libacli.core.utterance_record import UtteranceRecord
from libacli.edges.metrics.meter import Meter
from libacli.edges.metrics.prometheus import DURATIONS
from libacli.errors import ConfigError

if TYPE_CHECKING:
    from opentelemetry.metrics import Histogram
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.trace import Tracer

logger = logging.getLogger("liba.metrics")

Signal = Literal["traces", "metrics"]

CLOSE_TIMEOUT_S = 2.0

_TOLD = (
    "id", "room", "agent", "epoch", "route", "route_reason", "outcome", "reason", "voice", "model",
    "provider", "voice_reason", "reworded", "hedged", "cached", "hold", "chars", "chunks", "frames",
    "underruns", "t3_source", "replayed",
)  # fmt: skip
"""Members of a record that a trace tells, each as `liba.` and its name."""

_ERRORS = frozenset({"failed", "expired", "unconfirmed"})

_EXPORTERS: dict[Signal, tuple[str, str]] = {
    "traces": ("trace_exporter", "OTLPSpanExporter"),
    "metrics": ("metric_exporter", "OTLPMetricExporter"),
}
_PACKAGES = {
    "grpc": "opentelemetry.exporter.otlp.proto.grpc",
    "http/protobuf": "opentelemetry.exporter.otlp.proto.http",
}


def open_telemetry(environment: Mapping[str, str]) -> Telemetry | None:
    """What the standard variables in `environment` ask for; None: nothing.

    The SDK reads the finer ones (headers, certificates, sampling, intervals) from the process's environment.
    Raises ConfigError for a protocol that is not known.
    """
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    targets = {signal: target for signal in _EXPORTERS if (target := Target.find(signal, environment))}
    return Telemetry(targets) if targets else None


@dataclass(frozen=True)
class Target:
    """Where one signal goes."""

    signal: Signal
    protocol: str
    """`grpc` or `http/protobuf`."""

    url: str

    @classmethod
    def find(cls, signal: Signal, environment: Mapping[str, str]) -> Target | None:
        """The target that the variables name; None: that signal is not wanted. Raises ConfigError."""

        def value(name: str) -> str:
            own = environment.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_{name}", "").strip()
            return own or environment.get(f"OTEL_EXPORTER_OTLP_{name}", "").strip()

        exporters = environment.get(f"OTEL_{signal.upper()}_EXPORTER", "").strip() or "otlp"
        if not (url := value("ENDPOINT")) or "otlp" not in (name.strip() for name in exporters.split(",")):
            return None
        protocol = value("PROTOCOL") or "http/protobuf"
        if protocol not in _PACKAGES:
            raise ConfigError(
                f"OTEL_EXPORTER_OTLP_PROTOCOL: {protocol!r} is not known",
                hint="it may be grpc or http/protobuf",
            )
        is_base = not environment.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT", "").strip()
        if protocol == "http/protobuf" and is_base:
            url = f"{url.rstrip('/')}/v1/{signal}"
        return cls(signal, protocol, url)

    @property
    def place(self) -> str:
        """Where that is, without a password that the URL may hold."""
        return urlsplit(self.url).netloc.rpartition("@")[2] or self.url

    def exporter(self) -> Any:
        """The SDK's exporter. Raises ConfigError when a variable that it reads is wrong."""
        options: dict[str, Any] = {"endpoint": self.url}
        if is_loopback(self.url) and self.protocol == "grpc":
            options["channel_options"] = (("grpc.enable_http_proxy", 0),)
        elif is_loopback(self.url):
            options["session"] = importlib.import_module("requests").Session()
            options["session"].trust_env = False  # no proxy can reach this machine
        module, name = _EXPORTERS[self.signal]
        try:
            return getattr(importlib.import_module(f"{_PACKAGES[self.protocol]}.{module}"), name)(**options)
        except Exception as error:  # of many kinds: the SDK's, the network library's, a file's
            raise ConfigError(
                f"OTEL_EXPORTER_OTLP_*: {error}", hint="correct or unset the variable"
            ) from error


class Telemetry(Meter):
    """Tells of each utterance: a trace, values of histograms, or both. It sets nothing global."""

    def __init__(self, targets: Mapping[Signal, Target]) -> None:
        self.targets = tuple(dict.fromkeys(target.place for target in targets.values()))
        """Hosts it goes to."""

        self._closers: list[Callable[[], None]] = []
        self._once = _Once()
        self._tracer = self._open_traces(targets["traces"]) if "traces" in targets else None
        self._histograms = self._open_metrics(targets["metrics"]) if "metrics" in targets else {}

    def observe(self, record: UtteranceRecord) -> None:
        """An utterance has ended."""
        for name, milliseconds in counted(record):
            if histogram := self._histograms.get(name):
                histogram.record(milliseconds / 1000, {"route": route_word(record.route, "none")})
        if self._tracer:
            _trace(self._tracer, record)

    async def aclose(self) -> None:
        """Sends what is left, within 2 s; what cannot be sent by then is lost."""
        loop = asyncio.get_running_loop()

        def close(closer: Callable[[], None], is_closed: asyncio.Event) -> None:
            try:
                closer()
            except Exception as error:
                logger.debug("telemetry was not closed: %s", error)
            with suppress(RuntimeError):  # the loop has ended in the meantime
                loop.call_soon_threadsafe(is_closed.set)

        closed = []
        for closer in self._closers:
            closed.append(asyncio.Event())
            # Daemons: one that hangs on a collector must not keep the process.
            threading.Thread(target=close, args=(closer, closed[-1]), daemon=True).start()
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                for is_closed in closed:
                    await is_closed.wait()
            self._once.remove()

    def _open_traces(self, target: Target) -> Tracer:
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(target.exporter()))
        self._closers.append(provider.shutdown)
        return provider.get_tracer("liba", __version__)

    def _open_metrics(self, target: Target) -> dict[str, Histogram]:
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

        reader = PeriodicExportingMetricReader(target.exporter())
        provider = MeterProvider([reader], resource=_resource(), shutdown_on_exit=False)
        self._closers.append(provider.shutdown)
        meter = provider.get_meter("liba", __version__)
        return {
            # A Prometheus that gets them over OTLP names them as `PrometheusMeter` does.
            name: meter.create_histogram(
                metric.replace("_", "."),
                unit="s",
                description=text,
                explicit_bucket_boundaries_advisory=bounds,
            )
            for name, (metric, text, bounds) in DURATIONS.items()
        }


def _resource() -> Resource:
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource

    given = OTELResourceDetector().detect().attributes
    return Resource.create({"service.name": "liba", "service.version": __version__, **given})


def _trace(tracer: Tracer, record: UtteranceRecord) -> None:
    """One trace: `utterance`, and in it the way from mark to mark, as far as it came."""
    from opentelemetry import trace
    from opentelemetry.context import Context

    t0, turn = 0.0, record.waited or 0.0
    t1 = None if record.d01 is None else turn + record.d01
    t2 = None if t1 is None or record.d12 is None else t1 + record.d12
    spans = [
        (name, start, start + length)
        for name, start, length in (
            ("queue", t0, record.waited),
            ("voice", turn, record.d01),
            ("sink", t1, record.d12),
            ("audible", t2, record.d2a),
            ("playback", t2, record.d23),
        )
        if start is not None and length is not None
    ]

    def at(ms: float) -> int:
        return round(record.t0 * 1000) * 1_000_000 + round(ms * 1_000_000)

    end = max((end for _, _, end in spans), default=t0) if record.total is None else record.total
    members = record.encode()
    told = {f"liba.{name}": members[name] for name in _TOLD if members[name] != ""}
    root = tracer.start_span("utterance", context=Context(), start_time=at(t0), attributes=told)
    if record.outcome in _ERRORS:
        root.set_status(trace.StatusCode.ERROR, record.reason or record.outcome)
    inside = trace.set_span_in_context(root, Context())
    for name, start, stop in spans:
        tracer.start_span(name, context=inside, start_time=at(start)).end(at(stop))
    root.end(at(end))


class _Once(logging.Handler):
    """Says once that telemetry does not get through; the SDK says it for every batch, in several ways."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._level = logging.WARNING
        self._sdk = logging.getLogger("opentelemetry")
        self._sdk.addHandler(self)
        self._sdk.propagate = False

    def emit(self, record: logging.LogRecord) -> None:
        if record.name == "opentelemetry.util.re":  # that message holds the headers, and they hold a key
            logger.warning(
                "OTEL_EXPORTER_OTLP_HEADERS is not as it should be: name=value,name=value, URL-encoded"
            )
            return
        logger.log(self._level, "telemetry does not get through: %s", record.getMessage())
        self._level = logging.DEBUG

    def remove(self) -> None:
        self._sdk.removeHandler(self)
        self._sdk.propagate = True
