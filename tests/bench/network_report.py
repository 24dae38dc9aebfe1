"""What the network bench found, as rows of a table."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from libacli.core.holes import HOLE_S, holes_s
from libacli.edges.viewer.listener import AudioCapture
from tests.bench.far_viewer import Kept
from tests.hearing import word_errors, words_of
from tests.live.test_lip_sync import LEAST_CORRELATION, lag_and_correlation
from tests.relay import Counts

_FRAME_BYTES = 480
"""10 ms, as WebRTC gives it."""

_LEAST_PICTURES = 20


@dataclass(frozen=True)
class Line:
    """One that was spoken; times on CLOCK_MONOTONIC."""

    text: str
    sent_at: float
    ended_at: float
    beside_at: float
    """When its first sound was heard beside the server."""

    own: bytes
    """The voice's own sound of it."""


@dataclass(frozen=True)
class Row:
    """What one viewer got of all lines of one agent. Times in milliseconds, shares from 0 to 1."""

    agent: str
    network: str
    lines: int
    unheard: int
    errors: float
    holes: list[float]
    """Those longer than 120 ms."""

    longest_hole: float
    lags: list[float] = field(repr=False)
    later: list[float] = field(repr=False)
    kept: float
    made_up: float
    asked_again: int
    relay_lost: float
    relay_delay: float
    relay_late: float
    """The most by which the relay itself passed a packet on too late."""


def row_of(agent: str, network: str, lines: Sequence[Line], kept: Kept, counts: Counts) -> Row:
    """Recognises what was heard, which takes about a second a line."""
    heard = [kept.between(line.sent_at, line.ended_at) for line in lines]
    holes = [
        1000 * hole
        for line, far in zip(lines, heard, strict=True)
        for hole in holes_s(far.gaps_s, _pauses_s(line.own))
    ]
    wrong = word_errors([line.text for line in lines], [bytes(far.pcm) for far in heard])
    return Row(
        agent=agent,
        network=network,
        lines=len(lines),
        unheard=sum(far.first_audible_at is None for far in heard),
        errors=wrong / sum(len(words_of(line.text)) for line in lines),
        holes=[hole for hole in holes if hole > 1000 * HOLE_S],
        longest_hole=max(holes, default=0.0),
        lags=[1000 * lag for far in heard if (lag := _lag_s(far, kept)) is not None],
        later=[
            1000 * (far.first_audible_at - line.beside_at)
            for line, far in zip(lines, heard, strict=True)
            if far.first_audible_at is not None
        ],
        kept=kept.received.kept_ms,
        asked_again=kept.received.asked_again,
        made_up=kept.received.made_up,
        relay_lost=counts.lost / max(1, counts.lost + counts.passed),
        relay_delay=counts.delayed_ms,
        relay_late=counts.late_ms,
    )


def _pauses_s(pcm: bytes) -> list[float]:
    """Silences of a sound that came from nowhere, measured as those of one that was received."""
    capture = AudioCapture()
    for start in range(0, len(pcm), _FRAME_BYTES):
        capture.add(pcm[start : start + _FRAME_BYTES], start)
    return capture.gaps_s


def _lag_s(far: AudioCapture, kept: Kept) -> float | None:
    """None where the mouth does not follow the sound so well that one can tell."""
    start, end = far.levels[0][0], far.levels[-1][0]
    mouth = [(at, opened) for at, opened in kept.mouth if start <= at <= end]
    if far.first_audible_at is None or len(mouth) < _LEAST_PICTURES:
        return None
    lag_s, correlation = lag_and_correlation(list(far.levels), mouth)
    return lag_s if correlation >= LEAST_CORRELATION else None


_COLUMNS = (
    "agent",
    "network",
    "lines",
    "errors",
    "holes",
    "longest",
    "lips",
    "seen",
    "later",
    "kept",
    "made up",
    "relay",
)


def table(rows: Sequence[Row]) -> str:
    """As Markdown; times in milliseconds."""
    lines = [_COLUMNS, tuple("---" for _ in _COLUMNS), *(_cells(row) for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _cells(row: Row) -> tuple[str, ...]:
    lips = (
        f"{min(row.lags):.0f} / {statistics.median(row.lags):.0f} / {max(row.lags):.0f}" if row.lags else "-"
    )
    return (
        row.agent,
        row.network,
        str(row.lines) + (f", {row.unheard} not heard" if row.unheard else ""),
        f"{row.errors:.1%}",
        str(len(row.holes)),
        f"{row.longest_hole:.0f}",
        lips,
        str(len(row.lags)),
        f"{statistics.median(row.later):.0f}" if row.later else "-",
        f"{row.kept:.0f}",
        f"{row.made_up:.1%}",
        f"{row.relay_delay:.0f}, {row.relay_lost:.1%} lost",
    )
