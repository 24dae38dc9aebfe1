"""A voice that is asked a second time when it is late, and speaks with whichever request sounds first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from types import TracebackType

from libacli.core.hedging import Hedging
from libacli.errors import VoiceError, VoiceRefusedError, VoiceStalledError, VoiceTruncatedError
from libacli.speech.ports import Style, Take, Voice

_NOT_OF_LOAD = (VoiceRefusedError, VoiceTruncatedError, VoiceStalledError)
"""Errors that do not say that the service is down, or has too much to do."""

_PIECES_AHEAD = 16
"""What may be buffered of one request: a voice that never ends must not fill the memory."""


class HedgedVoice:
    """Passes on what `voice` says; makes a second request when the first is late. Implements `Voice`.

    When a request is late, and how many second ones there may be, `Hedging` says. The first to sound wins,
    the other one is closed. A second request is no second try: an error that comes before it is made is
    raised at once. Afterwards a refusal for good of one ends both, and so does the stall of the first, whose
    bound is that of the whole; after any other error the one that is left may still succeed, and when it does
    not, the error of the first is raised.
    """

    def __init__(self, voice: Voice) -> None:
        self.provider = voice.provider
        self.model = voice.model
        self.name = voice.name
        self._voice = voice
        self._hedging = Hedging()

    def objection(self, text: str) -> str | None:
        return self._voice.objection(text)

    async def synthesize(
        self, text: str, style: Style, take: Take | None = None
    ) -> AsyncGenerator[bytes, None]:
        """See `Voice.synthesize`. Both requests note in the same `take`: it is the same voice."""
        take = take or Take()
        self._hedging.ask()
        late_s = self._hedging.late_s()
        if late_s is None:
            sound = self._sound_of_one(text, style, take)
        else:
            sound = self._sound_of_first(text, style, take, late_s)
        try:
            async with aclosing(sound) as pieces:
                async for piece in pieces:
                    yield piece
        except _NOT_OF_LOAD:
            raise
        except VoiceError:
            self._hedging.failed()
            raise

    async def warm_up(self) -> None:
        await self._voice.warm_up()

    async def aclose(self) -> None:
        await self._voice.aclose()

    async def _sound_of_one(self, text: str, style: Style, take: Take) -> AsyncGenerator[bytes, None]:
        asked_at, is_first = _now(), True
        async with aclosing(self._voice.synthesize(text, style, take)) as pieces:
            async for piece in pieces:
                if is_first:
                    self._hedging.took(_now() - asked_at)
                    is_first = False
                yield piece

    async def _sound_of_first(
        self, text: str, style: Style, take: Take, late_s: float
    ) -> AsyncGenerator[bytes, None]:
        asked_at = _now()
        async with _Requests() as requests:
            requests.add(self._voice.synthesize(text, style, take))
            is_late = not await requests.has_news(within_s=late_s)
            if is_late and not take.is_held and self._hedging.spend():
                requests.add(self._voice.synthesize(text, style, take))
            winner = await requests.winner()
            # Of a first one that has lost this is less than it would have taken, but late all the same.
            self._hedging.took(_now() - asked_at)
            take.is_hedged = winner is not requests.first
            async for piece in winner.pieces():
                yield piece


class _Requests:
    """Requests for the same, each in a task of its own; all are closed when this is left."""

    def __init__(self) -> None:
        self._tasks = asyncio.TaskGroup()
        self._requests: list[_Request] = []
        self._news = asyncio.Event()

    async def __aenter__(self) -> _Requests:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close_all_but(None)
        # The group is not told why: it would take the closing of a generator for an error of its own.
        await self._tasks.__aexit__(None, None, None)

    @property
    def first(self) -> _Request:
        return self._requests[0]

    def add(self, sound: AsyncGenerator[bytes, None]) -> None:
        """Makes a request: `sound` is what comes of it."""
        request = _Request(self._news)
        request.task = self._tasks.create_task(request.read(sound))
        self._requests.append(request)

    async def has_news(self, *, within_s: float) -> bool:
        """Whether one has sounded or ended within so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._news.wait()
        return self._news.is_set()

    async def winner(self) -> _Request:
        """The first that sounds; the others are closed. Raises the error that leaves no hope of one."""
        while True:
            await self._news.wait()
            self._news.clear()
            for request in self._requests:
                if request.has_sounded:
                    self._close_all_but(request)
                    return request
            self._check_hope()

    def _check_hope(self) -> None:
        """Raises an error when no sound is to be expected any more."""
        errors = [request.error for request in self._requests if request.error]
        for error in errors:
            if isinstance(error, VoiceRefusedError):
                raise error
        first = self.first.error
        if first and (isinstance(first, VoiceStalledError) or len(errors) == len(self._requests)):
            raise first

    def _close_all_but(self, winner: _Request | None) -> None:
        for request in self._requests:
            if request is not winner:
                request.close()


class _Request:
    """What comes of one request: PCM, then None or the error that ended it."""

    task: asyncio.Task[None]

    def __init__(self, news: asyncio.Event) -> None:
        self.has_sounded = False
        self.error: Exception | None = None
        self._news = news
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue(_PIECES_AHEAD)
        self._is_closed = False

    async def read(self, sound: AsyncGenerator[bytes, None]) -> None:
        try:
            async with aclosing(sound) as pieces:
                async for piece in pieces:
                    self.has_sounded = True
                    self._news.set()
                    await self._queue.put(piece)
        except Exception as error:  # whatever it is belongs to whoever waits for the sound
            self.error = error
        self._news.set()
        if not self._is_closed:
            await self._queue.put(None)

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """The sound. Raises what ended it, after the PCM that came before."""
        while piece := await self._queue.get():
            yield piece
        if self.error:
            raise self.error

    def close(self) -> None:
        """Ends the request, soon."""
        self._is_closed = True
        self.task.cancel()


def _now() -> float:
    return asyncio.get_running_loop().time()
