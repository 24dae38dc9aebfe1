"""What a measurement has to be: `d01.p95<900`."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from libacli.core.timeline import percentile

STATISTICS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "p50": lambda values: percentile(values, 50),
    "p90": lambda values: percentile(values, 90),
    "p95": lambda values: percentile(values, 95),
    "p99": lambda values: percentile(values, 99),
    "min": min,
    "max": max,
    "mean": lambda values: sum(values) / len(values),
    "count": len,
}
"""Each of at least one value, except `count`."""

_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
}
_PATTERN = re.compile(r"\s*(\w+)\.(\w+)\s*(<=|>=|==|<|>)\s*(-?\d+(?:\.\d+)?)\s*", re.ASCII)


@dataclass(frozen=True)
class Threshold:
    """A condition on one statistic of one measure."""

    measure: str
    statistic: str
    """A key of `STATISTICS`."""

    comparison: str
    """`<`, `<=`, `>`, `>=` or `==`."""

    limit: float

    @classmethod
    def parse(cls, text: str) -> Threshold:
        """Reads `measure.statistic<number`. Raises ValueError that says what is wrong."""
        match = _PATTERN.fullmatch(text)
        if not match:
            raise ValueError(f"{text!r} is not like d01.p95<900")
        measure, statistic, comparison, limit = match.groups()
        if statistic not in STATISTICS:
            raise ValueError(f"{text!r}: {statistic} is not one of {', '.join(STATISTICS)}")
        return cls(measure, statistic, comparison, float(limit))

    def check(self, values: Mapping[str, Sequence[float]]) -> str | None:
        """Why `values`, by measure, are not as wanted, in one clause; None if they are."""
        found = values.get(self.measure, ())
        if not found and self.statistic != "count":
            return f"{self} cannot be told: nothing was measured"
        value = STATISTICS[self.statistic](found)
        if _COMPARISONS[self.comparison](value, self.limit):
            return None
        return f"{self} does not hold: it is {value:.6g}"

    def __str__(self) -> str:
        return f"{self.measure}.{self.statistic}{self.comparison}{self.limit:g}"
