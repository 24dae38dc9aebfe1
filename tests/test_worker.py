"""The worker: which rooms it takes, what it says when LiveKit is gone, and what its rooms are handed."""

from __future__ import annotations

import asyncio
import os
import pickle
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from livekit.agents import JobRequest
from pydantic import SecretStr

from libacli.config import LiveKitCredentials, Settings
from libacli.core.protocol import AGENT_ATTRIBUTE
from libacli.edges.avatars.choose import make_avatar_service
from libacli.edges.avatars.ledger import Entry, Ledger, conversations_path
from libacli.edges.livekit.agent_server import RoomProcesses
from libacli.edges.livekit.api import LiveKitApi
from libacli.edges.livekit.fakes import FakeRoom
from libacli.edges.livekit.signs_of_life import show_life
from libacli.errors import ConfigError, UnreachableError
from libacli.room_job import RoomJobs
from libacli.worker import Worker, open_worker
from tests.avatar_contracts import invitation
from tests.faulty_avatar import FaultyAvatar
from tests.twirp_server import API_KEY, API_SECRET, TwirpServer

NOBODY_THERE = LiveKitCredentials("ws://127.0.0.1:9", API_KEY, SecretStr(API_SECRET))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def api() -> AsyncIterator[LiveKitApi]:
    async with LiveKitApi(NOBODY_THERE) as api:
        yield api


def worker(api: LiveKitApi, **settings: Any) -> Worker:
    return Worker(
        Settings(
            livekit_url=NOBODY_THERE.url,
            livekit_api_key=NOBODY_THERE.api_key,
            livekit_api_secret=NOBODY_THERE.api_secret,
            agent_isolation="thread",
            **settings,
        ),
        api,
    )


@pytest.mark.parametrize(
    ("accept", "words"),
    [("signed", ""), ("attribute", "say.accept=attribute: liba.say=true"), ("anyone", "say.accept=anyone")],
)
async def test_a_worker_that_takes_anybodys_word_says_so_when_it_starts(
    accept: str, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(
        livekit_url=NOBODY_THERE.url,
        livekit_api_key=NOBODY_THERE.api_key,
        livekit_api_secret=NOBODY_THERE.api_secret,
        say_accept=accept,  # type: ignore[arg-type]
    )
    with pytest.raises(UnreachableError):
        async with open_worker(settings):
            pass
    assert words in caplog.text
    assert ("say.accept" in caplog.text) == (accept != "signed")


async def test_a_port_for_probes_that_is_taken_is_told_before_livekit_is_asked() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = Settings(
            livekit_url=NOBODY_THERE.url,
            livekit_api_key=NOBODY_THERE.api_key,
            livekit_api_secret=NOBODY_THERE.api_secret,
            agent_health_port=port,
        )
        with pytest.raises(ConfigError, match=f"cannot answer health checks on 127.0.0.1 port {port}"):
            async with open_worker(settings):
                pass


async def test_a_worker_whose_queues_could_never_be_written_down_does_not_start() -> None:
    settings = Settings(
        livekit_url=NOBODY_THERE.url,
        livekit_api_key=NOBODY_THERE.api_key,
        livekit_api_secret=NOBODY_THERE.api_secret,
        say_journal="redis",
    )
    with pytest.raises(ConfigError, match=r"redis\.url is not set"):
        async with open_worker(settings):
            pass


async def test_a_worker_whose_sdk_has_given_up_says_that_livekit_was_gone(api: LiveKitApi) -> None:
    given_up = worker(api)
    given_up.server.update_options(max_retry=0)
    given_up.server.setup_fnc = lambda process: None
    with pytest.raises(UnreachableError, match="LiveKit was gone for too long"):
        await given_up.run()


@dataclass
class BrokenServer:
    """Stands where the SDK's `AgentServer` does, and breaks as soon as it runs."""

    error: Exception
    processes: RoomProcesses = field(default_factory=RoomProcesses)

    def on(self, event: str, callback: object) -> None:
        pass

    async def run(self) -> None:
        raise self.error

    async def aclose(self) -> None:
        pass


@pytest.mark.parametrize(
    "defect",
    [
        RecursionError("maximum recursion depth exceeded"),
        NotImplementedError(),
        RuntimeError("dictionary changed size during iteration"),
        RuntimeError("no process became available after 3 attempts"),
    ],
    ids=repr,
)
async def test_a_defect_of_a_worker_stays_what_it_is(api: LiveKitApi, defect: Exception) -> None:
    broken = worker(api)
    broken.server = cast(Any, BrokenServer(defect))
    with pytest.raises(ExceptionGroup) as raised:
        await broken.run()
    assert raised.value.exceptions == (defect,)


@dataclass
class Request:
    """Stands where the SDK's `JobRequest` does; `go` lets it be accepted."""

    room: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(name="demo"))
    id: str = "AJ_0123456789"
    go: asyncio.Event = field(default_factory=asyncio.Event)
    answer: str = ""

    async def accept(self, *, identity: str, name: str, attributes: dict[str, str]) -> None:
        await self.go.wait()
        assert attributes == {"lk.agent.state": "initializing"}
        self.answer = identity

    async def reject(self, *, terminate: bool) -> None:
        assert not terminate, "no other worker would be asked"
        self.answer = "rejected"


