"""What `liba demo` shows for an utterance: that it was heard and seen, and how fast."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rich.table import Table

from libacli.cli.output import output
from libacli.edges.viewer.listener import AudioCapture
from libacli.edges.viewer.video_watcher import VideoCapture


@dataclass(frozen=True)
class DemoResult:
    """One utterance as the agent reported it, and as a second participant heard and saw it."""

    event: dict[str, Any]
    """The agent's last one of it."""

    sound: AudioCapture
    picture: VideoCapture
    first_sound_ms: float
    """From sending the request to the first sound."""

    avatar_name: str
    """What to call the avatar: `local avatar`, `Tavus`."""


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
    event = result.event
    row = {
        "utterance": event["id"],
        "route": _route(result),
        "T0→T1 voice": _in_ms(event, "d01"),
        "T1→T2 sink": _in_ms(event, "d12"),
        "T2→TA audible": _in_ms(event, "d2a"),
        "T2→T3 played": _in_ms(event, "d23"),
        "T0→T3 total": _in_ms(event, "total"),
        "T3 is": event.get("t3_source", ""),
    }
    for name in row:
        is_duration = "→" in name
        width = 20 if name == "route" else max(len(name), 11)
        justify = "right" if is_duration else "left"
        table.add_column(name, justify=justify, no_wrap=True, min_width=width)  # type: ignore[arg-type]
    table.add_row(*row.values())
    return table


def _route(result: DemoResult) -> str:
    if result.event.get("route") == "tavus":
        return f"tavus ({result.avatar_name})"
    return f"fallback ({result.event.get('route_reason', 'unknown')})"


def _in_ms(event: dict[str, Any], name: str) -> str:
    return f"{event[name]:.1f} ms" if name in event else "-"
