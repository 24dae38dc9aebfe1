"""GET /healthz, /readyz and /metrics: for whatever looks after this server."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response

from libacli.errors import StoreError
from libacli.web.dependencies import CallerDependency, ServicesDependency, authenticated_caller
from libacli.web.models.health import Health
from libacli.web.problems import Problem, responses
from libacli.web.services import Services

router = APIRouter(tags=["health"])


@router.get("/healthz", summary="Is it alive", response_model_exclude_none=True)
async def healthz() -> Health:
    """200 as long as this process answers."""
    return Health(status="ok")


@router.get(
    "/readyz", summary="Can it do its work", response_model_exclude_none=True, responses=responses(503)
)
async def readyz(request: Request, services: ServicesDependency) -> Health:
    """200 when LiveKit can be reached and takes this server's credentials.

    `shared` tells, where servers share sessions and limits, whether that store can be reached: if not, keys
    are taken all the same, sessions are answered with 503, and limits count for this server alone.
    Why not is told in words to whoever has a key, or needs none; to others by its reason alone.
    """
    try:
        await services.readiness.check()
    except Problem as problem:
        if await _is_owner(request, services):
            raise
        raise Problem(problem.status, problem.reason, "not ready") from problem
    return Health(status="ok", shared=services.store_watch.state)


async def _is_owner(request: Request, services: Services) -> bool:
    """Whether the caller may know all about this server. A wrong key is counted, and is as good as none."""
    if services.authenticator.needs_key and "authorization" not in request.headers:
        return False  # no attempt: whoever only looks whether it lives is not shut out for that
    try:
        caller = await authenticated_caller(request, services, None)
    except (Problem, StoreError):
        return False
    return caller.room is None


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=Response,
    responses={
        200: {"description": "Text format", "content": {"text/plain": {}}},
        **responses(401, 429, 503),
    },
)
async def prometheus_metrics(services: ServicesDependency, caller: CallerDependency) -> Response:
    """Requests, their durations, open event streams, this process; what agents do they tell themselves."""
    return Response(await asyncio.to_thread(services.metrics.expose), media_type=CONTENT_TYPE_LATEST)
