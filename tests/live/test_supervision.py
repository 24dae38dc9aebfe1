"""Agents and servers that are killed, frozen, doubled and told to go: what becomes of them and the queue."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jwt
import psutil
import pytest
from livekit import rtc
from livekit.api import CreateRoomRequest, DeleteRoomRequest, LiveKitAPI

from libacli.config import LiveKitCredentials, Settings
from libacli.core.delivery import Delivery
from libacli.core.lifecycle import FINAL_STATES
from libacli.core.messages import SayRequest
from libacli.edges.avatars.ledger import Ledger
from libacli.edges.livekit.agent_client import AgentClient
from libacli.edges.livekit.agent_locator import AgentLocator
from libacli.edges.livekit.api import LiveKitApi
from libacli.edges.livekit.joining import joined
from libacli.edges.livekit.leader import pulse
from libacli.edges.livekit.tokens import listener_token
from libacli.edges.viewer.listener import Listener, listening
from libacli.errors import InterruptedSpeechError, LibaError, NoAgentError, RefusedError, UnreachableError
from libacli.local.guard import GuardedProcess
from libacli.room_agent import agent_in_room
from libacli.room_parts import Parts, assemble
from libacli.speech.fakes import ScriptedVoice
from libacli.worker import Worker as OurWorker
from tests.faulty_avatar import FaultyAvatar
from tests.live.conftest import Listen, Shell, wait_for_line
from tests.live.node import Node
from tests.live.wire import Wire
from tests.lone_job import LoneJob
from tests.terminal import terminal

pytestmark = pytest.mark.live

AGENT = "kept"
REPLACED_S = 60.0
TAKEN = "another agent took its place"
GONE = "its queue is gone"
LINE = "This line takes a little while to be spoken from its beginning to its end."


@dataclass(frozen=True)
class Place:
    """A room, as it is seen from outside."""

    api: LiveKitApi
    credentials: LiveKitCredentials
    room: str
    name: str = AGENT

    @property
    def client(self) -> AgentClient:
        return AgentClient(
            self.api, AgentLocator(self.api, room=self.room, agent_name=self.name), patience_s=REPLACED_S
        )

    async def agents(self) -> list[str]:
        return [found.identity for found in await self.api.participants(self.room) if found.is_agent]

    async def ready(self, *, but: str = "", timeout_s: float = REPLACED_S) -> AgentClient:
        """Waits until an agent other than `but` takes requests, and no other one is in the room."""
        async with asyncio.timeout(timeout_s):
            while True:
                identity = await self.api.find_agent(self.room, self.name)
                if identity and identity != but and await self.agents() == [identity]:
                    client = self.client
                    if await client.find():
                        return client
                await asyncio.sleep(0.1)

    async def say(self, client: AgentClient, listener: Listener, text: str = "Here I am.") -> str:
        """Has a text spoken; the state it ended in."""
        said = await client.say(SayRequest(text, id=uuid.uuid4().hex[:8]))
        async with asyncio.timeout(60):
            return str((await listener.wait_for(said.id, *FINAL_STATES))["state"])


@dataclass(frozen=True)
class Worker:
    process: GuardedProcess
    log: Path

    def jobs(self) -> set[int]:
        """Processes that are connected to a room."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        return {child.pid for child in children if child.net_connections("udp4")}

    def lines(self, text: str) -> list[str]:
        return [line for line in self.log.read_text(errors="replace").splitlines() if text in line]


@contextmanager
def working(shell: Shell, log: Path, *arguments: str, **environment: str) -> Iterator[Worker]:
    with shell.running("agent", "run", *arguments, log=log, **environment) as process:
        wait_for_line(log, "worker is ready", process)
        yield Worker(process, log)


