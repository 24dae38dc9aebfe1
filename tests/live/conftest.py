"""A real livekit-server, a real worker and a real listener; all of them end with the tests."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import time
import uuid
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx2
import pytest
from livekit.api import AccessToken, VideoGrants
from platformdirs import user_cache_path
from pydantic import SecretStr

from libacli.config import LiveKitCredentials
from libacli.edges.livekit.agent_client import AgentClient
from libacli.edges.livekit.agent_locator import AgentLocator
from libacli.edges.livekit.api import LiveKitApi
from libacli.edges.livekit.tokens import listener_token
from libacli.edges.viewer.listener import Listener, listening
from libacli.local.guard import GuardedProcess
from libacli.local.server_binary import ensure_server
from libacli.local.server_process import run_server
from tests import native_log
from tests.leaked_sound import sources_left_open
from tests.leftover_processes import Leftovers

READY_TIMEOUT_S = 120.0
"""For a worker on a machine that has much else to do."""

CHARS_PER_HOUR = 10_000_000
"""All tests of a run share one count: by default they could use each other's characters up."""

PUT_OUT = 5
"""Of a participant that the server has put out LiveKit's SDK keeps the sound source, whatever one does: so
many of a module are let pass."""

GRACE_S = 20.0
"""An agent that is told to go is out within 15 s, plus what a slow machine takes on top."""


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def native_log_is_dropped() -> Iterator[None]:
    with native_log.dropped():
        yield


@pytest.fixture(scope="module", autouse=True)
def garbage_is_taken_away(no_sound_source_is_left_open: None) -> Iterator[None]:
    """What the loops of a module leave is no failure of the next one: each test is asked for its own."""
    yield
    gc.unfreeze()  # what was there when an agent began in this process
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture(scope="module", autouse=True)
def no_sound_source_is_left_open() -> Iterator[None]:
    """Set up before `garbage_is_taken_away`, and so ended after it."""
    before = sources_left_open()
    yield
    assert sources_left_open() <= before + PUT_OUT


@pytest.fixture(scope="session")
def credentials(
    tmp_path_factory: pytest.TempPathFactory, leftovers: Leftovers
) -> Iterator[LiveKitCredentials]:
    """A LiveKit server of this test run's own."""
    binary = ensure_server(None, user_cache_path("liba"))
    with run_server(binary.path, tmp_path_factory.mktemp("state")) as server:
        leftovers.keep(server.process.pid)
        yield LiveKitCredentials(server.url, server.api_key, SecretStr(server.api_secret))


@dataclass(frozen=True)
class Shell:
    """Runs `liba` as a user would, in an empty folder and with an environment of its own."""

    folder: Path
    environment: dict[str, str]

    def run(
        self, *arguments: str, stdin: str = "", timeout: float = 120, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            input=stdin,
            env=self.environment | environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    @contextmanager
    def running(self, *arguments: str, log: Path, **environment: str) -> Iterator[GuardedProcess]:
        with (
            log.open("wb") as out,
            GuardedProcess.start(
                self.command(*arguments),
                env=self.environment | environment,
                stdout=out,
                cwd=self.folder,
                grace_s=GRACE_S,
            ) as process,
        ):
            yield process

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "libacli", *arguments]


