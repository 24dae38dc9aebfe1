"""What rooms measured, for Prometheus: the worker counts, and answers scrapes for all of its rooms.

Beside ours stand `process_*`, of the worker's own process, and the SDK's `lk_agents_*`. It counts those in
the worker for all its room processes, so that nothing has to be gathered from them; where rooms are threads
it counts no jobs, and child processes only with `PROMETHEUS_MULTIPROC_DIR`.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager

from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    Metric,
    start_http_server,
)
from prometheus_client.registry import Collector

from libacli.build_info import BUILD_INFO
from libacli.core.latency import counted
from libacli.core.lifecycle import OUTCOMES
from libacli.core.reasons import REFUSALS
from libacli.core.route import ROUTE_WORDS, route_word
from libacli.core.trace_context import UNTRACED, TraceContext
from libacli.core.utterance_record import UtteranceRecord
from libacli.errors import ConfigError

logger = logging.getLogger("liba.metrics")

ROUTES = (*ROUTE_WORDS, "none")
"""Values of the label `route`; `none`: it came to no sound."""

REASONS = (*sorted(word for word, reason in REFUSALS.items() if reason.is_counted), "other")
"""Values of the label `reason` of requests that were rejected; `takeover`: the agent was put out itself."""

CAPS = {"speech": "characters", "avatar": "avatar_minutes"}
"""Name of a cap, as agents have it → value of the label `cap`. Other caps are one sender's own."""

_SURROUNDINGS = ("process_", "lk_agents_")

DURATIONS = {
    "waited": ("liba_waiting_duration", "In the queue, from the request to its turn (from T0 on)",
               (0.05, 0.1, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300)),
    "d01": ("liba_voice_duration", "From its turn to the first sound of the voice (T1), if it began at once",
            (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.9, 1.2, 1.8, 3, 5, 10, 30, 60)),
    "d12": ("liba_sink_duration", "From there to the first frame in the sink (T1 to T2)",
            (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)),
    "d2a": ("liba_audible_duration", "From there until the room can hear it (T2 to TA)",
            (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1, 1.5, 2, 3, 5)),
    "latency": ("liba_latency_duration", "From its turn until the room hears it, if it began at once",
                (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.9, 1.2, 1.45, 1.8, 2.9, 5, 10, 30)),
    "total": ("liba_utterance_duration", "From the request to the end of playback (T0 to T3)",
              (0.5, 1, 2, 3, 5, 8, 13, 20, 30, 60, 120, 300)),
}  # fmt: skip
"""Duration of a record → the metric's name without its unit, what it means, and bounds in seconds."""


class _Surroundings(Collector):
    """What is known of this process, and what livekit-agents counts in the registry that all of it share."""

    def collect(self) -> Iterable[Metric]:
        return [family for family in REGISTRY.collect() if family.name.startswith(_SURROUNDINGS)]


