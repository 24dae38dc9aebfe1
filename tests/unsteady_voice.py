"""A voice that is as slow, unsteady or silent as it is told, and a listener who notes what was heard when."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass

from libacli.core.audio import FRAME_MS, duration_s, frames_of, is_audible
from libacli.errors import VoiceBusyError
from libacli.speech.fakes import RecordingSink
from libacli.speech.ports import Route, Style, Take
from tests.bench.voice_process import steady_tone

FRAME_S = FRAME_MS / 1000
MS_PER_CHAR = 60.0
_PIECE_S = 0.1
_HOLE_S = 0.005


@dataclass
class Manner:
    """How a voice answers. All times in seconds."""

    first_s: Callable[[random.Random], float] = lambda chance: 0.3
    """From the request to the first byte, for a text without length."""

    per_char_s: float = 0.0
    """What each character adds to that."""

    pace: float | None = None
    """Sound comes at so many times real time; None: at once."""

    burst_s: float = 0.0
    """So much sound at a time; 0: as it comes."""

    late_s: Callable[[random.Random], float] = lambda chance: 0.0
    """By how much each piece comes later than that, the first one never; none overtakes another."""

    pad_s: float = 0.0
    """Silence before and after each answer."""

    is_serial: bool = False
    """One request at a time; the others wait."""

    limit: tuple[int, float] = (0, 0.0)
    """So many requests in so many seconds; more are refused until there is room again. 0: no limit."""


LOGNORMAL = Manner(first_s=lambda chance: chance.lognormvariate(-0.2304, 0.5))
"""Mean 900 ms, sigma 0.5: median 794 ms, 99th percentile 2.54 s."""


class UnsteadyVoice:
    """A voice of that manner. Its sound is one steady tone: silence is never its own. Implements `Voice`."""

    provider, model, name = "unsteady", "unsteady", "tone"

    def __init__(self, manner: Manner, seed: int = 1) -> None:
        self.manner = manner
        self.texts: list[str] = []
        self.asked_at: list[float] = []
        """When each of `texts` was asked for."""

        self.most_open = 0
        """Requests at the same time, at most."""

        self._chance = random.Random(seed)
        self._turn = asyncio.Lock()
        self._open = 0
        self._allowed: list[float] = []

    def objection(self, text: str) -> str | None:
        return None

    async def synthesize(
        self, text: str, style: Style, take: Take | None = None
    ) -> AsyncGenerator[bytes, None]:
        self._check_limit()
        self.texts.append(text)
        self.asked_at.append(_now())
        if take:
            take.by(self, style)
        self._open += 1
        self.most_open = max(self.most_open, self._open)
        try:
            if self.manner.is_serial:
                async with self._turn:
                    await self._think(text)
            else:
                await self._think(text)
            async for piece in self._sound(text):
                yield piece
        finally:
            self._open -= 1

    async def warm_up(self) -> None:
        await self._think("Hi.")

    async def aclose(self) -> None:
        pass

    def _check_limit(self) -> None:
        most, window_s = self.manner.limit
        self._allowed = [at for at in self._allowed if at > _now() - window_s]
        if most and len(self._allowed) >= most:
            free_at = self._allowed[-most] + window_s
            raise VoiceBusyError("too many requests (429)", retry_after_s=free_at - _now())
        self._allowed.append(_now())

    async def _think(self, text: str) -> None:
        await asyncio.sleep(self.manner.first_s(self._chance) + self.manner.per_char_s * len(text))

    async def _sound(self, text: str) -> AsyncGenerator[bytes, None]:
        manner = self.manner
        pad = bytes(len(steady_tone(manner.pad_s * 1000)))
        pcm = pad + steady_tone(MS_PER_CHAR * len(text)) + pad
        size = len(steady_tone((manner.burst_s or _PIECE_S) * 1000))
        began_at, sent = _now(), 0
        for start in range(0, len(pcm), size):
            yield pcm[start : start + size]
            sent += size
            if manner.pace and sent < len(pcm):
                due_at = began_at + duration_s(sent) / manner.pace + manner.late_s(self._chance)
                await asyncio.sleep(max(0.0, due_at - _now()))


class Listener(RecordingSink):
    """Plays in time, and notes when sound was heard, of the utterance that was started last."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[float] = []
        """When each frame with a sound in it began."""

    async def start(self, on_audible: Callable[[], None]) -> Route:
        self.heard.clear()
        self.segments.clear()
        return await super().start(on_audible)

    async def write(self, frames: bytes) -> None:
        await super().write(frames)
        self.segments[-1] = b""  # nobody looks at it, and it would be copied with each frame
        at = self._ends_at - duration_s(len(frames))
        for number, frame in enumerate(frames_of(frames)):
            if is_audible(frame):
                self.heard.append(at + number * FRAME_S)

    def holes(self, least_s: float = _HOLE_S) -> list[float]:
        """Seconds of each silence inside speech, if it is that long."""
        gaps = (later - sooner - FRAME_S for sooner, later in zip(self.heard, self.heard[1:], strict=False))
        return [gap for gap in gaps if gap >= least_s]


def _now() -> float:
    return asyncio.get_running_loop().time()
