"""POST /api/link and /api/session: links that let another browser in, and the sessions their codes give."""

from __future__ import annotations

from typing import Literal
from urllib.parse import quote

import segno
from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from libacli.web.dependencies import CallerDependency, ServicesDependency
from libacli.web.models.fields import Room
from libacli.web.problems import Problem, responses
from libacli.web.rate_limits import client_address
from libacli.web.sessions import CODE_VALID_S

router = APIRouter(tags=["entry"])


class CodeBody(BaseModel):
    """What stood behind `#` in a link."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"code": "q0Zl..."}]})

    code: str = Field(min_length=1, max_length=64)


class SessionAnswer(BaseModel):
    """A session: send it as `Authorization: Bearer`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "session": "lss_...",
                    "room": "demo",
                    "can_say": False,
                    "can_control": False,
                    "expires_in_s": 43200,
                }
            ]
        }
    )

    session: str
    room: str
    can_say: bool = Field(description="Whether it may speak, or only watch")
    can_control: bool = Field(description="Whether it may stop, interrupt, and go before others")
    expires_in_s: int


class ShareLinkBody(BaseModel):
    """Whom a link is for."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra={"examples": [{"room": "demo"}]})

    room: Room = None
    can_say: bool = Field(default=False, description="Whether it may speak, or only watch")
    can_control: bool = Field(
        default=False, description="Whether it may stop, interrupt, and go before others"
    )
    view: Literal["page", "stage"] = Field(
        default="page", description="The whole page, or the picture alone: for OBS and kiosks"
    )


class ShareLink(BaseModel):
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
    responses=responses(401, 403, 413, 415, 422, 429, 503),
)
async def post_session(request: Request, services: ServicesDependency, body: CodeBody) -> SessionAnswer:
    """A code works once, for ten minutes; the session is for one room, for twelve hours at most."""
    redeemed = await services.sessions.redeem_code(body.code)
    if redeemed is None:
        await services.rate_limits.count_wrong_attempt(client_address(request))
        raise Problem(401, "bad_code", "this code was used already, or is too old", hint="get a new link")
    token, session = redeemed
    left_s = round(services.sessions.seconds_left(session))
    return SessionAnswer(
        session=token,
        room=session.room,
        can_say=session.can_say,
        can_control=session.can_control,
        expires_in_s=left_s,
    )


@router.post(
    "/api/link",
    summary="Let another browser in",
    responses=responses(401, 403, 413, 415, 422, 429, 503),
)
async def post_link(
    services: ServicesDependency, caller: CallerDependency, body: ShareLinkBody | None = None
) -> ShareLink:
    """A link to the page, as an address and as a QR code; it lets one browser in, once."""
    body = body or ShareLinkBody()
    if body.can_say:
        caller.check_can_say()
    if body.can_control:
        caller.check_can_control()
    room = caller.room_or(services.settings.say_room, body.room)
    view = "?view=stage" if body.view == "stage" else ""
    url = f"{services.address}/{view}#room={quote(room, safe='')}"
    valid_for_s = CODE_VALID_S
    if services.authenticator.needs_key:
        code = await services.sessions.new_code(
            room, can_say=body.can_say, can_control=body.can_control, host=caller.session
        )
        url, valid_for_s = f"{url}&code={code.secret}", code.valid_for_s
    drawn = segno.make(url, error="m").svg_inline(scale=4, border=4, light="#fff")
    return ShareLink(url=url, qr_svg=drawn, expires_in_s=round(valid_for_s))
