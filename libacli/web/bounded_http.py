"""uvicorn's HTTP/1.1 with bounds that it has not: for a first request, for each next one, and per address."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import CLOSE_HEADER
from uvicorn.protocols.http.h11_impl import H11Protocol

from libacli.web.certificate import Certificate
from libacli.web.connection_gate import ConnectionGate

HEAD_TIMEOUT_S = 10.0
"""From the connection to the last byte of a request's head, TLS included; of a later one, from its first.
Browsers send it in one piece, and a line that loses packets needs a second or two."""

STALL_TIMEOUT_S = 30.0
"""How long a client may take nothing of an answer that waits for it."""

_LEAST_PROGRESS = 4096
"""Bytes that a client takes of what waits for it in such a time; one that takes less holds it on purpose."""

_NO_PLACE = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
)


HALF_CLOSED_S = 2.0
"""For how long somebody is answered who has closed his side: he may have said all, or be gone altogether."""


def bound_connections(config: Config, gate: ConnectionGate, certificate: Certificate | None = None) -> None:
    """Has a server with this loaded `config` speak HTTP within bounds, let in by `gate`.

    With a `certificate` it speaks HTTPS, which is ours, so that bounds hold from the first byte on.
    """

    class Bounded(_BoundedProtocol):
        _gate = gate
        _certificate = certificate
        _keep_alive_s = float(config.timeout_keep_alive)

    config.http_protocol_class = Bounded


class _BoundedProtocol(H11Protocol):
    """One connection. It is aborted when its client makes no progress where it is its turn."""

    _gate: ConnectionGate
    _certificate: Certificate | None
    _keep_alive_s: float
    """How long it may ask for nothing after an answer: a proxy keeps it for its next client."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._tcp: asyncio.Transport | None = None
        self._host = ""
        self._deadline: asyncio.TimerHandle | None = None
        self._unsent = 0
        self._is_stalled = False
        self._is_half_closed = False
        """Its client has said all that it will say."""

        self._is_kept_alive = False
        """It was answered, and nothing of another request has come."""

        self._handshake: asyncio.Task[None] | None = None
        self._early = bytearray()
        """What came between the end of the handshake and our hearing of it."""

        self._is_lost = False

    @property
    def asks_for_nothing(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def abort(self) -> None:
        if self._tcp:
            self._tcp.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._tcp = transport
        peer = transport.get_extra_info("peername")
        self._host = peer[0] if isinstance(peer, tuple) else ""
        if not self._gate.enter(self._host, self):
            transport.write(b"" if self._certificate else _NO_PLACE)
            transport.close()
            return
        self._expect_progress(HEAD_TIMEOUT_S)
        if self._certificate:
            transport.pause_reading()
            self._handshake = self.loop.create_task(self._encrypt(transport, self._certificate.context))
        else:
            super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        if self.transport:
            super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport:
            if self._is_kept_alive:
                self._is_kept_alive = False
                self._expect_nothing()
            super().data_received(data)
            self._watch()
        elif self._handshake:
            self._early += data

    def eof_received(self) -> bool:  # type: ignore[override]
        """Keeps the connection for an answer that is under way; TLS cannot be half closed."""
        if self.asks_for_nothing or self._certificate or not self._tcp:
            return False
        self._is_half_closed = True
        self.loop.call_later(HALF_CLOSED_S, self._tcp.close)
        return True

    def handle_events(self) -> None:
        """Has a request of two lengths be the connection's last one: RFC 9112, section 6.1."""
        super().handle_events()
        lengths = {b"content-length", b"transfer-encoding"}
        if lengths <= {name for name, _ in self.headers or ()} and CLOSE_HEADER not in self.headers:
            self.headers.append(CLOSE_HEADER)  # before it is answered: its answer is made by a task

    def on_response_complete(self) -> None:
        self._is_kept_alive = True
        super().on_response_complete()
        if self._is_half_closed and self.asks_for_nothing:
            self.transport.close()
        self._expect_nothing()
        self._watch()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._is_stalled = True
        self._watch()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._is_stalled = False
        self._expect_nothing()
        self._watch()

    async def _encrypt(self, transport: asyncio.Transport, tls: ssl.SSLContext) -> None:
        try:
            encrypted = await self.loop.start_tls(
                transport, self, tls, server_side=True, ssl_handshake_timeout=HEAD_TIMEOUT_S
            )
        except OSError:  # no TLS, or none that we speak, or too slow: there is nobody to tell
            encrypted = None
        if not encrypted or self._is_lost:
            transport.abort()
            self._leave()
            return
        super().connection_made(encrypted)
        if self._early:
            self.data_received(bytes(self._early))
            self._early.clear()

    def _watch(self) -> None:
        """Bounds what the client has to do next; while it waits for us, nothing."""
        if self.asks_for_nothing:
            has_answer = self._is_kept_alive and not self._waiting_bytes()
            self._expect_progress(self._keep_alive_s if has_answer else HEAD_TIMEOUT_S)
        elif self._is_stalled:
            self._expect_progress(STALL_TIMEOUT_S)
        else:
            self._expect_nothing()

    def _expect_progress(self, within_s: float) -> None:
        if self._deadline is None:
            self._unsent = self._waiting_bytes()
            self._deadline = self.loop.call_later(within_s, self._on_deadline)

    def _expect_nothing(self) -> None:
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None

    def _on_deadline(self) -> None:
        self._deadline = None
        left = self._waiting_bytes()
        if left == 0 < self._unsent or left <= self._unsent - _LEAST_PROGRESS:
            self._watch()  # it is slow, and takes what it is sent
        else:
            self.abort()

    def _waiting_bytes(self) -> int:
        transports = {transport for transport in (self._tcp, self.transport) if transport}
        return sum(transport.get_write_buffer_size() for transport in transports)

    def _leave(self) -> None:
        self._is_lost = True
        self._expect_nothing()
        self._gate.leave(self._host, self)
