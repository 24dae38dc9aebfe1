"""GET /api/rooms/{room}: who is there, and what is spoken."""

from __future__ import annotations

from fastapi import APIRouter

from libacli.web.dependencies import CallerDependency, ServicesDependency
from libacli.web.models.fields import RoomName
from libacli.web.models.room_state import RoomState, room_state
from libacli.web.problems import responses

router = APIRouter(tags=["rooms"])


@router.get(
    "/api/rooms/{room:path}",
    summary="Look into a room",
    responses=responses(401, 403, 404, 422, 429, 502, 503),
)
async def get_room(services: ServicesDependency, caller: CallerDependency, room: RoomName) -> RoomState:
    """Its agent and avatar, what is spoken, what waits, and what may still be spent."""
    wanted = caller.room_or(services.settings.say_room, room)
    return room_state(wanted, await services.gateway.status(wanted, on_behalf=caller.on_behalf))
