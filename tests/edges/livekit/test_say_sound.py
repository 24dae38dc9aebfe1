"""Having a sound heard, from outside the room: it is sent if the agent does not have it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from libacli.config import LiveKitCredentials
from libacli.core.caption_cue import CaptionCue
from libacli.core.given_sound import GivenSound
from libacli.core.messages import parse_request, read_say
from libacli.core.protocol import SAY_METHOD
from libacli.edges.livekit.agent_client import AgentClient
from libacli.edges.livekit.agent_locator import AgentLocator
from libacli.edges.livekit.api import LiveKitApi
from libacli.edges.livekit.sound_sender import Send
from libacli.edges.sounds.sound_file import PreparedSound
from libacli.errors import RefusedError, TimedOutError, UnreachableError
from tests.twirp_server import EPOCH, OLD_SERVER, TwirpPeer, agent, people, reply

pytestmark = pytest.mark.anyio

SOUND = PreparedSound(GivenSound("ab" * 32, 1500, (CaptionCue(0, 1500, "Hello."),)), b"flac")
TAKEN = reply(id="u1", epoch=EPOCH, position=0, duplicate=False)
UNKNOWN = reply(rejected="unknown_sound", message="the agent does not have this sound")


class Post:
    """Somebody who joins and sends; notes what, and to whom."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, str, bytes]] = []
        self.joined = 0
        self.is_in = False
        self.failure: Exception | None = None

    @asynccontextmanager
    async def open(
        self, credentials: LiveKitCredentials, *, room: str, on_behalf: str
    ) -> AsyncIterator[Send]:
        self.joined += 1
        self.is_in = True
        try:
            yield self._send
        finally:
            self.is_in = False

    async def _send(self, agent_identity: str, utterance_id: str, sha256: str, data: bytes) -> None:
        if self.failure:
            raise self.failure
        self.sent.append((agent_identity, utterance_id, sha256, data))


@pytest.fixture
def server() -> TwirpPeer:
    return TwirpPeer()


@pytest.fixture
def post() -> Post:
    return Post()


@pytest.fixture
async def client(server: TwirpPeer, post: Post) -> AsyncGenerator[AgentClient]:
    async with LiveKitApi(server.credentials, transport=server) as api:
        locator = AgentLocator(api, room="demo", agent_name="liba")
        yield AgentClient(api, locator, patience_s=0.5, open_sender=post.open)


def asked(server: TwirpPeer) -> list[dict[str, Any]]:
    calls = [one.body for one in server.asked("PerformRpc") if one.body["method"] == SAY_METHOD]
    return [parse_request(call["payload"].encode())[0] for call in calls]


async def test_one_that_the_agent_has_is_not_sent(server: TwirpPeer, client: AgentClient, post: Post) -> None:
    server.play("PerformRpc", TAKEN)
    said = await client.say_sound(SOUND, id="u1", priority=2)
    assert (said.level, post.joined) == ("accepted", 0)
    request = read_say(asked(server)[0], max_text_chars=1)
    assert (request.id, request.priority, request.sound) == ("u1", 2, SOUND.given)


async def test_one_that_it_does_not_have_is_sent_to_it_alone_and_then_said(
    server: TwirpPeer, client: AgentClient, post: Post
) -> None:
    server.play("PerformRpc", UNKNOWN, UNKNOWN, UNKNOWN, TAKEN)
    said = await client.say_sound(SOUND, id="u1")
    assert said.level == "accepted"
    assert post.sent == [(agent()["identity"], "u1", SOUND.given.sha256, b"flac")]
    assert {one["id"] for one in asked(server)} == {"u1"}
    assert not post.is_in


async def test_without_an_id_all_that_is_asked_has_the_same_one(
    server: TwirpPeer, client: AgentClient, post: Post
) -> None:
    server.play("PerformRpc", UNKNOWN, UNKNOWN, TAKEN)
    await client.say_sound(SOUND)
    assert len({one["id"] for one in asked(server)} | {post.sent[0][1]}) == 1


async def test_one_that_does_not_arrive_is_given_up(
    server: TwirpPeer, client: AgentClient, post: Post
) -> None:
    server.play("PerformRpc", *[UNKNOWN] * 400)
    with pytest.raises(TimedOutError, match="did not get the sound within 30 s") as caught:
        await client.say_sound(SOUND, id="u1")
    assert caught.value.utterance_id == "u1"
    assert not post.is_in


async def test_another_refusal_ends_it_and_so_does_a_way_that_is_broken(
    server: TwirpPeer, client: AgentClient, post: Post
) -> None:
    server.play("PerformRpc", reply(rejected="sound_too_long", message="a sound may last 5 s"))
    with pytest.raises(RefusedError, match="may last 5 s"):
        await client.say_sound(SOUND)
    assert post.joined == 0
    post.failure = UnreachableError("the sound was not sent")
    server.play("PerformRpc", UNKNOWN)
    with pytest.raises(UnreachableError):
        await client.say_sound(SOUND)
    assert not post.is_in


async def test_an_agent_that_knows_of_no_sounds_is_named_as_what_it_is(
    server: TwirpPeer, client: AgentClient
) -> None:
    server.play("PerformRpc", reply(rejected="malformed", message="`text` is missing"))
    with pytest.raises(RefusedError, match="too old") as caught:
        await client.say_sound(SOUND)
    assert caught.value.reason == "old_agent"


async def test_an_agent_that_came_in_its_place_meanwhile_gets_it_too(
    server: TwirpPeer, client: AgentClient, post: Post
) -> None:
    server.play("ListParticipants", people(agent("liba-agent-1")), people(agent("liba-agent-2")))
    draining = reply(rejected="draining", message="it is shutting down")
    server.play("PerformRpc", UNKNOWN, draining, UNKNOWN, TAKEN)
    await client.say_sound(SOUND, id="u1")
    assert [one[0] for one in post.sent] == ["liba-agent-1", "liba-agent-2"]


async def test_captions_that_no_call_carries_are_refused_here(server: TwirpPeer, client: AgentClient) -> None:
    text = "".join(chr(0x4E00 + number * 7919 % 20_000) for number in range(9_000))
    long = replace(SOUND, given=replace(SOUND.given, captions=(CaptionCue(0, 1500, text),)))
    with pytest.raises(RefusedError, match="captions are too long") as caught:
        await client.say_sound(long)
    assert caught.value.reason == "too_large"
    assert server.asked("PerformRpc") == []


async def test_captions_of_ten_minutes_of_speech_are_carried(server: TwirpPeer, client: AgentClient) -> None:
    words = [f"word{number * 7919 % 3001}" for number in range(1_500)]
    cues = tuple(
        CaptionCue(at * 400, at * 400 + 399, " ".join(words[at : at + 10])) for at in range(0, len(words), 10)
    )
    server.play("PerformRpc", TAKEN)
    sound = replace(SOUND, given=GivenSound("ab" * 32, 600_000, cues))
    assert (await client.say_sound(sound)).level == "accepted"


async def test_members_that_are_for_a_voice_are_refused_here(client: AgentClient) -> None:
    with pytest.raises(RefusedError, match="no voice is asked"):
        await client.say_sound(SOUND, voice="nova")


async def test_a_server_that_cannot_ask_the_agent_cannot_have_it_heard(
    server: TwirpPeer, client: AgentClient
) -> None:
    server.play("PerformRpc", OLD_SERVER)
    with pytest.raises(RefusedError) as caught:
        await client.say_sound(SOUND)
    assert caught.value.reason == "unsupported_server"
