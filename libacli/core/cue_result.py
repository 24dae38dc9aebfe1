"""What became of one cue."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


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
