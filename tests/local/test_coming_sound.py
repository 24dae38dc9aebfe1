"""An utterance that comes in pieces, and when a local avatar plays them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from libacli.core.audio import FRAME_BYTES, duration_s
from libacli.core.jitter_target import JitterTarget
from libacli.local.coming_sound import ComingSound

PIECE = bytes(5 * FRAME_BYTES)
STEADY = [0.0] + [0.1] * 29
STALLING = [0.0, *([0.4] + [0.0] * 3) * 7]
"""Seconds before each piece of 0.1 s: the same sound, 0.4 s at a time after the first piece."""


class Ear:
    """Plays utterances in time, and notes how they were."""

    def __init__(self) -> None:
        self.jitter = JitterTarget()
        self.held_s: list[float] = []
        """By utterance: from its first piece to its first sound."""

        self.holes_s: list[float] = []
        """By utterance: silence inside it."""

    async def hear(self, pauses_s: Sequence[float]) -> bytes:
        pieces = iter(pauses_s)
        came_at: list[float] = []

        async def next_chunk() -> bytes:
            if (pause_s := next(pieces, None)) is None:
                return b""
            await asyncio.sleep(pause_s)
            came_at.append(now())
            return PIECE

        coming, heard, dry_at = ComingSound(next_chunk, self.jitter), b"", None
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(coming.read())
            async for chunk in coming.chunks():
                if dry_at is None:
                    dry_at = now()
                    self.held_s.append(dry_at - came_at[0])
                    self.holes_s.append(0.0)
                self.holes_s[-1] += max(0.0, now() - dry_at)
                heard += chunk
                dry_at = max(now(), dry_at) + duration_s(len(chunk))
                await asyncio.sleep(max(0.0, dry_at - now() - 0.4))
        return heard


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_sound_that_comes_steadily_is_played_the_moment_that_it_is_there() -> None:
    ear = Ear()
    for _ in range(5):
        assert await ear.hear(STEADY) == PIECE * len(STEADY)
    assert ear.held_s == [0.0] * 5
    assert ear.holes_s == pytest.approx([0.0] * 5)


async def test_of_sound_in_bursts_the_first_utterance_has_a_hole_and_the_others_have_none() -> None:
    ear = Ear()
    for _ in range(5):
        assert await ear.hear(STALLING) == PIECE * len(STALLING)
    assert ear.holes_s == pytest.approx([0.3, 0.0, 0.0, 0.0, 0.0])
    assert ear.held_s[0] == 0
    assert ear.held_s[1:] == pytest.approx([0.32] * 4)


async def test_how_long_sound_was_held_back_does_not_count_as_its_lateness() -> None:
    ear = Ear()
    await ear.hear([0.0, *([0.9] + [0.0] * 8) * 4])
    for _ in range(40):
        await ear.hear(STEADY)
    assert ear.held_s[1] == pytest.approx(0.82)
    assert ear.held_s[-1] == 0


async def test_what_has_come_as_a_whole_is_not_held_back_any_longer() -> None:
    ear = Ear()
    await ear.hear(STALLING)
    await ear.hear([0.0, 0.1])
    assert ear.held_s[-1] == pytest.approx(0.1)


async def test_an_utterance_without_sound_is_over_at_once() -> None:
    ear = Ear()
    await ear.hear(STALLING)
    began_at = now()
    assert await ear.hear([]) == b""
    assert now() == began_at
