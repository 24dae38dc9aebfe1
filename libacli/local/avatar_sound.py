"""What an avatar sounds like, and which mouth belongs to it: an audio track whose clock never stops."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from libacli.core.audio import FRAME_MS, duration_s, silence
from libacli.core.mouth import MouthShape
from libacli.edges.sinks.source import SpeechSource
from libacli.local.mouth_track import MouthTrack

_FRAME_S = FRAME_MS / 1000
_AHEAD_S = 0.4
"""How much sound is handed over ahead of its time: this process may pause for so long without a gap."""

_BATCH_FRAMES = 10
_QUEUE_S = 2.0
_TICK_S = 0.01
"""The source takes 10 ms at a time: what has sounded by our clock may have up to so much left to go."""

_GAP_MS, _GAP_AHEAD_S = 20, 0.005
_IDLE_MS, _IDLE_AHEAD_S = 200, 0.05
"""How much silence is added, within and between utterances, and how long before there would be nothing."""


@dataclass
class _Moment:
    """A frame that is queued."""

    begins_at: float
    """When it begins to sound, on the loop's clock."""

    mouth: MouthShape


class Playout:
    """Plays frames on an audio track, one utterance after the other, and knows what sounds at what time.

    Between and within utterances, where there is no sound, it plays silence: a source that is given
    nothing sends nothing for 100 ms, and the receiver fills that with what it heard last. Silence that is
    queued does not delay what comes next, it is thrown away then.
    """

    def __init__(self) -> None:
        self._source = SpeechSource("avatar_audio", queue_s=_QUEUE_S)
        self.track = self._source.track
        """To be published."""

        self._clock = asyncio.get_running_loop().time
        self._handing_over = asyncio.Lock()
        self._tasks: asyncio.TaskGroup | None = None
        self._queued_until = 0.0
        """When the source will have nothing left, on the loop's clock."""

        self._speech_until = 0.0
        """The same without the silence at the end."""

        self._track = MouthTrack()
        self._unseen = bytearray()
        """Whole frames whose mouths are not known yet."""

        self._seen_until = 0.0
        """On the loop's clock; the last mouths before it will be seen better when more is known."""

        self._moments: deque[_Moment] = deque()
        self._is_in_utterance = False
        self.given_s = 0.0
        """Sound of the utterance that was handed over."""

        self._changed = asyncio.Event()

    @property
    def remaining_s(self) -> float:
        """Seconds until all that was given to `play` has sounded."""
        return max(0.0, self._speech_until - self._clock())

    @property
    def position_s(self) -> float:
        """Seconds of the utterance that have sounded."""
        return max(0.0, self.given_s - self.remaining_s)

    @property
    def is_speaking(self) -> bool:
        return self._is_in_utterance

    def mouth(self, at_s: float) -> MouthShape:
        """The mouth of what sounds at `at_s` on the loop's clock; times must not go backwards."""
        if self._unseen and at_s >= self._seen_until - MouthTrack.REVISED_S:
            self._see_mouths()
        while len(self._moments) > 1 and self._moments[1].begins_at <= at_s:
            self._moments.popleft()
        if self._moments:
            moment = self._moments[0]
            if moment.begins_at <= at_s < moment.begins_at + _FRAME_S:
                return moment.mouth
        return MouthShape()

    def begin(self) -> None:
        """An utterance begins."""
        self._is_in_utterance = True
        self.given_s = 0.0
        self._track = self._track.following()
        self._unseen.clear()

    def end(self) -> None:
        """It is over."""
        self._is_in_utterance = False

    async def play(self, frames: Sequence[bytes]) -> None:
        """Queues 20 ms frames; returns when more would be too early."""
        for start in range(0, len(frames), _BATCH_FRAMES):
            await asyncio.sleep(max(0.0, self.remaining_s - _AHEAD_S))
            await self._lasting(self._play(frames[start : start + _BATCH_FRAMES]))

    async def sounded(self) -> None:
        """Waits until all that was given to `play` has sounded."""
        await asyncio.sleep(self._speech_until + _TICK_S - self._clock())

    async def clear(self) -> None:
        """Silence, without a click; what was queued is forgotten."""
        await self._lasting(self._clear())

    async def run(self) -> None:
        """Keeps the track going until cancelled. Runs before `play` and `clear` are called."""
        async with asyncio.TaskGroup() as self._tasks:
            while True:
                self._changed.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._spare_s()):
                        await self._changed.wait()
                async with self._handing_over:
                    if self._spare_s() == 0:
                        await self._hand_over(silence(_GAP_MS if self._is_in_utterance else _IDLE_MS))

    async def aclose(self) -> None:
        await self._source.aclose()

    def _spare_s(self) -> float:
        """Seconds until silence has to be added."""
        ahead_s = _GAP_AHEAD_S if self._is_in_utterance else _IDLE_AHEAD_S
        return max(0.0, self._queued_until - self._clock() - ahead_s)

    async def _lasting(self, step: Coroutine[Any, Any, None]) -> None:
        """Runs a step to its end even if the caller is cancelled: half a hand-over leaves sound behind."""
        assert self._tasks, "runs within `run` only"
        await asyncio.shield(self._tasks.create_task(step))

    async def _play(self, frames: Sequence[bytes]) -> None:
        async with self._handing_over:
            now = self._clock()
            if self._speech_until + _TICK_S <= now:  # nothing but silence is queued
                self._source.drop()
                self._queued_until = now
            begins_at = max(now, self._queued_until)
            pcm = b"".join(frames)
            self._moments.extend(
                _Moment(begins_at + number * _FRAME_S, MouthShape()) for number in range(len(frames))
            )
            await self._hand_over(pcm)
            self._speech_until = self._queued_until
            self.given_s += len(frames) * _FRAME_S
            self._unseen += pcm

    def _see_mouths(self) -> None:
        """Of all that was handed over. Not there: sound does not wait, and a lot at a time costs less."""
        shapes = self._track.push(bytes(self._unseen))
        self._unseen.clear()
        for moment, shape in zip(reversed(self._moments), reversed(shapes), strict=False):
            moment.mouth = shape
        self._seen_until = self._moments[-1].begins_at + _FRAME_S if self._moments else 0.0

    async def _clear(self) -> None:
        async with self._handing_over:
            fades_s = await self._source.fade_out()
            self._moments.clear()
            self._unseen.clear()
            self._queued_until = self._speech_until = self._clock() + fades_s
            await self._hand_over(silence(_IDLE_MS))

    async def _hand_over(self, pcm: bytes) -> None:
        self._changed.set()
        self._queued_until = max(self._clock(), self._queued_until) + duration_s(len(pcm))
        await self._source.capture(pcm)
