"""GET /api/events: what happens in a room, as server-sent events."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query
from prometheus_client import Gauge
from starlette.responses import StreamingResponse
from starlette.types import Message, Send

from libacli.web.dependencies import CallerDependency, ServicesDependency
from libacli.web.feed import Item
from libacli.web.models.fields import RoomQuery
from libacli.web.problems import responses
from libacli.web.session_streams import StreamEnd

logger = logging.getLogger("liba.web")
router = APIRouter(tags=["rooms"])

_RETRY_MS = 2000
_SEND_TIMEOUT_S = 30.0
"""Who takes nothing for so long is gone, or hopelessly slow."""

_EXAMPLE = """retry: 2000

id: 5c89a277-1
event: status
data: {"room":"demo","agent":{"name":"liba","model":"hibari","epoch":"9f31"},"avatar":"ready","queue":0}

id: 5c89a277-2
event: utterance
data: {"id":"61c08bdc0353","state":"audible","route":"tavus"}

: ping
"""


class EventStream(StreamingResponse):
    """Sends items until they end, the client leaves, or it has to `end`.

    A client that takes nothing is dropped.
    """

    media_type = "text/event-stream"

    def __init__(self, items: AsyncGenerator[Item], open_streams: Gauge, *, end: StreamEnd) -> None:
        # Proxies are to pass events on as they come; who compresses them would hold them back, so does nginx.
        headers = {"Cache-Control": "no-store, no-transform", "X-Accel-Buffering": "no"}
        super().__init__(iter(()), headers=headers)
        self._items = items
        self._end = end
        self._open_streams = open_streams

    async def stream_response(self, send: Send) -> None:
        async def send_in_time(message: Message) -> None:
            async with asyncio.timeout(_SEND_TIMEOUT_S):
                await send(message)

        with self._open_streams.track_inprogress():
            # Closed here and now: whoever is cancelled while he sends would leave that to the garbage.
            async with aclosing(self._items), aclosing(self._lines()) as self.body_iterator:
                try:
                    await super().stream_response(send_in_time)
                except TimeoutError:
                    logger.debug("a reader of events has taken nothing for %g s", _SEND_TIMEOUT_S)

    async def _lines(self) -> AsyncGenerator[str]:
        yield f"retry: {_RETRY_MS}\n\n"
        async for item in self._end.cut(self._items):
            yield _encoded(item)


async def _counted(services: ServicesDependency, caller: CallerDependency) -> AsyncGenerator[StreamEnd]:
    """Counts the stream until its last byte. Raises Problem when its caller has too many."""
    end = StreamEnd(caller.valid_for_s)
    with services.open_streams.one_more(caller.seat), services.session_streams.one_more(caller.session, end):
        yield end


@router.get(
    "/api/events",
    summary="Follow a room",
    status_code=200,
    response_class=EventStream,
    responses={
        **responses(401, 403, 422, 429, 503),
        200: {"description": "Events, without end", "content": {"text/event-stream": {"example": _EXAMPLE}}},
    },
)
async def get_events(
    services: ServicesDependency,
    caller: CallerDependency,
    end: Annotated[StreamEnd, Depends(_counted)],
    room: RoomQuery = None,
    captions: Annotated[bool, Query(description="Tell also what is spoken")] = False,
    last_event_id: Annotated[str | None, Header(description="Resume after this event")] = None,
) -> EventStream:
    """Server-sent events: `status`, `utterance`, `caption`, `link` and `gap`.

    `status` comes first, and again when the agent changes. `utterance` is an agent's report of what became of
    an utterance. `link` tells of the connection to the room. `gap` says that events were missed: what is
    known of the room counts no more, and a `status` follows. A client that was cut off resumes with the id of
    the last event that it got, in the header `Last-Event-ID`, within 30 s. Events end with the session.
    A caller may have four streams open.
    """
    wanted = caller.room_or(services.settings.say_room, room)
    items = services.feeds.read(wanted, last_id=last_event_id or "", captions=captions)
    return EventStream(items, services.metrics.streams, end=end)


def _encoded(item: Item) -> str:
    if item.kind == "ping":
        return ": ping\n\n"
    data = json.dumps(item.data, separators=(",", ":"))
    return f"id: {item.id}\nevent: {item.kind}\ndata: {data}\n\n"
