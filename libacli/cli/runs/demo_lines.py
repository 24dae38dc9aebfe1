"""Lines of a demo: handed over at once, followed one after the other, each told in its turn."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from libacli.cli.runs.say_stream import hand_over
from libacli.cli.screens.demo_lines import DemoScreen, title
from libacli.cli.screens.demo_result import DemoResult
from libacli.core.delivery import Delivery
from libacli.core.event import Report
from libacli.core.messages import SayRequest, read_say
from libacli.core.pace import longest_speech_s
from libacli.edges.viewer.listener import AudioCapture
from libacli.edges.viewer.seat import Captured
from libacli.errors import InterruptedSpeechError, LibaError, NoAgentError

_SPEAKING_MARGIN_S = 30.0
"""What a line may take besides being spoken: the voice, the avatar, others that somebody else has said."""

NETWORK_TAIL_S = 0.3
"""How long the last sound may be on its way after the agent played it."""

_LEAST_SPEECH_S = 0.2
"""Any word is longer; what is shorter is noise."""

_PLAIN: Mapping[str, Any] = {}

_RETURN_S = 60.0
"""For an agent to come back: its worker may have ended, and is started anew then."""

_LOOK_S = 0.5

_QUEUE_TIMEOUT_S = 3600.0
"""For a place in the agent's queue: an hour's lines may wait there."""


class Agent(Protocol):
    """Who speaks; see AgentClient."""

    async def say(self, request: SayRequest) -> Delivery: ...

    async def wait(self, said: Delivery, level: str, *, timeout_s: float) -> Delivery: ...

    async def stop(self) -> list[str]: ...


@dataclass(frozen=True)
class DemoLine:
    """A text to be spoken."""

    request: SayRequest
    place: str = ""
    """`3/10` of those that came together; empty: it came alone."""

    record: Path | None = None
    """Gets what is heard, or heard and seen, of it."""

    @property
    def title(self) -> str:
        return title(self.request.text, self.place)


@dataclass(frozen=True)
class _Taken:
    """A line that was handed over, or is to be when it is its turn."""

    line: DemoLine
    said: Delivery | LibaError | None = None
    """None: it is recorded, from before it is handed over."""

    at: float = 0.0
    """When it was handed over, on the loop's clock."""

    is_over: asyncio.Event = field(default_factory=asyncio.Event)


Recording = Callable[[Path | None], AbstractAsyncContextManager[Callable[[AudioCapture], None]]]
"""Records meanwhile to that path; what it yields takes the sound that was heard. See `recorded`."""


