"""A voice that takes long to load, as a package brings it: for worker processes that tests start."""

from __future__ import annotations

from pathlib import Path

_SOURCE = """
import time
from libacli.speech.fakes import ScriptedVoice

def slow_voice(settings):
    time.sleep({seconds})
    return ScriptedVoice(provider="slow")
"""
_POINTS = "[libacli.voices]\nslow = slow_liba:slow_voice\n"


def install_slow_voice(folder: Path, *, seconds: float) -> None:
    """Puts the voice `slow` into `folder`, as pip leaves a package: it belongs on PYTHONPATH."""
    (folder / "slow_liba.py").write_text(_SOURCE.format(seconds=seconds))
    info = folder / "slow_liba-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: slow-liba\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(_POINTS)
