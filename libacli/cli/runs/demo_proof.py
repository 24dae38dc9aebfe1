"""What `liba demo` shows for an utterance: that it was heard and seen, and how fast."""

from __future__ import annotations

import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from libacli.cli.output import output
from libacli.core.audio import SAMPLE_RATE
from libacli.edges.viewer.listener import AudioCapture
from libacli.edges.viewer.video_watcher import VideoCapture
from libacli.errors import LibaError

_LEAST_SPEECH_S = 0.2


@dataclass(frozen=True)
class Proof:
    """One utterance as the agent reported it, and as a second participant heard and saw it."""

    event: dict[str, Any]
    take: AudioCapture
    sight: VideoCapture
    first_sound_ms: float
    """From sending the request to the first sound."""

    avatar: str
    """What to call the avatar: `local avatar`, `Tavus`."""

    def check(self) -> None:
        """Raises LibaError when it was not spoken to its end, or nobody heard it."""
        state = self.event["state"]
        if state != "done":
            reason = self.event.get("reason") or "no reason given"
            raise LibaError(f"the agent says: {state}, {reason}", hint="see the worker's log")
        if self.take.speech_s < _LEAST_SPEECH_S:
            raise LibaError("the agent spoke but our listener heard nothing", hint="see the worker's log")

    def show(self, *, with_header: bool) -> None:
        output.result(
            f"HEARD    {self.take.speech_s:.2f} s of speech at {self.take.level_dbfs:.0f} dBFS, "
            f"first sound {self.first_sound_ms:.0f} ms after it was sent"
        )
        if self.sight.frames:
            mouth = "mouth moved" if self.sight.mouth_moved else "mouth did not move"
            size = f"{self.sight.width}x{self.sight.height}"
            output.result(f"SEEN     picture: {self.sight.frames} frames of {size}, {mouth}")
        output.table(self._table(with_header))

    def _table(self, with_header: bool) -> Table:
        table = Table(box=None, pad_edge=False, header_style="dim", show_header=with_header)
        row = {
            "utterance": self.event["id"],
            "route": self._route(),
            "T0→T1 voice": self._ms("d01"),
            "T1→T2 sink": self._ms("d12"),
            "T2→TA audible": self._ms("d2a"),
            "T2→T3 played": self._ms("d23"),
            "T0→T3 total": self._ms("total"),
            "T3 is": self.event.get("t3_source", ""),
        }
        for name in row:
            is_duration = "→" in name
            width = 20 if name == "route" else max(len(name), 11)
            justify = "right" if is_duration else "left"
            table.add_column(name, justify=justify, no_wrap=True, min_width=width)  # type: ignore[arg-type]
        table.add_row(*row.values())
        return table

    def _route(self) -> str:
        if self.event.get("route") == "tavus":
            return f"tavus ({self.avatar})"
        return f"fallback ({self.event.get('route_reason', 'unknown')})"

    def _ms(self, name: str) -> str:
        return f"{self.event[name]:.1f} ms" if name in self.event else "-"


def write_wav(path: Path, take: AudioCapture) -> None:
    """Writes what was heard. Raises LibaError."""
    try:
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(SAMPLE_RATE)
            file.writeframes(bytes(take.pcm))
    except OSError as error:
        raise LibaError(
            f"cannot write {path}: {error.strerror}", hint="choose another place: --record"
        ) from error
