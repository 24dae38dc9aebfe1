"""The soak, for as long as a test may take: `python -m tests.bench.soak` goes on for longer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.live

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.timeout(300)
def test_under_kills_and_cuts_for_two_minutes_nothing_is_lost_doubled_stuck_or_out_of_order() -> None:
    soak = [
        sys.executable,
        "-m",
        "tests.bench.soak",
        "--utterances",
        "2000",
        "--seconds",
        "110",
        "--seed",
        "7",
    ]
    ended = subprocess.run(soak, cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert ended.returncode == 0, ended.stdout + ended.stderr
