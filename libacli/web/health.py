"""GET /healthz, /readyz and /metrics: for whatever looks after this server."""

from __future__ import annotations

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import Response

from libacli.web.dependencies import CallerDependency, ServicesDependency
from libacli.web.models import Health
from libacli.web.problems import responses

router = APIRouter(tags=["health"])


@router.get("/healthz", summary="Is it alive")
async def healthz() -> Health:
    """200 as long as this process answers."""
    return Health(status="ok")


@router.get("/readyz", summary="Can it do its work", responses=responses(503))
async def readyz(services: ServicesDependency) -> Health:
    """200 when LiveKit can be reached and takes this server's credentials."""
    await services.readiness.check()
    return Health(status="ok")


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=Response,
    responses={
        200: {"description": "Text format", "content": {"text/plain": {}}},
        **responses(401, 429),
    },
)
async def prometheus_metrics(services: ServicesDependency, caller: CallerDependency) -> Response:
    """Requests, their durations, and open event streams; what agents do they tell themselves."""
    return Response(generate_latest(services.metrics.registry), media_type=CONTENT_TYPE_LATEST)
