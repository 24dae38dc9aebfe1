"""What waits in a room: one line is cancelled, moved or begun, all of them pause."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from libacli.core.messages import MAX_ID_CHARS
from libacli.core.queue_requests import MoveRequest
from libacli.web.dependencies import CallerDependency, ServicesDependency
from libacli.web.models.fields import RoomName
from libacli.web.models.queue import Cancelled, MoveBody, Moved, NextBody, QueueState, Released
from libacli.web.problems import responses

router = APIRouter(tags=["queue"])

Id = Annotated[
    str, Path(alias="id", min_length=1, max_length=MAX_ID_CHARS, description="Id of a line that waits")
]

_RESPONSES = responses(401, 403, 404, 409, 422, 429, 502, 503)


@router.delete("/api/rooms/{room:path}/queue/{id:path}", summary="Cancel a line", responses=_RESPONSES)
async def cancel_line(
    services: ServicesDependency, caller: CallerDependency, room: RoomName, utterance_id: Id
) -> Cancelled:
    """Takes one line that waits out of the queue; whoever waits for it is told so.

    A session that may speak, and not control, may cancel what was said by the same key or session. A line
    that is being spoken is refused as `being_spoken`: `POST /api/stop` stops it.
    """
    caller.check_can_say()
    wanted = caller.room_or(services.settings.say_room, room)
    report = await services.gateway.cancel(
        wanted, utterance_id, on_behalf=caller.on_behalf, is_own=not caller.can_control
    )
    return Cancelled(room=wanted, id=utterance_id, report=report)


@router.post("/api/rooms/{room:path}/queue/{id:path}/move", summary="Move a line", responses=_RESPONSES)
async def move_line(
    services: ServicesDependency, caller: CallerDependency, room: RoomName, utterance_id: Id, body: MoveBody
) -> Moved:
    """Puts one line that waits elsewhere: first, last, or before another one.

    It takes the priority of its new place: that of the line which it goes before; as the last one, behind.
    """
    caller.check_can_control()
    wanted = caller.room_or(services.settings.say_room, room)
    report = await services.gateway.move(wanted, MoveRequest(utterance_id, body.to or "", body.before or ""))
    return Moved(room=wanted, id=utterance_id, **{name: report[name] for name in ("position", "priority")})


@router.post("/api/rooms/{room:path}/queue/pause", summary="Pause the queue", responses=_RESPONSES)
async def pause_queue(services: ServicesDependency, caller: CallerDependency, room: RoomName) -> QueueState:
    """What is spoken is finished, nothing new begins, texts are taken all the same.

    What waits gets no older: no time to live passes.
    """
    return await _pause(services, caller, room, is_paused=True)


@router.post("/api/rooms/{room:path}/queue/resume", summary="Resume the queue", responses=_RESPONSES)
async def resume_queue(services: ServicesDependency, caller: CallerDependency, room: RoomName) -> QueueState:
    """Goes on where it was paused."""
    return await _pause(services, caller, room, is_paused=False)


@router.post("/api/rooms/{room:path}/next", summary="Give the go-ahead", responses=_RESPONSES)
async def give_go_ahead(
    services: ServicesDependency, caller: CallerDependency, room: RoomName, body: NextBody | None = None
) -> Released:
    """Begins a line on standby, as `liba play` has it for steps and behind pauses.

    Without an id the one that is longest on standby; where none is, it is refused as `nothing_on_standby`.
    """
    caller.check_can_control()
    wanted = caller.room_or(services.settings.say_room, room)
    answer = await services.gateway.next(wanted, (body.id if body else None) or "")
    return Released(room=wanted, id=answer.id, released=answer.is_news)


async def _pause(
    services: ServicesDependency, caller: CallerDependency, room: str, *, is_paused: bool
) -> QueueState:
    caller.check_can_control()
    wanted = caller.room_or(services.settings.say_room, room)
    answer = await services.gateway.pause(wanted, is_paused)
    return QueueState(
        room=wanted,
        paused=answer.is_paused,
        changed=answer.is_news,
        queue=answer.queue,
        journaled=answer.is_journaled,
    )
