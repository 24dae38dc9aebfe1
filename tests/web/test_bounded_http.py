"""Connections on a clock that does not wait; `tests/security/test_outsider` has real ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from libacli.web.bounded_http import HALF_CLOSED_S, HEAD_TIMEOUT_S, STALL_TIMEOUT_S, bound_connections
from libacli.web.connection_gate import ConnectionGate

GET = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"
KEEP_ALIVE_S = 5


class Wire(asyncio.Transport):
    """A connection of a client at an address; notes what it is sent, and when it is ended."""

    def __init__(self, address: str = "192.0.2.1") -> None:
        super().__init__({"peername": (address, 50000), "sockname": ("192.0.2.9", 8080)})
        self.sent = bytearray()
        self.aborted_at: float | None = None
        self.closed_at: float | None = None
        self.unsent = 0
        self.protocol: asyncio.Protocol | None = None
        self._is_lost = False

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        self.sent += data

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def is_closing(self) -> bool:
        return self.closed_at is not None or self.aborted_at is not None

    def close(self) -> None:
        if self.closed_at is None:
            self.closed_at = asyncio.get_running_loop().time()
        if not self.unsent:
            self.lose()

    def abort(self) -> None:
        if self.aborted_at is None:
            self.aborted_at = asyncio.get_running_loop().time()
        self.lose()

    def lose(self) -> None:
        """The connection is gone, which the protocol hears a moment later."""
        if self.protocol and not self._is_lost:
            self._is_lost = True
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Server:
    """Takes connections; a request is answered at once, or after `works_s` seconds."""

    def __init__(
        self, gate: ConnectionGate | None = None, *, works_s: float = 0.0, keep_alive_s: int = KEEP_ALIVE_S
    ) -> None:
        self.asked = 0
        self._works_s = works_s
        self._config = uvicorn.Config(
            self._app,
            http="h11",
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            proxy_headers=False,
            timeout_keep_alive=keep_alive_s,
        )
        self._config.load()
        bound_connections(self._config, gate or ConnectionGate())
        self._state = ServerState()
        self._wires: list[Wire] = []

    def connect(self, wire: Wire) -> asyncio.Protocol:
        make: Callable[..., asyncio.Protocol] = self._config.http_protocol_class
        protocol = make(config=self._config, server_state=self._state, app_state={})
        wire.protocol = protocol
        self._wires.append(wire)
        protocol.connection_made(wire)
        return protocol

    async def aclose(self) -> None:
        """Ends what is under way."""
        for wire in self._wires:
            wire.lose()
        for task in (tasks := list(self._state.tasks)):
            task.cancel()
        await asyncio.gather(*tasks)  # noqa: TID251 - uvicorn's tasks, which catch it

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked += 1
        await asyncio.sleep(self._works_s)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})


Serve = Callable[..., Server]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Makes servers, and ends them."""
    servers: list[Server] = []

    def make(*arguments: Any, **options: Any) -> Server:
        servers.append(Server(*arguments, **options))
        return servers[-1]

    yield make
    for server in servers:
        await server.aclose()


async def test_a_connection_that_says_nothing_is_ended_after_ten_seconds(serve: Serve) -> None:
    wire = Wire()
    serve().connect(wire)
    await asyncio.sleep(HEAD_TIMEOUT_S - 0.1)
    assert not wire.is_closing()
    await asyncio.sleep(1)
    assert (HEAD_TIMEOUT_S, wire.aborted_at) == (10, 10)


async def test_a_head_that_comes_byte_by_byte_gets_no_more_time(serve: Serve) -> None:
    wire, server = Wire(), serve()
    protocol = server.connect(wire)
    for byte in GET[:-1]:
        if wire.is_closing():
            break
        protocol.data_received(bytes([byte]))
        await asyncio.sleep(1)
    assert (wire.aborted_at, server.asked) == (10, 0)


async def test_a_request_is_worked_on_for_as_long_as_it_takes(serve: Serve) -> None:
    wire, server = Wire(), serve(works_s=300)
    server.connect(wire).data_received(GET)
    await asyncio.sleep(299)
    assert not wire.is_closing()
    await asyncio.sleep(2)
    assert wire.sent.startswith(b"HTTP/1.1 204")


