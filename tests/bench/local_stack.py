"""A real livekit-server and a real worker on this machine, for the benches."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path
from pydantic import SecretStr

from libacli.config import LiveKitCredentials
from libacli.edges.livekit.agent_client import AgentClient
from libacli.edges.livekit.agent_locator import AgentLocator
from libacli.edges.livekit.api import LiveKitApi
from libacli.local.guard import GuardedProcess
from libacli.local.server_binary import ensure_server
from libacli.local.server_process import run_server

_READY_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Stack:
    """What a command needs to reach the server."""

    credentials: LiveKitCredentials
    folder: Path
    """Empty of settings: commands run in it, and keep their user's files in it."""

    @property
    def env(self) -> dict[str, str]:
        return clean_env(self.folder) | {
            "LIVEKIT_URL": self.credentials.url,
            "LIVEKIT_API_KEY": self.credentials.api_key,
            "LIVEKIT_API_SECRET": self.credentials.api_secret.get_secret_value(),
        }


@contextmanager
def local_server(folder: Path) -> Iterator[Stack]:
    """A livekit-server of our own; its log is kept in `folder`."""
    binary = ensure_server(None, user_cache_path("liba"))
    with run_server(binary.path, folder / "state") as server:
        yield Stack(LiveKitCredentials(server.url, server.api_key, SecretStr(server.api_secret)), folder)


@contextmanager
def worker(stack: Stack, *arguments: str, env: Mapping[str, str] | None = None) -> Iterator[GuardedProcess]:
    """`liba agent run` with `arguments`; its log is `worker.log` in the stack's folder."""
    command = [sys.executable, "-m", "libacli", "agent", "run", *arguments]
    variables = stack.env | dict(env or {})
    with (
        (stack.folder / "worker.log").open("wb") as log,
        GuardedProcess.start(command, env=variables, cwd=stack.folder, stdout=log) as process,
    ):
        yield process


@contextmanager
def speech_server(stack: Stack) -> Iterator[dict[str, str]]:
    """A voice of its own process that answers at once; the variables that point a worker at it."""
    command = [sys.executable, "-m", "tests.speech_server"]
    log = stack.folder / "voice.log"
    with log.open("wb") as out, GuardedProcess.start(command, stdout=out) as process:
        end = deadline()
        while not (url := log.read_text().strip()):
            assert time.monotonic() < end, "the speech server did not start"
            assert process.poll() is None, "the speech server has ended"
            time.sleep(0.05)
        yield {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": "none", "LIBA_VOICE_PROVIDERS": "speech"}


async def ask(stack: Stack, room: str, method: str, *arguments: Any, **options: Any) -> Any:
    """What `AgentClient.method` says of the agent in `room`, which is there already."""
    async with LiveKitApi(stack.credentials) as api:
        client = AgentClient(api, AgentLocator(api, room=room, agent_name="liba"))
        assert await client.find(), f"there is no agent in room {room}"
        return await getattr(client, method)(*arguments, **options)


async def is_there(stack: Stack, room: str) -> bool:
    async with LiveKitApi(stack.credentials) as api:
        return await api.find_agent(room, "liba") is not None


def clean_env(folder: Path) -> dict[str, str]:
    """This process's environment without anything that is a setting of liba's."""
    ours = ("LIBA_", "LIVEKIT_", "OPENAI_", "TAVUS_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return kept | {"XDG_CONFIG_HOME": str(folder), "XDG_STATE_HOME": str(folder)}


def deadline() -> float:
    """Until when, on the monotonic clock, a worker may take to be there."""
    return time.monotonic() + _READY_TIMEOUT_S