@pytest.fixture(scope="module")
def worker(shell: Shell, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """A worker of this module's own."""
    log = tmp_path_factory.mktemp("kept") / "worker.log"
    with working(shell, log, "--agent-name", AGENT) as worker:
        yield worker


@pytest.fixture(scope="module", autouse=True)
def cut_short(credentials: LiveKitCredentials) -> Iterator[subprocess.Popen[str]]:
    """A process that was cancelled while it joined a room; the SDK would end it 15 s later."""
    code = """
import asyncio, sys
from livekit import rtc
from libacli.edges.livekit.joining import joined
from libacli.edges.livekit.leader import pulse

async def main():
    try:
        async with asyncio.timeout(0.005), joined(rtc.Room(), *sys.argv[1:]):
            await asyncio.sleep(60)
    except TimeoutError:
        await asyncio.sleep(20)
        print("alive")

asyncio.run(main())
"""
    access = listener_token(credentials, room="cut-short", identity="liba-test-cut-short")
    command = [sys.executable, "-c", code, credentials.ws_url, access]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


@pytest.fixture
async def place(credentials: LiveKitCredentials, room: str, worker: Worker) -> AsyncIterator[Place]:
    async with LiveKitApi(credentials) as api:
        yield Place(api, credentials, room)


@asynccontextmanager
async def server_api(credentials: LiveKitCredentials) -> AsyncIterator[LiveKitAPI]:
    secret = credentials.api_secret.get_secret_value()
    async with LiveKitAPI(credentials.http_url, credentials.api_key, secret) as api:
        yield api


async def test_fault_14_a_killed_agent_is_replaced_by_one_and_who_waits_for_its_queue_is_told(
    place: Place, worker: Worker, listen: Listen
) -> None:
    async with listen() as listener, asyncio.TaskGroup() as tasks:
        before = worker.jobs()
        client = place.client
        await client.reach(timeout_s=REPLACED_S)
        (first,) = await place.agents()
        said = [await client.say(SayRequest(LINE, id=f"lost-{number}")) for number in range(5)]
        waits = [tasks.create_task(outcome(place, one)) for one in (said[0], said[-1])]
        async with asyncio.timeout(60):
            await listener.wait_for(said[0].id, "audible")
        (job,) = worker.jobs() - before
        os.kill(job, signal.SIGKILL)
        killed_at = time.monotonic()
        assert await pulse(place.api, place.credentials, place.room, first) == "silent"
        with pytest.raises(NoAgentError):  # fault 28: it is listed, and nothing is taken for it
            await place.api.perform_rpc(place.room, first, "liba.say", "{}")
        client = await place.ready(but=first)
        assert time.monotonic() - killed_at < REPLACED_S
        assert await place.say(client, listener) == "done"
        for wait in waits:
            assert GONE in await wait


async def outcome(place: Place, said: Delivery) -> str:
    """What a waiting client is told in the end."""
    waiting = place.client  # each client asks for itself
    await waiting.find()
    try:
        return (await waiting.wait(said, "done", timeout_s=60)).level
    except InterruptedSpeechError as error:
        return str(error)


async def test_fault_16_an_agent_that_is_stuck_is_replaced_and_leaves_when_it_comes_to_itself(
    place: Place, worker: Worker, listen: Listen
) -> None:
    async with listen() as listener:
        before = worker.jobs()
        await place.client.reach(timeout_s=REPLACED_S)
        (first,) = await place.agents()
        (job,) = worker.jobs() - before
        os.kill(job, signal.SIGSTOP)
        stopped_at = time.monotonic()
        try:
            client = await place.ready(but=first)
            assert time.monotonic() - stopped_at < REPLACED_S
        finally:
            with suppress(ProcessLookupError):  # the SDK ends one that is stuck for a minute
                os.kill(job, signal.SIGCONT)
        assert await place.say(client, listener) == "done"
        await asyncio.sleep(2)
        assert first not in await place.agents()
        assert len(await place.agents()) == 1


async def test_a_room_process_that_is_told_to_end_as_the_sdk_does_it_when_it_breaks_down_is_replaced(
    place: Place, worker: Worker, listen: Listen
) -> None:
    async with listen() as listener:
        before = worker.jobs()
        await place.client.reach(timeout_s=REPLACED_S)
        (first,) = await place.agents()
        (job,) = worker.jobs() - before
        os.kill(job, signal.SIGTERM)
        assert await place.say(await place.ready(but=first), listener) == "done"


async def test_fault_55_two_workers_and_two_dispatches_give_one_agent_that_speaks_once(
    place: Place, worker: Worker, shell: Shell, listen: Listen, tmp_path: Path
) -> None:
    pinned = ("--agent-name", AGENT, "--room", place.room)
    async with listen() as listener:
        await place.api.dispatch(place.room, AGENT)
        with working(shell, tmp_path / "second.log", *pinned) as second:
            await place.api.dispatch(place.room, AGENT)
            await asyncio.sleep(5)
            client = await place.ready()
            take = listener.start_capture()
            said = await client.say(SayRequest("One.", id="once"))
            assert await place.say(client, listener, "Two.") == "done"
            assert said.level == "accepted"
            assert take.speech_s < 2.5
            assert await place.agents() == [client.identity]
            refused = worker.lines("already_running") + second.lines("already_running")
            assert any(place.room in line for line in refused)
        await place.ready()  # also when the agent was that of the worker that has just ended


async def test_a_worker_that_was_killed_goes_back_into_its_rooms_when_it_is_started_again(
    place: Place, shell: Shell, listen: Listen, tmp_path: Path
) -> None:
    there = Place(place.api, place.credentials, place.room, f"again-{place.room}")
    run = ("--agent-name", there.name)
    async with listen() as listener:
        with working(shell, tmp_path / "first.log", *run) as first:
            await there.client.reach(timeout_s=REPLACED_S)
            (killed,) = await there.agents()
            for process in psutil.Process(first.process.pid).children(recursive=True):
                process.kill()
        with working(shell, tmp_path / "second.log", *run):
            assert await there.say(await there.ready(but=killed), listener) == "done"


def test_a_watcher_sees_within_seconds_that_the_agent_was_killed(
    shell: Shell, room: str, tmp_path: Path
) -> None:
    name = f"watched-{room}"
    watch = shell.command("metrics", "watch", "--room", room)
    environment = shell.environment | {"LIBA_AGENT_NAME": name}
    with (
        working(shell, tmp_path / "worker.log", "--agent-name", name, "--room", room) as worker,
        terminal(watch, env=environment, cwd=shell.folder) as screen,
    ):
        screen.until(f"agent {name}"[:20])
        for process in psutil.Process(worker.process.pid).children(recursive=True):
            process.kill()
        screen.until("agent gone", timeout_s=7)  # within 5 s, and what a busy machine takes to draw
        screen.type("q")
        assert screen.ended() == 0


async def test_fault_37_a_room_that_is_deleted_while_it_is_spoken_in_is_left_alone(
    place: Place, worker: Worker, listen: Listen
) -> None:
    async with listen() as listener:
        before = worker.jobs()
        client = place.client
        await client.reach(timeout_s=REPLACED_S)
        said = await client.say(SayRequest(LINE, id="deleted"))
        async with asyncio.timeout(60):
            await listener.wait_for("deleted", "audible")
        assert worker.jobs() - before
        async with server_api(place.credentials) as api:
            await api.room.delete_room(DeleteRoomRequest(room=place.room))
        impatient = AgentClient(
            place.api, AgentLocator(place.api, room=place.room, agent_name=AGENT), patience_s=1.0
        )
        with pytest.raises(InterruptedSpeechError, match="the agent left"):
            await impatient.wait(said, "done", timeout_s=20)
    await asyncio.sleep(12)
    assert await place.api.participants(place.room) == []
    assert not worker.jobs() - before


async def test_fault_38_a_pinned_room_that_closed_gets_its_agent_back_with_the_next_viewer(
    place: Place, shell: Shell, listen: Listen, tmp_path: Path
) -> None:
    pinned = Place(place.api, place.credentials, place.room, f"pinned-{place.room}")
    async with server_api(place.credentials) as api:
        await api.room.create_room(CreateRoomRequest(name=place.room, departure_timeout=1, empty_timeout=60))
    async with listen() as listener:  # fault 15: room and viewer are there before the worker
        with working(
            shell, tmp_path / "pinned.log", "--agent-name", pinned.name, "--room", place.room
        ) as worker:
            assert await pinned.say(await pinned.ready(), listener) == "done"
            await listener.room.disconnect()
            async with asyncio.timeout(60):
                while await pinned.api.participants(place.room):  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0.1)
            async with listen() as next_one:
                assert await pinned.say(await pinned.ready(), next_one) == "done"
                worker.process.terminate()


