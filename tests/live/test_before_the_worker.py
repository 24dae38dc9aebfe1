"""Commands that come before their worker has registered, as people type them in another terminal."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.live.conftest import Shell, wait_for_line

pytestmark = pytest.mark.live


async def test_what_is_said_before_the_worker_runs_is_spoken_in_order_once_it_does(
    shell: Shell, room: str, tmp_path: Path
) -> None:
    log = tmp_path / "worker.log"
    spoken: list[str] = []

    async def say(name: str) -> None:
        words = ("say", "This is said before.", "--room", room, "--id", name, "--timeout", "90")
        ended = await asyncio.to_thread(shell.run, *words, "--wait", "done", LIBA_AGENT_NAME=room)
        assert ended.returncode == 0, ended.stderr
        assert f"waiting for agent '{room}' in room '{room}'..." in ended.stderr
        spoken.append(name)

    async with asyncio.TaskGroup() as tasks:
        for name in ("first", "second", "third"):
            tasks.create_task(say(name))
            await asyncio.sleep(1.0)  # each comes well after the one before
        await asyncio.sleep(4.0)
        with shell.running("agent", "run", "--agent-name", room, log=log) as process:
            await asyncio.to_thread(wait_for_line, log, "worker is ready", process)
            async with asyncio.timeout(90):
                while len(spoken) < 3:  # noqa: ASYNC110 - threads tell nobody
                    await asyncio.sleep(0.1)
    assert spoken == ["first", "second", "third"]
