"""A guest: may say something, and tries to use up what is everybody's, and to keep others from speaking."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from livekit import rtc

from libacli.config import LiveKitCredentials
from libacli.core.lifecycle import FINAL_STATES
from libacli.core.messages import SayRequest
from libacli.core.protocol import SAY_METHOD, SAY_TOPIC, STOP_METHOD
from libacli.edges.livekit.agent_client import AgentClient
from libacli.edges.livekit.agent_locator import AgentLocator
from libacli.edges.livekit.api import LiveKitApi
from libacli.edges.livekit.gateway import RoomGateway
from libacli.edges.livekit.joining import joined
from libacli.edges.livekit.tokens import Permissions, join_token
from tests.leftover_processes import Leftovers
from tests.live.conftest import ReadyRoom, Shell, wait_for_line
from tests.live.test_access import agent_in

pytestmark = pytest.mark.live

HOUR = 10_000
LONG = "These words are many, and nobody will ever hear all of them. " * 20
"""1220 characters."""


@pytest.fixture(scope="module")
def agent_name() -> str:
    return "short-hour"


@pytest.fixture(scope="module")
def worker(
    shell: Shell, agent_name: str, tmp_path_factory: pytest.TempPathFactory, leftovers: Leftovers
) -> Iterator[Path]:
    """A worker whose hour is short."""
    log = tmp_path_factory.mktemp("worker") / "worker.log"
    state = {"XDG_STATE_HOME": str(tmp_path_factory.mktemp("state"))}
    with shell.running(
        *("agent", "run", "--max-rooms", "20", "--agent-name", agent_name),
        log=log,
        LIBA_SAY_MAX_CHARS_PER_HOUR=str(HOUR),
        **state,
    ) as process:
        leftovers.keep(process.pid)
        wait_for_line(log, "worker is ready", process)
        yield log


@asynccontextmanager
async def guest(
    credentials: LiveKitCredentials, room: str, identity: str, *, can_control: bool = False
) -> AsyncIterator[rtc.Room]:
    permissions = Permissions(can_say=True, can_control=can_control)
    token = join_token(credentials, room=room, identity=identity, permissions=permissions)
    async with joined(rtc.Room(), credentials.ws_url, token) as there:
        yield there


async def asked(there: rtc.Room, agent: str, method: str, **body: object) -> dict[str, Any]:
    reply = await there.local_participant.perform_rpc(
        destination_identity=agent, method=method, payload=json.dumps(body)
    )
    return dict(json.loads(reply))


async def used(ready_room: ReadyRoom) -> float:
    return {cap.name: cap.used for cap in (await ready_room.client.queue()).caps}["speech"]


async def owner_is_heard(ready_room: ReadyRoom, utterance_id: str, **wishes: Any) -> bool:
    """Whether a line of the owner's is taken at once, and can be heard to its end."""
    take = ready_room.listener.start_capture()
    await ready_room.client.say(SayRequest("The owner speaks.", id=utterance_id, **wishes))
    async with asyncio.timeout(120):
        event = await ready_room.listener.wait_for(utterance_id, *FINAL_STATES)
    await asyncio.sleep(0.3)
    return event["state"] == "done" and take.speech_s > 0.5


async def test_lines_that_it_interrupts_cost_what_was_spoken_of_them(
    ready_room: ReadyRoom, credentials: LiveKitCredentials
) -> None:
    before = await used(ready_room)
    async with guest(credentials, ready_room.room, "loud", can_control=True) as there:
        agent = await agent_in(there)
        for number in range(25):
            answer = await asked(there, agent, SAY_METHOD, text=LONG, id=f"l{number}", interrupt=True)
            assert answer.get("rejected") in (None, "spend_cap", "rate_limited")
            await asyncio.sleep(0.1)
        await asked(there, agent, STOP_METHOD)
        await asyncio.sleep(1)
        assert await used(ready_room) - before < 25 * 350  # of 30,500: the voice is asked for 320 at most
        assert await owner_is_heard(ready_room, "o1")


