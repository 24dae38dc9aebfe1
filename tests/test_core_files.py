"""A process that crashes leaves none of its memory on the disk, be it that its user asks for core files."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.started import started

LEAVES_NONE = "from libacli.core_files import leave_no_core_files; leave_no_core_files()"
CRASHES = f"{LEAVES_NONE}; import os; os.abort()"
TELLS = "ulimit -Sc; ulimit -Hc; cat /proc/self/coredump_filter"
NONE = ((0, 0), 0)
NOTHING_THERE = {
    "LIVEKIT_URL": "ws://127.0.0.1:9",
    "LIVEKIT_API_KEY": "key",
    "LIVEKIT_API_SECRET": "a-secret-of-thirty-two-characters",
}
LASTING = [
    ("serve", "--port", "0"),
    ("agent", "run", "--room", "demo"),
    ("avatar", "run"),
    ("metrics", "watch", "--json"),
]


pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is Linux's")


@pytest.fixture(autouse=True)
def core_files_are_wanted() -> Iterator[None]:
    """For what this test starts: as much as the machine lets us."""
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    if hard == 0:
        pytest.skip("nobody here may have core files")
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))


@pytest.mark.parametrize("arguments", LASTING, ids=" ".join)
def test_a_command_that_lasts_has_none(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    homes = {f"XDG_{name}_HOME": str(tmp_path / name) for name in ("STATE", "CACHE", "CONFIG")}
    with started(
        [sys.executable, "-m", "libacli", *arguments],
        env=os.environ | NOTHING_THERE | homes,
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        deadline = time.monotonic() + 30
        while dumps_of(process.pid) != NONE:
            assert process.poll() is None
            assert time.monotonic() < deadline, dumps_of(process.pid)
            time.sleep(0.05)


def test_what_it_starts_has_none_either(tmp_path: Path) -> None:
    script = f"{LEAVES_NONE}; import subprocess; subprocess.run(['/bin/sh', '-c', {TELLS!r}])"
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path)
    assert told.stdout.split() == ["0", "0", "00000000"]


def dumps_of(pid: int) -> tuple[tuple[int, int], int]:
    """How large a core file may be, softly and hardly, and what is in it."""
    mappings = int(Path(f"/proc/{pid}/coredump_filter").read_text(), 16)
    return resource.prlimit(pid, resource.RLIMIT_CORE), mappings


def test_a_crash_leaves_none(tmp_path: Path) -> None:
    with started([sys.executable, "-c", CRASHES], env=dict(os.environ), cwd=tmp_path) as process:
        _, status = os.waitpid(process.pid, 0)
        process.returncode = 0
    assert os.WIFSIGNALED(status)
    assert not os.WCOREDUMP(status)
    assert list(tmp_path.iterdir()) == []