@pytest.fixture(scope="session")
def bare_shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A shell that has no keys at all."""
    folder = tmp_path_factory.mktemp("work")
    vendors = ("LIVEKIT_", "OPENAI_", "TAVUS_", "LIBA_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(vendors)}
    environment["XDG_CONFIG_HOME"] = str(folder / "config")
    environment["XDG_STATE_HOME"] = str(folder / "state")
    environment.setdefault("XDG_CACHE_HOME", str(Path.home() / ".cache"))
    environment["HOME"] = str(folder / "home")  # where `lk` may have projects
    return Shell(folder, environment)


@pytest.fixture(scope="session")
def shell(bare_shell: Shell, credentials: LiveKitCredentials) -> Shell:
    """A shell with the credentials of the local server."""
    keys = {
        "LIVEKIT_URL": credentials.url,
        "LIVEKIT_API_KEY": credentials.api_key,
        "LIVEKIT_API_SECRET": credentials.api_secret.get_secret_value(),
        "LIBA_SAY_MAX_CHARS_PER_HOUR": str(CHARS_PER_HOUR),
    }
    return Shell(bare_shell.folder, bare_shell.environment | keys)


@pytest.fixture(scope="session")
def worker(shell: Shell, tmp_path_factory: pytest.TempPathFactory, leftovers: Leftovers) -> Iterator[Path]:
    """A worker named `liba`, with the embedded voice, that takes signed requests only; its log."""
    log = tmp_path_factory.mktemp("worker") / "worker.log"
    with shell.running("agent", "run", "--max-rooms", "50", log=log) as process:
        leftovers.keep(process.pid)
        wait_for_line(log, "worker is ready", process)
        yield log


def wait_for_line(
    log: Path, text: str, process: GuardedProcess, *, timeout_s: float = READY_TIMEOUT_S
) -> None:
    """Waits until `text` stands in the log of a process that is running."""
    deadline = time.monotonic() + timeout_s
    while text not in log.read_text(errors="replace"):
        assert process.poll() is None, log.read_text(errors="replace")
        assert time.monotonic() < deadline, f"no {text!r} in:\n{log.read_text(errors='replace')}"
        time.sleep(0.05)


@pytest.fixture
def room(credentials: LiveKitCredentials) -> Iterator[str]:
    """A room of this test's own, closed at its end: an agent would stay for 20 s, beside the next ones."""
    name = new_room()
    yield name
    close_room(credentials, name)


def new_room() -> str:
    return f"room-{uuid.uuid4().hex[:8]}"


def close_room(credentials: LiveKitCredentials, room: str) -> None:
    """Puts everybody out, if there is such a room."""
    secret = credentials.api_secret.get_secret_value()
    token = AccessToken(credentials.api_key, secret).with_grants(VideoGrants(room_create=True)).to_jwt()
    answer = httpx2.post(
        f"{credentials.http_url}/twirp/livekit.RoomService/DeleteRoom",
        json={"room": room},
        headers={"Authorization": f"Bearer {token}"},
        trust_env=False,
    )
    assert answer.status_code in (200, 404), answer.text


Listen = Callable[[], AbstractAsyncContextManager[Listener]]


@pytest.fixture
def listen(credentials: LiveKitCredentials, room: str) -> Listen:
    """Joins this test's room as somebody who only listens."""

    return partial(listener_in, credentials, room)


@asynccontextmanager
async def listener_in(credentials: LiveKitCredentials, room: str) -> AsyncIterator[Listener]:
    token = listener_token(credentials, room=room, identity=f"liba-test-{uuid.uuid4().hex[:6]}")
    async with listening(credentials.ws_url, token) as listener:
        yield listener


@dataclass(frozen=True)
class ReadyRoom:
    """An agent and a listener in one room, both ready."""

    client: AgentClient
    listener: Listener
    room: str


@pytest.fixture(scope="module")
def agent_name() -> str:
    """That of `worker`: a module with a worker of its own has another one, or either would take a room."""
    return "liba"


@pytest.fixture
async def ready_room(
    credentials: LiveKitCredentials, worker: Path, agent_name: str, room: str
) -> AsyncIterator[ReadyRoom]:
    async with made_ready(credentials, room, agent_name) as ready:
        yield ready


@asynccontextmanager
async def made_ready(credentials: LiveKitCredentials, room: str, agent_name: str) -> AsyncIterator[ReadyRoom]:
    """Has an agent of the worker of that name come, and somebody who listens."""
    async with LiveKitApi(credentials) as api, listener_in(credentials, room) as listener:
        client = AgentClient(api, AgentLocator(api, room=room, agent_name=agent_name))
        await client.reach(timeout_s=READY_TIMEOUT_S)
        async with asyncio.timeout(60):
            await listener.subscribed.wait()
        yield ReadyRoom(client, listener, room)
