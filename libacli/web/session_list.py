"""GET /api/sessions, DELETE /api/sessions/{name} and /api/session: who is let in, and the end of that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from libacli.core.entry import Session
from libacli.web.dependencies import CallerDependency, ServicesDependency
from libacli.web.problems import Problem, responses
from libacli.web.services import Services

router = APIRouter(tags=["entry"])


class SessionState(BaseModel):
    """A browser that was let in by a link."""

    name: str = Field(description="By which it is ended; its guests have it too")
    room: str
    can_say: bool
    can_control: bool
    is_guest: bool = Field(description="Whether it came by the link of a session, whose end is its own")
    identity: str = Field(description="Who it is in the room, if it watches")
    live_tokens: int = Field(description="LiveKit tokens of it that let join now")
    expires_in_s: int


class SessionList(BaseModel):
    """All that are let in now."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "sessions": [
                        {
                            "name": "session 3f9a1c02",
                            "room": "demo",
                            "can_say": False,
                            "can_control": False,
                            "is_guest": False,
                            "identity": "viewer-5c89a277",
                            "live_tokens": 1,
                            "expires_in_s": 41000,
                        }
                    ]
                }
            ]
        }
    )

    sessions: list[SessionState] = Field(description="The oldest first")


class EndedSessions(BaseModel):
    """What was ended."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"identities": ["viewer-5c89a277"]}]})

    identities: list[str] = Field(description="Who those were in their room; they are put out of it")


@router.get("/api/sessions", summary="Who is let in", responses=responses(401, 403, 429, 503))
async def get_sessions(services: ServicesDependency, caller: CallerDependency) -> SessionList:
    """Sessions that were made by links, of all rooms. For who has a key."""
    caller.check_owner()
    return SessionList(
        sessions=[await _state(services, session) for session in await services.sessions.all()]
    )


@router.delete(
    "/api/sessions/{name:path}",
    summary="End a session",
    responses=responses(401, 403, 404, 422, 429, 503),
)
async def delete_session(
    services: ServicesDependency,
    caller: CallerDependency,
    name: Annotated[str, Path(min_length=1, max_length=64, examples=["session 3f9a1c02"])],
) -> EndedSessions:
    """It opens nothing any more, nor do its guests; who watches by them is put out of the room.

    For who has a key.
    """
    caller.check_owner()
    ended = await services.sessions.end_named(name)
    if not ended:
        raise Problem(404, "unknown_session", "there is no session of this name")
    return await _put_out(services, ended)


@router.delete("/api/session", summary="End the session that asks", responses=responses(401, 429, 503))
async def delete_own_session(services: ServicesDependency, caller: CallerDependency) -> EndedSessions:
    """Who was let in by a link leaves. A key is none, and stays."""
    ended = await services.sessions.end(caller.session) if caller.session else []
    return await _put_out(services, ended)


async def _put_out(services: Services, ended: Sequence[Session]) -> EndedSessions:
    await services.session_streams.end_those_that_are_over()
    await services.viewers.put_out()
    return EndedSessions(identities=[session.identity for session in ended])


async def _state(services: Services, session: Session) -> SessionState:
    return SessionState(
        name=session.name,
        room=session.room,
        can_say=session.can_say,
        can_control=session.can_control,
        is_guest=session.is_guest,
        identity=session.identity,
        live_tokens=await services.viewers.live_tokens(session),
        expires_in_s=round(services.sessions.seconds_left(session)),
    )
