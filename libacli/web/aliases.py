"""The addresses that backends written by hand had before: /say and /token."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from libacli.web import say, token
from libacli.web.dependencies import CallerDependency, ServicesDependency
from libacli.web.models.fields import Identity, RoomQuery
from libacli.web.models.say import SayAnswer
from libacli.web.models.token import Token, TokenBody
from libacli.web.problems import responses

router = APIRouter(tags=["older names"], deprecated=True)
_PROBLEMS = responses(401, 403, 413, 415, 422, 429, 502, 503, 504)

router.post(
    "/say",
    status_code=202,
    response_model=SayAnswer,
    summary="POST /api/say",
    responses=_PROBLEMS | {200: {"model": SayAnswer}},
)(say.post_say)
_TOKEN: dict[str, Any] = {
    "summary": "POST /api/token",
    "responses": _PROBLEMS,
    "response_model_exclude_none": True,
}
router.post("/token", **_TOKEN)(token.post_token)


@router.get("/token", **_TOKEN)
async def get_token(
    services: ServicesDependency, caller: CallerDependency, room: RoomQuery = None, identity: Identity = None
) -> Token:
    """A token to join and watch; for more there is `POST /api/token`."""
    return await token.make_token(services, caller, TokenBody(room=room, identity=identity))
