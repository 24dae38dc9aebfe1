"""Speech that says of each frame what it is, and a listener who knows what each line sounds like."""

from __future__ import annotations

import asyncio
import struct
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable
from itertools import pairwise

from libacli.core.audio import FRAME_BYTES, FRAME_MS, duration_s, frames_of
from libacli.speech.fakes import RecordingSink, ScriptedVoice
from libacli.speech.ports import Style, Take

Mark = tuple[int, int, int]
"""Number of the line, of the piece of text, and of the frame in it."""

Heard = list[tuple[float, bytes]]
"""When a frame began to sound, and the frame."""

FRAME_S = FRAME_MS / 1000
CHARS_PER_FRAME = 2
_LOUD = 9000


class MarkedVoice(ScriptedVoice):
    """Speaks a text whose words are the number of its line; each frame says what it is."""

    def __init__(self) -> None:
        super().__init__()
        self.spoken: dict[int, list[Mark]] = defaultdict(list)
        self._pieces: dict[int, int] = defaultdict(int)

    async def synthesize(
        self, text: str, style: Style, take: Take | None = None
    ) -> AsyncGenerator[bytes, None]:
        line = int(text.split()[0])
        self._pieces[line] += 1
        piece = self._pieces[line]
        await asyncio.sleep(0.05)
        for number in range(-(-len(text) // CHARS_PER_FRAME)):
            self.spoken[line].append((line, piece, number))
            yield struct.pack("<4h", _LOUD, line, piece, number).ljust(FRAME_BYTES, b"\0")


def mark_of(frame: bytes) -> Mark:
    _, line, piece, number = struct.unpack("<4h", frame[:8])
    return line, piece, number


class HeardTrack(RecordingSink):
    """A track that remembers when each frame of sound was heard."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: Heard = []
        self._timers: list[asyncio.TimerHandle] = []

    async def write(self, frames: bytes) -> None:
        await super().write(frames)
        at = self._ends_at - duration_s(len(frames))
        for number, frame in enumerate(frames_of(frames)):
            if any(frame):
                self._timers.append(self._hear_at(at + number * FRAME_S, frame))

    def _hear_at(self, at: float, frame: bytes) -> asyncio.TimerHandle:
        loop = asyncio.get_running_loop()
        return loop.call_at(at, lambda: self.heard.append((loop.time(), frame)))

    async def clear(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        await super().clear()


class Ear:
    """Hears the avatar and the track, and knows what the voice has said."""

    def __init__(self, voice: MarkedVoice, avatar: Callable[[], Heard], track: Callable[[], Heard]) -> None:
        self._voice = voice
        self._ways = {"avatar": avatar, "track": track}
        self._marks: dict[str, list[tuple[float, Mark]]] = {"avatar": [], "track": []}
        self._by_line: dict[tuple[str, int], list[tuple[float, Mark]]] = defaultdict(list)

    def heard(self, way: str, line: int) -> list[tuple[float, Mark]]:
        """What came of a line that way, and when."""
        self._listen(way)
        return self._by_line[way, line]

    def _listen(self, way: str) -> list[tuple[float, Mark]]:
        """All that came that way; each frame is read once, as there are many."""
        marks = self._marks[way]
        for at, frame in self._ways[way]()[len(marks) :]:
            marks.append((at, mark_of(frame)))
            self._by_line[way, marks[-1][1][0]].append(marks[-1])
        return marks

    def span(self, line: int) -> tuple[float, float]:
        """When a line was heard first and last."""
        times = [at for way in self._ways for at, _ in self.heard(way, line)]
        return min(times), max(times) + FRAME_S

    def assert_one_speaker(self) -> None:
        """Nothing sounded while something else did, but for a frame that was cut, and no line in another."""
        sounds = sorted((at, way, mark[0]) for way in self._ways for at, mark in self._listen(way))
        for (earlier_at, before, _), (later_at, way, _) in pairwise(sounds):
            is_own = way == before and later_at - earlier_at > FRAME_S - 0.001
            assert is_own or way != before, f"two frames at once at {later_at:.2f} s"
        pairs = pairwise([(0.0, "", 0), *sounds])
        turns = [(line, way) for (_, *before), (_, way, line) in pairs if [way, line] != before]
        assert len(turns) == len(set(turns)), f"lines in pieces, or two at once: {turns}"

    def assert_whole(self, line: int, *, by: str) -> None:
        """The line was heard once and whole, that way; by the avatar too only if it broke off there."""
        whole = self._voice.spoken[line]
        marks = {way: [mark for _, mark in self.heard(way, line)] for way in self._ways}
        assert marks[by] == whole, f"line {line}: {len(marks[by])} of {len(whole)} frames by {by}"
        if by == "avatar":
            assert not marks["track"], f"line {line} was heard twice"
        else:
            assert marks["avatar"] == whole[: len(marks["avatar"])]
