"""What counts as latency, and of which lines: one rule for rows, heads, summaries, asserts, meters and page.

A line has a latency from its turn on: `d01` of the voice, `d12` to the sink, `d2a` to the ears, one after the
other. What it waited in the queue before is `waited`, which is nobody's latency but the queue's. A line that
waited had its voice made meanwhile, so what it took then says nothing of how quick the voice is: only lines
that began at once count in percentiles of latency.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

PARTS = ("d01", "d12", "d2a")
"""Of a latency, in their order."""

COUNTED = ("waited", *PARTS, "latency", "d23", "total")
"""What there are percentiles of."""

AT_ONCE_MS = 50.0
"""Who waited no longer had nobody before him: to be taken from the queue takes a moment, too."""


class Durations(Protocol):
    """Those of one line, in milliseconds; None: an end was not reached. Reports and records have them."""

    @property
    def waited(self) -> float | None: ...

    @property
    def d01(self) -> float | None: ...

    @property
    def d12(self) -> float | None: ...

    @property
    def d2a(self) -> float | None: ...

    @property
    def d23(self) -> float | None: ...

    @property
    def total(self) -> float | None: ...


def latency_ms(of: Durations) -> float | None:
    """From its turn until it could be heard; None when it was not."""
    if of.d01 is None or of.d12 is None or of.d2a is None:
        return None
    return of.d01 + of.d12 + of.d2a


def audible_ms(of: Durations) -> float | None:
    """From the request until it could be heard, the time in the queue included."""
    latency = latency_ms(of)
    return None if latency is None else (of.waited or 0.0) + latency


def began_at_once(of: Durations) -> bool:
    """Whether it did not wait for another line."""
    return (of.waited or 0.0) <= AT_ONCE_MS


def counted(of: Durations) -> Iterator[tuple[str, float]]:
    """Those of `COUNTED` that are known of a line and count in percentiles, by name."""
    for name in COUNTED:
        if name in ("latency", *PARTS) and not began_at_once(of):
            continue
        value = latency_ms(of) if name == "latency" else getattr(of, name)
        if value is not None:
            yield name, value
