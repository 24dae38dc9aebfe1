"""The body of a request that is a file: received onto the disk, within bounds of size and time."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import IO

from fastapi import Request

from libacli.web.problems import Problem

_STALL_TIMEOUT_S = 10.0
"""In which some of it has to come."""

_TIMEOUT_S = 300.0
"""In which all of it has to come."""


@asynccontextmanager
async def received(request: Request, *, most_bytes: int, named: str) -> AsyncIterator[Path]:
    """A file of its body, which is gone after the context; `named` is what it is called.

    Raises Problem: 413 where it is larger, which is known from its announced length or when it comes, 408
    where it does not come, 422 where it is empty; starlette's ClientDisconnect where nobody is left.
    """
    announced = request.headers.get("content-length", "")
    if announced.isascii() and announced.isdigit() and int(announced[:20]) > most_bytes:
        raise _too_large(named, most_bytes)
    file = None
    try:
        try:
            file = await asyncio.to_thread(tempfile.NamedTemporaryFile, "wb", prefix="liba-")
            await _receive(request, file, most_bytes, named)
        except OSError as error:
            raise Problem(503, "no_space", f"{named} finds no place here: {error.strerror}") from error
        yield Path(file.name)
    finally:
        if file:
            await asyncio.to_thread(_close, file)


def _close(file: IO[bytes]) -> None:
    with suppress(OSError):  # of a full disk, of which who sent it was told
        file.close()


async def _receive(request: Request, file: IO[bytes], most_bytes: int, named: str) -> None:
    pieces, size = request.stream(), 0
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            while True:
                async with asyncio.timeout(_STALL_TIMEOUT_S):
                    piece = await anext(pieces, None)
                if piece is None:
                    break
                size += len(piece)
                if size > most_bytes:
                    raise _too_large(named, most_bytes)
                if piece:
                    await asyncio.to_thread(file.write, piece)
    except TimeoutError:
        raise Problem(408, "too_slow", f"{named} did not come in time") from None
    if not size:
        raise Problem(422, "malformed", f"the body is empty: it is to be {named}")
    await asyncio.to_thread(file.flush)


def _too_large(named: str, most_bytes: int) -> Problem:
    return Problem(413, "too_large", f"{named} may have {most_bytes} bytes")