class DemoLines:
    """Has lines spoken by `agent`; `capture` begins to listen and watch anew."""

    def __init__(
        self,
        agent: Agent,
        capture: Callable[[], Captured],
        recording: Recording,
        screen: DemoScreen,
        *,
        avatar_name: str,
        max_text_chars: int,
        hint: str = "",
    ) -> None:
        self._agent = agent
        self._screen = screen
        self._max_text_chars = max_text_chars
        self._capture = capture
        self._recording = recording
        self._avatar_name = avatar_name
        self._hint = hint
        """Where whoever wants to know why it was not heard can look."""

        self._typed: asyncio.Queue[DemoLine] = asyncio.Queue()
        self._taken: asyncio.Queue[_Taken] = asyncio.Queue()
        self._to_record: _Taken | None = None
        """Waits for its turn to be handed over."""

        self._handing_over: tuple[DemoLine, asyncio.Timeout] | None = None
        """The line that the agent is asked to take, and what gives that up."""

        self._stopped_by_us: set[str] = set()
        self._captured: Captured | None = None
        self._finished = asyncio.Event()
        self._finished.set()
        self.unfinished = 0
        """Lines of which it is not known yet what became of them."""

        self.said = 0
        """How many there were."""

        self.failure: LibaError | None = None
        """The first one: why a line was not heard."""

    def say(self, *texts: str, style: Mapping[str, Any] = _PLAIN, record: Path | None = None) -> None:
        """Has them spoken in order, after those before, in the `style` of those members; `record` gets the
        first one. One that cannot be spoken is told so, and the others are."""
        for number, text in enumerate(texts, 1):
            place = f"{number}/{len(texts)}" if len(texts) > 1 else ""
            self.said += 1
            try:
                line = DemoLine(self.request(text, style), place, record if number == 1 else None)
            except LibaError as error:
                self._has_failed(title(text, place), error)
            else:
                self.unfinished += 1
                self._finished.clear()
                self._typed.put_nowait(line)

    def request(self, text: str, style: Mapping[str, Any] = _PLAIN) -> SayRequest:
        """The request for a text. Raises RefusedError."""
        members = {**style, "text": text, "id": uuid.uuid4().hex[:12]}
        return read_say(members, max_text_chars=self._max_text_chars)

    async def finished(self) -> None:
        """Waits until it is known what became of all of them."""
        await self._finished.wait()

    async def stop(self) -> tuple[list[DemoLine], list[str]]:
        """Stops what is spoken, and clears what waits: lines that were not even handed over, ids of the rest.

        Raises what `AgentClient.stop` raises.
        """
        dropped = []
        while not self._typed.empty():
            dropped.append(self._typed.get_nowait())
        if self._handing_over:  # it may wait for room in the agent's queue, which there is now
            line, bound = self._handing_over
            dropped.insert(0, line)
            bound.reschedule(asyncio.get_running_loop().time())
            self._handing_over = None
        if self._to_record:
            dropped.insert(0, self._to_record.line)
            self._to_record.is_over.set()
            self._to_record = None
        self._has_ended(len(dropped))
        self._screen.dropped([line.title for line in dropped])  # whatever becomes of the rest
        stopped = await self._agent.stop()
        self._stopped_by_us.update(stopped)
        return dropped, stopped

    async def run(self) -> None:
        """Has spoken what is added, until cancelled; whatever becomes of a line, the next one follows."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._hand_over())
            tasks.create_task(self._follow())

    async def _hand_over(self) -> None:
        while True:
            line = await self._typed.get()
            if line.record:
                self._to_record = taken = _Taken(line)
                self._taken.put_nowait(taken)
                await taken.is_over.wait()
                continue
            if self.unfinished == 1:
                self._captured = self._capture()
            at = asyncio.get_running_loop().time()
            try:
                async with asyncio.timeout(None) as bound:
                    self._handing_over = (line, bound)
                    said: Delivery | LibaError = await self._handed_over(line.request)
            except TimeoutError:  # it was dropped meanwhile
                continue
            except LibaError as error:
                said = error
            finally:
                self._handing_over = None
            self._taken.put_nowait(_Taken(line, said, at))

    async def _handed_over(self, request: SayRequest) -> Delivery:
        """Has the agent take it, be it that it has to come back first. Raises what `hand_over` raises."""
        clock = asyncio.get_running_loop().time
        give_up_at = clock() + _RETURN_S
        while True:
            try:
                return await hand_over(self._agent, request, timeout_s=_QUEUE_TIMEOUT_S)
            except NoAgentError:
                if clock() > give_up_at:
                    raise
            await asyncio.sleep(_LOOK_S)

    async def _follow(self) -> None:
        while True:
            taken = await self._taken.get()
            if taken.said is None:
                if taken is not self._to_record:  # it was dropped meanwhile
                    continue
                self._to_record = None
            try:
                if isinstance(taken.said, LibaError):
                    raise taken.said
                await self._tell(taken)
            except LibaError as error:
                self._has_failed(taken.line.title, error)
            self._has_ended(1)
            taken.is_over.set()

    def _has_failed(self, name: str, error: LibaError) -> None:
        self.failure = self.failure or error
        self._screen.failed(name, error)

    def _has_ended(self, count: int) -> None:
        self.unfinished -= count
        if not self.unfinished:
            self._finished.set()

    async def _tell(self, taken: _Taken) -> None:
        """What becomes of it, while and after it is spoken."""
        line = taken.line
        clock = asyncio.get_running_loop().time
        began_at: float | None = None

        def begins() -> None:
            nonlocal began_at
            began_at = clock()
            self._screen.begins(line.title)

        try:
            if isinstance(taken.said, Delivery):
                result = await self._hear(line, taken.said, taken.at, begins)
            else:
                result = await self.speak(line, on_audible=begins)
        except InterruptedSpeechError as error:
            if error.state != "interrupted":
                raise
            after_s = None if began_at is None else clock() - began_at
            self._screen.stopped(line.title, after_s=after_s, by_us=line.request.id in self._stopped_by_us)
        else:
            self._screen.heard(line.title, result)

    async def speak(self, line: DemoLine, *, on_audible: Callable[[], None] = lambda: None) -> DemoResult:
        """Has it spoken, and recorded, with nothing before it. Raises LibaError when it was not heard."""
        async with self._recording(line.record) as keep:
            self._captured = captured = self._capture()
            at = asyncio.get_running_loop().time()
            try:
                return await self._hear(line, await self._agent.say(line.request), at, on_audible)
            finally:  # whoever ends it early has what came until then
                keep(captured.sound)

    async def _hear(
        self, line: DemoLine, said: Delivery, at: float, on_audible: Callable[[], None]
    ) -> DemoResult:
        """What was heard and seen of a line that was handed over at `at`, once it is its turn."""
        captured = self._captured or self._capture()
        self._captured = None
        bound_s = _SPEAKING_MARGIN_S + longest_speech_s(line.request.text)
        try:
            said = await self._agent.wait(said, "audible", timeout_s=bound_s)
            on_audible()
            said = await self._agent.wait(said, "done", timeout_s=bound_s)
        except LibaError as error:
            error.hint = error.hint or self._hint
            raise
        if said.level == "sent":
            raise LibaError(
                "it was sent, but this LiveKit server cannot ask the agent what became of it",
                hint="use livekit-server 1.9.2 or newer",
            )
        if self._taken.empty():  # else the next one may be heard by then
            await asyncio.sleep(NETWORK_TAIL_S)
        report = Report.read(said.report or {})
        if captured.sound.first_audible_at is None or captured.sound.speech_s < _LEAST_SPEECH_S:
            raise LibaError("the agent spoke but our listener heard nothing", hint=self._hint)
        first_sound_ms = (captured.sound.first_audible_at - at) * 1000
        return DemoResult(report, captured.sound, captured.picture, first_sound_ms, self._avatar_name)
