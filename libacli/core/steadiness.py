"""How steady speech is over minutes: whether picture and sound drift apart, and whether there are holes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import linear_regression
from typing import Any

from libacli.core.holes import HOLE_S, holes_s
from libacli.core.probe_result import ProbeResult

_LEAST_LAGS = 3
"""Two are always on a line."""


@dataclass(frozen=True)
class Steadiness:
    """Of all that was measured so far."""

    measured_s: float
    """From the first line that was sent to the last one."""

    drift: float | None
    """By how many milliseconds a minute the picture gets later than its sound, as a straight line through
    all lags; None: of too few lines it is known."""

    lags: tuple[float, float] | None
    """The least and the most by which a picture was later than its sound, in milliseconds."""

    compared: int
    """Lines of which it is known what is a hole: the same text was heard whole another time."""

    holes: tuple[float, ...]
    """In milliseconds: those that are longer than 120, longest first."""

    longest: float
    """The longest of all, in milliseconds; 0: there was none."""

    @classmethod
    def of(cls, results: Sequence[ProbeResult]) -> Steadiness:
        """`results` as `with_holes` gives them, in the order in which they were spoken."""
        lags = [(one.at_s / 60, one.lag) for one in results if one.lag is not None]
        values = [lag for _, lag in lags]
        found = sorted((hole for one in results for hole in one.holes or ()), reverse=True)
        is_known = len(lags) >= _LEAST_LAGS and lags[0][0] < lags[-1][0]
        return cls(
            measured_s=results[-1].at_s - results[0].at_s if results else 0.0,
            drift=linear_regression(*zip(*lags, strict=True)).slope if is_known else None,
            lags=(min(values), max(values)) if values else None,
            compared=sum(one.holes is not None for one in results),
            holes=tuple(hole for hole in found if hole > 1000 * HOLE_S),
            longest=max(found, default=0.0),
        )

    def encode(self) -> dict[str, Any]:
        """All of it; times end in their unit."""
        return {
            "measured_s": round(self.measured_s, 2),
            "drift_ms_per_minute": None if self.drift is None else round(self.drift, 2),
            "lags_ms": None if self.lags is None else [round(lag, 2) for lag in self.lags],
            "compared": self.compared,
            "holes_ms": [round(hole, 2) for hole in self.holes],
            "longest_hole_ms": round(self.longest, 2),
        }


def with_holes(results: Sequence[ProbeResult], texts: Sequence[str]) -> list[ProbeResult]:
    """`results` with their holes, where the text was spoken more than once; `texts` are what they said.

    A voice makes the same pauses each time: of all that came whole, the one with the least silence is taken
    for what the voice made. One that makes other pauses each time is not told from a network with holes.
    """
    known = {text: pauses for text in set(texts) if (pauses := _pauses_ms(text, results, texts)) is not None}
    return [_with_holes(one, text, known) for one, text in zip(results, texts, strict=True)]


def _pauses_ms(text: str, results: Sequence[ProbeResult], texts: Sequence[str]) -> Sequence[float] | None:
    whole = [
        one.silences
        for one, said in zip(results, texts, strict=True)
        if said == text and one.verdict == "HEARD"
    ]
    return min(whole, key=sum) if len(whole) > 1 else None


def _with_holes(one: ProbeResult, text: str, known: Mapping[str, Sequence[float]]) -> ProbeResult:
    if one.heard is None or text not in known:
        return one
    found = holes_s([ms / 1000 for ms in one.silences], [ms / 1000 for ms in known[text]])
    return replace(one, holes=tuple(1000 * hole for hole in found))
