"""The voice's side of one utterance: requests made ahead of the sink, PCM given out in order."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, suppress

from libacli.core.acquaintance import Acquaintance, Acquaintances, VoiceName
from libacli.core.audio import duration_s
from libacli.core.chunk_plan import ChunkPlan
from libacli.core.passage import Passage
from libacli.core.script import Pause
from libacli.errors import VoiceBusyError, VoiceError
from libacli.speech.cache import Keeping
from libacli.speech.chain import has_another
from libacli.speech.pace import Pace
from libacli.speech.ports import Style, Take, Voice
from libacli.speech.request import Request, Silence

_SOON_S = 0.001
"""A time that is so near has come: timers are no more exact than that."""

_MOST_UNHEARD = 2
"""Requests that have not sounded yet: more than these only stand in each other's way."""

_LEAST_PATIENCE_S = 0.1
"""So much of it each wait costs, that they come to an end."""


class Reading:
    """Reads `script` with `voice`: asks for sound so far ahead that there is always some in hand.

    The first request is made at once. Requests are tasks of `tasks`; what they raise is raised by `pcm`.
    What `known` tells of the voice decides how much is asked for at a time, and when; it learns from what
    comes. `on_ask` is called with the number of characters each time that the voice is asked for more,
    `on_take` when the first piece of a chunk is about to be played,
    `on_sound` with the seconds of each piece that the voice has made, and `on_last_request` when nothing more
    is to be asked for, and it is time to ask for the next utterance. `is_at_once`: each text of the script is
    asked for as a whole, as from a voice that remembers it. A script of one text is kept when all of it was
    taken, if the voice remembers what it says.
    """

    def __init__(
        self,
        tasks: asyncio.TaskGroup,
        voice: Voice,
        script: Sequence[str | Pause],
        style: Style,
        *,
        pace: Pace,
        known: Acquaintances,
        on_ask: Callable[[int], None] = lambda chars: None,
        on_last_request: Callable[[], None] = lambda: None,
        on_take: Callable[[Take], None] = lambda take: None,
        on_sound: Callable[[float], None] = lambda seconds: None,
        is_at_once: bool = False,
    ) -> None:
        self.first_pcm_at: float | None = None
        """When the first PCM of the utterance came, on the loop's clock."""

        self.is_all_asked = False
        """Whether it is time to ask for the next utterance."""

        self.broke_off: VoiceError | None = None
        """Why a part is missing, behind which another voice went on."""

        self.chunks = 0
        """Requests so far."""

        self.passages: list[Passage] = []
        """What has been given out, request by request."""

        self.held_s = 0.0
        """How long the first sound was held back, to have the rest follow without a break."""

        self._tasks = tasks
        self._voice = voice
        self._style = style
        most = sys.maxsize if is_at_once else pace.max_chunk_chars
        self._plan = ChunkPlan(
            script, max_chars=most, first_chars=most if is_at_once else pace.first_chunk_chars
        )
        self._is_at_once = is_at_once
        self._pace = pace
        self._known = known
        self._on_ask = on_ask
        self._on_take = on_take
        self._on_sound = on_sound
        self._on_last_request = on_last_request
        self._keeping = Keeping(script[0]) if len(script) == 1 and isinstance(script[0], str) else None
        self._requests: list[Request] = []
        """All of them, in order; the first `_over` have been played."""

        self._given_s = 0.0
        self._over = 0
        self._news = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._is_playing = False
        self._idle_since: float | None = None
        self._idle_s = 0.0
        """How long nothing was asked for because there was enough in hand."""

        self._dry_at = 0.0
        """When all that was given out will have been played."""

        self._ask()
        self._ask_if_due()

    async def pcm(self) -> AsyncGenerator[bytes]:
        """Yields the PCM of all of it. Raises what the voice raised, after the PCM that came before."""
        self._is_playing = True
        self._ask_if_due()
        try:
            while self._over < len(self._requests):
                request = self._requests[self._over]
                try:
                    while (piece := await request.next_piece(self._dry_at)) is not None:
                        await self._before(request)
                        self._dry_at = max(self._dry_at, _now()) + duration_s(len(piece))
                        self._note(request, piece)
                        if self._keeping:
                            self._keeping.add(piece, request.take)
                        yield piece
                except VoiceError as error:
                    if not (self._goes_on_behind(request, error) and self._is_more_to_come):
                        raise
                    self.broke_off = self.broke_off or error  # what follows is read all the same
                self._over += 1
                if self._over == len(self._requests) and not self._plan.is_empty:
                    self._ask()
        except Exception:
            self.cancel()
            self._on_last_request()  # while what came before it plays
            raise
        if self.broke_off:
            return
        self._learn_line()
        if self._keeping:
            self._keeping.end()

    def _note(self, request: Request, piece: bytes) -> None:
        passage = request.passage(self._given_s)
        if passage and passage not in self.passages[-1:]:
            if self.passages:
                self.passages[-1].ends(self._given_s)
            self.passages.append(passage)
        self._given_s += duration_s(len(piece))

    def _goes_on_behind(self, request: Request, error: Exception) -> bool:
        """Whether another voice says what follows: it broke off in its middle."""
        return isinstance(error, VoiceError) and request.has_sounded and has_another(self._voice)

    @property
    def _is_more_to_come(self) -> bool:
        return not self._plan.is_empty or self._over + 1 < len(self._requests)

    @property
    def is_barren(self) -> bool:
        """Whether all that was asked for is over, and nothing came of it."""
        asked = [request for request in self._requests if request.task]
        return bool(asked) and all(request.is_whole and not request.has_sounded for request in asked)

    def cancel(self) -> None:
        """Gives all requests up; their connections are closed. Safe to call twice."""
        self.is_all_asked = True
        if self._timer:
            self._timer.cancel()
        for request in self._requests:
            if request.task:
                request.task.cancel()

    async def _before(self, request: Request) -> None:
        """A piece of it is about to be played; there is something to do when that is the first one."""
        if request.is_playing or not request.task:
            return
        request.is_playing = True
        if not any(before.task for before in self._requests[: self._over]):
            await self._hold(request)
        self._on_take(request.take)

    async def _hold(self, request: Request) -> None:
        """Waits as long as this voice has to be held back; at most until all that there is has come."""
        began_at = _now()
        hold_s = min(self._expected().hold_s(len(request.chunk.text)), self._pace.max_hold_s)
        with suppress(TimeoutError):
            async with asyncio.timeout_at((request.first_at or began_at) + hold_s):
                while hold_s and not self._is_whole:
                    self._news.clear()
                    await self._news.wait()
        self.held_s = _now() - began_at

    @property
    def _is_whole(self) -> bool:
        return self._plan.is_empty and all(request.is_whole for request in self._requests)

    def _expected(self) -> Acquaintance:
        return self._known.expected(self._asked)

    @property
    def _asked(self) -> VoiceName:
        voice = self._voice
        return voice.provider, voice.model, self._style.voice or voice.name

    def _ask_if_due(self) -> None:
        """Asks for the next chunk, or tells that it is time for the next utterance, or comes back later.

        What is in hand then may be more than is sure now. It is not less: called when a request has sounded,
        or has ended, it misses nothing.
        """
        if self._timer:
            self._timer.cancel()
            self._timer = None
        while not self.is_all_asked and (wait_s := self._due_in_s()) is not None:
            if wait_s > _SOON_S:
                if all(request.has_sounded for request in self._requests):
                    self._idle_since = self._idle_since or _now()
                self._timer = asyncio.get_running_loop().call_later(wait_s, self._ask_if_due)
                return
            self._ask()

    def _due_in_s(self) -> float | None:
        """How long there is enough in hand; None: nothing more may be asked for before something has come."""
        unheard = sum(not request.has_sounded for request in self._requests)
        if unheard >= _MOST_UNHEARD or (unheard and (self._plan.is_empty or not self._is_playing)):
            return None
        if self._plan.is_empty and not self._is_playing:
            return None
        if unheard or not self._is_playing:
            return self._in_hand_s() - self._expected().least_lead_s()
        return self._in_hand_s() - self._expected().lead_s(self._plan.next_chars, _now())

    def _in_hand_s(self, until: Request | None = None) -> float:
        """How long there is something to hear, if nothing more is asked for, or until that request is due."""
        habits = self._expected().habits
        playing_s = max(0.0, self._dry_at - _now())
        end = self._requests.index(until) if until else None
        return playing_s + sum(request.in_hand_s(habits) for request in self._requests[self._over : end])

    def _ask(self) -> None:
        """Makes the next request. A pause before it takes its place in the order."""
        if self._plan.is_empty:
            self.is_all_asked = True
            self._on_last_request()
            return
        known = self._expected()
        hand_s = self._in_hand_s()
        is_limited = self._is_at_once or known.limit_s(_now()) > 0
        chunk = self._plan.take(known.habits, hand_s=hand_s, is_limited=is_limited)
        if isinstance(chunk, Pause):
            self._requests.append(Silence(chunk.seconds))
            return
        self._idle_s += _now() - (self._idle_since or _now())
        self._idle_since = None
        request = Request(chunk, put_off_s=self._idle_s)
        self._requests.append(request)
        self.chunks += 1
        request.task = self._tasks.create_task(self._fetch(request))

    async def _fetch(self, request: Request) -> None:
        end: Exception | None = None
        self._on_ask(len(request.chunk.text))
        try:
            await self._receive(request)
        except Exception as error:  # whatever it is belongs to the utterance, which reports it
            end = error
            if not self._goes_on_behind(request, error):
                self._plan.drop()
        await request.end(end)
        self._news.set()
        self._ask_if_due()

    async def _receive(self, request: Request) -> None:
        """All the sound of a request, and what it shows; made again where that is soon enough."""
        left_s = self._pace.patience_s
        while True:
            try:
                return await self._receive_once(request)
            except VoiceBusyError as busy:
                self._learns_of(request).learn_limit(busy.retry_after_s, _now())
                in_hand_s = self._in_hand_s(until=request)
                left_s -= max(busy.retry_after_s - in_hand_s, _LEAST_PATIENCE_S)
                if request.has_sounded or left_s < 0:
                    raise
                await asyncio.sleep(busy.retry_after_s)
                self._ask_again(request)

    async def _receive_once(self, request: Request) -> None:
        async with aclosing(self._voice.synthesize(request.chunk.text, self._style, request.take)) as stream:
            async for piece in stream:
                is_new = not request.has_sounded
                if not request.take.is_cached:
                    self._on_sound(duration_s(len(piece)))
                await request.put(piece)
                if is_new and request.has_sounded:
                    self._ask_if_due()
                if self.first_pcm_at is None:
                    self.first_pcm_at = _now()
                    await asyncio.sleep(0)  # the first frame goes out before the next read
        place = self._requests.index(request)
        if answer := request.answer(self._requests[place - 1] if place else None):
            self._learns_of(request).learn(answer)

    def _learns_of(self, request: Request) -> Acquaintance:
        """The voice that has answered it."""
        return self._known.speaks(request.speaks or self._asked, asked=self._asked)

    def _ask_again(self, request: Request) -> None:
        """It is made again, for as much as possible: of few requests each has to bring more."""
        before = request.chunk
        request.ask(self._plan.enlarge(before) if request is self._requests[-1] else before)
        if more := len(request.chunk.text) - len(before.text):
            self._on_ask(more)

    def _learn_line(self) -> None:
        """All has been played: notes which hold would have kept it whole, had nothing been put off."""
        spoken = [request for request in self._requests if request.task]
        if not spoken or any(request.take.is_cached for request in spoken):
            return
        first_at = spoken[0].first_at or 0.0
        need_s = before_s = 0.0
        for request in self._requests[self._requests.index(spoken[0]) :]:
            playable_at = request.asked_at - request.put_off_s + request.lateness_s
            need_s = max(need_s, playable_at - before_s - first_at)
            before_s += request.sound_s
        self._expected().learn_line(need_s=need_s, chars=len(spoken[0].chunk.text))


def _now() -> float:
    return asyncio.get_running_loop().time()
