"""The line on which each room tells its worker what it measured.

Rooms live in processes (or threads) of their own that come and go and may be killed. Each holds a line to
the worker, a Unix socket, and the worker does the counting: totals outlive the room; what a room has only now
(its queue, the room itself) is gone when its line is cut, whoever cut it. Nothing is kept on disk, and
nothing grows with the number of rooms that ever were.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, cast

from libacli.core.trace_context import UNTRACED, TraceContext
from libacli.core.usage import Usage
from libacli.core.utterance_record import UtteranceRecord
from libacli.edges.metrics.meter import Meter
from libacli.edges.metrics.prometheus import PrometheusMeter
from libacli.edges.socket_folder import socket_folder

logger = logging.getLogger("liba.metrics")

_LINE_BYTES = 64 * 1024
"""One message: the texts of a record have 500 characters each, which is 30 KB at worst in JSON."""

_LAST_WORDS_TIMEOUT_S = 1.0
"""What a room has sent lies in the socket already: reading it takes milliseconds."""


@asynccontextmanager
async def gathering(prometheus: PrometheusMeter, *others: Meter) -> AsyncIterator[Path]:
    """Listens to the rooms, and passes on what they tell. Gives the address for their `RoomMeter`s.

    Of the `others`, `observe` and `refuse` are called, for all rooms; who opened them closes them.
    """
    lines: set[_Line] = set()
    with socket_folder() as own:
        address = Path(own) / "meter"
        server = await asyncio.get_running_loop().create_unix_server(
            lambda: _Line(prometheus, others, lines), address
        )
        try:
            yield address
        finally:
            server.close()
            await _until_cut(lines)


async def _until_cut(lines: Iterable[_Line]) -> None:
    """Rooms that have ended may have told something that was not read yet; the others are cut off."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_LAST_WORDS_TIMEOUT_S):
            for line in tuple(lines):
                await line.is_cut.wait()
    for line in tuple(lines):
        line.cut()
        await line.is_cut.wait()


class _Line(asyncio.Protocol):
    """One room's line, at the worker's end."""

    def __init__(self, prometheus: PrometheusMeter, others: Iterable[Meter], lines: set[_Line]) -> None:
        self._prometheus = prometheus
        self._meters: tuple[PrometheusMeter | Meter, ...] = (prometheus, *others)
        self._lines = lines
        self._rest = b""
        self._transport: asyncio.Transport | None = None
        self.is_cut = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._lines.add(self)
        self._prometheus.room_opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lines.discard(self)
        self._prometheus.room_closed(self)
        self.is_cut.set()

    def cut(self) -> None:
        if self._transport:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        *complete, self._rest = (self._rest + data).split(b"\n")
        for text in complete:
            try:
                self._take(json.loads(text))
            except Exception as error:  # what cannot be counted must not end the line
                logger.warning("what a room told was not counted", exc_info=error)
        if len(self._rest) > _LINE_BYTES:
            self.cut()

    def _take(self, message: dict[str, Any]) -> None:
        if told := message.get("record"):
            record, trace = UtteranceRecord.read(told), TraceContext.read(message)
            for meter in self._meters:
                meter.observe(record, trace)
        elif reason := message.get("refused"):
            for meter in self._meters:
                meter.refuse(str(reason))
        elif "spent" in message:
            self._prometheus.spent(self, dict(message["spent"]))
        else:
            self._prometheus.queue(self, int(message["queue"]))
            self._prometheus.paused(self, bool(message.get("paused")))
            self._prometheus.avatar_seconds(float(message["more_avatar_s"]))


class RoomMeter(Meter):
    """One room's end of the line to its worker.

    What cannot be told at once is forgotten: a worker that does not listen costs metrics, never speech.
    """

    def __init__(self, address: Path) -> None:
        self._address = address
        self._line: socket.socket | None = None
        self._queue = 0
        self._is_paused = False
        self._untold_avatar_s = 0.0
        self._is_closed = False
        self._tell_status()

    def observe(self, record: UtteranceRecord, trace: TraceContext = UNTRACED) -> None:
        """An utterance has ended."""
        self._tell({"record": record.encode(), **trace.encode()})

    def refuse(self, reason: str) -> None:
        """A request was rejected."""
        self._tell({"refused": reason})

    def queue(self, length: int) -> None:
        """So many utterances wait now."""
        self._queue = length
        self._tell_status()

    def paused(self, is_paused: bool) -> None:
        """Whether the queue is paused now."""
        if is_paused != self._is_paused:
            self._is_paused = is_paused
            self._tell_status()

    def avatar_seconds(self, seconds: float) -> None:
        """An avatar was there for so much longer. This is not forgotten: it costs money."""
        self._untold_avatar_s += seconds
        self._tell_status()

    def spent(self, caps: Sequence[Usage]) -> None:
        """So much of each cap is used up now."""
        self._tell({"spent": {cap.name: cap.used / cap.limit for cap in caps if cap.limit}})

    async def aclose(self) -> None:
        """The room is closed."""
        self._is_closed = True
        self._cut()

    def _tell_status(self) -> None:
        status = {"queue": self._queue, "paused": self._is_paused, "more_avatar_s": self._untold_avatar_s}
        if self._tell(status):
            self._untold_avatar_s = 0.0

    def _tell(self, message: dict[str, Any]) -> bool:
        if self._is_closed:
            return False
        data = json.dumps(message).encode() + b"\n"
        try:
            self._line = self._line or self._connect()
            sent = self._line.send(data)
        except BlockingIOError:
            return False
        except OSError as error:
            logger.debug("the worker does not listen: %s", error)
            self._cut()
            return False
        if sent < len(data):  # half a message would spoil the next one
            self._cut()
        return sent == len(data)

    def _connect(self) -> socket.socket:
        line = socket.socket(socket.AF_UNIX)
        try:
            line.setblocking(False)
            line.connect(str(self._address))
        except OSError:
            line.close()
            raise
        return line

    def _cut(self) -> None:
        if self._line:
            self._line.close()
            self._line = None
