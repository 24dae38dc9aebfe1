"""What `--assert` was given, and whether it holds."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from libacli.core.threshold import Threshold
from libacli.errors import ThresholdError, UsageError


def read_thresholds(conditions: Sequence[str], measures: Collection[str]) -> list[Threshold]:
    """Reads what `--assert` was given. Raises UsageError."""
    try:
        thresholds = [Threshold.parse(condition) for condition in conditions]
    except ValueError as error:
        raise UsageError(f"--assert {error}", hint=f"measures are {', '.join(measures)}") from error
    for threshold in thresholds:
        if threshold.measure not in measures:
            raise UsageError(
                f"--assert {threshold}: nothing measures {threshold.measure}",
                hint=f"measures are {', '.join(measures)}",
            )
    return thresholds


def check_thresholds(thresholds: Sequence[Threshold], values: Mapping[str, Sequence[float]]) -> None:
    """Raises ThresholdError with all that does not hold."""
    if failures := [told for threshold in thresholds if (told := threshold.check(values))]:
        raise ThresholdError("; ".join(failures))
