"""What `liba voices` prints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from rich.table import Table

from libacli.cli.output import output
from libacli.cli.screens.cells import cell
from libacli.core.voice_history import VoiceHistory

_SPEAKERS_SHOWN = 6


@dataclass(frozen=True)
class Listed:
    """One provider of the chain."""

    provider: str
    model: str
    speaker: str
    speakers: tuple[str, ...]
    """All of them, as far as they are known."""

    history: VoiceHistory
    missing: str = ""
    """Why it cannot speak; empty when nothing is missing."""

    def encode(self) -> dict[str, Any]:
        return asdict(self) | {"history": self.history.encode()}


@dataclass(frozen=True)
class Trial:
    """What came of one voice that was tried."""

    provider: str
    model: str
    speaker: str
    first_sound_ms: float | None = None
    duration_s: float = 0.0
    file: str = ""
    error: str = ""


def show_voices(voices: Sequence[Listed]) -> None:
    """Prints a line for each provider, the one first that is asked first."""
    table = _table("", "provider", "model", "speaker", "others", "spoken", "first sound", "note")
    for number, one in enumerate(voices, 1):
        history = one.history
        others = [speaker for speaker in one.speakers if speaker != one.speaker]
        more = f" +{len(others) - _SPEAKERS_SHOWN}" if len(others) > _SPEAKERS_SHOWN else ""
        last = (
            datetime.fromtimestamp(history.last_at).strftime(", last %d.%m. %H:%M") if history.last_at else ""
        )
        table.add_row(
            *map(
                cell,
                (
                    str(number),
                    one.provider,
                    one.model,
                    one.speaker,
                    " ".join(others[:_SPEAKERS_SHOWN]) + more,
                    f"{history.utterances}{last}",
                    "" if history.p50_ms is None else f"{history.p50_ms:,.0f} ms",
                    one.missing or history.last_reason,
                ),
            )
        )
    output.table(table)


def show_trials(trials: Sequence[Trial]) -> None:
    """Prints a line for each voice that was tried."""
    table = _table("provider", "model", "speaker", "first sound", "lasts", "")
    for trial in trials:
        first = "" if trial.first_sound_ms is None else f"{trial.first_sound_ms:,.0f} ms"
        lasts = f"{trial.duration_s:.2f} s" if trial.duration_s else ""
        note = trial.error or trial.file
        table.add_row(*map(cell, (trial.provider, trial.model, trial.speaker, first, lasts, note)))
    output.table(table)


def _table(*names: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in names:
        table.add_column(name)
    return table
