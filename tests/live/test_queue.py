"""`liba queue` and `liba stop`, and the flags of `liba say` that have to do with the queue."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.live.conftest import Shell, wait_for_line

pytestmark = pytest.mark.live

LONG = "This line goes on for quite some time, so that others have to wait for it. " * 20
"""Longer than four commands take on a machine that is busy; nobody waits for its end."""


def said(shell: Shell, room: str, text: str, *flags: str) -> str:
    done = shell.run("say", text, "--room", room, "--json", *flags)
    assert done.returncode == 0, done.stderr
    return str(json.loads(done.stdout)["id"])


def queue(shell: Shell, room: str) -> dict[str, Any]:
    done = shell.run("queue", "--room", room, "--json")
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_the_queue_is_shown_in_its_order_and_stop_clears_it(shell: Shell, worker: Path, room: str) -> None:
    first = said(shell, room, LONG)
    ids = [said(shell, room, "One."), said(shell, room, "Two."), said(shell, room, "Go.", "--priority", "5")]
    told = queue(shell, room)
    assert told["speaking"]["id"] == first
    assert [waiting["id"] for waiting in told["waiting"]] == [ids[2], ids[0], ids[1]]
    assert {cap["name"] for cap in told["caps"]} == {"your requests", "speech"}
    lines = shell.run("queue", "--room", room).stdout.splitlines()
    assert lines[0].startswith(f"agent     liba in room {room}, epoch ")
    assert lines[-1] == f"      3.  id={ids[1]}  4 characters"
    one = shell.run("stop", "--room", room, "--id", ids[0], "--json")
    assert json.loads(one.stdout) == {"stopped": [ids[0]]}
    again = shell.run("stop", "--room", room, "--id", ids[0])
    assert again.stderr == f"{ids[0]} is not spoken and does not wait\n"
    stopped = shell.run("stop", "--room", room, "--json")
    assert json.loads(stopped.stdout) == {"stopped": [first, ids[2], ids[1]]}
    assert shell.run("stop", "--room", room).stderr == "nothing was spoken and nothing waited\n"
    assert "idle" in shell.run("queue", "--room", room).stdout


def test_a_paused_queue_begins_nothing_and_one_line_of_it_is_moved_and_another_cancelled(
    shell: Shell, worker: Path, room: str
) -> None:
    first = said(shell, room, "Hello.", "--wait", "done")
    assert shell.run("queue", "pause", "--room", room).stdout == "paused  0 waiting\n"
    ids = [said(shell, room, text, "--ttl", "0.5") for text in ("One.", "Two.", "Three.")]
    time.sleep(0.6)
    told = queue(shell, room)
    assert (told["paused"], told["speaking"], len(told["waiting"])) == (True, None, 3)
    assert shell.run("queue", "cancel", ids[0], "--room", room).stdout == f"cancelled  id={ids[0]}\n"
    moved = shell.run("queue", "move", ids[2], "--first", "--room", room)
    assert moved.stdout == f"moved  id={ids[2]}  position=0  priority=0\n"
    assert [waiting["id"] for waiting in queue(shell, room)["waiting"]] == [ids[2], ids[1]]
    gone = shell.run("queue", "cancel", first, "--room", room)
    assert (gone.returncode, "it is done" in gone.stderr) == (6, True)
    assert shell.run("queue", "resume", "--room", room).stdout == "resumed  2 waiting\n"
    assert shell.run("say", "Two.", "--room", room, "--id", ids[1], "--wait", "audible").returncode in (0, 8)
    again = shell.run("say", "One.", "--room", room, "--id", ids[0], "--wait", "done")
    assert (again.returncode, f"{ids[0]} was interrupted: cancelled" in again.stderr) == (8, True)


def test_a_line_that_interrupts_is_spoken_next_and_a_stale_one_never(
    shell: Shell, worker: Path, room: str
) -> None:
    first = said(shell, room, LONG)
    stale = said(shell, room, "Too late.", "--ttl", "0.5")
    time.sleep(1)
    assert queue(shell, room)["waiting"] == []
    done = shell.run("say", "Now this.", "--room", room, "--interrupt", "--wait", "done", "--json")
    assert json.loads(done.stdout)["state"] == "done"
    for id, text, words in ((first, LONG, "was interrupted"), (stale, "Too late.", "has expired")):
        again = shell.run("say", text, "--room", room, "--id", id, "--wait", "done")
        assert (again.returncode, f"{id} {words}" in again.stderr) == (8, True)


@pytest.mark.parametrize("command", ["stop", "queue"])
def test_without_an_agent_the_exit_code_is_5(shell: Shell, worker: Path, room: str, command: str) -> None:
    done = shell.run(command, "--room", room)
    assert (done.returncode, done.stdout) == (5, "")
    assert "no agent named 'liba'" in done.stderr


def test_what_is_refused_by_a_cap_says_so_and_when_to_try_again(
    shell: Shell, room: str, tmp_path: Path
) -> None:
    caps: dict[str, Any] = {"LIBA_SAY_MAX_CHARS_PER_HOUR": "30", "LIBA_AGENT_NAME": room}
    caps["XDG_STATE_HOME"] = str(tmp_path)  # nobody has used up anything of that hour
    log = tmp_path / "worker.log"
    with shell.running("agent", "run", "--room", room, log=log, **caps) as worker:
        wait_for_line(log, "ready in room", worker)
        assert shell.run("say", "Twenty characters ok", "--room", room, **caps).returncode == 0
        done = shell.run("say", "Twenty characters ok", "--room", room, **caps)
        assert done.returncode == 6
        assert "20 of 30 characters of this hour are used" in done.stderr
        assert "try again in" in done.stderr
        assert shell.run("stop", "--room", room, **caps).returncode == 0
