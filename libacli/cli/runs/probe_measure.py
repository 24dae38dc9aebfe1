"""One utterance of `liba probe`, had spoken and measured where a viewer sits."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from libacli.core.event import Event
from libacli.core.lifecycle import OUTCOMES
from libacli.core.lip_sync import first_movement_at, lag_s
from libacli.core.messages import SayRequest
from libacli.core.probe_result import ProbeResult
from libacli.core.utterance_record import UtteranceRecord
from libacli.edges.livekit.agent_client import AgentClient
from libacli.edges.viewer.listener import AudioCapture
from libacli.edges.viewer.seat import Seat
from libacli.edges.viewer.video_watcher import LEAST_MOTION, VideoCapture
from libacli.errors import RefusedError, TimedOutError, UnreachableError

_POLL_S = 0.3
_QUIET_S = 0.6
"""So long nothing must have been heard after an utterance for it to be over; within the longest tail."""

_LONGEST_TAIL_S = 10.0
_AT_REST_S = 0.5
"""How long the mouth is watched before each utterance, to tell later what is a movement of it."""


async def measure_utterance(
    seat: Seat, client: AgentClient, request: SayRequest, *, bound_s: float
) -> ProbeResult | None:
    """Has `request` spoken; what came of it here, None when others had the agent speak meanwhile.

    Raises what AgentClient raises; TimedOutError when it is not over within the bound, UnreachableError when
    the room was lost.
    """
    loop = asyncio.get_running_loop()
    picture = seat.video.start_capture()
    await asyncio.sleep(_AT_REST_S)
    while not seat.listener.events.empty():
        seat.listener.events.get_nowait()
    caught_up_s = await seat.listener.caught_up_s()
    sound, sent_at = seat.listener.start_capture(), loop.time()
    try:
        async with asyncio.timeout(bound_s):
            await client.say(request)
            record, was_alone = await end_of(seat.listener.events, request.id)
    except TimeoutError as error:
        if not seat.room.isconnected():
            raise UnreachableError(
                "the connection to LiveKit was lost", hint="check the network and the server"
            ) from error
        raise TimedOutError(
            f"{request.id} was not over after {bound_s:g} s", hint="give it more: --timeout"
        ) from error
    await _wait_for_quiet(sound)
    caught_up_s = max(0.0, await seat.listener.caught_up_s() - caught_up_s)  # less: a track has gone
    return measured(record, sound, picture, sent_at, caught_up_s=caught_up_s) if was_alone else None


def measured(
    record: UtteranceRecord,
    sound: AudioCapture,
    picture: VideoCapture,
    sent_at: float,
    *,
    caught_up_s: float = 0.0,
) -> ProbeResult:
    """What an utterance that was sent at `sent_at` was here; `record` is what the agent says of it.

    `caught_up_s` is what this viewer's own buffer has left out of it.
    """
    motion, first_at, lag = list(picture.motion), sound.first_audible_at, None
    moved_at = first_movement_at(motion, since=sent_at, least=LEAST_MOTION)
    if first_at is not None:
        lag = lag_s(list(sound.levels), motion, start=first_at, end=first_at + sound.span_s)
    return ProbeResult.of(
        record,
        heard=None if first_at is None else (first_at - sent_at) * 1000,
        span=sound.span_s * 1000,
        caught_up=caught_up_s * 1000,
        silences=[gap * 1000 for gap in sound.gaps_s],
        at_s=sent_at,
        seen=None if moved_at is None else (moved_at - sent_at) * 1000,
        lag=None if lag is None else lag * 1000,
    )


async def end_of(events: asyncio.Queue[dict[str, Any]], utterance_id: str) -> tuple[UtteranceRecord, bool]:
    """What the agent says of an utterance at its end, and whether nothing else was spoken meanwhile.

    Raises RefusedError when it is not taken.
    """
    was_alone = True
    while True:
        event = await events.get()
        if event.get("id") != utterance_id:
            was_alone = was_alone and event.get("state") in ("accepted", "rejected", "expired")
        elif event.get("state") == "rejected":
            raise RefusedError(str(event.get("rejected")), str(event.get("message")))
        elif event.get("state") in OUTCOMES:
            with suppress(RefusedError):  # not the agent's
                return UtteranceRecord.of(Event.read(event)), was_alone


async def _wait_for_quiet(sound: AudioCapture) -> None:
    """Waits until nothing more comes: sound may still be on its way when the agent has played it."""
    now = asyncio.get_running_loop().time
    began_at = now()
    with suppress(TimeoutError):
        async with asyncio.timeout(_LONGEST_TAIL_S):
            while now() < max(sound.last_audible_at or 0.0, began_at) + _QUIET_S:  # noqa: ASYNC110
                await asyncio.sleep(_POLL_S)