async def test_what_it_uses_up_is_never_the_owners_nor_all_of_anothers(
    ready_room: ReadyRoom, credentials: LiveKitCredentials
) -> None:
    async with (
        guest(credentials, ready_room.room, "greedy") as greedy,
        guest(credentials, ready_room.room, "modest") as modest,
    ):
        agent = await agent_in(greedy)
        answers = [await asked(greedy, agent, SAY_METHOD, text=LONG, id=f"g{number}") for number in range(8)]
        assert answers[-1]["rejected"] == "spend_cap"
        await agent_in(modest)
        assert "id" in await asked(modest, agent, SAY_METHOD, text="Me too.", id="m1")
        assert await owner_is_heard(ready_room, "o2", priority=1, interrupt=True)
    await ready_room.client.stop()  # nothing of it is spoken while the next test counts


async def test_to_leave_and_let_another_agent_come_gives_it_nothing_back(
    ready_room: ReadyRoom, agent_name: str, credentials: LiveKitCredentials, worker: Path
) -> None:
    assert await owner_is_heard(ready_room, "o4", interrupt=True)
    before = await used(ready_room)
    assert before >= len("The owner speaks.")
    async with LiveKitApi(credentials) as api:
        elsewhere = AgentClient(api, AgentLocator(api, room=f"{ready_room.room}-2", agent_name=agent_name))
        await elsewhere.reach(timeout_s=60)
        caps = {cap.name: cap.used for cap in (await elsewhere.queue()).caps}
        assert caps["speech"] >= before  # what an agent before this one still speaks counts as well
        await elsewhere.say(SayRequest("Another room spends.", id="e1"))
        async with asyncio.timeout(20):
            while await used(ready_room) < before + len("Another room spends."):  # noqa: ASYNC110 - it is asked for from outside
                await asyncio.sleep(0.2)


async def test_it_neither_stops_nor_interrupts_nor_goes_first_without_the_right(
    ready_room: ReadyRoom, credentials: LiveKitCredentials
) -> None:
    async with guest(credentials, ready_room.room, "pushy") as there:
        agent = await agent_in(there)
        await ready_room.client.say(SayRequest("The owner speaks of one thing and of another.", id="o3"))
        for method, wish in (
            (STOP_METHOD, {}),
            (SAY_METHOD, {"interrupt": True}),
            (SAY_METHOD, {"priority": 100}),
        ):
            answer = await asked(there, agent, method, text="Me first.", id="p1", **wish)
            assert answer["rejected"] == "unauthorized"
        packet = json.dumps({"text": "Me first.", "id": "p2", "interrupt": True})
        await there.local_participant.publish_data(packet, topic=SAY_TOPIC)
        async with asyncio.timeout(60):
            assert (await ready_room.listener.wait_for("o3", *FINAL_STATES))["state"] == "done"
    assert (await ready_room.client.report("p2"))["state"] == "unknown"


async def test_as_fast_as_it_can_over_http_it_slows_nobody_but_itself_down(
    ready_room: ReadyRoom, agent_name: str, credentials: LiveKitCredentials
) -> None:
    room = ready_room.room
    async with RoomGateway(credentials, agent_name=agent_name) as gateway, LiveKitApi(credentials):

        async def flood() -> list[str]:
            told = []
            for number in range(60):
                request = SayRequest("Again and again.", id=f"f{number}")
                try:
                    await gateway.say(room, request, timeout_s=10, on_behalf="session 1")
                    told.append("accepted")
                except Exception as error:  # whatever it is told
                    told.append(str(getattr(error, "reason", error)))
                await asyncio.sleep(0.05)
            return told

        async with asyncio.TaskGroup() as tasks:
            flooding = tasks.create_task(flood())
            for number in range(3):
                await asyncio.sleep(0.8)
                await ready_room.client.say(SayRequest("The owner speaks.", id=f"h{number}", priority=1))
        assert set(flooding.result()) > {"accepted"}
    async with asyncio.timeout(120):
        for number in range(3):
            assert (await ready_room.listener.wait_for(f"h{number}", *FINAL_STATES))["state"] == "done"
    await ready_room.client.stop()
