"""GET /api/rooms/{room}: who is there, and what is spoken."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from libacli.web.auth import CallerDependency
from libacli.web.models import RoomName, RoomState
from libacli.web.problems import responses

router = APIRouter(tags=["rooms"])


def room_state(room: str, status: dict[str, Any] | None) -> dict[str, Any]:
    """The state of `room` as all of the API tells it, from what its agent said; None: there is none."""
    status = status or {}
    agent = {"name": status["agent"], "model": status["model"], "epoch": status["epoch"]} if status else None
    return {
        "room": room,
        "agent": agent,
        "avatar": status.get("avatar"),
        "queue": status.get("queue", 0),
        "speaking": status.get("speaking"),
        "waiting": status.get("waiting", []),
        "caps": status.get("caps", []),
    }


@router.get(
    "/api/rooms/{room:path}",
    summary="Look into a room",
    responses=responses(401, 403, 404, 422, 429, 502, 503),
)
async def look(request: Request, caller: CallerDependency, room: RoomName) -> RoomState:
    """Its agent and avatar, what is spoken, what waits, and what may still be spent."""
    wanted = caller.room_or(request.app.state.settings.say_room, room)
    return RoomState(**room_state(wanted, await request.app.state.gateway.status(wanted)))
