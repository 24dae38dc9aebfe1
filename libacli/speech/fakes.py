"""Stand-ins for the ports, shipped so that whoever builds on the speaker can test without a network.

They run on the loop's clock alone, so under a virtual clock every wait is exact and costs nothing.
"""

from __future__ import annotations

import asyncio
import functools
import math
import sys
from array import array
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import suppress
from dataclasses import replace

from libacli.core.audio import BYTES_PER_SECOND, FRAME_MS, SAMPLE_RATE, duration_s, frames_of, is_audible
from libacli.errors import SinkError, VoiceError
from libacli.speech.ports import Playback, Route, Style, Take

Step = bytes | float | Exception
"""What a scripted voice does next: yield these bytes, wait so many seconds, raise this error."""

_BURST_MS = 200
_SOUNDING_MS = 160
_PEAK = 8_000


@functools.lru_cache(maxsize=64)
def _burst(frequency: int) -> bytes:
    """160 ms of a cosine, which is loud from its first sample, and 40 ms of silence."""
    sounding = SAMPLE_RATE * _SOUNDING_MS // 1000
    step = 2 * math.pi * frequency / SAMPLE_RATE
    wave = array("h", (round(_PEAK * math.cos(step * position)) for position in range(sounding)))
    if sys.byteorder == "big":
        wave.byteswap()
    return wave.tobytes().ljust(BYTES_PER_SECOND * _BURST_MS // 1000, b"\0")


def tone(milliseconds: float, frequency: int = 440) -> bytes:
    """PCM of tone bursts (160 ms on, 40 ms off), `frequency` in hertz; the same bytes every time."""
    length = round(SAMPLE_RATE * milliseconds / 1000) * 2
    burst = _burst(frequency)
    return (burst * (length // len(burst) + 1))[:length]


class ScriptedVoice:
    """A voice that does what it is told, and remembers what it was asked.

    Without a script each text is spoken as a tone: `first_byte_s` seconds pass, then come
    `ms_per_char` milliseconds of sound for each character, at once, in pieces of `piece_ms`.
    `play` sets the script of one request to come. What has no sound in it ends with VoiceError.
    """

    def __init__(
        self,
        *,
        first_byte_s: float = 0.3,
        ms_per_char: float = 60.0,
        piece_ms: float = 100.0,
        objection: Callable[[str], str | None] | None = None,
        provider: str = "scripted",
    ) -> None:
        self.provider = provider
        self.model = "scripted"
        self.name = "tone"
        self.texts: list[str] = []
        """Texts asked for, in order; a request counts when its first piece is asked for."""

        self.styles: list[Style] = []
        """The style of each of `texts`."""

        self.finished: list[str] = []
        """Texts whose sound was taken to its end."""

        self.closed_early: list[str] = []
        """Texts whose iterator was closed, or cancelled, before its end."""

        self.warm_ups = 0
        self.is_closed = False
        self._first_byte_s = first_byte_s
        self._ms_per_char = ms_per_char
        self._piece_bytes = max(1, round(BYTES_PER_SECOND * piece_ms / 1000))
        self._objection = objection
        self._scripts: deque[tuple[Step, ...]] = deque()

    def play(self, *steps: Step) -> None:
        """Sets what the next request without a script does; an int or float waits, in seconds."""
        self._scripts.append(steps)

    def objection(self, text: str) -> str | None:
        return self._objection(text) if self._objection else None

    async def synthesize(
        self, text: str, style: Style, take: Take | None = None
    ) -> AsyncGenerator[bytes, None]:
        self.texts.append(text)
        self.styles.append(style)
        if take:
            take.by(self, style)
        has_sounded = False
        try:
            for step in self._scripts.popleft() if self._scripts else self._tone(text):
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, bytes):
                    has_sounded = True
                    yield step
                else:
                    await asyncio.sleep(step)
        except (GeneratorExit, asyncio.CancelledError):
            self.closed_early.append(text)
            raise
        if not has_sounded:
            raise VoiceError("the voice made no sound")
        self.finished.append(text)

    def _tone(self, text: str) -> Iterator[Step]:
        yield self._first_byte_s
        sound = tone(self._ms_per_char * len(text))
        for start in range(0, len(sound), self._piece_bytes):
            yield sound[start : start + self._piece_bytes]

    async def warm_up(self) -> None:
        self.warm_ups += 1

    async def aclose(self) -> None:
        self.is_closed = True


class RecordingSink:
    """A sink that plays in time, on the loop's clock, and remembers what it played and when.

    Like a real one it takes frames ahead of their time, up to `queue_ms`, and then lets the writer wait.
    """

    def __init__(self, *, queue_ms: float = 1000.0, route: Route | None = None) -> None:
        self.segments: list[bytes] = []
        """PCM of each utterance that was started, as far as it was handed over and not cleared."""

        self.spans: list[tuple[float, float]] = []
        """When each utterance that was finished began and ended to play."""

        self.clears = 0
        self.clear_s = 0.0
        """How long a `clear` takes; one that is cut off is not counted."""

        self.is_closed = False
        self.failure: Exception | None = None
        """Raised by the next `write`."""

        self.stalled = False
        """Takes no more frames, for ever."""

        self.lost = ""
        """Why the next `finish` fails; empty: it does not."""

        self._queue_s = queue_ms / 1000
        self._route = route or Route("track", reason="not configured", target="fake")
        self._began_at = 0.0
        self._ends_at = 0.0
        self._on_audible: Callable[[], None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._cleared = asyncio.Event()

    async def start(self, on_audible: Callable[[], None]) -> Route:
        self.segments.append(b"")
        self._cleared.clear()
        self._began_at = 0.0
        self._on_audible = on_audible
        return self._route

    async def write(self, frames: bytes) -> None:
        if self.is_closed:
            raise SinkError("the sink is closed")
        if self.failure:
            failure, self.failure = self.failure, None
            raise failure
        if self.stalled:
            await asyncio.Event().wait()
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(0.0, self._ends_at - loop.time() - self._queue_s))
        starts_at = max(self._ends_at, loop.time())
        self._began_at = self._began_at or starts_at
        self._ends_at = starts_at + duration_s(len(frames))
        self.segments[-1] += frames
        sounding = [number for number, frame in enumerate(frames_of(frames)) if is_audible(frame)]
        if self._on_audible and sounding:
            self._timer = loop.call_at(starts_at + sounding[0] * FRAME_MS / 1000, self._on_audible)
            self._on_audible = None

    async def finish(self) -> Playback:
        if self.lost:
            reason, self.lost = self.lost, ""
            raise SinkError(reason)
        with suppress(TimeoutError):
            async with asyncio.timeout_at(self._ends_at):
                await self._cleared.wait()
        self.spans.append((self._began_at, self._ends_at))
        return Playback("observed")

    async def clear(self) -> None:
        self._cleared.set()
        self._ends_at = asyncio.get_running_loop().time()
        self._on_audible = None
        if self._timer:
            self._timer.cancel()
        if self.clear_s:
            await asyncio.sleep(self.clear_s)
        self.clears += 1

    async def aclose(self) -> None:
        self.is_closed = True


class GatedRecordingSink(RecordingSink):
    """A recording sink that is not always there."""

    def __init__(self, *, queue_ms: float = 1000.0) -> None:
        super().__init__(queue_ms=queue_ms, route=Route("avatar", target="tavus-avatar-agent"))
        self.absence = ""
        """What `gate` answers."""

        self.gate_s = 0.0
        """How long `gate` takes."""

    async def gate(self) -> str:
        await asyncio.sleep(self.gate_s)
        return self.absence

    async def finish(self) -> Playback:
        return replace(await super().finish(), source="reported")
