"""GET /api/rooms/{room}/captions.vtt and .srt: what was said in a room, as a file."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from libacli.core.subtitles import SubtitleFormat, write_subtitles
from libacli.web.auth import Caller
from libacli.web.dependencies import CallerDependency, ServicesDependency
from libacli.web.models.fields import RoomName
from libacli.web.problems import Problem, responses
from libacli.web.services import Services

router = APIRouter(tags=["rooms"])

_VTT, _SRT = "text/vtt", "application/x-subrip"
_ERRORS = responses(401, 403, 404, 422, 429, 503)


@router.get(
    "/api/rooms/{room:path}/captions.vtt",
    summary="What was said, as WebVTT",
    response_class=Response,
    responses={**_ERRORS, 200: {"description": "The file", "content": {_VTT: {"example": "WEBVTT\n"}}}},
)
async def get_webvtt(services: ServicesDependency, caller: CallerDependency, room: RoomName) -> Response:
    """The captions of the last 500 lines of the room, as long as this server follows it.

    It does from the first request for them, or for events, on, and until 30 s after the last one. Times count
    from there; a note at the beginning tells when that was.
    """
    return _file(services, caller, room, "vtt", _VTT)


@router.get(
    "/api/rooms/{room:path}/captions.srt",
    summary="What was said, as SRT",
    response_class=Response,
    responses={**_ERRORS, 200: {"description": "The file", "content": {_SRT: {"example": ""}}}},
)
async def get_srt(services: ServicesDependency, caller: CallerDependency, room: RoomName) -> Response:
    """The same as SubRip, which has no place for a note."""
    return _file(services, caller, room, "srt", _SRT)


def _file(services: Services, caller: Caller, room: str, kind: SubtitleFormat, media_type: str) -> Response:
    """Raises Problem."""
    wanted = caller.room_or(services.settings.say_room, room)
    if not services.settings.speech_captions:
        raise Problem(404, "no_captions", "captions are off", hint="speech.captions turns them on")
    captions = services.feeds.captions(wanted)
    note = f"times count from {captions.began_at.isoformat(timespec='milliseconds')}" if kind == "vtt" else ""
    content = write_subtitles(captions.cues, kind, note=note)
    headers = {"Cache-Control": "no-store"}  # it is what people said, and grows
    return Response(content.encode(), media_type=f"{media_type}; charset=utf-8", headers=headers)
