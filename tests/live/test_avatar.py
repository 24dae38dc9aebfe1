"""Speech through an avatar that does its part, and through ones that do not: every line is heard, once."""

from __future__ import annotations

import asyncio
import os
import signal
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import psutil
import pytest
from livekit import rtc
from livekit.api import DeleteRoomRequest, LiveKitAPI

from libacli.config import LiveKitCredentials, Settings
from libacli.core.lifecycle import FINAL_STATES
from libacli.core.messages import SayRequest
from libacli.edges.avatars.ledger import Ledger
from libacli.edges.livekit.agent_client import AgentClient
from libacli.edges.livekit.agent_locator import AgentLocator
from libacli.edges.livekit.api import LiveKitApi
from libacli.edges.livekit.held_open import HeldOpen
from libacli.edges.livekit.joining import joined
from libacli.edges.livekit.tokens import avatar_token
from libacli.edges.sinks.avatar import AvatarSink
from libacli.edges.viewer.listener import Listener
from libacli.room_agent import agent_in_room
from libacli.room_parts import Parts, assemble
from libacli.speech.fakes import ScriptedVoice
from libacli.speech.ports import Voice
from tests.contracts import SinkContract
from tests.faulty_avatar import FaultyAvatar, Script
from tests.live.conftest import Listen, Shell, wait_for_line
from tests.live.heard import BUSY_S, assert_heard_once, quiet
from tests.lone_job import LoneJob

pytestmark = pytest.mark.live

LINE = "a line that sounds for two seconds"
LINE_S = len(LINE) * 0.06 * 0.8
"""Seconds in which the scripted voice's tone sounds for `LINE`: 160 of every 200 ms."""

EDGE_S = 0.4
"""A tone in ten pieces has twenty edges."""


