"""POST /api/stop"""

from __future__ import annotations

from fastapi import APIRouter

from libacli.web.dependencies import CallerDependency, ServicesDependency
from libacli.web.models.stop import StopBody, Stopped
from libacli.web.problems import responses

router = APIRouter(tags=["speech"])


@router.post(
    "/api/stop",
    summary="Stop speaking",
    responses=responses(401, 403, 413, 415, 422, 429, 502, 503),
)
async def stop_speaking(
    services: ServicesDependency, caller: CallerDependency, body: StopBody | None = None
) -> Stopped:
    """Stops what is being spoken in a room, and forgets what waits; or ends one utterance alone."""
    caller.check_can_control()
    room = caller.room_or(services.settings.say_room, body.room if body else None)
    wanted = body.id if body and body.id else ""
    return Stopped(room=room, stopped=await services.gateway.stop(room, wanted))
