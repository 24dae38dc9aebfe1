"""What Prometheus is told of the web itself: requests by route, durations, event streams, its process."""

from __future__ import annotations

import logging
import time

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    generate_latest,
)
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from libacli.build_info import BUILD_INFO

logger = logging.getLogger("liba.web")

_CLIENT_LEFT = 499
"""Nobody was there to be answered; the number that nginx has for it."""

_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
"""Prometheus's own, up to 10 s (how long an agent may take to come), and two for who waits for an end."""

_METHODS = ("GET", "HEAD", "POST", "OPTIONS")
"""All that a route or a browser's question has; a method, too, is whatever somebody types."""


class HttpMetrics:
    """Counts requests by route, never by raw path: a path is whatever somebody types."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "liba_http_requests", "Requests", ["route", "method", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "liba_http_request_duration_seconds",
            "From a request to the end of its answer",
            ["route"],
            buckets=_BUCKETS_S,
            registry=self.registry,
        )
        self.streams = Gauge("liba_http_streams", "Open event streams", registry=self.registry)
        Info("liba_build", "Versions of what runs here", registry=self.registry).info(BUILD_INFO)
        self._process = CollectorRegistry()
        ProcessCollector(registry=self._process)

    def expose(self) -> bytes:
        """All of it in Prometheus's text format. Reads files of /proc: not for an event loop."""
        return generate_latest(self.registry) + generate_latest(self._process)

    def count_request(self, route: str, method: str, status: int, seconds: float) -> None:
        """One request has been answered."""
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route).observe(seconds)


class RequestMetricsMiddleware:
    """Measures every request from outside all other middleware."""

    def __init__(self, app: ASGIApp, metrics: HttpMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), _CLIENT_LEFT

        async def note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, note_status)
        except Exception:
            status = 500
            raise
        finally:
            seconds = time.perf_counter() - started
            route = getattr(scope.get("route"), "path_format", "other")
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self._metrics.count_request(route, method, status, seconds)
            logger.debug("%s %s %d in %.0f ms", method, route, status, seconds * 1000)
