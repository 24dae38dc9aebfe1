"""A worker whose room processes do not get ready: real processes, on a machine that only seems slow."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.slow_voice import install_slow_voice
from tests.twirp_server import API_KEY, API_SECRET, TwirpServer

pytestmark = pytest.mark.live

PROGRAM = """
import libacli.edges.livekit.agent_server as agent_server
from libacli.cli.main import main
agent_server.INITIALIZE_TIMEOUT_S = {within_s}
main()
"""
"""`liba`, with less time for a process to get ready: nobody wants to wait for three minutes here."""

END_S = 60.0


@contextmanager
def worker(folder: Path, server: TwirpServer, *, within_s: float) -> Iterator[subprocess.Popen[str]]:
    install_slow_voice(folder, seconds=600)
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join([str(folder), *sys.path]),
        "HOME": str(folder),
        "LIVEKIT_URL": server.url,
        "LIVEKIT_API_KEY": API_KEY,
        "LIVEKIT_API_SECRET": API_SECRET,
        "LIBA_VOICE_PROVIDERS": "slow",
    }
    command = [sys.executable, "-c", PROGRAM.format(within_s=within_s), "agent", "run"]
    with subprocess.Popen(command, env=environment, cwd=folder, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def server() -> Iterator[TwirpServer]:
    with TwirpServer() as server:
        yield server


def test_init_timeout_a_machine_that_is_too_slow_is_told_so_and_the_worker_ends(
    tmp_path: Path, server: TwirpServer
) -> None:
    with worker(tmp_path, server, within_s=0.5) as process:
        _, told = process.communicate(timeout=END_S)
    assert process.returncode == 7
    assert "ERROR   liba.agent: a room process was not ready within 0.5 s; give it more CPU" in told
    last = told.splitlines()[-1]
    assert last.startswith("liba: a room process was not ready within 0.5 s, 3 times in a row: this machine")
    assert "is too slow, or too busy - give it more CPU" in last


def test_a_worker_that_is_still_loading_can_be_ended_at_once(tmp_path: Path, server: TwirpServer) -> None:
    with worker(tmp_path, server, within_s=60) as process:
        deadline = time.monotonic() + END_S
        while not (children := _room_processes(process.pid)):
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.05)
        process.terminate()
        began_at = time.monotonic()
        _, told = process.communicate(timeout=END_S)
    assert process.returncode == 0, told
    assert time.monotonic() - began_at < 8
    assert not [child for child in children if child.is_running()]


def _room_processes(pid: int) -> list[psutil.Process]:
    """Those that the fork server has made: children of a child."""
    try:
        return [deeper for child in psutil.Process(pid).children() for deeper in child.children()]
    except psutil.NoSuchProcess:
        return []
