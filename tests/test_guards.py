"""What watches over all tests does so: planted failures, in a run of their own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from blockbuster import BlockingError

import libacli
from tests.leftover_processes import MARK

pytestmark = pytest.mark.live

ROOT = Path(__file__).parent.parent

CONFTEST = "from tests.conftest import *\nfrom tests.conftest import _nothing_is_leaked"
PLANTED = """
import asyncio, os, signal, subprocess, sys

SLEEP = "import time; time.sleep(60)"

def test_fails_in_the_middle_of_starting_something():
    child = subprocess.Popen([sys.executable, "-c", SLEEP], start_new_session=True)
    print(f"child {child.pid}.")
    raise RuntimeError("planted")

def test_leaves_the_child_of_a_parent_that_is_gone():
    child = f"subprocess.Popen([sys.executable, '-c', {SLEEP!r}], stdout=subprocess.DEVNULL)"
    code = f"import subprocess, sys; print({child}.pid)"
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True)
    print(f"child {int(parent.stdout.readline())}.")
    parent.communicate()
    assert False, "planted"

async def test_leaves_a_task(anyio_backend):
    global task
    task = asyncio.get_running_loop().create_task(asyncio.sleep(3600), name="planted task")

def test_ctrl_c_reaches_children():
    code = "import time; print('up', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        child.send_signal(signal.SIGINT)
        assert child.wait(60) == -signal.SIGINT
"""
CRASHES = """
import os, pathlib, subprocess, sys

def test_crashes_once():
    memory = pathlib.Path(__file__).with_suffix(".memory")
    if memory.exists():
        print(f"child {memory.read_text()} of a crash.")
    else:
        sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
        memory.write_text(str(subprocess.Popen(sleep, start_new_session=True).pid))
        os.abort()

def test_crashes_always():
    os.abort()

def test_comes_after_a_crash():
    pass
"""
INI = """
[pytest]
anyio_mode = auto
addopts = -n auto --no-loadscope-reorder -p no:cacheprovider -p no:schemathesis -rA -v
"""
LIVE = "def test_1(): pass\ndef test_2(): pass"


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What a run tells that has the planted tests, started as `nohup … &` does it, and that it failed."""
    folder = tmp_path_factory.mktemp("planted")
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_planted.py").write_text(PLANTED)
    (folder / "test_crashes.py").write_text(CRASHES)
    (folder / "tests" / "live").mkdir(parents=True)
    for name in ("test_that_live.py", "test_this_live.py"):
        (folder / "tests" / "live" / name).write_text(LIVE)
    (folder / "pytest.ini").write_text(INI)
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", str(folder)],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if name != MARK} | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )
    assert ended.returncode == 1, ended.stdout + ended.stderr
    return ended.stdout


def test_a_process_that_is_left_behind_is_ended_and_told_whatever_became_of_its_test(planted: str) -> None:
    children = [int(pid) for pid in re.findall(r"^child (\d+)\.$", planted, re.MULTILINE)]
    assert len(set(children)) == 2
    assert "processes were left behind, and are ended now" in planted
    for child in children:
        assert re.search(rf"^E? +{child}, child of \d+: .*time.sleep", planted, re.MULTILINE), planted
        assert not psutil.pid_exists(child)


def test_a_task_that_is_left_behind_is_told_by_its_name(planted: str) -> None:
    assert "ERROR test_planted.py::test_leaves_a_task" in planted
    assert re.search(r"tasks that the test has left behind:\n.*name='planted task'", planted)


def test_ctrl_c_reaches_what_tests_start_also_where_the_run_itself_was_started_with_it_ignored(
    planted: str,
) -> None:
    assert "PASSED test_planted.py::test_ctrl_c_reaches_children" in planted


def test_a_test_whose_process_crashes_is_run_once_more_and_has_failed_when_it_crashes_again(
    planted: str,
) -> None:
    (told,) = re.findall(r"^CRASHED (.*test_crashes_once.*)$", planted, re.MULTILINE)
    assert told.endswith("it was run once more")
    assert "PASSED test_crashes.py::test_crashes_once" in planted
    assert "FAILED test_crashes.py::test_crashes_always" in planted
    assert "PASSED test_crashes.py::test_comes_after_a_crash" in planted
    assert "2 crashed" in planted
    (child,) = re.findall(r"^child (\d+) of a crash\.$", planted, re.MULTILINE)
    assert not psutil.pid_exists(int(child))


def test_live_tests_come_first_and_one_after_the_other(planted: str) -> None:
    ran = re.findall(r"^\[(gw\d)\] \[ *\d+%\] \w+ (\S+)", planted, re.MULTILINE)
    (process,) = {process for process, test in ran if "live" in test}
    files = ("test_that_live.py", "test_this_live.py")
    wanted = [f"tests/live/{file}::test_{number}" for file in files for number in (1, 2)]
    assert [test for where, test in ran if where == process][: len(wanted)] == wanted


async def test_our_code_may_not_block_the_loop() -> None:
    ours = compile("sleep(0)", f"{libacli.__path__[0]}/planted.py", "exec")
    with pytest.raises(BlockingError, match=r"time\.sleep"):
        exec(ours, {"sleep": time.sleep})
