"""What holding back is worth where sound comes in bursts: `python -m tests.bench.bursts [-n 40]`.

In virtual time, with seeds: the figures are the same on every machine. Each source is heard twice, held back
as liba does it and not at all; figures are ratios between the two. `voice` is the whole speaker with a voice
of that manner; `avatar` is a local avatar's way from the byte stream to its playout.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
from collections.abc import Callable, Sequence

from libacli.core.audio import BYTES_PER_SECOND, duration_s
from libacli.core.jitter_target import JitterTarget
from libacli.core.timeline import percentile
from libacli.local.coming_sound import ComingSound
from libacli.speech.pace import Pace
from tests.bench.virtual_stage import Scores, run, texts_of
from tests.unsteady_voice import Manner
from tests.virtual_time import VirtualLoop

_PIECE_S = 0.1
_PIECE = bytes(round(BYTES_PER_SECOND * _PIECE_S))
_LINE_PIECES = 50
_CHARS = 80
_HEARD_S = 0.02
_GOAL = 0.25
"""Of the silence in speech so much may be left, the first lines included, of which nobody knew anything."""

Delay = Callable[[random.Random], float]

_VOICES = {
    "steady": Manner(pace=1.0),
    "1 s at a time, at 0.9 of real time": Manner(pace=0.9, burst_s=1.0),
    "0.2 s at a time, 0 to 0.4 s late": Manner(pace=1.0, burst_s=0.2, late_s=lambda c: c.uniform(0, 0.4)),
    "every 20th piece 0.5 s late": Manner(pace=1.0, late_s=lambda c: 0.5 * (c.random() < 0.05)),
}
_NETWORKS: dict[str, Delay] = {
    "steady": lambda chance: 0.0,
    "80 ms, 40 more or less": lambda chance: chance.uniform(0.04, 0.12),
    "the same, 3 % a round trip later": lambda chance: (
        chance.uniform(0.04, 0.12) + 0.2 * (chance.random() < 0.03)
    ),
    "every 20th piece 0.5 s late": lambda chance: 0.5 * (chance.random() < 0.05),
}


def by_voice(manner: Manner, count: int, *, is_held: bool) -> Scores:
    return run(texts_of(count, _CHARS, 1), manner, 1, pace=None if is_held else Pace(max_hold_s=0))


def by_avatar(delay: Delay, count: int, *, is_held: bool) -> Scores:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(_by_avatar(delay, count, is_held))


async def _by_avatar(delay: Delay, count: int, is_held: bool) -> Scores:
    scores, jitter, chance = Scores(), JitterTarget(), random.Random(1)
    for _ in range(count):
        await _hear(delay, chance, jitter if is_held else JitterTarget(), scores)
    return scores


async def _hear(delay: Delay, chance: random.Random, jitter: JitterTarget, scores: Scores) -> None:
    """One utterance, sent as it plays, whose pieces arrive in order."""
    clock = asyncio.get_running_loop().time
    began_at = clock()
    number = 0

    async def next_chunk() -> bytes:
        nonlocal number
        if number == _LINE_PIECES:
            return b""
        due_at = began_at + number * _PIECE_S + delay(chance)
        number += 1
        await asyncio.sleep(max(0.0, due_at - clock()))
        return _PIECE

    coming, dry_at, holes = ComingSound(next_chunk, jitter), 0.0, list[float]()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(coming.read())
        async for chunk in coming.chunks():
            if not dry_at:
                scores.first_s.append(clock() - began_at)
            elif clock() > dry_at + _HEARD_S:
                holes.append(clock() - dry_at)
            dry_at = max(dry_at, clock()) + duration_s(len(chunk))
    scores.holes_s.append(holes)


def judged(kind: str, name: str, held: Scores, bare: Scores) -> bool:
    """Prints a row; whether it is as it should be."""
    silent_s, bare_s = (sum(map(sum, scores.holes_s)) for scores in (held, bare))
    later_s = percentile(held.first_s, 50) - percentile(bare.first_s, 50)
    longest_s = max(
        (hole_s for line in held.holes_s[len(held.holes_s) // 2 :] for hole_s in line), default=0.0
    )
    left = silent_s / bare_s if bare_s else 0.0
    is_good = left <= _GOAL if bare_s else later_s == 0
    print(
        f"{'ok' if is_good else 'MISSED':8}{kind:8}{name:38}{_count(held):6}{_count(bare):6}{left:8.2f}"
        f"{longest_s * 1000:9.0f}{later_s * 1000:8.0f}"
    )
    return is_good


def _count(scores: Scores) -> int:
    return sum(map(len, scores.holes_s))


def rows(count: int) -> Sequence[bool]:
    found = [
        judged("voice", name, *(by_voice(manner, count, is_held=held) for held in (True, False)))
        for name, manner in _VOICES.items()
    ]
    found += [
        judged("avatar", name, *(by_avatar(delay, count, is_held=held) for held in (True, False)))
        for name, delay in _NETWORKS.items()
    ]
    return found


def main() -> None:
    """Exits with 1 when more silence is left than there should be, or a steady source is held back."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("-n", type=int, default=40, help="lines of each source")
    count = parser.parse_args().n
    print(f"{count} lines each; ms: longest hole in the second half of them, and first sound later (median)")
    print(f"{'':54}{'holes':>6}{'bare':>6}{'silence':>8}{'longest':>9}{'later':>8}")
    sys.exit(0 if all(rows(count)) else 1)


if __name__ == "__main__":
    main()
