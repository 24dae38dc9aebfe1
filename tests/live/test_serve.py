"""`liba serve` with a real server, a real worker, and somebody who listens."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import jwt
import pytest
from livekit import rtc
from livekit.rtc.participant import PublishTrackError

from libacli.config import LiveKitCredentials
from libacli.edges.livekit.joining import joined
from tests.live.conftest import Listen, Shell
from tests.started import started

pytestmark = pytest.mark.live

LINE = "The page asks and the room hears it."
LONG = "This line goes on for quite some time, so that there is something to stop. " * 2
STATES = ["accepted", "speaking", "audible", "done"]


@dataclass(frozen=True)
class Served:
    """A running `liba serve`."""

    url: str
    process: subprocess.Popen[str]
    log: Path


@contextmanager
def serving(shell: Shell, folder: Path, **environment: str) -> Iterator[Served]:
    log = folder / "serve.log"
    with (
        log.open("wb") as errors,
        started(
            shell.command("serve", "--port", "0", "--json"),
            env=shell.environment | environment,
            cwd=shell.folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=errors,
        ) as process,
    ):
        assert process.stdout
        line = process.stdout.readline()
        assert line, log.read_text()
        yield Served(json.loads(line)["url"], process, log)


@pytest.fixture(scope="module")
def served(shell: Shell, worker: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(shell, tmp_path_factory.mktemp("serve")) as served:
        yield served


@pytest.fixture
async def client(served: Served) -> AsyncIterator[httpx2.AsyncClient]:
    async with client_of(served) as client:
        yield client


def client_of(served: Served) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=served.url, trust_env=False, timeout=60)


async def say(
    client: httpx2.AsyncClient, room: str, text: str, query: str = "", **members: Any
) -> dict[str, Any]:
    answer = await client.post(f"/api/say{query}", json={"text": text, "room": room, **members})
    assert answer.is_success, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def report_of(client: httpx2.AsyncClient, room: str, utterance_id: str) -> dict[str, Any]:
    answer = await client.get(f"/api/say/{utterance_id}", params={"room": room})
    told: dict[str, Any] = answer.json()
    return told


@dataclass(frozen=True)
class Told:
    id: str
    kind: str
    data: dict[str, Any]


async def events(client: httpx2.AsyncClient, room: str, last_id: str = "") -> AsyncGenerator[Told]:
    headers = {"Last-Event-ID": last_id} if last_id else {}
    async with client.stream("GET", "/api/events", params={"room": room}, headers=headers) as answer:
        assert answer.status_code == 200, await answer.aread()
        fields: dict[str, str] = {}
        async for line in answer.aiter_lines():
            name, _, value = line.partition(": ")
            if name:
                fields[name] = value
            elif "data" in fields:
                yield Told(fields["id"], fields["event"], json.loads(fields.pop("data")))


async def until(stream: AsyncGenerator[Told], utterance_id: str, state: str) -> list[Told]:
    told: list[Told] = []
    async with asyncio.timeout(60):
        async for item in stream:
            told.append(item)
            if item.kind == "utterance" and (item.data["id"], item.data["state"]) == (utterance_id, state):
                return told
    raise AssertionError(f"the stream ended: {told}")


def states(told: list[Told], utterance_id: str) -> list[str]:
    return [one.data["state"] for one in told if one.kind == "utterance" and one.data["id"] == utterance_id]


async def test_a_token_joins_its_room_and_may_publish_nothing(
    client: httpx2.AsyncClient, credentials: LiveKitCredentials, room: str
) -> None:
    told = (await client.post("/api/token", json={"room": room})).json()
    assert told["room"] == room
    secret = credentials.api_secret.get_secret_value()
    assert secret not in json.dumps(told)
    grants = jwt.decode(told["token"], secret, algorithms=["HS256"])["video"]
    assert (grants["canPublish"], grants["canPublishData"]) == (False, False)
    async with joined(rtc.Room(), told["url"], told["token"]) as joined_room:
        assert joined_room.local_participant.identity == told["identity"]
        source = rtc.AudioSource(24_000, 1)
        track = rtc.LocalAudioTrack.create_audio_track("mine", source)
        with pytest.raises((PublishTrackError, TimeoutError)):
            async with asyncio.timeout(60):
                await joined_room.local_participant.publish_track(track)
        await source.aclose()


async def test_what_is_said_brings_an_agent_and_is_heard_to_its_end(
    client: httpx2.AsyncClient, room: str, listen: Listen
) -> None:
    async with listen() as listener:
        first = await say(client, room, "Hello.", "?wait=accepted")
        assert first["level"] == "accepted"
        async with asyncio.timeout(60):
            await listener.subscribed.wait()
        take = listener.start_capture()
        told = await say(client, room, LINE, "?wait=done")
        assert (told["level"], told["state"]) == ("done", "done")
        assert take.last_audible_at is not None
        assert len(take.pcm) / 48_000 > 1.0
    report = await report_of(client, room, told["id"])
    assert (report["state"], report["epoch"]) == ("done", told["epoch"])
    about = (await client.get(f"/api/rooms/{room}")).json()
    assert (about["agent"]["name"], about["queue"], about["speaking"]) == ("liba", 0, None)


async def test_the_same_key_is_spoken_once(client: httpx2.AsyncClient, room: str) -> None:
    body, headers = {"text": "Once.", "room": room}, {"Idempotency-Key": "order-66"}
    first, second = [(await client.post("/api/say", json=body, headers=headers)).json() for _ in range(2)]
    assert (first["id"], first["duplicate"], second["duplicate"]) == ("order-66", False, True)
    other = await client.post("/api/say", json=body | {"text": "Another one."}, headers=headers)
    assert (other.status_code, other.json()["reason"]) == (422, "id_reused")


async def test_many_at_once_bring_one_agent_and_are_all_accepted(
    client: httpx2.AsyncClient, credentials: LiveKitCredentials, room: str, listen: Listen
) -> None:
    async with asyncio.TaskGroup() as tasks:
        said = [tasks.create_task(say(client, room, f"Number {number}.")) for number in range(16)]
    assert len({task.result()["epoch"] for task in said}) == 1
    assert sorted(task.result()["position"] for task in said)[-1] >= 14
    async with listen() as listener, asyncio.timeout(60):
        await listener.subscribed.wait()
        kinds = [there.kind for there in listener.room.remote_participants.values()]
        assert kinds == [rtc.ParticipantKind.PARTICIPANT_KIND_AGENT]
    await client.post("/api/stop", json={"room": room})


async def test_stop_ends_what_is_spoken_and_what_waits(client: httpx2.AsyncClient, room: str) -> None:
    first = await say(client, room, LONG, "?wait=audible")
    second = await say(client, room, "Never heard.")
    stopped = (await client.post("/api/stop", json={"room": room})).json()
    assert stopped == {"room": room, "stopped": [first["id"], second["id"]]}
    async with asyncio.timeout(10):  # a stop is answered before the line has faded out
        while (await report_of(client, room, first["id"]))["state"] == "audible":  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert (await report_of(client, room, first["id"]))["state"] == "interrupted"


async def test_events_go_on_after_a_cut_and_nothing_is_missed(client: httpx2.AsyncClient, room: str) -> None:
    await say(client, room, "Ready.", "?wait=done")
    async with aclosing(events(client, room)) as stream:
        async with asyncio.timeout(60):
            async for item in stream:
                if item.kind == "status" and item.data["agent"]:
                    break
        await say(client, room, LINE, id="one")
        before = await until(stream, "one", "speaking")
    assert states(before, "one") == STATES[:2]
    told = await say(client, room, LINE, "?wait=done", id="two")
    assert told["state"] == "done"
    async with aclosing(events(client, room, before[-1].id)) as stream:
        after = await until(stream, "two", "done")
    assert states(after, "one") == STATES[2:]
    assert states(after, "two") == STATES
    assert [item.kind for item in after if item.kind in ("gap", "status")] == []
    assert LINE not in json.dumps([item.data for item in before + after])


async def test_on_sigterm_a_say_that_waits_is_finished_and_a_stream_ends(
    shell: Shell, worker: Path, room: str, tmp_path: Path
) -> None:
    with serving(shell, tmp_path) as served:
        async with client_of(served) as client:
            first = await say(client, room, "Ready.", "?wait=done")
            async with aclosing(events(client, room)) as stream, asyncio.TaskGroup() as tasks:
                async with asyncio.timeout(60):
                    await anext(stream)
                waiting = tasks.create_task(say(client, room, LINE, "?wait=done"))
                await until(stream, (await _speaking(client, room, first["id"])), "audible")
                served.process.send_signal(signal.SIGTERM)
                began = time.monotonic()
                async with asyncio.timeout(2):
                    rest = [item async for item in stream]
                assert "done" not in [item.data.get("state") for item in rest]
            assert waiting.result()["state"] == "done"
        assert await asyncio.to_thread(served.process.wait, 60) == 0
        assert time.monotonic() - began < 8
        assert "Traceback" not in served.log.read_text()


async def test_a_second_sigterm_ends_it_at_once_and_who_waits_is_told(
    shell: Shell, worker: Path, room: str, tmp_path: Path
) -> None:
    with serving(shell, tmp_path) as served:
        async with client_of(served) as client, asyncio.TaskGroup() as tasks:
            first = await say(client, room, "Ready.", "?wait=done")
            body = {"text": LONG * 10, "room": room}
            waiting = tasks.create_task(client.post("/api/say?wait=done", json=body))
            await _speaking(client, room, first["id"])
            served.process.send_signal(signal.SIGTERM)
            await asyncio.sleep(0.5)
            assert served.process.poll() is None
            served.process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(served.process.wait, 7) == 0  # one gives it 10 s
        assert (waiting.result().status_code, waiting.result().json()["reason"]) == (503, "draining")
        assert "Traceback" not in served.log.read_text()


async def test_of_two_servers_on_one_port_the_second_says_so(served: Served, shell: Shell) -> None:
    port = served.url.rpartition(":")[2]
    second = await asyncio.to_thread(shell.run, "serve", "--port", port)
    assert second.returncode == 2
    assert f"port {port} of 127.0.0.1 is taken" in second.stderr
    async with client_of(served) as client:
        assert (await client.get("/readyz")).status_code == 200


async def test_where_no_agent_comes_the_answer_says_so_in_time(
    shell: Shell, worker: Path, room: str, tmp_path: Path
) -> None:
    with serving(shell, tmp_path, LIBA_AGENT_NAME="nobody") as served:
        async with client_of(served) as client:
            began = time.monotonic()
            answer = await client.post("/api/say", json={"text": "Hello?", "room": room})
            assert time.monotonic() - began < 12
            assert (answer.status_code, answer.json()["reason"]) == (503, "no_agent")
            assert answer.json()["hint"] == "start one: liba agent run"
            assert (await client.get(f"/api/rooms/{room}")).json()["agent"] is None


async def _speaking(client: httpx2.AsyncClient, room: str, before: str) -> str:
    """Id of what is spoken or waits, once it is another one than `before`."""
    async with asyncio.timeout(60):
        while True:
            about = (await client.get(f"/api/rooms/{room}")).json()
            reports = [report for report in (about["speaking"], *about["waiting"]) if report]
            if reports and reports[0]["id"] != before:
                return str(reports[0]["id"])
