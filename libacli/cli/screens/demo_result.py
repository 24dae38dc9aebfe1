"""What `liba demo` shows for an utterance: that it was heard and seen, and how fast."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rich.table import Table

from libacli.cli.output import output
from libacli.cli.screens.cells import cell
from libacli.core.event import Report
from libacli.core.route import route_word
from libacli.edges.viewer.listener import AudioCapture
from libacli.edges.viewer.video_watcher import VideoCapture


@dataclass(frozen=True)
class DemoResult:
    """One utterance as the agent reported it, and as a second participant heard and saw it."""

    report: Report
    """The agent's last one of it."""

    sound: AudioCapture
    picture: VideoCapture
    first_sound_ms: float
    """From sending the request to the first sound."""

    avatar_name: str
    """What to call the avatar: `local avatar`, `Tavus`."""

    def encode(self) -> dict[str, Any]:
        """For JSON: times in ms unless their name ends with `_s`."""
        return self.report.encode() | {
            "avatar": self.avatar_name,
            "first_sound": round(self.first_sound_ms, 1),
            "speech_s": round(self.sound.speech_s, 3),
            "level_dbfs": round(self.sound.level_dbfs, 1),
            "frames": self.picture.frames,
            "mouth_moved": self.picture.mouth_moved,
        }


def show(result: DemoResult, *, with_header: bool) -> None:
    """Prints it."""
    output.result(
        f"HEARD    {result.sound.speech_s:.2f} s of speech at {result.sound.level_dbfs:.0f} dBFS, "
        f"first sound {result.first_sound_ms:.0f} ms after it was sent"
    )
    picture = result.picture
    if picture.frames:
        mouth = "mouth moved" if picture.mouth_moved else "mouth did not move"
        output.result(
            f"SEEN     picture: {picture.frames} frames of {picture.width}x{picture.height}, {mouth}"
        )
    output.table(_table(result, with_header))


def _table(result: DemoResult, with_header: bool) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", show_header=with_header)
    report = result.report
    row = {
        "utterance": report.id,
        "route": _route(result),
        "T0→T1 voice": _in_ms(report.d01),
        "T1→T2 sink": _in_ms(report.d12),
        "T2→TA audible": _in_ms(report.d2a),
        "T2→T3 played": _in_ms(report.d23),
        "T0→T3 total": _in_ms(report.total),
        "T3 is": report.t3_source,
    }
    for name in row:
        is_duration = "→" in name
        width = 20 if name == "route" else max(len(name), 11)
        justify = "right" if is_duration else "left"
        table.add_column(name, justify=justify, no_wrap=True, min_width=width)  # type: ignore[arg-type]
    table.add_row(*map(cell, row.values()))
    return table


def _route(result: DemoResult) -> str:
    report = result.report
    is_seen = report.route == "avatar"
    detail = result.avatar_name if is_seen else report.route_reason or "unknown"
    return f"{route_word(report.route, 'none')} ({detail})"


def _in_ms(duration: float | None) -> str:
    return "-" if duration is None else f"{duration:.1f} ms"