async def test_fault_48_an_agent_told_to_go_finishes_refuses_what_is_new_ends_the_avatar_and_is_out_in_15_s(
    place: Place, shell: Shell, listen: Listen, tmp_path: Path
) -> None:
    await told_to_go(place, shell, listen, tmp_path, is_patient=True)


async def test_fault_49_a_second_signal_ends_the_avatar_and_everything_within_2_s(
    place: Place, shell: Shell, listen: Listen, tmp_path: Path
) -> None:
    await told_to_go(place, shell, listen, tmp_path, is_patient=False)


async def told_to_go(place: Place, shell: Shell, listen: Listen, tmp_path: Path, *, is_patient: bool) -> None:
    there = Place(place.api, place.credentials, place.room, f"going-{place.room}")
    async with FaultyAvatar() as tavus, listen() as listener, asyncio.TaskGroup() as tasks:
        keys = {
            "TAVUS_API_KEY": tavus.api_key.get_secret_value(),
            "TAVUS_BASE_URL": tavus.base_url,
            "TAVUS_FACE_ID": "face",
            "XDG_STATE_HOME": str(tmp_path),
        }
        run = ("--agent-name", there.name, "--room", there.room)
        with working(shell, tmp_path / "going.log", *run, **keys) as worker:
            await asyncio.to_thread(wait_for_line, worker.log, "the avatar is in the room", worker.process)
            client = there.client
            await client.reach(timeout_s=REPLACED_S)
            said = await client.say(SayRequest(LINE, id="last"))
            async with asyncio.timeout(60):
                await listener.wait_for("last", "audible")
            (liba,) = psutil.Process(worker.process.pid).children()
            asked_at = time.monotonic()
            liba.send_signal(signal.SIGTERM)
            if is_patient:
                waiting = tasks.create_task(outcome(there, said))
                assert await refusal(there) == "draining"
                assert (await listener.wait_for("last", *FINAL_STATES))["state"] == "done"
                assert await waiting == "done"
            else:
                await asyncio.sleep(0.3)
                asked_at = time.monotonic()
                liba.send_signal(signal.SIGTERM)
            code = await asyncio.to_thread(worker.process.wait, 60)
            took_s = time.monotonic() - asked_at
            assert took_s < (15 if is_patient else 2.3)  # the last 0.3 s are the guard's and the test's own
            assert code in ((0,) if is_patient else (0, 128 + signal.SIGTERM))
            async with asyncio.timeout(60):
                while tavus.active:  # noqa: ASYNC110 - it is asked for from outside
                    await asyncio.sleep(0.05)
        assert len(tavus.ends) == tavus.creates == 1


