"""Another user of the same machine: reads what lies about, signals, plants links. He has no password.

The victim's umask takes nothing, and its home can be entered by everybody: what is kept from others there is
kept by liba alone.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from libacli.config import LiveKitCredentials
from libacli.local.guard import GuardedProcess
from tests.live.conftest import Shell, wait_for_line

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(os.geteuid() != 0, reason="who is not root cannot act as another user"),
]

NOBODYS_ID = 65534


def as_nobody(command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What a shell of another user makes of `command`."""
    return subprocess.run(
        ["/bin/sh", "-c", command, "sh", *arguments],
        user=NOBODYS_ID,
        group=NOBODYS_ID,
        extra_groups=[],
        cwd="/",
        env={"PATH": os.defpath},
        capture_output=True,
        text=True,
        timeout=30,
    )


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder that everybody may enter and list."""
    before = os.umask(0)
    home = Path(tempfile.mkdtemp(prefix="liba-home-"))
    home.chmod(0o755)
    yield home
    os.umask(before)
    shutil.rmtree(home)


@pytest.fixture
def victim(bare_shell: Shell, credentials: LiveKitCredentials, home: Path) -> Shell:
    own = {f"XDG_{name}_HOME": str(home / name.lower()) for name in ("STATE", "CONFIG", "CACHE")}
    keys = {
        "LIVEKIT_URL": credentials.url,
        "LIVEKIT_API_KEY": credentials.api_key,
        "LIVEKIT_API_SECRET": credentials.api_secret.get_secret_value(),
        "LIBA_AGENT_NAME": home.name,  # else LiveKit may send another worker of this run
    }
    return Shell(home, bare_shell.environment | own | keys)


@pytest.fixture
def speaking(victim: Shell, room: str, tmp_path: Path) -> Iterator[GuardedProcess]:
    """The victim's worker, which has an agent in `room`."""
    log = tmp_path / "worker.log"
    with victim.running("agent", "run", "--room", room, log=log) as worker:
        wait_for_line(log, "worker is ready", worker)
        yield worker


def test_he_reads_and_writes_nothing_and_ends_nothing_while_the_owner_is_heard(
    victim: Shell, speaking: GuardedProcess, home: Path, room: str, credentials: LiveKitCredentials
) -> None:
    said = victim.run("say", "Nobody else is listening.", "--room", room, "--wait", "done")
    assert said.returncode == 0, said.stderr
    assert [path for path in home.rglob("*") if path.is_file()], "nothing was kept that could be read"
    found = as_nobody(
        'find "$1" -type f -readable; find "$1" ! -type l -writable; find "$1" -type s -readable', str(home)
    )
    assert found.stdout == ""
    processes = [psutil.Process(speaking.pid), *psutil.Process(speaking.pid).children(recursive=True)]
    for process in processes:
        tried = as_nobody(
            'cat "/proc/$1/environ" "/proc/$1/maps"; kill -INT "$1" && echo ended; ls "/proc/$1/fd"',
            str(process.pid),
        )
        assert tried.stdout == ""
        assert credentials.api_secret.get_secret_value() not in " ".join(process.cmdline())
    again = victim.run("say", "And still here.", "--room", room, "--wait", "done")
    assert again.returncode == 0, again.stderr


def test_a_link_that_he_planted_leads_nowhere(victim: Shell, home: Path) -> None:
    mine = home / "mine.txt"
    mine.write_text("the victim's own")
    mine.chmod(0o600)
    with tempfile.TemporaryDirectory(prefix="liba-shared-") as folder:
        os.chmod(folder, 0o1777)
        assert as_nobody('ln -s "$1" "$2"', str(mine), f"{folder}/out.wav").returncode == 0
        for options in ([], ["--force"]):
            victim.run("voices", "try", "Hello.", "-o", f"{folder}/out.wav", *options)
            assert mine.read_text() == "the victim's own"


def test_settings_that_he_left_in_a_shared_folder_are_refused_by_name(victim: Shell, home: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="liba-shared-") as folder:
        os.chmod(folder, 0o1777)
        planted = as_nobody('echo "[say]\nroom = \\"his\\"" > "$1/liba.toml"', folder)
        assert planted.returncode == 0, planted.stderr
        ended = Shell(Path(folder), victim.environment).run("token", "--token-only")
    assert ended.returncode == 3
    assert "liba.toml is a file that belongs to nobody, so it is not read" in ended.stderr
