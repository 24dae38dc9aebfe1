from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from libacli.local.guard import CANNOT_RUN, NOT_FOUND, GuardedProcess

STUBBORN = "trap '' TERM; echo ready; while :; do sleep 0.05; done"
POLITE = "trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.05; done"


def until(true: Callable[[], bool], bound_s: float = 60.0) -> None:
    deadline = time.monotonic() + bound_s
    while not true():
        assert time.monotonic() < deadline, "it did not happen within its bound"
        time.sleep(0.01)


def sh(script: str, output: Path, *, grace_s: float = 5.0) -> GuardedProcess:
    with output.open("wb") as stdout:
        return GuardedProcess.start(["/bin/sh", "-c", script], stdout=stdout, grace_s=grace_s)


def gone(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def command_of(process: GuardedProcess) -> psutil.Process:
    until(lambda: bool(psutil.Process(process.pid).children()))
    return psutil.Process(process.pid).children()[0]


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "output"


def test_the_exit_code_of_the_command_comes_through(output: Path) -> None:
    with sh("exit 3", output) as process:
        assert process.wait(60) == 3
        assert process.poll() == 3
    assert process.terminate() == 3


def test_a_command_that_a_signal_ended_shows_as_128_and_the_signal(output: Path) -> None:
    with sh("kill -KILL $$", output) as process:
        assert process.wait(60) == 128 + signal.SIGKILL


def test_both_outputs_of_the_command_go_to_the_file(output: Path) -> None:
    with sh("echo one; echo two >&2", output) as process:
        process.wait(60)
    assert output.read_text() == "one\ntwo\n"


def test_a_command_that_does_not_exist_is_127_and_says_so(output: Path) -> None:
    with output.open("wb") as stdout, GuardedProcess.start(["/no/such/command"], stdout=stdout) as process:
        assert process.wait(60) == NOT_FOUND
    assert output.read_text() == "/no/such/command: No such file or directory\n"


def test_a_command_that_may_not_run_is_126(tmp_path: Path) -> None:
    with GuardedProcess.start([tmp_path]) as process:
        assert process.wait(60) == CANNOT_RUN


def test_the_environment_and_directory_are_the_ones_given(tmp_path: Path, output: Path) -> None:
    command = ["/bin/sh", "-c", "echo $ONLY $HOME; pwd"]
    with output.open("wb") as stdout:
        process = GuardedProcess.start(command, env={"ONLY": "this"}, cwd=tmp_path, stdout=stdout)
    with process:
        process.wait(60)
    assert output.read_text() == f"this\n{tmp_path}\n"


def test_waiting_is_bounded(output: Path) -> None:
    with sh("sleep 60", output) as process:
        assert process.wait(0.05) is None
        assert process.poll() is None


def test_a_command_is_asked_to_end_and_may_choose_its_code(output: Path) -> None:
    with sh(POLITE, output) as process:
        until(lambda: output.read_text() == "ready\n")
        assert process.terminate() == 7
    assert output.read_text() == "ready\nbye\n"


def test_a_command_that_ignores_the_request_is_killed_after_the_grace(output: Path) -> None:
    with sh(STUBBORN, output, grace_s=0.2) as process:
        until(lambda: output.read_text() == "ready\n")
        assert process.terminate() == 128 + signal.SIGKILL


def test_sigterm_to_the_guard_ends_the_command(output: Path) -> None:
    with sh(POLITE, output) as process:
        until(lambda: output.read_text() == "ready\n")
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(60) == 7


def test_what_the_command_left_behind_ends_with_it(output: Path) -> None:
    with sh("sleep 60 & echo $!", output) as process:
        assert process.wait(60) == 0
    until(lambda: gone(int(output.read_text())))


def test_no_zombie_is_left(output: Path) -> None:
    with sh("sleep 60", output) as process:
        command = command_of(process)
    assert not psutil.pid_exists(process.pid)
    until(lambda: not command.is_running())


def test_neither_guard_nor_command_is_in_our_process_group(output: Path) -> None:
    with sh("sleep 60", output) as process:
        groups = {os.getpgid(process.pid), os.getpgid(command_of(process).pid)}
        assert os.getpgid(0) not in groups
        assert os.getsid(process.pid) != os.getsid(0)


PARENT = """
import sys, time
from pathlib import Path
from libacli.local.guard import GuardedProcess
with open(sys.argv[1], "wb") as out:
    process = GuardedProcess.start(["/bin/sh", "-c", sys.argv[2]], stdout=out, grace_s=0.2)
print(process.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("script", [POLITE, STUBBORN], ids=["polite", "stubborn"])
def test_the_command_ends_when_its_parent_is_killed(output: Path, script: str) -> None:
    arguments = [sys.executable, "-c", PARENT, str(output), script]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        guard = psutil.Process(int(parent.stdout.readline()))
        until(lambda: output.exists() and output.read_text() == "ready\n")
        (command,) = guard.children()
        parent.kill()
        until(lambda: gone(command.pid) and gone(guard.pid))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs PR_SET_PDEATHSIG")
def test_the_command_ends_when_its_guard_is_killed(output: Path) -> None:
    with sh(POLITE, output) as process:
        until(lambda: output.read_text() == "ready\n")
        command = command_of(process)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait(60) == 128 + signal.SIGKILL
        until(lambda: gone(command.pid))
    assert output.read_text() == "ready\nbye\n"