async def refusal(place: Place) -> str:
    """The reason of the first refusal: the signal takes its time from the worker to its rooms."""
    locator = AgentLocator(place.api, room=place.room, agent_name=place.name)
    client = AgentClient(place.api, locator, patience_s=0)
    with pytest.raises(RefusedError) as refused:
        async with asyncio.timeout(60):
            while True:
                await client.say(SayRequest("More."))
                await asyncio.sleep(0.1)
    return refused.value.reason


@asynccontextmanager
async def agent_here(
    credentials: LiveKitCredentials, room: str, folder: Path, job: LoneJob | None = None
) -> AsyncIterator[tuple[Parts, rtc.Room]]:
    """An agent in this process."""
    video = {"roomJoin": True, "room": room, "agent": True, "canUpdateOwnMetadata": True}
    claims = {"iss": credentials.api_key, "sub": "liba-agent-here", "kind": "agent", "video": video}
    secret = credentials.api_secret.get_secret_value()
    access = jwt.encode(claims | {"exp": 4_000_000_000}, secret, algorithm="HS256")
    there = rtc.Room()
    async with joined(there, credentials.ws_url, access, auto_subscribe=False):
        settings = Settings(
            livekit_url=credentials.url,
            livekit_api_key=credentials.api_key,
            livekit_api_secret=credentials.api_secret,
            agent_name="here",
            say_queue_limit=100,
        )
        parts = assemble(
            settings,
            there,
            ScriptedVoice(),
            ledger=Ledger(folder / "ledger"),
            characters=folder / "characters.json",
        )
        async with agent_in_room(parts, job or LoneJob()):
            yield parts, there


