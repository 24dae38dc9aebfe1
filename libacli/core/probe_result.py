"""One utterance as a viewer got it, beside what its agent says of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from libacli.core.latency import audible_ms
from libacli.core.route import RouteName, route_word
from libacli.core.threshold import STATISTICS
from libacli.core.utterance_record import UtteranceRecord

ProbeVerdict = Literal["HEARD", "CUT OFF", "NOT HEARD"]

MEASURES = ("heard", "claim", "seen", "cut", "stretch", "gap", "lag", "hole")
"""Names of the durations, in milliseconds; what they mean: `ProbeResult`."""

CUT_MS = 100.0
"""What is missing by more than this is a syllable; below it, a sound that fades."""

_SHOWN = ("p50", "p95", "max")


@dataclass(frozen=True)
class ProbeResult:
    """What one utterance was to a viewer. Times are in milliseconds, None where there was no such thing."""

    id: str
    outcome: str
    """The state it ended in, as the agent says."""

    route: RouteName | None = None
    route_reason: str = ""
    reason: str = ""
    """Why the agent says that it was not `done`."""

    heard: float | None = None
    """From before it was sent until its first sound was here."""

    seen: float | None = None
    """From before it was sent until the first picture was here in which the mouth moves."""

    claim: float | None = None
    """What the agent says: waited + d01 + d12 + d2a, from receiving it to its first sound."""

    speech: float = 0.0
    """How long the agent says it is, from the first to the last sound."""

    span: float = 0.0
    """How long it was here, from the first to the last sound."""

    caught_up: float = 0.0
    """By how much at most this viewer's own buffer has shortened it, to catch up on a busy machine: silence
    that it left out around the speech is in it too."""

    gap: float | None = None
    """The longest silence inside. A pause of the voice is one, too."""

    lag: float | None = None
    """By how much the picture came later than its sound; negative: earlier."""

    at_s: float = 0.0
    """When it was sent, in seconds on the clock of whoever measured."""

    silences: tuple[float, ...] = ()
    """All inside it that are 50 ms or longer, in their order."""

    holes: tuple[float, ...] | None = None
    """What of them is no pause of the voice, see `core.steadiness`; None: not known."""

    @classmethod
    def of(
        cls,
        record: UtteranceRecord,
        *,
        heard: float | None,
        span: float,
        silences: Sequence[float],
        at_s: float = 0.0,
        caught_up: float = 0.0,
        seen: float | None = None,
        lag: float | None = None,
    ) -> ProbeResult:
        """What the agent says of an utterance, and what was measured."""
        return cls(
            id=record.id,
            outcome=record.outcome,
            route=record.route,
            route_reason=record.route_reason,
            reason=record.reason,
            heard=heard,
            seen=seen,
            claim=audible_ms(record),
            speech=record.speech_ms,
            span=span,
            caught_up=caught_up,
            gap=None if heard is None else max(silences, default=0.0),
            at_s=at_s,
            silences=tuple(silences),
            lag=lag,
        )

    @property
    def cut(self) -> float:
        """What is missing of it, and did not get lost here."""
        return max(0.0, self.speech - self.span - self.caught_up)

    @property
    def stretch(self) -> float | None:
        """By how much it took longer here: it stalled on its way."""
        return None if self.heard is None else max(0.0, self.span - self.speech)

    @property
    def hole(self) -> float | None:
        """The longest silence inside that is no pause of the voice."""
        return None if self.holes is None else max(self.holes, default=0.0)

    @property
    def verdict(self) -> ProbeVerdict:
        """`HEARD` means: from its first to its last sound."""
        if self.heard is None:
            return "NOT HEARD"
        if self.cut > CUT_MS or self.outcome in ("failed", "interrupted"):
            return "CUT OFF"
        return "HEARD"

    def measure(self, name: str) -> float | None:
        """The one of `MEASURES`."""
        value: float | None = getattr(self, name)
        return value

    def encode(self) -> dict[str, Any]:
        """All of it: durations end in `_ms`."""
        durations = (*MEASURES, "speech", "span", "caught_up")
        lists = ("silences", "holes")
        said = {name: value for name, value in asdict(self).items() if name not in (*durations, *lists)}
        values = ((f"{name}_ms", getattr(self, name)) for name in durations)
        return {
            "verdict": self.verdict,
            **said,
            "route": route_word(self.route),
            "at_s": round(self.at_s, 3),
            **{name: None if value is None else round(value, 2) for name, value in values},
            "silences_ms": [round(value, 2) for value in self.silences],
        }


def values_of(utterances: Sequence[ProbeResult]) -> dict[str, list[float]]:
    """By measure: what was measured."""
    return {
        name: [value for one in utterances if (value := one.measure(name)) is not None] for name in MEASURES
    }


def summary_of(utterances: Sequence[ProbeResult]) -> dict[str, dict[str, float]]:
    """By measure, those left out that nothing was measured of: its count, p50, p95 and maximum."""
    return {
        name: {"count": len(values)}
        | {statistic: round(STATISTICS[statistic](values), 2) for statistic in _SHOWN}
        for name, values in values_of(utterances).items()
        if values
    }


def counts_of(utterances: Sequence[ProbeResult], member: Literal["route", "verdict"]) -> dict[str, int]:
    """How many have which `member`."""
    words = {"route": lambda one: route_word(one.route, "none"), "verdict": lambda one: one.verdict}
    return dict(Counter(map(words[member], utterances)))
