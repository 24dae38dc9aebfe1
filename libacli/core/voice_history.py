"""How each voice has done, as records tell."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from libacli.core.latency import counted
from libacli.core.timeline import percentile
from libacli.core.utterance_record import UtteranceRecord


@dataclass
class VoiceHistory:
    """What one provider has spoken."""

    utterances: int = 0
    last_at: float | None = None
    """When the last of them was asked for: POSIX seconds."""

    stood_in: int = 0
    """How many of them were another one's to speak; `last_reason` is why, the last time."""

    last_reason: str = ""
    first_sound_ms: list[float] = field(default_factory=list, repr=False)
    """From the turn to the first sound of the voice."""

    @property
    def p50_ms(self) -> float | None:
        return percentile(self.first_sound_ms, 50) if self.first_sound_ms else None

    def encode(self) -> dict[str, Any]:
        members = asdict(self) | {"p50_ms": self.p50_ms}
        del members["first_sound_ms"]
        return members


def histories(records: Iterable[UtteranceRecord]) -> dict[str, VoiceHistory]:
    """By provider; `records` are in the order of time."""
    found: dict[str, VoiceHistory] = {}
    for record in records:
        if not record.provider:
            continue
        history = found.setdefault(record.provider, VoiceHistory())
        history.utterances += 1
        history.last_at = record.t0
        if record.voice_reason:
            history.stood_in += 1
            history.last_reason = record.voice_reason
        history.first_sound_ms += [ms for name, ms in counted(record) if name == "d01"]
    return found
