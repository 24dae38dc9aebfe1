"""What became of one cue."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from libacli.core.reasons import refusal_reason
from libacli.errors import InterruptedSpeechError, LibaError, RefusedError, TimedOutError, UsageError


@dataclass(frozen=True)
class CueResult:
    """Offsets are in seconds since the show began; None: it did not come to that."""

    number: int
    label: str
    id: str
    """Of its utterance; empty: a pause."""

    state: str
    """`done`, or as an utterance's: `failed`, `interrupted`, `unconfirmed`, `rejected`...; of a pause that
    was cut short `skipped`."""

    route: str = ""
    started: float | None = None
    ended: float | None = None
    reason: str = ""
    """Why it is not `done`."""

    def encode(self) -> dict[str, Any]:
        times = {name: None if at is None else round(at, 3) for name, at in self._times}
        return asdict(self) | times

    @property
    def _times(self) -> list[tuple[str, float | None]]:
        return [("started", self.started), ("ended", self.ended)]


def state_of(error: LibaError) -> str:
    """What has become of a line that was not spoken as written."""
    match error:
        case RefusedError():
            return "rejected"
        case TimedOutError():
            return "unconfirmed"
        case InterruptedSpeechError():
            return error.state or "unknown"
    return "failed"


def ends_show(error: LibaError) -> bool:
    """Whether what comes next would fare no better, or is not wanted."""
    match error:
        case RefusedError():
            return not (refusal_reason(error.reason).is_of_text or error.reason == "unknown_voice")
        case InterruptedSpeechError(state="interrupted"):
            return error.reason != "cancelled"  # that is one line alone
        case InterruptedSpeechError():
            return error.state not in ("failed", "expired", "rejected")
    return not isinstance(error, TimedOutError | UsageError)  # the latter: its file is not there any more
