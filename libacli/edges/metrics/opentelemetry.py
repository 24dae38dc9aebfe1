"""What rooms measured, for OpenTelemetry: one trace per utterance, its marks as spans, and histograms.

The standard variables (`OTEL_EXPORTER_OTLP_ENDPOINT`, ...) say where it goes; without one nothing is loaded.
Export is done by the SDK's own threads, from bounded queues. What is wrong there costs telemetry, and a line.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from libacli import __version__
from libacli.core.latency import counted
from libacli.core.route import route_word
from libacli.core.trace_context import UNTRACED, TraceContext
from libacli.core.utterance_record import UtteranceRecord
from libacli.edges.metrics.meter import Meter
from libacli.edges.metrics.otlp_target import SIGNALS, Target
from libacli.edges.metrics.prometheus import DURATIONS
from libacli.edges.metrics.utterance_trace import tell_trace
from libacli.errors import ConfigError
from libacli.masking import without_password

if TYPE_CHECKING:
    from opentelemetry.metrics import Histogram
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.trace import Tracer

logger = logging.getLogger("liba.metrics")

CLOSE_TIMEOUT_S = 2.0


def open_telemetry(environment: Mapping[str, str], *, with_rooms: bool = False) -> Telemetry | None:
    """What the standard variables in `environment` ask for; None: nothing, or nothing that can be done.

    The SDK reads the finer ones (headers, certificates, sampling, intervals) from the process's environment.
    A signal whose variables are wrong is left out, which the log says. Traces name rooms if `with_rooms`.
    """
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    telemetry, troubles = Telemetry(with_rooms=with_rooms), []
    for signal in SIGNALS:
        try:
            if target := Target.find(signal, environment):
                telemetry.open(target)
        except ConfigError as error:
            troubles.append(f"{error}; {error.hint}")
        except Exception as error:  # of many kinds: the SDK's, the network library's, a file's
            troubles.append(f"OTEL_*: {_in_a_line(str(error))}")
    for trouble in dict.fromkeys(troubles):
        logger.warning("telemetry is left out: %s", trouble)
    if telemetry.places:
        return telemetry
    telemetry.give_up()
    return None


class Telemetry(Meter):
    """Tells of each utterance: a trace, values of histograms, or both. It sets nothing global.

    A trace is part of the caller's, where a request says so. The spoken text is in none.
    """

    def __init__(self, *, with_rooms: bool = False) -> None:
        self.places: tuple[str, ...] = ()
        """Hosts it goes to."""

        self._with_rooms = with_rooms
        self._closers: list[Callable[[], None]] = []
        self._once = _Once()
        self._tracer: Tracer | None = None
        self._histograms: dict[str, Histogram] = {}

    def open(self, target: Target) -> None:
        """From now on `target` is told of its signal. Raises whatever the SDK has against its variables."""
        if target.signal == "traces":
            self._tracer = self._open_traces(target)
        else:
            self._histograms = self._open_metrics(target)
        self.places = tuple(dict.fromkeys((*self.places, target.place)))

    def give_up(self) -> None:
        """Nothing was opened: the SDK's log is as it was."""
        self._once.remove()

    def observe(self, record: UtteranceRecord, trace: TraceContext = UNTRACED) -> None:
        """An utterance has ended."""
        for name, milliseconds in counted(record):
            if histogram := self._histograms.get(name):
                histogram.record(milliseconds / 1000, {"route": route_word(record.route, "none")})
        if self._tracer:
            tell_trace(self._tracer, record, trace, with_room=self._with_rooms)

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

        exporter, resource = target.exporter(), _resource()
        MeterProvider(resource=resource, shutdown_on_exit=False)  # raises before a reader runs on its own
        reader = PeriodicExportingMetricReader(exporter)
        provider = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
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


class _Once(logging.Handler):
    """Says once what the SDK complains of; that says it for every batch, in several ways, with tracebacks."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._said: set[str] = set()
        self._sdk = logging.getLogger("opentelemetry")
        self._sdk.addHandler(self)
        self._sdk.propagate = False

    def emit(self, record: logging.LogRecord) -> None:
        if record.name == "opentelemetry.util.re":  # that message holds the headers, and they hold a key
            what = "OTEL_EXPORTER_OTLP_HEADERS is not as it should be: name=value,name=value, URL-encoded"
            self._say(what, what)
            return
        words = record.getMessage()
        if record.exc_info and record.exc_info[1]:
            words = f"{words}: {record.exc_info[1]}"
        words = _in_a_line(words)
        if _is_of_export(record.name):
            self._say("export", f"telemetry does not get through: {words}")
        else:
            self._say(record.name, f"telemetry: {words}")

    def remove(self) -> None:
        self._sdk.removeHandler(self)
        self._sdk.propagate = True

    def _say(self, about: str, words: str) -> None:
        logger.log(logging.DEBUG if about in self._said else logging.WARNING, words)
        self._said.add(about)


def _in_a_line(words: str) -> str:
    """What others complain of. Who writes the log masks secrets: spaces in them stay what they are."""
    return without_password(words).replace("\n", "\\n")


def _is_of_export(name: str) -> bool:
    """Whether a logger of the SDK is one of what sends."""
    return "export" in name or name == "opentelemetry.sdk._shared_internal"
