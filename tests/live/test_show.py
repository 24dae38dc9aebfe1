"""`liba play` and `liba next`, with a listener in the room."""

from __future__ import annotations

import asyncio
import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from tests.hearing import distance, words_in, words_of
from tests.live.conftest import ReadyRoom, Shell
from tests.live.heard import BUSY_S, quiet

pytestmark = pytest.mark.live

SHOW = """
# Opening

Good evening, and welcome.

We begin in a moment.

<!-- pause 1s -->

The time has come.

# The end

<!-- step -->

You gave the signal.

Good night to everybody.
"""
PAUSE_S = WAITED_S = 1.0
TEXT = (
    "Good evening and welcome. We begin in a moment. The time has come. "
    "You gave the signal. Good night to everybody."
)


async def results(log: Path, count: int) -> list[dict[str, Any]]:
    """What the show has told, once that is so much."""
    async with asyncio.timeout(60):
        while True:
            written = await asyncio.to_thread(log.read_text)
            told = [line for line in written.splitlines() if line.startswith("{")]
            if len(told) >= count:
                return [json.loads(line) for line in told]
            await asyncio.sleep(0.05)


async def standing_by(ready_room: ReadyRoom) -> None:
    async with asyncio.timeout(60):
        while True:
            if any(report.standby for report in (await ready_room.client.queue()).waiting):
                return
            await asyncio.sleep(0.2)


async def test_a_show_is_heard_in_its_order_with_its_pause_and_its_step(
    shell: Shell, ready_room: ReadyRoom, tmp_path: Path
) -> None:
    file, log = tmp_path / "show.md", tmp_path / "play.log"
    file.write_text(SHOW)
    take = ready_room.listener.start_capture()
    with shell.running("play", str(file), "--room", ready_room.room, "--json", log=log) as playing:
        await results(log, 4)
        await standing_by(ready_room)
        await asyncio.sleep(WAITED_S)
        next = await asyncio.to_thread(shell.run, "next", "--room", ready_room.room)
        assert next.returncode == 0, next.stderr
        told = await results(log, 6)
        ended = await asyncio.to_thread(playing.wait, 30)
    await quiet(ready_room.listener)
    assert ended == 0
    assert [(cue["number"], cue["label"], cue["state"]) for cue in told] == [
        (1, "Opening", "done"),
        (2, "", "done"),
        (3, "", "done"),
        (4, "", "done"),
        (5, "The end", "done"),
        (6, "", "done"),
    ]
    pauses = sorted(take.gaps_s)[-2:]
    assert pauses[0] >= PAUSE_S - 0.2
    waited_s = [after["started"] - before["ended"] for before, after in itertools.pairwise(told)]
    assert waited_s[3] >= WAITED_S
    assert PAUSE_S <= told[3]["started"] - told[1]["ended"] <= PAUSE_S + 2 * BUSY_S
    assert distance(words_of(TEXT), words_in(bytes(take.pcm))) <= 2
