"""A proxy between a client and a server that has the manners of real ones, the bad ones too."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

import h11

_READ = 65536
_GATEWAY_TIMEOUT = b"HTTP/1.1 504 Gateway Time-out\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_BAD_GATEWAY = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True)
class Manner:
    """How it treats one request."""

    read_timeout_s: float = 60.0
    """An answer that says nothing for so long is cut off with 504, as nginx does after 60 s."""

    buffers: bool = False
    """It passes an answer on once it is whole, unless `X-Accel-Buffering: no` stands there."""

    compresses: bool = False
    """It holds an answer back to compress it, unless `Cache-Control: no-transform` stands there."""

    resets_before: bool = False
    """The client's connection breaks before the request has gone on."""

    resets_after: bool = False
    """... after the server was asked, and before its answer is passed on."""

    sends_twice: bool = False
    """It asks the server twice, on two connections, and passes on the second answer."""

    pieces: int = 0
    """So many bytes at a time go to the server; 0: all at once."""

    is_chunked: bool = False
    """The body goes on without its length."""

    is_http_10: bool = False
    expects_continue: bool = False
    half_closes: bool = False
    """It closes its side towards the server once all is sent."""

    target: str = "{}"
    """How it writes the path: "http://127.0.0.1{}", "/{}", "/liba{}"."""


@dataclass(frozen=True)
class _Asked:
    method: bytes
    target: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes


class MisbehavingProxy:
    """`async with` it; `manner` is looked at for each request. Connections to the server are used again."""

    def __init__(self, server_port: int) -> None:
        self.manner = Manner()
        self.asked = 0
        """How often the server was asked."""

        self._server_port = server_port
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._clients: set[asyncio.StreamWriter] = set()
        self._opened: list[asyncio.StreamWriter] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listening.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Self:
        self._listening = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *exception: object) -> None:
        self._listening.close()
        for writer in [*self._clients, *self._opened]:
            writer.transport.abort()
        await self._listening.wait_closed()
        await asyncio.sleep(0.01)  # what is aborted hears of it

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients.add(writer)
        try:
            with suppress(ConnectionError, h11.RemoteProtocolError):
                while asked := await _read_request(reader):
                    manner = self.manner
                    if manner.resets_before or not await self._pass_on(asked, writer, manner):
                        break
        finally:
            self._clients.discard(writer)
            writer.transport.abort() if self.manner.resets_after else writer.close()

    async def _pass_on(self, asked: _Asked, client: asyncio.StreamWriter, manner: Manner) -> bool:
        """Whether the client's connection may be used again."""
        if manner.sends_twice:
            await self._ask(asked, None, manner)
        return await self._ask(asked, client, manner)

    async def _ask(self, asked: _Asked, client: asyncio.StreamWriter | None, manner: Manner) -> bool:
        for _ in range(2):
            is_fresh = not self._idle
            there = self._idle.pop() if self._idle else await self._connect()
            self.asked += 1
            try:
                await _send(asked, there[1], manner)
                if manner.resets_after and client:
                    await asyncio.sleep(0.05)  # it has been asked, whatever comes of it
                    there[1].transport.abort()
                    return False
                return await self._answer(there, asked, client, manner)
            except (ConnectionError, EOFError):  # the server closed an idle connection just now
                there[1].transport.abort()
                if is_fresh:
                    break
        if client:
            client.write(_BAD_GATEWAY)
        return False

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        opened = await asyncio.open_connection("127.0.0.1", self._server_port)
        self._opened.append(opened[1])
        return opened

    async def _answer(
        self,
        there: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        asked: _Asked,
        client: asyncio.StreamWriter | None,
        manner: Manner,
    ) -> bool:
        reader, writer = there
        parser = h11.Connection(h11.CLIENT)
        parser.send(h11.Request(method=asked.method, target=b"/", headers=[(b"host", b"x")]))
        parser.send(h11.EndOfMessage())
        held, holds, has_begun = b"", False, False
        while True:
            event = parser.next_event()
            if event is h11.NEED_DATA:
                try:
                    async with asyncio.timeout(manner.read_timeout_s):
                        data = await reader.read(_READ)
                except TimeoutError:
                    writer.transport.abort()
                    if client and not has_begun:
                        client.write(_GATEWAY_TIMEOUT)
                    return False
                if not data and not has_begun:
                    raise EOFError
                parser.receive_data(data)
                if not data and parser.their_state is not h11.DONE:
                    event = parser.next_event()
            out = b""
            if isinstance(event, h11.Response):
                has_begun, holds = True, _holds(event, manner)
                out = _head(event)
            elif isinstance(event, h11.Data):
                out = b"%x\r\n%b\r\n" % (len(event.data), bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                if client:
                    client.write(held + b"0\r\n\r\n")
                if parser.their_state is h11.DONE and not manner.half_closes and not manner.is_http_10:
                    self._idle.append(there)
                else:
                    writer.close()
                return True
            elif isinstance(event, h11.ConnectionClosed):
                return False
            if holds:
                held += out
            elif client and out:
                client.write(out)
                await client.drain()


async def _read_request(reader: asyncio.StreamReader) -> _Asked | None:
    parser, request, body = h11.Connection(h11.SERVER), None, b""
    while True:
        event = parser.next_event()
        if event is h11.NEED_DATA:
            parser.receive_data(await reader.read(_READ))
        elif isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage) and request:
            return _Asked(request.method, request.target, list(request.headers), body)
        elif isinstance(event, h11.ConnectionClosed):
            return None


async def _send(asked: _Asked, writer: asyncio.StreamWriter, manner: Manner) -> None:
    dropped = (b"content-length", b"transfer-encoding", b"connection", b"host")
    headers = [(name, value) for name, value in asked.headers if name not in dropped]
    headers.append((b"Host", b"LocalHost:8080"))
    body = asked.body
    if body and manner.is_chunked and not manner.is_http_10:
        headers.append((b"Transfer-Encoding", b"chunked"))
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    elif body:
        headers.append((b"Content-Length", b"%d" % len(body)))
    if body and manner.expects_continue and not manner.is_http_10:
        headers.append((b"Expect", b"100-continue"))
    target = manner.target.format(asked.target.decode()).encode()
    version = b"1.0" if manner.is_http_10 else b"1.1"
    lines = [b"%b %b HTTP/%b" % (asked.method, target, version), *(b"%b: %b" % one for one in headers)]
    sent = b"\r\n".join(lines) + b"\r\n\r\n" + body
    size = manner.pieces or len(sent)
    for at in range(0, len(sent), size):
        writer.write(sent[at : at + size])
        await writer.drain()
        await asyncio.sleep(0)
    if manner.half_closes:
        writer.write_eof()


def _holds(answer: h11.Response, manner: Manner) -> bool:
    headers = {name: value.lower() for name, value in answer.headers}
    is_buffered = manner.buffers and headers.get(b"x-accel-buffering") != b"no"
    return is_buffered or (manner.compresses and b"no-transform" not in headers.get(b"cache-control", b""))


def _head(answer: h11.Response) -> bytes:
    passed = [
        (name, value)
        for name, value in answer.headers
        if name not in (b"content-length", b"transfer-encoding", b"connection")
    ]
    lines = [b"HTTP/1.1 %d %b" % (answer.status_code, bytes(answer.reason))]
    lines += [b"%b: %b" % one for one in (*passed, (b"Transfer-Encoding", b"chunked"))]
    return b"\r\n".join(lines) + b"\r\n\r\n"