async def test_fault_17_an_agent_whose_task_ends_by_a_defect_leaves_at_once_and_says_so(
    credentials: LiveKitCredentials, room: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    job = LoneJob(answers=KeyError("a defect"))
    async with agent_here(credentials, room, tmp_path, job) as (_, there):
        there.emit("reconnected")
        async with asyncio.timeout(60):
            while not job.left:  # noqa: ASYNC110 - it is told by a callback
                await asyncio.sleep(0.05)
        started = time.monotonic()
    assert time.monotonic() - started < 2
    assert job.left == ["defect"]
    assert "cannot go on" in caplog.text


async def test_fault_30_over_a_full_reconnect_every_line_is_accepted_once_and_none_is_lost_unseen(
    credentials: LiveKitCredentials, room: str, listen: Listen, tmp_path: Path
) -> None:
    async with (
        LiveKitApi(credentials) as api,
        listen(),
        agent_here(credentials, room, tmp_path) as (parts, there),
        asyncio.TaskGroup() as tasks,
    ):
        client = AgentClient(api, AgentLocator(api, room=room, agent_name="here"))
        await client.reach(timeout_s=10)
        accepted: dict[str, bool] = {}

        async def load() -> None:
            for number in range(40):
                said = await client.say(SayRequest(f"Line {number}.", id=f"r{number}"))
                accepted[said.id] = bool(said.acknowledgement and said.acknowledgement.duplicate)
                await asyncio.sleep(0.1)

        loading = tasks.create_task(load())
        await asyncio.sleep(0.5)
        await there.simulate_scenario(rtc.SimulateScenarioKind.SIMULATE_FULL_RECONNECT)
        await loading
        queue = await client.queue()
        ids = [one.id for one in (*queue.waiting, *([queue.speaking] if queue.speaking else []))]
        assert list(accepted) == [f"r{number}" for number in range(40)]
        assert len(ids) == len(set(ids))
        for said_id in accepted:
            assert parts.speaker.find(said_id) is not None
        first_waiting = queue.waiting[0].id
        async with asyncio.timeout(60):
            while (found := parts.speaker.find(first_waiting)) and not found.is_over:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        assert found
        assert found.state == "done"
        parts.speaker.stop()


async def test_a_caption_after_a_full_reconnect_names_the_track_that_is_there_now(
    credentials: LiveKitCredentials, room: str, listen: Listen, tmp_path: Path
) -> None:
    async with listen() as listener, agent_here(credentials, room, tmp_path) as (parts, there):
        before = parts.track.sid
        reconnected = asyncio.Event()
        there.on("reconnected", reconnected.set)
        await there.simulate_scenario(rtc.SimulateScenarioKind.SIMULATE_FULL_RECONNECT)
        async with asyncio.timeout(60):
            await reconnected.wait()
            while (sid := parts.track.sid) == before:  # noqa: ASYNC110 - it is told to nobody
                await asyncio.sleep(0.05)
            named: asyncio.Queue[str] = asyncio.Queue()
            listener.room.register_text_stream_handler(
                "lk.transcription",
                lambda reader, _: named.put_nowait((reader.info.attributes or {})["lk.transcribed_track_id"]),
            )
            parts.speaker.say(SayRequest("After it.", id="after"))
            assert await named.get() == sid
            while sid not in tracks(listener.room):  # noqa: ASYNC110 - nor this
                await asyncio.sleep(0.05)


def tracks(room: rtc.Room) -> set[str]:
    """Sids of what others have published."""
    return {sid for one in room.remote_participants.values() for sid in one.track_publications}


async def test_what_happened_while_the_agent_was_cut_off_is_told_in_order_when_it_is_back(
    credentials: LiveKitCredentials, room: str, listen: Listen, tmp_path: Path
) -> None:
    far = urlsplit(credentials.url)
    async with listen() as listener, Wire(far.hostname or "", far.port or 0).laid() as wire:
        near = replace(credentials, url=f"ws://127.0.0.1:{wire.near_port}")
        async with agent_here(near, room, tmp_path) as (parts, _):
            for number in range(3):
                parts.speaker.say(SayRequest(f"Line {number}.", id=f"cut-{number}"))
            async with asyncio.timeout(60):
                await listener.wait_for("cut-0", "audible")
                wire.cut()
                await asyncio.sleep(7)
                wire.mend()
                told = [await listener.wait_for(f"cut-{number}", *FINAL_STATES) for number in range(3)]
                assert [event["state"] for event in told] == ["failed", "done", "done"]


async def test_fault_35_over_a_restart_of_the_server_the_queue_goes_on_and_the_rest_is_told(
    bare_shell: Shell, room: str, tmp_path: Path
) -> None:
    with Node(tmp_path) as node:
        shell = Shell(bare_shell.folder, bare_shell.environment | node.environment)
        access = listener_token(node.credentials, room=room, identity="liba-test-restart")
        async with LiveKitApi(node.credentials) as api:
            place = Place(api, node.credentials, room)
            with working(shell, tmp_path / "worker.log", "--agent-name", AGENT, "--room", room) as worker:
                async with listening(node.credentials.ws_url, access) as listener:
                    client = await place.ready()
                    queued_by = client.identity
                    said = [await client.say(SayRequest(LINE, id=f"over-{n}")) for n in range(3)]
                    async with asyncio.timeout(60):
                        await listener.wait_for("over-0", "audible")
                    async with asyncio.TaskGroup() as tasks:
                        first, last = (tasks.create_task(outcome(place, one)) for one in (said[0], said[2]))
                        await asyncio.sleep(0.5)
                        await node.restart(after_s=3.0)
                    client = await place.ready()
                    if client.identity == queued_by:
                        assert "the connection to LiveKit was lost under it" in first.result()
                        assert last.result() == "done"
                    else:  # it was away for too long, or gave up, and another one serves the room
                        assert any(why in first.result() for why in ("connection to LiveKit", TAKEN, GONE))
                        assert any(why in last.result() for why in (TAKEN, GONE))
                    assert await place.say(client, listener) == "done"
                elsewhere = Place(api, node.credentials, f"{room}-2")
                async with listening(
                    node.credentials.ws_url,
                    listener_token(node.credentials, room=elsewhere.room, identity="liba-test-2"),
                ) as listener:
                    await elsewhere.client.reach(timeout_s=REPLACED_S)
                    assert await elsewhere.say(await elsewhere.ready(), listener) == "done"
                worker.process.terminate()


async def test_fault_36_a_worker_that_livekit_is_gone_from_for_too_long_says_so_and_ends(
    tmp_path: Path,
) -> None:
    with Node(tmp_path) as node:
        settings = Settings(
            livekit_url=node.credentials.url,
            livekit_api_key=node.credentials.api_key,
            livekit_api_secret=node.credentials.api_secret,
            agent_isolation="thread",
        )
        registered = asyncio.Event()
        async with LiveKitApi(node.credentials) as api, asyncio.timeout(60):
            worker = OurWorker(settings, api)
            worker.server.update_options(max_retry=1)
            worker.server.on("worker_registered", lambda *_: registered.set())
            async with asyncio.TaskGroup() as tasks:
                ending = tasks.create_task(end_of(worker.run()))
                await registered.wait()
                node.kill()
    error = ending.result()
    assert isinstance(error, UnreachableError)
    assert error.exit_code == 4
    assert str(error) == "LiveKit was gone for too long"


async def end_of(working: Coroutine[Any, Any, None]) -> Exception | None:
    try:
        await working
    except LibaError as error:
        return error
    return None


def test_fault_13_who_was_cancelled_while_joining_lives_on(cut_short: subprocess.Popen[str]) -> None:
    out, _ = cut_short.communicate(timeout=60)
    assert out == "alive\n"
    assert cut_short.returncode == 0
