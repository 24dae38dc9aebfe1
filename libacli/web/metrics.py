"""GET /metrics: what Prometheus is told of the web itself."""

from __future__ import annotations

import logging
import time

from fastapi import APIRouter, FastAPI, Request
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from libacli.web.auth import CallerDependency
from libacli.web.problems import responses

logger = logging.getLogger("liba.web")

_CLIENT_LEFT = 499
"""Nobody was there to be answered; the number that nginx has for it."""

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

router = APIRouter(tags=["health"])


class Telling:
    """Counts requests by route, never by raw path: a path is whatever somebody types."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "liba_http_requests", "Requests", ["route", "method", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "liba_http_request_seconds",
            "From a request to the end of its answer",
            ["route"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.streams = Gauge("liba_http_streams", "Open event streams", registry=self.registry)

    def count(self, route: str, method: str, status: int, seconds: float) -> None:
        """One request has been answered."""
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route).observe(seconds)


class TellingDoor:
    """Watches every request from outside all other doors."""

    def __init__(self, app: ASGIApp, telling: Telling) -> None:
        self._app = app
        self._telling = telling

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), _CLIENT_LEFT

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except Exception:
            status = 500
            raise
        finally:
            seconds = time.perf_counter() - started
            route = getattr(scope.get("route"), "path_format", "other")
            method = scope["method"] if scope["method"] in ("GET", "HEAD", "POST", "OPTIONS") else "other"
            self._telling.count(route, method, status, seconds)
            logger.debug("%s %s %d in %.0f ms", method, route, status, seconds * 1000)


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=Response,
    responses={
        200: {"description": "Text format", "content": {"text/plain": {}}},
        **responses(401, 429),
    },
)
async def metrics(request: Request, caller: CallerDependency) -> Response:
    """Requests, their durations, and open event streams; what agents do they tell themselves."""
    return Response(generate_latest(request.app.state.telling.registry), media_type=CONTENT_TYPE_LATEST)


def install(app: FastAPI) -> None:
    """Counts all requests to `app` from now on."""
    app.state.telling = Telling()
    app.include_router(router)
    app.add_middleware(TellingDoor, telling=app.state.telling)
