from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from libacli.core.event import AgentFacts, Event, Report
from libacli.core.lifecycle import State
from libacli.core.route import RouteName
from libacli.edges.avatars.expression import Expression
from libacli.edges.avatars.fakes import FakeAvatarService
from libacli.edges.avatars.port import AvatarVendor
from libacli.edges.avatars.vendors import TAVUS
from libacli.edges.livekit.fakes import FakeRoom

AVATAR = "tavus-avatar-agent"


class Face:
    """An avatar in a room, and what it is told."""

    def __init__(self, vendor: AvatarVendor = TAVUS) -> None:
        self.room = FakeRoom()
        self.room.join(AVATAR, is_agent=True)
        self.identity = AVATAR
        self.expression = Expression(self.room.as_sdk(), vendor, identity=lambda: self.identity)

    def tell(
        self, utterance: str, state: State, emotion: str = "", *, route: RouteName = "avatar", queue: int = 0
    ) -> None:
        facts = AgentFacts("room", queue=queue)
        self.expression.take_event(Event(facts, Report(utterance, state, route=route, emotion=emotion), 0.0))

    async def told(self) -> list[str]:
        await asyncio.sleep(0.01)
        return [
            json.loads(sent.payload)["properties"]["emotion"] for sent in self.room.local_participant.data
        ]


@asynccontextmanager
async def face(vendor: AvatarVendor = TAVUS) -> AsyncIterator[Face]:
    face = Face(vendor)
    task = asyncio.get_running_loop().create_task(face.expression.run())
    yield face
    task.cancel()
    await asyncio.wait([task])


async def test_the_avatar_is_told_as_the_plugin_of_tavus_tells_it() -> None:
    async with face() as avatar:
        avatar.tell("one", "speaking", "happiness")
        await avatar.told()
        (sent,) = avatar.room.local_participant.data
    assert (sent.topic, sent.to) == ("app_messages", [AVATAR])
    assert json.loads(sent.payload) == {
        "message_type": "conversation",
        "event_type": "conversation.set_emotion",
        "properties": {"emotion": "happiness"},
    }


async def test_a_face_goes_back_to_neutral_when_the_last_line_is_over() -> None:
    async with face() as avatar:
        avatar.tell("one", "speaking", "happiness")
        avatar.tell("one", "audible", "happiness")
        avatar.tell("one", "done", "happiness")
        assert await avatar.told() == ["happiness", "neutral"]


@pytest.mark.parametrize("end", ["interrupted", "failed", "unconfirmed"])
async def test_it_goes_back_however_the_line_ends(end: State) -> None:
    async with face() as avatar:
        avatar.tell("one", "speaking", "anger")
        avatar.tell("one", end, "anger")
        assert await avatar.told() == ["anger", "neutral"]


async def test_between_two_lines_a_face_does_not_twitch() -> None:
    async with face() as avatar:
        avatar.tell("one", "speaking", "happiness")
        avatar.tell("one", "done", "happiness", queue=1)
        avatar.tell("two", "speaking", "happiness")
        avatar.tell("two", "done", "happiness", queue=1)
        avatar.tell("three", "speaking")
        assert await avatar.told() == ["happiness", "neutral"]


async def test_a_face_that_was_never_told_anything_is_left_alone() -> None:
    async with face() as avatar:
        for utterance in ("one", "two"):
            avatar.tell(utterance, "speaking")
            avatar.tell(utterance, "done")
        avatar.tell("three", "speaking", "neutral")
        assert await avatar.told() == []


async def test_a_line_that_waits_and_ends_changes_nothing_of_the_one_that_is_spoken() -> None:
    async with face() as avatar:
        avatar.tell("one", "speaking", "sadness")
        avatar.tell("two", "expired")
        assert await avatar.told() == ["sadness"]


async def test_what_is_spoken_on_the_track_shows_nothing() -> None:
    async with face() as avatar:
        avatar.tell("one", "speaking", "fear", route="track")
        avatar.tell("one", "done", "fear", route="track")
        assert await avatar.told() == []


async def test_a_line_that_the_avatar_has_lost_is_not_told_to_nobody() -> None:
    async with face() as avatar:
        avatar.tell("one", "speaking", "fear")
        await avatar.told()
        avatar.identity = ""
        avatar.room.leave(AVATAR)
        avatar.tell("one", "done", "fear", route="track")
        assert await avatar.told() == ["fear"]


async def test_an_avatar_that_comes_anew_shows_nothing_until_it_is_told() -> None:
    async with face() as avatar:
        avatar.tell("one", "speaking", "fear")
        await avatar.told()
        avatar.room.leave(AVATAR)
        avatar.room.join(AVATAR, is_agent=True)
        avatar.tell("one", "done", "fear")
        avatar.tell("two", "speaking", "fear")
        assert await avatar.told() == ["fear", "fear"]


async def test_an_avatar_of_a_vendor_without_expressions_is_told_none_and_the_log_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with face(FakeAvatarService().vendor) as avatar:
        for _ in range(3):
            avatar.tell("one", "speaking", "fear")
        assert await avatar.told() == []
    assert [record.message for record in caplog.records if "emotion" in record.message] == [
        f"{FakeAvatarService().vendor.title} shows no emotion: its faces are not told any"
    ]


async def test_a_packet_that_cannot_be_sent_costs_the_emotion_and_not_the_next_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with face() as avatar:
        avatar.room.script.play("publish_data", RuntimeError("engine is closed"))
        avatar.tell("one", "speaking", "fear")
        await avatar.told()
        avatar.tell("two", "speaking", "anger")
        assert await avatar.told() == ["anger"]
    assert "the avatar was not told its emotion: engine is closed" in caplog.text
