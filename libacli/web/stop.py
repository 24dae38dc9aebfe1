"""POST /api/stop"""

from __future__ import annotations

from fastapi import APIRouter, Request

from libacli.web.auth import CallerDependency
from libacli.web.models import RoomBody, Stopped
from libacli.web.problems import responses

router = APIRouter(tags=["speech"])


@router.post(
    "/api/stop",
    summary="Stop speaking",
    responses=responses(401, 403, 413, 415, 422, 429, 502, 503),
)
async def stop(request: Request, caller: CallerDependency, body: RoomBody | None = None) -> Stopped:
    """Stops what is being spoken in a room, and forgets what waits."""
    caller.check_can_say()
    state = request.app.state
    room = caller.room_or(state.settings.say_room, body.room if body else None)
    return Stopped(room=room, stopped=await state.gateway.stop(room))
