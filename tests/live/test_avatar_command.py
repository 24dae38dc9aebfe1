"""`liba avatar run` as a process of its own."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import psutil
import pytest
from pydantic import SecretStr

from libacli.config import LiveKitCredentials
from libacli.core.audio import silence
from libacli.speech.fakes import tone
from tests.live.avatar_peers import TavusClient, meeting
from tests.live.conftest import Shell
from tests.started import started

pytestmark = pytest.mark.live

READY_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Service:
    """A running `liba avatar run --json`."""

    process: subprocess.Popen[bytes]
    base_url: str
    api_key: str
    """As it was printed."""

    log: Path

    async def answers(self, key: str) -> int:
        """The status of a request that is no good but for its key."""
        url = f"{self.base_url}/v2/conversations"
        async with (
            aiohttp.ClientSession(headers={"x-api-key": key}) as session,
            session.post(url, json={}) as response,
        ):
            return response.status


@contextmanager
def running(shell: Shell, folder: Path, *arguments: str, **environment: str) -> Iterator[Service]:
    log = folder / "avatar.log"
    with (
        log.open("wb") as err,
        started(
            shell.command("avatar", "run", "--json", *arguments),
            env=shell.environment | environment,
            cwd=shell.folder,
            stdout=subprocess.PIPE,
            stderr=err,
        ) as process,
    ):
        assert process.stdout
        told = json.loads(process.stdout.readline())
        yield Service(process, told["TAVUS_BASE_URL"], told.get("TAVUS_API_KEY", ""), log)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_speaks_with_a_face_and_leaves_on_a_signal(
    bare_shell: Shell, credentials: LiveKitCredentials, tmp_path: Path, room: str, number: signal.Signals
) -> None:
    with running(bare_shell, tmp_path, "--size", "256", "--log-level", "debug") as service:
        async with aiohttp.ClientSession() as session:
            tavus = TavusClient(session, service.base_url, SecretStr(service.api_key), credentials)
            async with meeting(credentials, tavus, room) as scene:
                await scene.agent.send(tone(600) + silence(120))
                assert (await scene.agent.report()).position_s == pytest.approx(0.72, abs=0.001)
                service.process.send_signal(number)
                async with asyncio.timeout(2):
                    await scene.agent.avatar_left.wait()
        code = await asyncio.to_thread(service.process.wait, 60)
    assert code == (130 if number == signal.SIGINT else 0)
    log = service.log.read_text()
    assert "eyJ" not in log
    assert service.api_key not in log
    assert "Traceback" not in log


async def test_it_takes_the_key_that_is_set_unprinted_and_the_port_that_is_wanted(
    bare_shell: Shell, tmp_path: Path
) -> None:
    with running(bare_shell, tmp_path, TAVUS_API_KEY="mine") as first:
        assert first.api_key == ""
        assert (await first.answers("mine"), await first.answers("another")) == (400, 401)
        port = first.base_url.rpartition(":")[2]
        refused = bare_shell.run("avatar", "run", "--port", port)
        assert (refused.returncode, f"port {port} is taken" in refused.stderr) == (2, True)
    with running(bare_shell, tmp_path, "--port", port) as second:
        assert second.base_url == f"http://127.0.0.1:{port}"
        assert second.api_key.startswith("local-")
        assert await second.answers(second.api_key) == 400


def test_it_listens_on_this_machine_only_and_is_soon_there(bare_shell: Shell, tmp_path: Path) -> None:
    began_at = time.monotonic()
    with running(bare_shell, tmp_path) as service:
        assert time.monotonic() - began_at < READY_TIMEOUT_S
        listening = [
            one.laddr.ip
            for one in psutil.Process(service.process.pid).net_connections("tcp")
            if one.status == psutil.CONN_LISTEN
        ]
    assert listening == ["127.0.0.1"]
