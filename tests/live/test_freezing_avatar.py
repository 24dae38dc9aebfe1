"""An avatar that stops in a line and stays in the room: each line is heard whole, once, by one speaker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import jwt
import pytest
from livekit import rtc

from libacli.config import LiveKitCredentials, Settings
from libacli.core.lifecycle import FINAL_STATES
from libacli.core.messages import SayRequest
from libacli.core.return_feed import STALLED_S
from libacli.edges.avatars.ledger import Ledger
from libacli.edges.livekit.agent_client import AgentClient
from libacli.edges.livekit.agent_locator import AgentLocator
from libacli.edges.livekit.api import LiveKitApi
from libacli.edges.livekit.held_open import HeldOpen
from libacli.edges.livekit.joining import joined
from libacli.edges.viewer.listener import Listener
from libacli.room_agent import agent_in_room
from libacli.room_parts import Parts, assemble
from libacli.speech.fakes import ScriptedVoice, tone
from tests.live.conftest import Listen
from tests.live.freezing_avatar import FreezingAvatar, Manner
from tests.live.heard import BUSY_S
from tests.live.pitched_ear import PitchedEar, ear_in
from tests.lone_job import LoneJob

pytestmark = pytest.mark.live

AGENT = "liba-agent-test"
AVATAR = "tavus-avatar-agent"
TONES = (400, 700, 1000, 1300)
LINE_MS = 3000
SOUND_S = LINE_MS / 1000 * 0.8
"""A tone pauses for 40 of every 200 ms."""

EDGE_S = 0.5
"""What a busy machine may lose of a line, and by how much it may play the rest of it later: what an avatar
swallows here is more than both (`SWALLOWED_S`, where a line counts as lost, besides), 1 s at least."""


@dataclass(frozen=True)
class Stage:
    client: AgentClient
    listener: Listener
    tavus: FreezingAvatar
    parts: Parts
    ear: PitchedEar

    async def avatar(self) -> None:
        async with asyncio.timeout(60):
            while not (self.parts.avatar and self.parts.avatar.sink.state == "ready"):  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    async def say(self, *tones: int) -> dict[int, dict[str, Any]]:
        """Has those lines spoken; their final events, once all has been heard."""
        for hertz in tones:
            await self.client.say(SayRequest("A line.", id=f"{hertz}"))
        events: dict[int, dict[str, Any]] = {}
        async with asyncio.timeout(60):
            while len(events) < len(tones):
                event = await self.listener.events.get()
                if event["state"] in FINAL_STATES:
                    events[int(event["id"])] = event
        await self.ear.quiet()
        return events

    def assert_whole(self, hertz: int, *, by: str, once: bool = True) -> None:
        assert SOUND_S - EDGE_S <= self.ear.seconds(hertz, by) <= SOUND_S + EDGE_S
        if once:
            heard = {
                identity for (tone, identity), times in self.ear.heard.items() if tone == hertz and times
            }
            assert heard == {by}

    def assert_one_speaker(self) -> None:
        lines = self.ear.spans()
        for (_, last_at, *before), (first_at, _, *after) in pairwise(lines):
            assert last_at < first_at + 0.1, f"{after} was heard before {before} had ended: {lines}"
        tones = [tone for _, _, tone, _ in lines]
        assert tones == sorted(tones), f"not in their order: {lines}"


@asynccontextmanager
async def on_stage(
    credentials: LiveKitCredentials, room: str, listen: Listen, folder: Path, *manners: Manner
) -> AsyncIterator[Stage]:
    grants = {"roomJoin": True, "room": room, "agent": True, "canUpdateOwnMetadata": True}
    claims = {
        "iss": credentials.api_key,
        "sub": AGENT,
        "exp": 4_000_000_000,
        "kind": "agent",
        "video": grants,
    }
    token = jwt.encode(claims, credentials.api_secret.get_secret_value())
    voice = ScriptedVoice()
    for hertz in TONES:
        voice.play(0.05, tone(LINE_MS, hertz))
    async with (
        FreezingAvatar(*manners).serving() as tavus,
        LiveKitApi(credentials) as api,
        ear_in(credentials, room, TONES) as ear,
        listen() as listener,
        joined(
            rtc.Room(),
            credentials.ws_url,
            token,
            auto_subscribe=False,
        ) as there,
    ):
        settings = Settings(
            livekit_url=credentials.url,
            livekit_api_key=credentials.api_key,
            livekit_api_secret=credentials.api_secret,
            tavus_api_key=tavus.api_key,  # type: ignore[arg-type]
            tavus_base_url=tavus.base_url,
            tavus_face_id="face",
        )
        parts = assemble(settings, there, voice, ledger=Ledger(folder), characters=folder / "characters.json")
        agent = HeldOpen(agent_in_room(parts, LoneJob()))
        await agent.enter()
        client = AgentClient(api, AgentLocator(api, room=room, agent_name="liba"))
        try:
            assert await client.find()
            stage = Stage(client, listener, tavus, parts, ear)
            await stage.avatar()
            yield stage
        finally:
            await agent.leave()
        assert tavus.active == []
        stage.assert_one_speaker()


@pytest.fixture
def stage(credentials: LiveKitCredentials, room: str, listen: Listen, tmp_path: Path) -> Any:
    return lambda *manners: on_stage(credentials, room, listen, tmp_path, *manners)


@pytest.mark.parametrize("says_it_finished", [False, True], ids=["silent", "reports all the same"])
@pytest.mark.parametrize("freezes_at_s", [0.1, 1.0, 1.7], ids=["start", "middle", "end"])
async def test_a_line_whose_avatar_freezes_in_it_is_said_again_whole_within_two_seconds(
    stage: Any, freezes_at_s: float, says_it_finished: bool
) -> None:
    manner = Manner(line=2, freezes_at_s=freezes_at_s, says_it_finished=says_it_finished)
    async with stage(manner) as on:
        events = await on.say(*TONES[:3])
        lost = events[TONES[1]]
        assert (lost["state"], lost["route"], lost["route_reason"]) == ("done", "fallback", "stalled")
        assert lost["replayed"] is True
        on.assert_whole(TONES[0], by=AVATAR)
        on.assert_whole(TONES[1], by=AGENT, once=False)
        assert on.ear.seconds(TONES[1], AVATAR) <= freezes_at_s + 0.2
        again_at = on.ear.heard[TONES[1], AGENT][0]
        # An avatar that was held up in the line before is given twice as long as that.
        hole_s = on.ear.longest_hole_s(TONES[0], AVATAR)
        assert again_at - on.tavus.frozen_at < max(STALLED_S, 2 * hole_s) + BUSY_S
        assert on.tavus.creates <= 2


async def test_an_avatar_that_thaws_does_not_say_the_rest_beside_the_track(stage: Any) -> None:
    async with stage(Manner(line=1, freezes_at_s=1.0, thaws_after_s=1.6)) as on:
        events = await on.say(TONES[0])
        assert events[TONES[0]]["route_reason"] == "stalled"
        on.assert_whole(TONES[0], by=AGENT, once=False)
        assert on.ear.seconds(TONES[0], AVATAR) <= 1.2


async def test_a_short_hole_is_no_freezing(stage: Any) -> None:
    async with stage(Manner(line=1, freezes_at_s=1.0, thaws_after_s=0.6)) as on:
        events = await on.say(*TONES[:2])
        for hertz in TONES[:2]:
            assert (events[hertz]["state"], events[hertz]["route"]) == ("done", "tavus")
            on.assert_whole(hertz, by=AVATAR)
        assert on.tavus.creates == 1


async def test_a_line_whose_last_second_is_swallowed_is_said_again_though_it_was_reported(
    stage: Any,
) -> None:
    async with stage(Manner(line=1, swallows_from_s=LINE_MS / 1000 - 1.0)) as on:
        events = await on.say(TONES[0])
        assert events[TONES[0]]["route_reason"] == "stalled"
        on.assert_whole(TONES[0], by=AGENT, once=False)


async def test_four_lines_in_a_row_go_well_with_an_avatar_that_does_its_part(stage: Any) -> None:
    async with stage() as on:
        events = await on.say(*TONES)
        for hertz in TONES:
            assert (events[hertz]["state"], events[hertz]["route"]) == ("done", "tavus")
            on.assert_whole(hertz, by=AVATAR)
        assert on.tavus.creates == 1
