from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from libacli.cli.main import app
from tests.twirp_server import API_SECRET, TwirpServer

_OURS = ("LIBA_", "LIVEKIT_", "OPENAI_", "TAVUS_")


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)

    @property
    def ndjson(self) -> list[Any]:
        return [json.loads(line) for line in self.stdout.splitlines()]


class Shell:
    """Runs `liba` in an empty folder, and sees to it that nothing it prints holds the API secret."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self.folder = folder
        self.env = env

    def run(self, *arguments: str, env: Mapping[str, str] | None = None) -> Ended:
        """In this process, which is quick."""
        result = CliRunner().invoke(app, arguments, env=self.env | dict(env or {}))
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return self._checked(Ended(result.exit_code, result.stdout, result.stderr))

    def spawn(
        self,
        *arguments: str,
        input: bytes = b"",
        env: Mapping[str, str] | None = None,
        interrupt_when: Callable[[], bool] | None = None,
    ) -> Ended:
        """In a process of its own; gets Ctrl-C when that is wanted."""
        process = subprocess.Popen(
            [sys.executable, "-m", "libacli", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.folder,
            env=_without_settings() | self.env | dict(env or {}),
        )
        if interrupt_when:
            deadline = time.monotonic() + 20
            while not interrupt_when() and time.monotonic() < deadline:
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
            process.wait(60)  # while its standard input is still open
        stdout, stderr = process.communicate(input, timeout=60)
        return self._checked(Ended(process.returncode, stdout.decode(), stderr.decode()))

    def _checked(self, ended: Ended) -> Ended:
        assert API_SECRET not in ended.stdout + ended.stderr
        return ended


@pytest.fixture
def server() -> Iterator[TwirpServer]:
    with TwirpServer() as server:
        yield server


@pytest.fixture
def bare_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> Iterator[Shell]:
    """A shell without any setting."""
    for name in os.environ.keys() - _without_settings().keys():
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    caplog.set_level("DEBUG")
    if "XDG_CACHE_HOME" not in os.environ:
        monkeypatch.setenv("XDG_CACHE_HOME", str(Path.home() / ".cache"))
    own = {"XDG_CONFIG_HOME": "user", "XDG_STATE_HOME": "state", "HOME": "home"}
    folders = {name: str(tmp_path / folder) for name, folder in own.items()}
    yield Shell(tmp_path, folders)
    assert API_SECRET not in caplog.text


@pytest.fixture
def shell(bare_shell: Shell, server: TwirpServer) -> Shell:
    """A shell with the credentials of the server."""
    bare_shell.env |= server.env
    return bare_shell


def _without_settings() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
