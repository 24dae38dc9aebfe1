"""The sound of one utterance as it comes to an avatar: read at once, held back where it comes in bursts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress

from libacli.core.audio import duration_s
from libacli.core.jitter_target import JitterTarget


class ComingSound:
    """Reads what `next_chunk` returns, PCM, up to b"" at the end, and tells `jitter` when it came.

    It is read while what came before it plays: how late it is cannot be seen otherwise.
    """

    def __init__(self, next_chunk: Callable[[], Awaitable[bytes]], jitter: JitterTarget) -> None:
        self._next_chunk = next_chunk
        self._jitter = jitter
        self._chunks: asyncio.Queue[bytes] = asyncio.Queue()
        self._began = asyncio.Event()
        self._is_whole = asyncio.Event()
        jitter.begin()

    async def read(self) -> None:
        """Until all has come."""
        clock = asyncio.get_running_loop().time
        while chunk := await self._next_chunk():
            self._jitter.came(clock(), duration_s(len(chunk)))
            self._chunks.put_nowait(chunk)
            self._began.set()
        self._began.set()
        self._is_whole.set()
        self._chunks.put_nowait(b"")

    async def chunks(self) -> AsyncGenerator[bytes]:
        """All of it; the first when it has been held back, or nothing more is to come. While `read` runs."""
        hold_s = self._jitter.target_s
        await self._began.wait()
        if hold_s:
            with suppress(TimeoutError):
                async with asyncio.timeout(hold_s):
                    await self._is_whole.wait()
        while chunk := await self._chunks.get():
            yield chunk
