"""Two machines with one Redis: what one of them leaves behind when it dies, the other one ends."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from libacli.config import LiveKitCredentials
from libacli.local.guard import GuardedProcess
from tests.faulty_avatar import FaultyAvatar
from tests.live.conftest import GRACE_S, Listen, Shell, wait_for_line
from tests.redis_server import RedisServer

pytestmark = pytest.mark.live

LEASE_S = 6.0
HASTY = f"""
import libacli.worker as worker
from libacli.__main__ import main
from libacli.edges.redis.conversations import RedisConversations
RedisConversations.__init__.__kwdefaults__["lease_s"] = {LEASE_S}
worker._LOOK_BACK_EVERY_S = 1.0
main()
"""
"""`liba` to whom a minute is six seconds."""


@contextmanager
def machine(
    shell: Shell, folder: Path, redis: RedisServer, tavus: FaultyAvatar, *arguments: str
) -> Iterator[GuardedProcess]:
    """A worker on a machine of its own: its folder is nobody else's."""
    folder.mkdir()
    environment = shell.environment | {
        "XDG_STATE_HOME": str(folder),
        "LIBA_REDIS_URL": redis.url,
        "TAVUS_API_KEY": tavus.api_key.get_secret_value(),
        "TAVUS_BASE_URL": tavus.base_url,
        "LIBA_AGENT_ISOLATION": "thread",
    }
    command = [sys.executable, "-c", HASTY, "agent", "run", "--agent-name", folder.name, *arguments]
    log = folder / "worker.log"
    with (
        log.open("wb") as out,
        GuardedProcess.start(
            command, env=environment, stdout=out, cwd=shell.folder, grace_s=GRACE_S
        ) as process,
    ):
        wait_for_line(log, "worker is ready", process)
        yield process


async def test_what_a_machine_that_was_killed_left_behind_another_one_ends_once_and_nothing_else(
    credentials: LiveKitCredentials, shell: Shell, room: str, listen: Listen, tmp_path: Path
) -> None:
    with RedisServer(tmp_path) as redis:
        async with FaultyAvatar() as tavus, listen():
            with (
                machine(shell, tmp_path / "doomed", redis, tavus, "--room", room) as doomed,
                machine(shell, tmp_path / "other", redis, tavus),
            ):
                async with asyncio.timeout(60):
                    while not tavus.active:  # noqa: ASYNC110 - it is looked at
                        await asyncio.sleep(0.1)
                await asyncio.sleep(2 * LEASE_S)
                assert (tavus.creates, tavus.ends) == (1, []), "nobody ends what a living one has"
                for process in psutil.Process(doomed.pid).children(recursive=True):
                    process.kill()
                async with asyncio.timeout(LEASE_S + 20):
                    while tavus.active:  # noqa: ASYNC110 - it is looked at
                        await asyncio.sleep(0.1)
            assert (tavus.creates, len(tavus.ends)) == (1, 1)
