"""POST /api/token: the right to join a room and watch."""

from __future__ import annotations

import os

from fastapi import APIRouter

from libacli.core.entry import Session
from libacli.web.auth import Caller
from libacli.web.dependencies import CallerDependency, ServicesDependency
from libacli.web.models.token import Token, TokenBody
from libacli.web.problems import Problem, responses
from libacli.web.services import Services

router = APIRouter(tags=["rooms"])


@router.post(
    "/api/token",
    summary="Join a room",
    responses=responses(401, 403, 413, 415, 422, 429, 503),
    response_model_exclude_none=True,
)
async def post_token(
    services: ServicesDependency, caller: CallerDependency, body: TokenBody | None = None
) -> Token:
    """A LiveKit token for one participant of one room: it may watch, and with `can_say` make it speak.

    It never grants to publish camera or microphone, nor to change its own name or attributes. A session has
    one identity and at most five tokens that are valid; none of them outlasts it. When it ends, who came in
    by them is put out.
    """
    return await make_token(services, caller, body or TokenBody())


async def make_token(services: Services, caller: Caller, body: TokenBody) -> Token:
    """The token that `body` asks for. Raises Problem or RefusedError."""
    if body.can_say:
        caller.check_can_say()
    if body.can_control:
        caller.check_can_control()
    if body.identity and caller.room is not None:  # joining with it would put its holder out
        raise Problem(403, "identity_given", "a session cannot choose its identity", hint="leave it out")
    room = caller.room_or(services.settings.say_room, body.room)
    identity, valid_for_s = body.identity or f"viewer-{os.urandom(3).hex()}", body.valid_for_s
    if caller.session:
        identity = caller.session.identity
        valid_for_s = await _count_token(services, caller.session, body.valid_for_s)
    joined = services.gateway.join(
        room,
        identity,
        name=body.name,
        valid_for_s=valid_for_s,
        can_say=body.can_say,
        can_control=body.can_control,
        on_behalf=caller.session.name if caller.session else "",
    )
    return Token(
        url=joined.url,
        room=room,
        identity=identity,
        token=joined.token,
        valid_for_s=valid_for_s,
        can_say=body.can_say,
        can_control=body.can_control,
        e2ee_key=joined.e2ee_key or None,
    )


async def _count_token(services: Services, session: Session, wanted_s: int) -> int:
    """Seconds that it may be valid. Raises Problem."""
    valid_for_s = await services.viewers.count_token(session, wanted_s)
    if await services.sessions.ended([session]):  # a moment ago: whoever ended it has not seen this token
        await services.viewers.dismiss(session)
        raise Problem(401, "unauthorized", "this session has ended", hint="get a new link")
    return valid_for_s
