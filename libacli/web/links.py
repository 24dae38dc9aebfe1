"""POST /api/session and /api/link: how another browser is let in."""

from __future__ import annotations

from urllib.parse import quote

import segno
from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from libacli.web.auth import CallerDependency, Callers, address_of
from libacli.web.models import Room
from libacli.web.problems import Problem, responses
from libacli.web.sessions import CODE_VALID_S

router = APIRouter(tags=["entry"])


class CodeBody(BaseModel):
    """What stood behind `#` in a link."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"code": "q0Zl..."}]})

    code: str = Field(min_length=1, max_length=64)


class SessionLeave(BaseModel):
    """A session: send it as `Authorization: Bearer`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"session": "lss_...", "room": "demo", "can_say": False, "expires_in_s": 43200}]
        }
    )

    session: str
    room: str
    can_say: bool = Field(description="Whether it may speak, or only watch")
    expires_in_s: int


class LinkBody(BaseModel):
    """Whom a link is for."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra={"examples": [{"room": "demo"}]})

    room: Room = None
    can_say: bool = Field(default=False, description="Whether it may speak, or only watch")


class Link(BaseModel):
    """A link to the page."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "url": "http://127.0.0.1:8080/#room=demo&code=q0Zl...",
                    "qr_svg": "<svg ...></svg>",
                    "expires_in_s": 600,
                }
            ]
        }
    )

    url: str
    qr_svg: str = Field(description="The same as a QR code: an SVG element")
    expires_in_s: int


@router.post(
    "/api/session",
    summary="Trade a code for a session",
    responses=responses(401, 403, 413, 415, 422, 429),
)
async def session(request: Request, body: CodeBody) -> SessionLeave:
    """A code works once, for ten minutes; the session is for one room, for twelve hours at most."""
    callers: Callers = request.app.state.callers
    address = address_of(request)
    await callers.visit(address)
    await callers.check_guesses(address)
    sessions = request.app.state.sessions
    redeemed = sessions.redeem(body.code)
    if redeemed is None:
        await callers.wrong(address)
        raise Problem(401, "bad_code", "this code was used already, or is too old", hint="get a new link")
    token, leave = redeemed
    left_s = round(sessions.seconds_left(leave))
    return SessionLeave(session=token, room=leave.room, can_say=leave.can_say, expires_in_s=left_s)


@router.post(
    "/api/link",
    summary="Let another browser in",
    responses=responses(401, 403, 413, 415, 422, 429),
)
async def link(request: Request, caller: CallerDependency, body: LinkBody | None = None) -> Link:
    """A link to the page, as an address and as a QR code; it lets one browser in, once."""
    body = body or LinkBody()
    if body.can_say:
        caller.check_can_say()
    state = request.app.state
    room = caller.room_or(state.settings.say_room, body.room)
    url = f"{state.address}/#room={quote(room, safe='')}"
    if state.callers.needs_key:
        url += f"&code={state.sessions.new_code(room, can_say=body.can_say, maker=caller.name)}"
    drawn = segno.make(url, error="m").svg_inline(scale=4, border=4, light="#fff")
    return Link(url=url, qr_svg=drawn, expires_in_s=int(CODE_VALID_S))