async def test_after_an_answer_the_connection_is_kept_for_a_next_request_for_a_while(
    serve: Serve,
) -> None:
    wire, server = Wire(), serve()
    protocol = server.connect(wire)
    for _ in range(4):
        protocol.data_received(GET)
        await asyncio.sleep(KEEP_ALIVE_S - 1)
    assert (server.asked, wire.is_closing()) == (4, False)
    await asyncio.sleep(KEEP_ALIVE_S)
    assert wire.closed_at


@pytest.mark.parametrize("is_pipelined", [False, True])
@pytest.mark.parametrize("connection", [b"", b"Connection: keep-alive\r\n"])
async def test_a_request_of_two_lengths_is_the_last_one_of_its_connection(
    serve: Serve, connection: bytes, is_pipelined: bool
) -> None:
    """What follows it may have been smuggled in, past a proxy that counts otherwise: RFC 9112, 6.1."""
    wire, server = Wire(), serve(works_s=1)
    protocol = server.connect(wire)
    lengths = b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"
    request = b"POST / HTTP/1.1\r\nHost: here\r\n" + connection + lengths + b"\r\n"
    if is_pipelined:
        protocol.data_received(GET + request + b"0\r\n\r\n" + GET)
    else:
        protocol.data_received(GET)
        await asyncio.sleep(2)
        protocol.data_received(request)
        protocol.data_received(b"0\r\n\r\n" + GET)
    await asyncio.sleep(2.5)
    first, last = wire.sent.split(b"HTTP/1.1 204")[1:]
    assert (b"connection: close" in first.lower(), b"connection: close" in last.lower()) == (False, True)
    assert (server.asked, wire.closed_at) == (2, 2 if is_pipelined else 3)


async def test_the_head_of_a_next_request_has_ten_seconds_too(serve: Serve) -> None:
    wire, server = Wire(), serve()
    protocol = server.connect(wire)
    protocol.data_received(GET)
    await asyncio.sleep(3)
    for byte in GET[:-1]:
        if wire.is_closing():
            break
        protocol.data_received(bytes([byte]))
        await asyncio.sleep(1)
    assert (wire.aborted_at, server.asked) == (3 + HEAD_TIMEOUT_S, 1)


async def test_a_proxy_may_keep_a_connection_for_as_long_as_is_set(serve: Serve) -> None:
    wire, server = Wire(), serve(keep_alive_s=75)
    protocol = server.connect(wire)
    for _ in range(3):
        protocol.data_received(GET)
        await asyncio.sleep(74)
    assert (server.asked, wire.is_closing()) == (3, False)
    await asyncio.sleep(2)
    assert wire.closed_at == 2 * 74 + 75


async def test_who_takes_nothing_of_an_answer_that_is_over_is_not_waited_for_that_long(serve: Serve) -> None:
    wire, server = Wire(), serve(keep_alive_s=75)
    wire.unsent = 3000
    server.connect(wire).data_received(GET)
    await asyncio.sleep(HEAD_TIMEOUT_S + 1)
    assert wire.aborted_at == HEAD_TIMEOUT_S


async def test_who_takes_the_end_of_an_answer_slowly_is_kept_then(serve: Serve) -> None:
    wire, server = Wire(), serve(keep_alive_s=75)
    wire.unsent = 3000
    server.connect(wire).data_received(GET)
    await asyncio.sleep(HEAD_TIMEOUT_S - 1)
    wire.unsent = 0
    await asyncio.sleep(60)
    assert not wire.is_closing()


async def test_a_request_that_comes_with_the_one_before_is_not_cut_off(serve: Serve) -> None:
    wire, server = Wire(), serve(works_s=8)
    server.connect(wire).data_received(GET + GET)
    await asyncio.sleep(17)
    assert (server.asked, wire.sent.count(b"HTTP/1.1 204"), wire.is_closing()) == (2, 2, False)


