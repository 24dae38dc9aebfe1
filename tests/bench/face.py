"""What it costs to draw the local avatar's face: `python -m tests.bench.face`.

Each size is measured in a process of its own: processor time of `render` for pictures of somebody who speaks,
of the first half minute (when shifts of parts are still being made) and of the next; what it takes to begin;
and memory.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import math
import multiprocessing
import sys
import time
from dataclasses import dataclass

import psutil

from libacli.core.mouth import MouthShape
from libacli.local.face import Face

_FPS = 25
_HALF_MINUTE = 30 * _FPS
_MB = 1024 * 1024
_ENOUGH_MS, _ENOUGH_START_MS, _ENOUGH_MB = 2.8, 1500.0, 80.0
"""Goals at 512 pixels: 7 % of a core at 25 pictures a second."""


@dataclass(frozen=True)
class Cost:
    start_ms: float
    """Processor time, as the next two."""

    first_ms: float
    """A picture, mean over the first half minute."""

    later_ms: float
    """A picture, mean over the second half minute."""

    slowest_ms: float
    """The slowest of all pictures."""

    megabytes: float
    """What the process has grown by."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", type=int, nargs="*", default=[512, 720], help="pixels")
    sizes = parser.parse_args().sizes
    reached = True
    print(f"size   start ms  first ms  later ms  slowest  % of a core at {_FPS}/s     MB")
    for size in sizes:
        cost = _measured_apart(size)
        share = cost.later_ms * _FPS / 10
        print(
            f"{size:<7}{cost.start_ms:>8.0f}{cost.first_ms:>10.2f}{cost.later_ms:>10.2f}"
            f"{cost.slowest_ms:>9.2f}{share:>23.2f}{cost.megabytes:>7.0f}"
        )
        if size == 512:
            reached = (
                cost.first_ms <= _ENOUGH_MS
                and cost.start_ms <= _ENOUGH_START_MS
                and cost.megabytes <= _ENOUGH_MB
            )
            print(f"       goals at 512: {'pass' if reached else 'FAIL'}")
    sys.exit(0 if reached else 1)


def _measured_apart(size: int) -> Cost:
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as process:
        return process.submit(measure, size).result()


def measure(size: int) -> Cost:
    """What a face of `size` pixels costs; to be called in a process that has drawn none yet."""
    before = psutil.Process().memory_info().rss
    began = time.process_time()
    face = Face(size)
    start_ms = (time.process_time() - began) * 1000
    first = [_picture_ms(face, number) for number in range(_HALF_MINUTE)]
    later = [_picture_ms(face, number) for number in range(_HALF_MINUTE, 2 * _HALF_MINUTE)]
    grown = psutil.Process().memory_info().rss - before
    return Cost(start_ms, sum(first) / len(first), sum(later) / len(later), max(first + later), grown / _MB)


def _picture_ms(face: Face, number: int) -> float:
    at_s = number / _FPS
    mouth = MouthShape(abs(math.sin(9 * at_s)) * abs(math.sin(2.3 * at_s)), 0.5 + 0.5 * math.sin(5.1 * at_s))
    began = time.process_time()
    face.render(at_s, mouth, speaking=True)
    return (time.process_time() - began) * 1000


if __name__ == "__main__":
    main()
