"""What a worker tells of all its rooms: Prometheus and OpenTelemetry, as far as they are asked for."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from libacli.config import Settings
from libacli.edges.metrics.meter import Meter
from libacli.edges.metrics.opentelemetry import open_telemetry
from libacli.edges.metrics.prometheus import PrometheusMeter, exposing
from libacli.edges.metrics.rooms_to_worker import gathering

logger = logging.getLogger("liba.metrics")


@asynccontextmanager
async def worker_metrics(settings: Settings, environment: Mapping[str, str]) -> AsyncIterator[Path | None]:
    """Tells Prometheus and OpenTelemetry of all rooms of this worker, as far as they are asked for.

    Gives the address for the rooms' `RoomMeter`s, or None when nobody wants to know.
    Raises ConfigError when the port is taken. What is wrong with OpenTelemetry's variables is told, no more.
    """
    telemetry = open_telemetry(environment, with_rooms=settings.metrics_room_names)
    port = settings.metrics_prometheus_port
    if telemetry is None and not port:
        yield None
        return
    meter = PrometheusMeter(rooms_max=settings.agent_max_rooms)
    async with AsyncExitStack() as stack:
        others: list[Meter] = []
        if telemetry:
            stack.push_async_callback(telemetry.aclose)
            others.append(telemetry)
            logger.info("telemetry goes to %s", ", ".join(telemetry.places))
        if port:
            host = settings.metrics_prometheus_host
            await stack.enter_async_context(exposing(meter, host, port))
            logger.info(
                "metrics for Prometheus: http://%s:%d/metrics", f"[{host}]" if ":" in host else host, port
            )
        yield await stack.enter_async_context(gathering(meter, *others))
