"""The voice's side of one utterance: requests made ahead of the sink, PCM given out in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

from libacli.speech.ports import Style, Voice

_PIECES_AHEAD = 512
"""What may be buffered of one request: a voice that never ends must not fill the memory."""


class Reading:
    """Reads `chunks` with `voice`, always one request ahead of the chunk that is being played.

    The first request is made at once. Requests are tasks of `tasks`; what they raise is raised by `pcm`.
    `on_ask` is called with each chunk when the voice is asked for it, and `on_last_request` when sound of the
    last one has come: nothing more will be asked for.
    """

    def __init__(
        self,
        tasks: asyncio.TaskGroup,
        voice: Voice,
        chunks: Sequence[str],
        style: Style,
        *,
        on_ask: Callable[[str], None],
        on_last_request: Callable[[], None],
    ) -> None:
        self.first_pcm_at: float | None = None
        """When the first PCM of the utterance came, on the loop's clock."""

        self.is_all_asked = False
        """Whether sound of the last chunk has come."""

        self._tasks = tasks
        self._voice = voice
        self._style = style
        self._to_ask = list(reversed(chunks))
        self._on_ask = on_ask
        self._on_last_request = on_last_request
        self._requests: list[_Request] = []
        self._ask()

    async def pcm(self) -> AsyncGenerator[bytes]:
        """Yields the PCM of all chunks. Raises what the voice raised, after the PCM that came before."""
        while self._requests:
            request = self._requests[0]
            while (piece := await request.next_piece()) is not None:
                if not request.is_playing:
                    request.is_playing = True
                    self._ask()
                yield piece
            self._requests.pop(0)

    def cancel(self) -> None:
        """Gives all requests up; their connections are closed. Safe to call twice."""
        for request in self._requests:
            request.task.cancel()

    def _ask(self) -> None:
        if not self._to_ask:
            self.is_all_asked = True
            self._on_last_request()
            return
        request = _Request()
        request.task = self._tasks.create_task(self._fetch(self._to_ask.pop(), request))
        self._requests.append(request)

    async def _fetch(self, text: str, request: _Request) -> None:
        end: Exception | None = None
        self._on_ask(text)
        try:
            async with aclosing(self._voice.synthesize(text, self._style)) as stream:
                async for piece in stream:
                    await request.queue.put(piece)
                    if self.first_pcm_at is None:
                        self.first_pcm_at = asyncio.get_running_loop().time()
                        await asyncio.sleep(0)  # the first frame goes out before the next read
        except Exception as error:  # whatever it is belongs to the utterance, which reports it
            end = error
        await request.queue.put(end)


class _Request:
    """What came of one chunk: PCM, then None or the exception that ended it."""

    task: asyncio.Task[None]

    def __init__(self) -> None:
        self.queue: asyncio.Queue[bytes | Exception | None] = asyncio.Queue(_PIECES_AHEAD)
        self.is_playing = False

    async def next_piece(self) -> bytes | None:
        piece = await self.queue.get()
        if isinstance(piece, Exception):
            raise piece
        return piece
