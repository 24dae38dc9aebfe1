"""What every request passes before it is looked at: how much its sender has asked for, not who that is."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable

from livekit import rtc

from libacli.complaint_log import ComplaintLog
from libacli.config import LiveKitCredentials
from libacli.core.complaints import Complaints
from libacli.core.gate import FLOOD_S, PER_SECOND, Gate
from libacli.core.protocol import METHODS
from libacli.edges.livekit.api import LiveKitApi

logger = logging.getLogger("liba.room")

_SERVER = "the server's API"
_OF_THE_SERVER_PER_SECOND = 500
"""Calls over LiveKit's server API: those of the owner, of all callers of `liba serve` together."""

_FLOODS_KEPT = 16
_FLOODS_TOLD_PER_MINUTE = 6
"""Apart from the other complaints, among which it would be one of many."""

_PUT_OUT_TIMEOUT_S = 5.0
_MESSAGE = f"more than {PER_SECOND} requests a second"
_LEFT_OUT = json.dumps({"rejected": "too_many_requests", "message": _MESSAGE, "retry_in_s": 1})

Next = Callable[[rtc.RpcInvocationData], Awaitable[str | None]]
PutOut = Callable[[str], Awaitable[None]]
"""Puts the participant of that identity out of the room. Raises LibaError."""


class RoomGate(rtc.RpcInterceptor):
    """Lets 50 requests a second of each sender through, packets and calls together.

    Who goes on with more for 5 s is put out of the room by `put_out`. `on_left_out` is called for each
    request that is not let through.
    """

    def __init__(
        self, room: rtc.Room, log: ComplaintLog, *, put_out: PutOut, on_left_out: Callable[[], None]
    ) -> None:
        self._room = room
        self._log = log
        self._put_out = put_out
        self._on_left_out = on_left_out
        self._senders = Gate()
        self._server = Gate(per_second=_OF_THE_SERVER_PER_SECOND, at_once=2 * _OF_THE_SERVER_PER_SECOND)
        self._flood_log = ComplaintLog(logger, Complaints(_FLOODS_TOLD_PER_MINUTE))
        self._floods: asyncio.Queue[str] = asyncio.Queue(_FLOODS_KEPT)

    def admits(self, identity: str) -> bool:
        """Whether one more request of this participant is read; empty: of somebody whom nobody can name."""
        passage = self._senders.take(identity, asyncio.get_running_loop().time())
        if passage == "flooding":
            self.put_out(identity)
        return self._is_in(passage == "admitted", identity)

    def put_out(self, identity: str) -> None:
        """Has `run` put this participant out; empty: nobody."""
        if identity and not self._floods.full():
            self._floods.put_nowait(identity)

    async def intercept_incoming(self, invocation: rtc.RpcInvocationData, next: Next) -> str | None:
        """Answers a call that is not let through; the SDK has every call pass here."""
        if self._admits_call(invocation):
            return await next(invocation)
        if invocation.method in METHODS:
            return _LEFT_OUT
        raise rtc.RpcError(rtc.RpcError.ErrorCode.APPLICATION_ERROR, _MESSAGE)

    async def run(self) -> None:
        """Puts out those who flood, until cancelled."""
        while True:
            identity = await self._floods.get()
            outcome = "put out of the room"
            try:
                async with asyncio.timeout(_PUT_OUT_TIMEOUT_S):
                    await self._put_out(identity)
            except Exception as error:  # whatever it is: the room goes on with the one who floods
                outcome = f"not put out of the room: {str(error) or type(error).__name__}"
            self._flood_log.tell(identity, "FLOOD", f"of {_MESSAGE} for {FLOOD_S} s: {outcome}")

    def _admits_call(self, call: rtc.RpcInvocationData) -> bool:
        if not self.admits(call.caller_identity):
            return False
        # The server calls under an identity of its own for each call, that of the call itself.
        is_in_room = call.caller_identity in self._room.remote_participants
        if is_in_room or call.caller_identity != call.request_id:
            return True
        passage = self._server.take(_SERVER, asyncio.get_running_loop().time())
        return self._is_in(passage == "admitted", _SERVER)

    def _is_in(self, is_admitted: bool, sender: str) -> bool:
        if not is_admitted:
            self._on_left_out()
            self._log.tell(sender, "requests", f"left out: {_MESSAGE}")
        return is_admitted


def putting_out(credentials: LiveKitCredentials, room: rtc.Room) -> PutOut:
    """Puts participants out of `room` over the server's API."""

    async def put_out(identity: str) -> None:
        async with LiveKitApi(credentials) as api:
            await api.remove(room.name, identity)

    return put_out