@pytest.mark.parametrize(("works_s", "is_answered"), [(0, True), (1.9, True), (300, False)])
async def test_who_has_closed_his_side_gets_his_answer_if_it_comes_soon(
    serve: Serve, works_s: float, is_answered: bool
) -> None:
    wire, server = Wire(), serve(works_s=works_s)
    protocol = server.connect(wire)
    protocol.data_received(GET)
    assert protocol.eof_received()
    await asyncio.sleep(HALF_CLOSED_S + 0.1)
    assert wire.sent.startswith(b"HTTP/1.1 204") == is_answered
    assert wire.closed_at == min(works_s, HALF_CLOSED_S)


async def test_who_closes_his_side_and_asks_for_nothing_is_gone(serve: Serve) -> None:
    assert not serve().connect(Wire()).eof_received()


async def test_a_client_that_takes_nothing_of_its_answer_is_given_up(serve: Serve) -> None:
    wire, server = Wire(), serve(works_s=300)
    protocol = server.connect(wire)
    protocol.data_received(GET)
    await asyncio.sleep(5)
    wire.unsent = 70_000
    protocol.pause_writing()
    await asyncio.sleep(STALL_TIMEOUT_S + 1)
    assert wire.aborted_at == 5 + STALL_TIMEOUT_S


async def test_a_client_that_is_slow_and_takes_what_it_is_sent_is_waited_for(serve: Serve) -> None:
    wire, server = Wire(), serve(works_s=300)
    protocol = server.connect(wire)
    protocol.data_received(GET)
    wire.unsent = 70_000
    protocol.pause_writing()
    for _ in range(5):
        await asyncio.sleep(STALL_TIMEOUT_S - 1)
        wire.unsent -= 8_000
    protocol.resume_writing()
    await asyncio.sleep(2 * STALL_TIMEOUT_S)
    assert not wire.is_closing()


async def test_the_rest_of_an_answer_that_nobody_takes_holds_no_connection(serve: Serve) -> None:
    wire = Wire()
    wire.unsent = 50_000
    serve().connect(wire).data_received(GET)
    await asyncio.sleep(20)
    assert wire.aborted_at == HEAD_TIMEOUT_S


async def test_a_client_that_has_all_its_connections_at_work_is_told_to_come_again(serve: Serve) -> None:
    server = serve(ConnectionGate(per_address=2), works_s=300)
    for _ in range(2):
        server.connect(Wire()).data_received(GET)
    await asyncio.sleep(1)
    third, other = Wire(), Wire("192.0.2.2")
    protocol = server.connect(third)
    protocol.data_received(GET)
    server.connect(other).data_received(GET)
    await asyncio.sleep(1)
    assert third.sent.startswith(b"HTTP/1.1 503 ")
    assert (third.closed_at, server.asked) == (1, 3)


async def test_a_thousand_that_say_nothing_leave_the_next_one_its_answer(serve: Serve) -> None:
    server, wires = serve(), [Wire() for _ in range(1000)]
    for wire in wires:
        server.connect(wire)
    last = Wire()
    server.connect(last).data_received(GET)
    await asyncio.sleep(1)
    assert last.sent.startswith(b"HTTP/1.1 204")
    assert sum(not wire.is_closing() for wire in wires) == 49


@pytest.mark.parametrize("address", ["2001:db8::1", "2001:db8::ffff:2"])
async def test_all_addresses_of_a_network_of_ipv6_count_as_one(serve: Serve, address: str) -> None:
    server, first = serve(ConnectionGate(per_address=1)), Wire("2001:db8::1")
    server.connect(first)
    server.connect(Wire(address))
    await asyncio.sleep(1)
    assert first.aborted_at == 0


async def test_a_connection_that_was_lost_gives_its_place_back(serve: Serve) -> None:
    server = serve(ConnectionGate(per_address=1), works_s=300)
    first = Wire()
    server.connect(first).data_received(GET)
    await asyncio.sleep(1)
    first.lose()
    await asyncio.sleep(1)
    second = Wire()
    server.connect(second)
    await asyncio.sleep(1)
    assert not second.is_closing()