@dataclass(frozen=True)
class Air:
    """An agent of this process, an avatar service, and somebody who listens."""

    client: AgentClient
    listener: Listener
    tavus: FaultyAvatar
    parts: Parts
    agent: HeldOpen

    async def say(self, text: str = LINE, *, timeout_s: float = 60.0) -> dict[str, Any]:
        """Has a text spoken; its final event, once the sound has arrived."""
        said = await self.client.say(SayRequest(text, id=uuid.uuid4().hex[:8]))
        async with asyncio.timeout(timeout_s):
            event = await self.listener.wait_for(said.id, *FINAL_STATES)
        await quiet(self.listener)
        return event

    async def heard(self, text: str = LINE, *, timeout_s: float = 60.0) -> tuple[dict[str, Any], float]:
        """The final event of a text, and how many seconds of sound came while it was spoken."""
        take = self.listener.start_capture()
        event = await self.say(text, timeout_s=timeout_s)
        return event, take.speech_s

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits for what happens in the avatar service."""
        async with asyncio.timeout(60):
            while not condition():  # noqa: ASYNC110 - it is asked for from outside
                await asyncio.sleep(0.05)

    def _has_avatar(self) -> bool:
        return self.parts.avatar is not None and self.parts.avatar.sink.state == "ready"

    async def avatar(self) -> str:
        """Waits until the avatar is in the room with its picture, for the agent too; its identity."""
        async with asyncio.timeout(60):
            while True:
                for participant in self.listener.room.remote_participants.values():
                    kinds = {track.kind for track in participant.track_publications.values()}
                    if rtc.TrackKind.KIND_VIDEO in kinds:
                        await self.until(self._has_avatar)
                        return participant.identity
                await asyncio.sleep(0.05)


@asynccontextmanager
async def on_air(
    credentials: LiveKitCredentials,
    room: str,
    listen: Listen,
    folder: Path,
    script: Script,
    *,
    voice: Voice | None = None,
    **settings: Any,
) -> AsyncIterator[Air]:
    token = jwt.encode(
        {
            "iss": credentials.api_key,
            "sub": "liba-agent-test",
            "exp": 4_000_000_000,
            "kind": "agent",
            "video": {"roomJoin": True, "room": room, "agent": True, "canUpdateOwnMetadata": True},
        },
        credentials.api_secret.get_secret_value(),
        algorithm="HS256",
    )
    async with (
        FaultyAvatar(script) as tavus,
        LiveKitApi(credentials) as api,
        listen() as listener,
        joined(rtc.Room(), credentials.ws_url, token, auto_subscribe=False) as there,
    ):
        bounds = {"avatar_ready_timeout": 5.0, "avatar_join_timeout": 20.0, "avatar_audible_timeout": 1.5}
        parts = assemble(
            Settings(
                livekit_url=credentials.url,
                livekit_api_key=credentials.api_key,
                livekit_api_secret=credentials.api_secret,
                tavus_api_key=tavus.api_key,
                tavus_base_url=tavus.base_url,
                tavus_face_id="face",
                **(bounds | settings),
            ),
            there,
            voice or ScriptedVoice(first_byte_s=0.05),
            ledger=Ledger(folder),
            characters=folder / "characters.json",
        )
        agent = HeldOpen(agent_in_room(parts, LoneJob()))
        await agent.enter()
        client = AgentClient(api, AgentLocator(api, room=room, agent_name="liba"))
        try:
            assert await client.find()
            yield Air(client, listener, tavus, parts, agent)
        finally:
            await agent.leave()
        assert tavus.active == []
        # One whose creation got no answer is looked for by whoever reaps: it may begin later.
        assert [entry for entry in Ledger(folder).entries() if entry.id] == []
        assert len(tavus.ends) == len(set(tavus.ends))


@pytest.fixture
def air(credentials: LiveKitCredentials, room: str, listen: Listen, tmp_path: Path) -> Any:
    def go(script: Script | None = None, **settings: Any) -> Any:
        return on_air(credentials, room, listen, tmp_path / "ledger", script or Script(), **settings)

    return go


class TestAvatarSink(SinkContract):
    SLACK_S = 3.0  # a busy machine; under a clock of its own the sink is held to 0.02

    @pytest.fixture
    async def sink(self, air: Any) -> AsyncIterator[AvatarSink]:
        async with air() as on:
            await on.avatar()
            assert on.parts.avatar
            yield on.parts.avatar.sink


async def test_a_line_goes_to_the_avatar_and_its_end_is_reported(air: Any) -> None:
    async with air() as on:
        assert await on.avatar() == "tavus-avatar-agent"
        event, heard_s = await on.heard()
    assert (event["state"], event["route"], event["t3_source"]) == ("done", "tavus", "reported")
    assert_heard_once(heard_s, LINE_S, edge_s=EDGE_S)
    assert event["d2a"] > 0
    assert (on.tavus.creates, len(on.tavus.ends)) == (1, 1)


async def test_fault_01_the_conversation_is_asked_for_with_a_bound_a_name_and_a_small_token(air: Any) -> None:
    async with air() as on:
        await on.avatar()
    (body,) = on.tavus.bodies
    grants = jwt.decode(body["properties"]["livekit_room_token"], options={"verify_signature": False})
    assert body["face_id"] == "face"
    assert body["conversation_name"].startswith("liba-")
    assert body["properties"]["max_call_duration"] == 3600
    assert grants["sub"] == "tavus-avatar-agent"
    assert grants["attributes"] == {"lk.publish_on_behalf": "liba-agent-test"}
    assert not grants["video"]["canUpdateOwnMetadata"]
    assert not {"roomAdmin", "agent"} & grants["video"].keys()
    assert not grants["video"]["canSubscribe"]


async def test_f2_the_avatars_token_registers_no_worker(credentials: LiveKitCredentials, room: str) -> None:
    entitled = jwt.encode(
        {"iss": credentials.api_key, "exp": 4_000_000_000, "video": {"agent": True}},
        credentials.api_secret.get_secret_value(),
        algorithm="HS256",
    )
    token = avatar_token(credentials, room=room, identity="avatar", on_behalf_of="agent", valid_for_s=120)
    statuses = []
    async with aiohttp.ClientSession() as session:
        for bearer in (entitled, token):
            try:
                headers = {"Authorization": f"Bearer {bearer}"}
                async with session.ws_connect(f"{credentials.ws_url}/agent", headers=headers):
                    statuses.append(101)
            except aiohttp.WSServerHandshakeError as error:
                statuses.append(error.status)
    assert statuses == [101, 401]


async def test_twenty_lines_come_in_order_and_whole(air: Any) -> None:
    async with air() as on:
        await on.avatar()
        take = on.listener.start_capture()
        for number in range(20):
            await on.client.say(SayRequest("ten chars.", id=f"n{number}"))
        done: list[tuple[str, str, str]] = []
        async with asyncio.timeout(60):
            while len(done) < 20:
                event = await on.listener.events.get()
                if event["state"] in FINAL_STATES:
                    done.append((event["id"], event["state"], event["route"]))
        await quiet(on.listener)
    assert done == [(f"n{number}", "done", "tavus") for number in range(20)]
    assert_heard_once(take.speech_s, 20 * 0.6 * 0.8, edge_s=1.0)


async def spoken_without(on: Air, reason: str) -> None:
    """A line that is heard whole on the track, because the avatar is not there."""
    event, heard_s = await on.heard(timeout_s=8)
    assert (event["state"], event["route"], event["route_reason"]) == ("done", "fallback", reason)
    assert_heard_once(heard_s, LINE_S, edge_s=EDGE_S)


async def spoken_again(on: Air) -> None:
    """Lines are spoken until one goes to an avatar again."""
    async with asyncio.timeout(60):
        while (await on.heard())[0]["route"] != "tavus":
            pass


async def test_fault_02_a_conversation_whose_answer_is_lost_is_ended_and_none_has_the_name_of_another(
    air: Any,
) -> None:
    async with air(Script(create="lost")) as on:
        await spoken_without(on, "not reachable")
        on.tavus.default = Script()
        await spoken_again(on)
        lost = on.tavus.creates - 1
        assert len(on.tavus.ends) == lost >= 1
    names = {body["conversation_name"] for body in on.tavus.bodies}
    assert len(names) == on.tavus.creates == len(on.tavus.ends)


async def test_fault_03_a_service_that_never_answers_is_waited_for_no_longer_than_the_avatar(
    air: Any,
) -> None:
    async with air(Script(create="hang"), avatar_ready_timeout=1.0) as on:
        await spoken_without(on, "not ready")
        await spoken_without(on, "not ready")
    assert on.tavus.creates == 1


@pytest.mark.parametrize(
    "script", [Script(joins=False), Script(has_video=False)], ids=["never", "no picture"]
)
async def test_fault_18_an_avatar_that_does_not_join_is_ended_and_what_waits_is_spoken_without_it(
    air: Any, script: Script
) -> None:
    async with air(script, avatar_ready_timeout=1.0, avatar_join_timeout=2.0) as on:
        take = on.listener.start_capture()
        for id in ("first", "second"):
            await on.client.say(SayRequest(LINE, id=id))
        for id in ("first", "second"):
            async with asyncio.timeout(60):
                event = await on.listener.wait_for(id, *FINAL_STATES)
            assert (event["state"], event["route"]) == ("done", "fallback")
            assert event["route_reason"] in ("not ready", "never joined")
        await quiet(on.listener)
        assert_heard_once(take.speech_s, 2 * LINE_S, edge_s=0.5)
        await on.until(lambda: bool(on.tavus.ends))
        on.tavus.default = Script()
        await spoken_again(on)


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (401, "speaking without it - check TAVUS_API_KEY"),
        (402, "next try in 720 s - the Tavus account is out of credits"),
    ],
)
async def test_fault_46_a_service_that_refuses_is_asked_once_and_every_line_is_heard(
    air: Any, status: Any, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with air(Script(create=status)) as on:
        on.tavus.default = Script(create=status)
        for _ in range(2):
            await spoken_without(on, str(status))
        await asyncio.sleep(1)
    assert (on.tavus.creates, on.tavus.ends) == (1, [])
    (line,) = [record.message for record in caplog.records if "no avatar" in record.message]
    assert line.startswith(f"no avatar: the avatar service answered: {status} (")
    assert line.endswith(f"); {told}")


@pytest.mark.parametrize(
    ("create", "reason"), [("too many", "400 too many conversations"), (429, "429"), (500, "500")]
)
async def test_fault_47_a_service_that_is_full_is_done_without_and_asked_again_later(
    air: Any, create: Any, reason: str
) -> None:
    async with air(Script(create=create)) as on:
        await spoken_without(on, reason)
        on.tavus.default = Script()
        await spoken_again(on)
        assert on.tavus.creates <= 3
    assert len(on.tavus.ends) == 1


async def test_a_line_is_spoken_by_an_avatar_that_joins_a_little_late(air: Any) -> None:
    async with air(Script(join_after_s=1.5)) as on:
        event, heard_s = await on.heard()
    assert event["route"] == "tavus"
    assert_heard_once(heard_s, LINE_S, edge_s=EDGE_S)


async def test_fault_20_a_line_whose_avatar_leaves_is_repeated_whole_and_later_ones_have_an_avatar_again(
    air: Any,
) -> None:
    async with air(Script(leaves_after_frames=50)) as on:
        await on.avatar()
        on.tavus.default = Script()
        event, heard_s = await on.heard()
        assert (event["state"], event["route"]) == ("done", "fallback")
        assert event["route_reason"] in ("left", "stalled")  # stalled: the news of its leaving took 5 s
        assert event["replayed"] is True
        assert LINE_S - 0.4 <= heard_s <= 2 * LINE_S
        await spoken_again(on)
    assert on.tavus.creates == 2


async def unconfirmed(on: Air) -> None:
    """Lines whose end nobody reports are heard and not called done; only the first is waited for long."""
    await on.avatar()
    for longest_s in (4.5, 2.0, 2.0):
        event, heard_s = await on.heard()
        assert (event["state"], event["route"], event["t3_source"]) == ("unconfirmed", "tavus", "estimated")
        assert_heard_once(heard_s, LINE_S, edge_s=EDGE_S)
        assert event["d23"] / 1000 - on.listener.capture.span_s < longest_s


async def test_f6_an_end_that_is_not_reported_is_estimated_and_the_avatar_is_kept(air: Any) -> None:
    async with air(Script(report="never")) as on:
        await unconfirmed(on)
        assert on.tavus.creates == 1


async def test_fault_22_a_report_that_comes_after_its_bound_does_not_end_the_next_line(air: Any) -> None:
    async with air(Script(report_shift_s=5.0)) as on:
        await on.avatar()
        for _ in range(2):
            event, heard_s = await on.heard()
            assert (event["state"], event["route"]) == ("unconfirmed", "tavus")
            assert_heard_once(heard_s, LINE_S, edge_s=EDGE_S)


async def test_fault_23_a_report_that_cannot_be_read_is_none(air: Any) -> None:
    async with air(Script(report="malformed")) as on:
        await unconfirmed(on)
        assert on.tavus.creates == 1


@pytest.mark.parametrize(
    "script",
    [Script(report="twice"), Script(report_shift_s=-0.5), Script(report_shift_s=1.0)],
    ids=["twice", "early", "a little late"],
)
async def test_fault_23_reports_that_come_early_late_or_twice_end_no_other_line(
    air: Any, script: Script
) -> None:
    async with air(script) as on:
        await on.avatar()
        for _ in range(3):
            take = on.listener.start_capture()
            event = await on.say()
            await asyncio.sleep(0.6)
            assert event["state"] in ("done", "unconfirmed")
            assert event["route"] == "tavus"
            assert_heard_once(take.speech_s, LINE_S, edge_s=EDGE_S)
            assert event["d23"] > len(LINE) * 60 * 0.5


async def test_stop_silences_the_avatar_at_once(air: Any) -> None:
    async with air() as on:
        await on.avatar()
        take = on.listener.start_capture()
        await on.client.say(SayRequest(LINE * 3, id="stopped"))
        async with asyncio.timeout(60):
            await on.listener.wait_for("stopped", "audible")
        stopped_at = asyncio.get_running_loop().time()
        await on.client.stop()
        await asyncio.sleep(0.5 + 2 * BUSY_S)
        assert take.last_audible_at is not None
        assert take.last_audible_at - stopped_at < 0.5 + BUSY_S
        event, heard_s = await on.heard()
    assert event["route"] == "tavus"
    assert_heard_once(heard_s, LINE_S, edge_s=EDGE_S)


async def test_what_still_sounds_of_an_interrupted_line_is_not_taken_for_the_next_one(air: Any) -> None:
    async with air() as on:
        await on.avatar()
        shortest = min([(await on.say())["d2a"] for _ in range(3)])
        await on.client.say(SayRequest(LINE * 3, id="interrupted"))
        async with asyncio.timeout(60):
            await on.listener.wait_for("interrupted", "audible")
        await on.client.say(SayRequest(LINE, id="urgent", interrupt=True))
        async with asyncio.timeout(60):
            event = await on.listener.wait_for("urgent", *FINAL_STATES)
    assert (event["state"], event["route"]) == ("done", "tavus")
    assert event["d2a"] > shortest / 2


async def test_the_avatar_is_ended_when_nobody_watches_and_comes_back_with_the_next_viewer(
    air: Any, listen: Listen
) -> None:
    async with air(avatar_idle_timeout=1.0) as on:
        await on.avatar()
        await on.listener.room.disconnect()
        await on.until(lambda: not on.tavus.active)
        async with listen():
            await on.until(lambda: bool(on.tavus.active))
    assert on.tavus.creates == 2


@pytest.mark.parametrize("isolation", ["process", "thread"])
async def test_fault_01_what_a_killed_worker_left_behind_is_ended_once_by_the_next_one(
    shell: Shell, room: str, listen: Listen, tmp_path: Path, isolation: str
) -> None:
    async with FaultyAvatar() as tavus, listen():
        keys = {
            "TAVUS_API_KEY": tavus.api_key.get_secret_value(),
            "TAVUS_BASE_URL": tavus.base_url,
            "TAVUS_PERSONA_ID": "pal",
            "XDG_STATE_HOME": str(tmp_path),
        }
        run = ("agent", "run", "--agent-name", room, "--room", room, "--isolation", isolation)
        with shell.running(*run, log=tmp_path / "first.log", **keys) as first:
            log = tmp_path / "first.log"
            await asyncio.to_thread(wait_for_line, log, "the avatar is in the room", first)
            for process in psutil.Process(first.pid).children(recursive=True):
                process.kill()
        assert len(tavus.active) == 1
        with shell.running(*run, log=tmp_path / "second.log", **keys) as second:
            log = tmp_path / "second.log"
            await asyncio.to_thread(wait_for_line, log, "ended 1 conversations", second)
            assert len(tavus.ends) == 1
            os.kill(second.pid, signal.SIGTERM)
            assert await asyncio.to_thread(second.wait, 60) == 0
        assert tavus.active == []
    assert tavus.bodies[0]["pal_id"] == "pal"
    assert len(tavus.ends) == len(set(tavus.ends)) == tavus.creates


async def test_a_conversation_is_renewed_before_its_end_and_no_line_is_lost(air: Any) -> None:
    async with air(avatar_max_duration=120, avatar_renew_before=118, avatar_overlap=True) as on:
        assert await on.avatar() == "tavus-avatar-agent"
        routes = []
        while on.tavus.creates < 2 or len(on.tavus.ends) < 1:
            event, heard_s = await on.heard()
            routes.append(event["route"])
            assert_heard_once(heard_s, LINE_S, edge_s=EDGE_S)
            assert len(routes) < 10
        routes.append((await on.heard())[0]["route"])
    assert set(routes) == {"tavus"}


async def test_the_conversation_is_ended_when_the_room_is_deleted(
    air: Any, credentials: LiveKitCredentials, room: str
) -> None:
    async with air() as on:
        await on.avatar()
        async with LiveKitAPI(
            credentials.http_url, credentials.api_key, credentials.api_secret.get_secret_value()
        ) as api:
            await api.room.delete_room(DeleteRoomRequest(room=room))
        await asyncio.sleep(0.5)
        await on.agent.leave()
        await on.until(lambda: not on.tavus.active)
