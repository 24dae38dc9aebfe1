"""POST /api/say/audio: a sound that is there already is heard as a text would be said."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from starlette.requests import ClientDisconnect

from libacli.core.caption_cue import CaptionCue
from libacli.core.delivery import Delivery
from libacli.core.messages import SayRequest, read_say
from libacli.core.subtitles import read_subtitles
from libacli.core.trace_context import TraceContext
from libacli.errors import UsageError
from libacli.web.dependencies import CallerDependency, ServicesDependency
from libacli.web.models.say import SayAnswer
from libacli.web.models.sound import SoundQuery
from libacli.web.ports import Sound
from libacli.web.problems import Problem
from libacli.web.say import (
    SAY_RESPONSES,
    KeyHeader,
    TraceDependency,
    answered,
    id_of_key,
    one_id,
    sent_once,
)
from libacli.web.services import Services
from libacli.web.upload import received

router = APIRouter(tags=["speech"])

PATH = "/api/say/audio"
_THE_SOUND = "the sound"
_BYTES_PER_S = 48_000 * 2 * 2
"""Of the largest kind that is usual: WAV, 48 kHz, 16 bit, stereo."""

_HEAD_BYTES = 1 << 20
"""Pictures of an album, and other tags."""

_ARRIVAL_TIMEOUT_S = 60.0
"""For an agent to come into the room, and for the sound to arrive there."""

_TURN_TIMEOUT_S = 10.0
"""For one of those who send to be done: who waits longer may as well come again."""

_NOT_TOLD = {"room", "text", "captions", "wait", "timeout_s"}
"""Of the query, in the say request: who waits knows it, or the sound has it."""

_KINDS = ("audio/", "video/")
_OTHER_KINDS = ("application/octet-stream", "application/ogg")
_HINT = "send its bytes as the body, with Content-Type: audio/mpeg, audio/wav... or application/octet-stream"
_SCHEMA = {"schema": {"type": "string", "format": "binary"}}
_TYPES = ("audio/wav", "audio/mpeg", "audio/flac", "audio/ogg", "audio/mp4", *_OTHER_KINDS)


def most_bytes(seconds: int) -> int:
    """How large a file may be of a sound that may last so long."""
    return _HEAD_BYTES + seconds * _BYTES_PER_S


@router.post(
    PATH,
    summary="Have a sound heard",
    status_code=202,
    response_model=SayAnswer,
    responses=SAY_RESPONSES,
    openapi_extra={"requestBody": {"required": True, "content": dict.fromkeys(_TYPES, _SCHEMA)}},
)
async def post_sound(
    request: Request,
    services: ServicesDependency,
    response: Response,
    caller: CallerDependency,
    asked_for: Annotated[SoundQuery, Query()],
    trace: TraceDependency,
    idempotency_key: KeyHeader = None,
) -> SayAnswer:
    """Has the agent play the file that is the body, instead of a voice: WAV, MP3, FLAC, OGG, M4A, or the
    sound of a video. It goes the way of a text: queue, rights, ids, `wait` and answers as of `POST /api/say`.

    It lasts as long as `say.max_sound` at most, and has as many bytes as WAV of that length (48 kHz, stereo).
    The same file with the same `Idempotency-Key` is heard once.
    """
    caller.check_can_say()
    if asked_for.interrupt or (asked_for.priority or 0) > 0:
        caller.check_can_control()
    room = caller.room_or(services.settings.say_room, asked_for.room)
    utterance_id = one_id(asked_for.id, id_of_key(idempotency_key))
    _check_type(request)
    captions = _captions_of(asked_for)
    sound = await _sound_of(request, services, asked_for.text or "", captions)
    asked = _say_request(asked_for, utterance_id, sound, trace)

    def say() -> Awaitable[Delivery]:
        members = asked.encode()
        del members["sound"]
        return services.gateway.say_sound(
            room, sound, timeout_s=_ARRIVAL_TIMEOUT_S, on_behalf=caller.on_behalf, **members
        )

    said = await sent_once(services, caller, room, asked, say)
    return await answered(request, services, response, room, asked, said, asked_for.wait, asked_for.timeout_s)


def _check_type(request: Request) -> None:
    """Raises Problem."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not kind.startswith(_KINDS) and kind not in _OTHER_KINDS:
        raise Problem(
            415, "unsupported_media_type", "the body must be a sound, and the request say so", hint=_HINT
        )


def _captions_of(asked_for: SoundQuery) -> Sequence[CaptionCue]:
    """Raises Problem."""
    if asked_for.captions is None:
        return ()
    if asked_for.text is not None:
        raise Problem(422, "malformed", "text and captions are two captions", hint="give one of them")
    try:
        return read_subtitles(asked_for.captions)
    except ValueError as error:
        hint = "give what a WebVTT or SRT file has: curl --url-query captions@greeting.vtt"
        raise Problem(422, "malformed", f"captions: {error}", hint=hint) from error


async def _sound_of(request: Request, services: Services, text: str, captions: Sequence[CaptionCue]) -> Sound:
    """Raises Problem, RefusedError."""
    max_s = services.settings.say_max_sound
    try:
        async with (
            _turn_of(services),
            received(request, most_bytes=most_bytes(max_s), named=_THE_SOUND) as file,
        ):
            return await _prepared(services, file, text, captions, max_s)
    except ClientDisconnect:
        raise Problem(408, "too_slow", "the client has left") from None  # nobody reads it


@asynccontextmanager
async def _turn_of(services: Services) -> AsyncIterator[None]:
    """Raises Problem where others take too long: one that sends slowly may for minutes."""
    try:
        async with asyncio.timeout(_TURN_TIMEOUT_S):
            await services.uploads.acquire()
    except TimeoutError:
        hint = "try again in a moment"
        raise Problem(
            503, "busy", "others are sending sounds", hint=hint, retry_in_s=_TURN_TIMEOUT_S
        ) from None
    try:
        yield
    finally:
        services.uploads.release()


async def _prepared(
    services: Services, file: Path, text: str, captions: Sequence[CaptionCue], max_s: int
) -> Sound:
    try:
        return await services.gateway.prepare_sound(
            file, named=_THE_SOUND, max_s=max_s, text=text, captions=captions
        )
    except UsageError as error:
        raise Problem(415, "unsupported_media_type", str(error), hint=error.hint) from error


def _say_request(asked_for: SoundQuery, utterance_id: str, sound: Sound, trace: TraceContext) -> SayRequest:
    members = asked_for.model_dump(exclude_none=True, exclude=_NOT_TOLD)
    members |= {"id": utterance_id, "sound": sound.given.encode()} | trace.encode()
    return read_say(members, max_text_chars=0)