class PrometheusMeter:
    """Counts for all rooms of one worker, in a registry of its own. No label names a room or a person.

    The worker takes `rooms_max` rooms at most.
    """

    def __init__(self, *, rooms_max: int = 0) -> None:
        if folder := os.environ.get("PROMETHEUS_MULTIPROC_DIR"):  # somebody's wish, and the client needs it
            os.makedirs(folder, exist_ok=True)
        self.registry = own = CollectorRegistry()
        self._queues: dict[object, int] = {}
        self._paused: set[object] = set()
        self._seconds = {
            name: Histogram(metric, text, ["route"], unit="seconds", buckets=bounds, registry=own)
            for name, (metric, text, bounds) in DURATIONS.items()
        }
        self._utterances = Counter(
            "liba_utterances", "Requests to speak, by outcome", ["outcome", "route"], registry=own
        )
        self._rejected = Counter("liba_rejected", "Rejected requests, by reason", ["reason"], registry=own)
        self._characters = Counter("liba_characters", "Characters handed to the voice", registry=own)
        self._avatar = Counter("liba_avatar_seconds", "Seconds of avatar conversations", registry=own)
        self._underruns = Counter("liba_underruns", "Times that speech broke off in its middle", registry=own)
        self._replayed = Counter("liba_replayed", "Utterances begun again on the track", registry=own)
        self._cached = Counter("liba_voice_cache_hits", "Utterances said from memory", registry=own)
        self._hedged = Counter(
            "liba_voice_hedges", "Utterances for which a second request was the quicker one", registry=own
        )
        self._failovers = Counter(
            "liba_voice_failovers", "Utterances that another voice than the first one spoke", registry=own
        )
        self._spent = Gauge(
            "liba_spend_used_ratio", "How far a cap is used up; 1: all", ["cap"], registry=own
        )
        self._spent_by: dict[object, Mapping[str, float]] = {}
        rooms = Gauge("liba_rooms_in_use", "Rooms with an agent of this worker", registry=own)
        rooms.set_function(lambda: len(self._queues))
        Gauge("liba_rooms_max", "Rooms that this worker takes at most", registry=own).set(rooms_max)
        waiting = Gauge("liba_queue_length", "Utterances that wait, in all rooms", registry=own)
        waiting.set_function(lambda: sum(tuple(self._queues.values())))
        paused = Gauge("liba_queues_paused", "Rooms whose queue is paused", registry=own)
        paused.set_function(lambda: len(self._paused))
        Info("liba_build", "Versions of what runs here", registry=own).info(BUILD_INFO)
        self._begin_at_zero()

    def observe(self, record: UtteranceRecord, trace: TraceContext = UNTRACED) -> None:
        """An utterance has ended."""
        route = route_word(record.route, "none")
        self._utterances.labels(record.outcome, route).inc()
        for name, milliseconds in counted(record):
            if name in self._seconds:
                self._seconds[name].labels(route).observe(milliseconds / 1000)
        if record.chunks and not record.cached:  # without a chunk it never came to its turn
            self._characters.inc(record.chars)
        self._underruns.inc(record.underruns)
        self._replayed.inc(record.replayed)
        self._cached.inc(record.cached)
        self._hedged.inc(record.hedged)
        self._failovers.inc(bool(record.voice_reason))

    def refuse(self, reason: str) -> None:
        """A request was rejected; a reason that is not one of `REASONS` counts as `other`."""
        self._utterances.labels("rejected", "none").inc()
        self._rejected.labels(reason if reason in REASONS else "other").inc()

    def room_opened(self, room: object) -> None:
        """`room` is any key, for as long as the room is open."""
        self._queues[room] = 0

    def room_closed(self, room: object) -> None:
        self._queues.pop(room, None)
        self._paused.discard(room)
        self._spent_by.pop(room, None)
        if not self._spent_by:
            self._spent.clear()

    def queue(self, room: object, length: int) -> None:
        """Number of utterances that wait in an open room."""
        if room in self._queues:
            self._queues[room] = length

    def paused(self, room: object, is_paused: bool) -> None:
        """Whether the queue of an open room is paused."""
        if is_paused and room in self._queues:
            self._paused.add(room)
        else:
            self._paused.discard(room)

    def spent(self, room: object, ratios: Mapping[str, float]) -> None:
        """How far each cap is used up, as an open room knows it; of several rooms the most counts."""
        if room not in self._queues:
            return
        self._spent_by[room] = ratios
        for cap, label in CAPS.items():
            if known := [float(told[cap]) for told in self._spent_by.values() if cap in told]:
                self._spent.labels(label).set(max(known))

    def avatar_seconds(self, seconds: float) -> None:
        """So much more avatar time was used."""
        self._avatar.inc(max(0.0, seconds))

    def _begin_at_zero(self) -> None:
        """An event that a series appears with is not seen as an increase: so all series are there before."""
        for outcome, route in itertools.product(sorted(OUTCOMES), ROUTES):
            self._utterances.labels(outcome, route)
        self._utterances.labels("rejected", "none")
        for reason in REASONS:
            self._rejected.labels(reason)
        for histogram, route in itertools.product(self._seconds.values(), ROUTES[:2]):
            histogram.labels(route)


@asynccontextmanager
async def exposing(meter: PrometheusMeter, host: str, port: int) -> AsyncIterator[int]:
    """Answers scrapes at `http://host:port/metrics`, from its own threads. Gives the port; 0: any free one.

    They get what the meter counts, and what there is of this process and of the SDK.

    Raises ConfigError when it cannot listen there.
    """
    try:
        server, _ = start_http_server(port, host, meter.registry)
    except OSError as error:
        raise ConfigError(
            f"cannot answer Prometheus on {host} port {port}: {error.strerror or error}",
            hint="metrics.prometheus_port and metrics.prometheus_host say where; port 0: it does not",
        ) from error
    surroundings = _Surroundings()
    meter.registry.register(surroundings)
    try:
        yield server.server_port
    finally:
        meter.registry.unregister(surroundings)
        await asyncio.to_thread(server.shutdown)
        server.server_close()
