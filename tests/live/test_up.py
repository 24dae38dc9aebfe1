"""`liba up` as whoever types in several terminals meets it: nobody exports anything."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import psutil
import pytest

from libacli.local.guard import GuardedProcess
from tests.live.conftest import Shell, wait_for_line

pytestmark = pytest.mark.live

READY = "Ctrl-C ends all of it"


@pytest.fixture
def alone(bare_shell: Shell, tmp_path: Path) -> Shell:
    """A shell of a user of whom nothing runs yet."""
    return Shell(tmp_path, bare_shell.environment | {"XDG_STATE_HOME": str(tmp_path / "state")})


@pytest.fixture
def up(alone: Shell, tmp_path: Path) -> Iterator[GuardedProcess]:
    with alone.running("up", "--port", "0", log=tmp_path / "up.log") as process:
        wait_for_line(tmp_path / "up.log", READY, process)
        yield process


def parts(shell: Shell) -> dict[str, dict[str, object]]:
    told = shell.run("ps", "--json")
    assert told.returncode == 0, told.stderr
    return {part["name"]: part for part in json.loads(told.stdout)["parts"]}


def kill(part: dict[str, object]) -> None:
    """The command itself; its guard then ends."""
    for process in psutil.Process(int(str(part["pid"]))).children():
        process.kill()


def said(shell: Shell, text: str) -> dict[str, object]:
    done = shell.run("say", text, "--wait", "done", "--json")
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_other_terminals_find_what_runs_and_it_survives_the_end_of_its_parts(
    alone: Shell, up: GuardedProcess, tmp_path: Path
) -> None:
    before = parts(alone)
    assert list(before) == ["server", "avatar", "agent", "page"]
    assert said(alone, "Nobody has exported anything.")["level"] == "done"
    page = str(before["page"]["address"]).partition("/#")[0]
    assert httpx2.get(page, trust_env=False).status_code == 200
    told = alone.run("up")
    assert (told.returncode, "liba down ends it" in told.stderr) == (2, True)

    for name in ("avatar", "agent", "page"):
        kill(before[name])
    for name in ("avatar", "agent", "page"):
        wait_for_line(tmp_path / "up.log", f"{name:8} started again", up)
    after = parts(alone)
    assert {name: part["address"] for name, part in after.items()} == {
        name: part["address"] for name, part in before.items()
    }
    assert all(part["running"] for part in after.values())
    assert said(alone, "All of it is back.")["level"] == "done"
    assert httpx2.get(page, trust_env=False).status_code == 200
    logs = alone.run("logs", "--lines", "3").stdout
    assert re.search(r"^agent +\| .*METRICS", logs, re.MULTILINE)
    assert re.search(r"^server +\| ", logs, re.MULTILINE)


@pytest.mark.parametrize("way", ["down", "Ctrl-C", "killed", "server"])
def test_it_ends_with_all_that_it_started(alone: Shell, up: GuardedProcess, tmp_path: Path, way: str) -> None:
    (owner,) = psutil.Process(up.pid).children()
    started = [owner, *owner.children(recursive=True)]
    assert len(started) > 8
    if way == "down":
        told = alone.run("down", "--json")
        assert json.loads(told.stdout) == {"ended": ["server", "avatar", "agent", "page"]}
    elif way == "server":
        kill(parts(alone)["server"])
    else:
        os.kill(owner.pid, signal.SIGINT if way == "Ctrl-C" else signal.SIGKILL)
    _, left = psutil.wait_procs(started, timeout=30)
    assert left == []
    assert up.wait(10) == {"down": 0, "Ctrl-C": 130, "killed": 137, "server": 1}[way]
    assert parts(alone) == {}
    assert alone.run("say", "Hello.").returncode == 3
    assert "nothing runs" in alone.run("down").stderr
    assert way == "killed" or not (tmp_path / "state" / "liba" / "running.json").exists()


def test_a_server_that_was_run_by_hand_is_found_too_and_one_of_them_is_the_one(
    alone: Shell, tmp_path: Path
) -> None:
    with alone.running("server", "run", log=tmp_path / "server.log") as process:
        wait_for_line(tmp_path / "server.log", "liba agent run - it finds this server", process)
        with alone.running("agent", "run", log=tmp_path / "agent.log") as worker:
            wait_for_line(tmp_path / "agent.log", "worker is ready", worker)
            assert said(alone, "This server is found.")["level"] == "done"
        with alone.running("server", "run", log=tmp_path / "second.log") as second:
            wait_for_line(tmp_path / "second.log", "paste these lines first", second)
        assert list(parts(alone)) == ["server"]
        alone.run("down")
        deadline = time.monotonic() + 10
        while process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.05)
