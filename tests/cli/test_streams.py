"""Commands whose standard errors nobody reads, or have no room: what they did is told by their exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

_UNREACHABLE = {
    "LIVEKIT_URL": "ws://127.0.0.1:1",
    "LIVEKIT_API_KEY": "key",
    "LIVEKIT_API_SECRET": "secret-of-thirty-two-characters-and-more",
}


@contextmanager
def _without_reader() -> Iterator[int]:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        yield writing
    finally:
        os.close(writing)


@contextmanager
def _without_room() -> Iterator[int]:
    with Path("/dev/full").open("wb") as full:
        yield full.fileno()


@pytest.mark.parametrize("errors", [_without_reader, _without_room], ids=["nobody reads", "no room"])
@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["config", "path", "--nope"], 2),
        (["nope"], 2),
        (["say", "Hello."], 4),
        (["token", "--room", ""], 2),
        (["token", "--token-only"], 0),
    ],
    ids=["an option", "a command", "no server", "a name", "well"],
)
def test_errors_that_cannot_be_written_change_no_exit_code(
    errors: Callable[[], AbstractContextManager[int]], command: list[str], code: int, tmp_path: Path
) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **_UNREACHABLE}
    with errors() as stderr:
        ended = subprocess.run(
            [sys.executable, "-P", "-m", "libacli", *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=environment | {"PYTHONPATH": os.pathsep.join(sys.path)},
            cwd=tmp_path,
            timeout=60,
        )
    assert ended.returncode == code