async def test_a_room_that_is_being_entered_counts_and_what_is_too_many_is_refused(api: LiveKitApi) -> None:
    busy = worker(api, agent_max_rooms=1)
    busy.server = cast(Any, SimpleNamespace(active_jobs=[]))
    first, second, third = Request(), Request(), Request()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(busy._take(cast(JobRequest, first)))
        await asyncio.sleep(0)
        await busy._take(cast(JobRequest, second))
        first.go.set()
    third.go.set()
    await busy._take(cast(JobRequest, third))
    assert [request.answer for request in (first, second, third)] == [
        "liba-agent-23456789",
        "rejected",
        "liba-agent-23456789",
    ]
    assert busy.supervisor.rooms == ["demo"]


async def test_a_worker_that_is_full_says_so_once_and_once_that_it_is_not_any_more(
    api: LiveKitApi, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "liba.agent")
    jobs: list[str] = []
    busy = worker(api, agent_max_rooms=2)
    well = SimpleNamespace(has_ready=True, trouble="")
    busy.server = cast(Any, SimpleNamespace(active_jobs=jobs, is_registered=True, processes=well))

    def loads(*taken: str) -> float:
        jobs[:] = taken
        return busy._load(busy.server)

    assert loads() == 0
    assert 0 < loads("one") < 0.7
    assert loads("one", "two") == loads("one", "two") == 1
    assert busy.parts()["rooms"].why == "2 of 2 taken"
    assert all(part.ok for part in busy.parts().values())  # nobody counts it as away: it does its work
    assert loads("two") < 0.7
    assert [record.getMessage() for record in caplog.records] == [
        "full: 2 of 2 rooms are taken; what comes now is for other workers",
        "no longer full: 1 of 2 rooms are taken",
    ]


async def test_an_agent_is_well_that_shows_its_life_where_its_room_was_told_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with TwirpServer() as livekit:
        settings = Settings(
            livekit_url=livekit.url, livekit_api_key=API_KEY, livekit_api_secret=SecretStr(API_SECRET)
        )
        async with open_worker(settings) as watching, asyncio.TaskGroup() as tasks:
            room = FakeRoom("demo")
            room.local_participant.attributes[AGENT_ATTRIBUTE] = "liba"
            address = watching._jobs.life_socket
            assert address
            jobs: list[Any] = []
            watching.server = cast(Any, SimpleNamespace(active_jobs=jobs))
            showing = tasks.create_task(show_life(room.as_sdk(), address))
            await asyncio.sleep(0.2)
            assert not watching.is_well("demo")  # what shows it has no job here any more
            jobs.append(SimpleNamespace(job=SimpleNamespace(room=SimpleNamespace(name="demo"))))
            assert watching.is_well("demo")
            showing.cancel()


def test_what_a_room_process_is_handed_can_be_pickled_and_stays_one_there(tmp_path: Path) -> None:
    jobs = RoomJobs(Settings(livekit_url="ws://localhost"), tmp_path / "meter", tmp_path / "life")
    prewarm, enter, leave = pickle.loads(pickle.dumps((jobs.prewarm, jobs.enter, jobs.leave)))
    assert prewarm.__self__ is enter.__self__ is leave.__self__
    assert enter.__self__ == jobs


def test_loading_the_worker_does_not_begin_the_warm_up_that_would_load_models() -> None:
    """The variable that keeps them out is set when the worker runs."""
    code = "import sys, libacli.worker; print('livekit.agents.ipc._preload' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "False\n"


async def test_a_worker_ends_what_its_killed_rooms_have_left_before_it_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with TwirpServer() as livekit:
        async with FaultyAvatar() as tavus:
            settings = Settings(
                livekit_url=livekit.url,
                livekit_api_key=API_KEY,
                livekit_api_secret=SecretStr(API_SECRET),
                tavus_api_key=tavus.api_key,
                tavus_base_url=tavus.base_url,
                tavus_face_id="face",
            )
            async with open_worker(settings):
                await left_by_a_killed_room(settings)
                assert tavus.active
            assert tavus.active == []
            assert await asyncio.to_thread(Ledger(conversations_path()).entries) == []


async def left_by_a_killed_room(settings: Settings) -> None:
    """A conversation that runs, and whose agent is gone."""
    service = make_avatar_service(settings)
    assert service
    async with service:
        conversation_id = await service.create(invitation("liba-1-1"))
    ledger = Ledger(conversations_path())
    entry = Entry("liba-1-1", "demo", service.base_url, ledger.owner, conversation_id, vendor="tavus")
    await asyncio.to_thread(ledger.write, entry)
    await asyncio.to_thread(ledger.close)


LOADS_NO_REDIS = """
import asyncio, sys
from importlib import import_module
from libacli.config import Settings
from libacli.shared_counts import SharedCounts
for module in sys.argv[1:]:
    import_module(module)
before = {name for name in sys.modules if name.startswith("redis")}
counts = SharedCounts(Settings(redis_url="redis://127.0.0.1:9", tavus_api_key="key"))
counts.ledger().close()
asyncio.run(counts.aclose())
print(sorted({name for name in sys.modules if name.startswith("redis")} - before))
"""


async def test_a_room_loads_nothing_of_redis_while_it_speaks(api: LiveKitApi, tmp_path: Path) -> None:
    modules = worker(api, redis_url="redis://127.0.0.1:9").server._preload_modules
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        LOADS_NO_REDIS,
        *modules,
        stdout=subprocess.PIPE,
        env=os.environ | {"XDG_STATE_HOME": str(tmp_path)},
    )
    told, _ = await child.communicate()
    assert told == b"[]\n"
