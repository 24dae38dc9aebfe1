"""Lines, and which of their durations count: whoever tells percentiles is run through all of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    name: str
    lines: tuple[dict[str, float], ...]
    """Durations of each, in milliseconds; what is not there was not reached."""

    counted: dict[str, list[float]]
    """By what there are percentiles of: the values that count, in the order of the lines."""


ALONE = {"waited": 0.3, "d01": 60.0, "d12": 2.0, "d2a": 75.0, "d23": 4000.0, "total": 4062.3}
WAITED = {"waited": 6217.0, "d01": 0.0, "d12": 3.0, "d2a": 20.0, "d23": 3000.0, "total": 9220.0}
SLOW = {"waited": 50.0, "d01": 2400.0, "d12": 2.0, "d2a": 98.0, "d23": 1000.0, "total": 3452.0}
JUST_WAITED = {**SLOW, "waited": 50.1}
UNHEARD = {"waited": 0.0, "d01": 80.0, "d12": 1.0, "d23": 900.0, "total": 981.0}
REFUSED = {"waited": 12.0}

CASES = (
    Case("nothing was said", (), {}),
    Case(
        "one line alone",
        (ALONE,),
        {
            **{"waited": [0.3], "d01": [60.0], "d12": [2.0], "d2a": [75.0], "latency": [137.0]},
            **{"d23": [4000.0], "total": [4062.3]},
        },
    ),
    Case(
        "three that were sent together",
        (ALONE, WAITED, {**WAITED, "waited": 9000.0}),
        {
            **{"waited": [0.3, 6217.0, 9000.0], "d01": [60.0], "d12": [2.0], "d2a": [75.0]},
            **{"latency": [137.0], "d23": [4000.0, 3000.0, 3000.0], "total": [4062.3, 9220.0, 9220.0]},
        },
    ),
    Case(
        "a slow voice is slow however short the way through the queue",
        (SLOW, JUST_WAITED),
        {
            **{"waited": [50.0, 50.1], "d01": [2400.0], "d12": [2.0], "d2a": [98.0]},
            **{"latency": [2500.0], "d23": [1000.0, 1000.0], "total": [3452.0, 3452.0]},
        },
    ),
    Case(
        "one that nobody heard, and one without a sound",
        (UNHEARD, REFUSED),
        {"waited": [0.0, 12.0], "d01": [80.0], "d12": [1.0], "d23": [900.0], "total": [981.0]},
    ),
)
