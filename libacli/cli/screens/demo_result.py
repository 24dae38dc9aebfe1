"""What `liba demo` shows for an utterance: that it was heard and seen, and how fast, in 80 columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from libacli.cli.output import output
from libacli.cli.screens.cells import clean
from libacli.core.event import Report
from libacli.core.latency import began_at_once
from libacli.core.route import route_word
from libacli.edges.viewer.listener import AudioCapture
from libacli.edges.viewer.video_watcher import VideoCapture

_BESIDE_S = 0.2
"""By how much a mouth may move before its sound and after it: pictures and sound travel apart."""


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

    @property
    def mouth_moved(self) -> bool:
        """Whether it did while there was sound."""
        since, until = self.sound.first_audible_at, self.sound.last_audible_at
        if since is None or until is None:
            return False
        return self.picture.mouth_moved(since - _BESIDE_S, until + _BESIDE_S)

    def encode(self) -> dict[str, Any]:
        """For JSON: times in ms unless their name ends with `_s`."""
        return self.report.encode() | {
            "avatar": self.avatar_name,
            "first_sound": round(self.first_sound_ms, 1),
            "speech_s": round(self.sound.speech_s, 3),
            "level_dbfs": round(self.sound.level_dbfs, 1),
            "frames": self.picture.frames,
            "mouth_moved": self.mouth_moved,
        }


def show(result: DemoResult) -> None:
    """Prints it."""
    report, sound, picture = result.report, result.sound, result.picture
    since = f", first sound {result.first_sound_ms:.0f} ms after it was sent" if began_at_once(report) else ""
    output.result(f"HEARD  {sound.speech_s:.2f} s of speech at {sound.level_dbfs:.0f} dBFS{since}")
    if picture.frames:
        mouth = "mouth moved" if result.mouth_moved else "mouth did not move"
        output.result(f"SEEN   {picture.frames} frames of {picture.width}x{picture.height}, {mouth}")
    output.result(clean(f"ROUTE  {_route(result)}, end {report.t3_source or 'unknown'}"))
    output.result(f"TIMES  {times(report)}")


def times(report: Report) -> str:
    """Where the time went, in the order of what happened."""
    named = {
        "waited": None if began_at_once(report) else report.waited,
        "voice": report.d01,
        "sink": report.d12,
        "audible": report.d2a,
        "played": report.d23,
        "total": report.total if began_at_once(report) else None,
    }
    known = [f"{name} {value:.0f}" for name, value in named.items() if value is not None]
    return ", ".join(known) + " ms" if known else "not known"


def _route(result: DemoResult) -> str:
    report = result.report
    is_seen = report.route == "avatar"
    detail = result.avatar_name if is_seen else report.route_reason or "unknown"
    return f"{route_word(report.route, 'none')} ({detail})"
