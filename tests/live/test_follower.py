from __future__ import annotations

import asyncio
import json
import signal
import subprocess
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import replace

import httpx2
import pytest
from livekit import rtc

from libacli.config import LiveKitCredentials
from libacli.core.agent_status import AgentStatus
from libacli.core.event import Event
from libacli.core.messages import SayRequest
from libacli.core.protocol import EVENTS_TOPIC
from libacli.core.room_update import Caption, ConnectionState, RoomUpdate, Unreadable
from libacli.edges.livekit.follower import RoomFollower
from libacli.edges.livekit.joining import joined
from libacli.edges.livekit.signing import encode
from libacli.edges.livekit.tokens import Permissions, join_token
from tests.live.conftest import ReadyRoom, Shell
from tests.live.test_access import next_told, told_to
from tests.started import started

pytestmark = pytest.mark.live

LINE = SayRequest("The watcher sees this.", id="watched")
STATES = ["accepted", "speaking", "audible", "done"]


@contextmanager
def watching(shell: Shell, room: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """`liba metrics watch`, once it is in the room; Ctrl-C ends it."""
    with started(
        shell.command("metrics", "watch", "--room", room, *arguments),
        env=shell.environment,
        cwd=shell.folder,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            assert process.stderr
            while "connected" not in (line := process.stderr.readline()):
                assert line, "it ended"
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 130


def room_follower(
    ready_room: ReadyRoom, credentials: LiveKitCredentials, *, with_captions: bool = False
) -> RoomFollower:
    return RoomFollower(credentials, room=ready_room.room, agent_name="liba", with_captions=with_captions)


async def status_of(stream: AsyncGenerator[RoomUpdate]) -> AgentStatus:
    async with asyncio.timeout(60):
        while not isinstance(update := await anext(stream), AgentStatus):
            pass
    return update


async def until_connected(stream: AsyncGenerator[RoomUpdate]) -> list[str]:
    states: list[str] = []
    async with asyncio.timeout(60):
        while "" not in states:
            if isinstance(update := await anext(stream), ConnectionState):
                states.append(update.words)
    return states


async def until_done(stream: AsyncGenerator[RoomUpdate]) -> list[RoomUpdate]:
    told: list[RoomUpdate] = []
    async with asyncio.timeout(60):
        while not told or not (isinstance(last := told[-1], Event) and last.report.state == "done"):
            told.append(await anext(stream))
    return told


async def test_each_state_of_an_utterance_is_a_line_of_json(shell: Shell, ready_room: ReadyRoom) -> None:
    def lines(process: subprocess.Popen[str]) -> list[str]:
        assert process.stdout
        return [process.stdout.readline() for _ in STATES]

    watch = watching(shell, ready_room.room, "--json")
    process = await asyncio.to_thread(watch.__enter__)
    try:
        await ready_room.client.say(LINE)
        told = [json.loads(line) for line in await asyncio.to_thread(lines, process)]
    finally:
        await asyncio.to_thread(watch.__exit__, None, None, None)
    assert [event["state"] for event in told] == STATES
    assert {(event["id"], event["room"], event["agent"]) for event in told} == {
        ("watched", ready_room.room, "liba")
    }
    assert LINE.text not in json.dumps(told)


async def test_an_utterance_that_ended_is_a_line(shell: Shell, ready_room: ReadyRoom) -> None:
    watch = watching(shell, ready_room.room)
    process = await asyncio.to_thread(watch.__enter__)
    try:
        await ready_room.client.say(LINE)
        assert process.stdout
        line = await asyncio.to_thread(process.stdout.readline)
    finally:
        await asyncio.to_thread(watch.__exit__, None, None, None)
    assert line.split()[1:4] == ["watched", "done", "fallback"]
    assert "total=" in line and "observed" in line


async def test_what_is_spoken_is_told_at_the_start(
    credentials: LiveKitCredentials, ready_room: ReadyRoom
) -> None:
    await ready_room.client.say(replace(LINE, text=LINE.text * 8))  # who comes late sees it, too
    async with aclosing(room_follower(ready_room, credentials).updates()) as stream:
        status = await status_of(stream)
    await ready_room.client.stop()
    assert status.facts.agent == "liba"
    assert status.speaking and status.speaking.id == "watched"


async def test_one_who_watches_is_no_viewer_and_takes_no_sound(
    credentials: LiveKitCredentials, ready_room: ReadyRoom
) -> None:
    follower = room_follower(ready_room, credentials)
    async with aclosing(follower.updates()) as stream:
        await status_of(stream)
        await ready_room.client.say(LINE)
        await until_done(stream)  # a whole utterance long, nobody was told of it
        assert [who for who in ready_room.listener.room.remote_participants if "watch" in who] == []


async def test_texts_are_heard_only_where_they_are_asked_for(
    credentials: LiveKitCredentials, ready_room: ReadyRoom
) -> None:
    async with (
        aclosing(room_follower(ready_room, credentials).updates()) as without,
        aclosing(room_follower(ready_room, credentials, with_captions=True).updates()) as with_text,
    ):
        await status_of(without)
        await status_of(with_text)
        await ready_room.client.say(LINE)
        assert [update for update in await until_done(with_text) if isinstance(update, Caption)] == [
            Caption("watched", LINE.text)
        ]
        assert [update for update in await until_done(without) if isinstance(update, Caption)] == []


async def test_only_an_agent_can_tell_of_utterances(
    credentials: LiveKitCredentials, ready_room: ReadyRoom
) -> None:
    token = join_token(
        credentials, room=ready_room.room, identity="mallory", permissions=Permissions(can_say=True)
    )
    async with (
        aclosing(room_follower(ready_room, credentials).updates()) as stream,
        joined(rtc.Room(), credentials.ws_url, token) as room,
    ):
        await status_of(stream)
        arrived = told_to(ready_room.listener.room)
        forged = json.dumps({"state": "done", "id": "forged", "t0": 1.0})
        await room.local_participant.publish_data(forged, topic=EVENTS_TOPIC)
        assert (await next_told(arrived))["id"] == "forged"
        await ready_room.client.say(LINE)
        told = [update for update in await until_done(stream) if isinstance(update, Event | Unreadable)]
    assert {event.report.id for event in told if isinstance(event, Event)} == {"watched"}
    assert Unreadable() not in told


async def test_a_room_that_was_closed_is_joined_again(
    credentials: LiveKitCredentials, ready_room: ReadyRoom
) -> None:
    async with aclosing(room_follower(ready_room, credentials).updates()) as stream:
        await status_of(stream)
        await close_room(credentials, ready_room.room)
        assert (await until_connected(stream))[0] == "reconnecting…"
        await ready_room.client.reach(timeout_s=30)
        await status_of(stream)
        await ready_room.client.say(LINE)
        states = [update.report.state for update in await until_done(stream) if isinstance(update, Event)]
    assert states == STATES


async def test_a_broken_connection_is_told_and_the_agent_asked_again(
    credentials: LiveKitCredentials, ready_room: ReadyRoom
) -> None:
    room = rtc.Room()
    follower = RoomFollower(credentials, room=ready_room.room, agent_name="liba", new_room=lambda: room)
    async with aclosing(follower.updates()) as stream:
        await status_of(stream)
        await room.simulate_scenario(rtc.SimulateScenarioKind.SIMULATE_FULL_RECONNECT)
        assert await until_connected(stream) == ["reconnecting…", ""]
        await status_of(stream)


async def close_room(credentials: LiveKitCredentials, room: str) -> None:
    token = encode(credentials, {"video": {"roomCreate": True}}, 60)
    async with httpx2.AsyncClient(base_url=credentials.http_url, trust_env=False) as client:
        answer = await client.post(
            "/twirp/livekit.RoomService/DeleteRoom",
            json={"room": room},
            headers={"Authorization": f"Bearer {token}"},
        )
    assert answer.status_code == 200
