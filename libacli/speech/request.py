"""One request to the voice: what came of it, what of that was played, and what it showed of the voice."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from libacli.core.acquaintance import VoiceName
from libacli.core.audio import FRAME_MS, duration_s, silence
from libacli.core.chunk_plan import Chunk
from libacli.core.chunks import CutKind
from libacli.core.habits import Answer, Habits
from libacli.core.joint import LEAD_IN_S, Joint
from libacli.core.passage import Passage
from libacli.speech.ports import Take

_PIECES_AHEAD = 512
"""What may be buffered of one request: a voice that never ends must not fill the memory."""

_FIRST_LEAD_IN_S = 0.01
_PAUSES_S: Mapping[CutKind, float] = {"sentence": 0.25, "clause": 0.12, "word": 0.03, "end": 0.05}
"""Silence that a joint has at most. Where the text ends, or is to pause, other silence follows."""

_FRAME_S = FRAME_MS / 1000


class Request:
    """The sound of `chunk`, from when it is asked for: pieces go in by `put`, and come out by `next_piece`.

    Silence around it is left out. Times are those of the event loop's clock.
    """

    def __init__(self, chunk: Chunk, *, put_off_s: float = 0.0) -> None:
        self.put_off_s = put_off_s
        """How much sooner it could have been asked for."""

        self.task: asyncio.Task[None] | None = None
        self.sound_s = 0.0
        """How much has come."""

        self.first_at: float | None = None
        """When its first sound came."""

        self.last_at = 0.0
        """When the last of it came."""

        self.is_whole = False
        """Nothing more will come."""

        self.is_playing = False
        """Some of it has been played."""

        self._queue: asyncio.Queue[bytes | Exception | None] = asyncio.Queue(_PIECES_AHEAD)
        self._passage: Passage | None = None
        self._played_s = 0.0
        self._pieces = 0
        """That have come since the first sound; `_before_last_s` is what was in all but the last of them."""

        self._before_last_s = 0.0
        self._was_full = False
        self.ask(chunk)

    def ask(self, chunk: Chunk) -> None:
        """It is made now, for `chunk`; made again, it must not have sounded."""
        self.chunk = chunk
        self.take = Take()
        self.asked_at = _now()
        self.lateness_s = 0.0
        """How long after that its sound had to begin to be played without a break."""

        self._joint = Joint(
            lead_in_s=_FIRST_LEAD_IN_S if chunk.is_first else LEAD_IN_S, pause_s=_PAUSES_S[chunk.kind]
        )

    def passage(self, begins_s: float) -> Passage | None:
        """What it says, once a piece is given out that has so much before it; None: it is silence."""
        if not self.task:
            return None
        self._passage = self._passage or Passage(self.chunk.whole, begins_s)
        self._passage.sound_s, self._passage.is_whole = self.sound_s, self.is_whole
        return self._passage

    @property
    def speaks(self) -> VoiceName | None:
        """Who has answered; None: it was not told."""
        take = self.take
        return (take.provider, take.model, take.voice) if take.provider else None

    @property
    def has_sounded(self) -> bool:
        return self.first_at is not None

    def in_hand_s(self, habits: Habits) -> float:
        """Sound that has come and was not taken, and what is sure to come."""
        least_s = 0.0 if self.is_whole else habits.least_pace_s * len(self.chunk.text)
        return max(self.sound_s, least_s) - self._played_s

    def hear(self, pcm: bytes) -> bytes:
        """A piece has come: what of it can be played."""
        now = _now()
        self.lateness_s = max(self.lateness_s, now - self.asked_at - self.sound_s - self._joint.held_s)
        pcm = self._joint.push(pcm)
        if pcm and self.first_at is None:
            self.first_at = now
        self._pieces += self.first_at is not None
        self.last_at = now
        self._before_last_s = self.sound_s
        self.sound_s += duration_s(len(pcm))
        return pcm

    async def put(self, pcm: bytes) -> None:
        """A piece has come; waits while too many have not been taken."""
        pcm = self.hear(pcm)
        self._was_full = self._was_full or self._queue.full()
        await self._queue.put(pcm)  # also an empty one: whoever waits for it sees to the silence that is held

    async def end(self, error: Exception | None) -> None:
        """All has come, or `error`."""
        rest = self._joint.end()
        self.sound_s += duration_s(len(rest))
        self.is_whole = True
        await self._queue.put(rest)
        await self._queue.put(error)

    async def next_piece(self, dry_at: float) -> bytes | None:
        """The next piece, None at the end; raises what ended it otherwise.

        At `dry_at` everything has been played that was taken before. A voice that pauses in the middle of its
        text has its pause played then, before it is known that there is more to come.
        """
        while True:
            piece = await self._taken(dry_at)
            if isinstance(piece, Exception):
                raise piece
            if piece != b"":
                self._played_s += duration_s(len(piece or b""))
                return piece

    def answer(self, before: Request | None) -> Answer | None:
        """What it has shown, once it is whole; None: nothing, as it was said before.

        `before` is the request that was made before it.
        """
        if self.first_at is None or self.take.is_cached:
            return None
        first_s = self.first_at - self.asked_at
        has_queued = before is not None and self.asked_at < before.last_at <= self.first_at
        return Answer(
            len(self.chunk.text),
            None if has_queued else first_s,
            self.sound_s,
            self._arriving_s(),
            max(0.0, self.lateness_s - first_s),
        )

    def _arriving_s(self) -> float:
        """How long the sound took to come, if its last piece, which does not tell, was as the others."""
        if self.first_at is None or self._pieces < 2 or self._was_full:
            return 0.0  # whoever was not let through for a while is quick enough
        by_count, by_length = (
            self._pieces / (self._pieces - 1),
            self.sound_s / max(self._before_last_s, 0.001),
        )
        return (self.last_at - self.first_at) * min(by_count, by_length)

    async def _taken(self, dry_at: float) -> bytes | Exception | None:
        if not (self._queue.empty() and self._joint.held_s):
            return await self._queue.get()
        try:
            async with asyncio.timeout_at(dry_at - _FRAME_S):
                return await self._queue.get()
        except TimeoutError:
            released = self._joint.release(_FRAME_S)
            self.sound_s += duration_s(len(released))
            return released


class Silence(Request):
    """A pause, in place of a request."""

    def __init__(self, seconds: float) -> None:
        super().__init__(Chunk("", "end", False, ""))
        self.first_at = self.asked_at
        self.is_whole = True
        pcm = silence(round(seconds * 1000))
        self.sound_s = duration_s(len(pcm))
        for piece in (pcm, None):
            self._queue.put_nowait(piece)


def _now() -> float:
    return asyncio.get_running_loop().time()
