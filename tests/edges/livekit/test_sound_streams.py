"""Sounds that come as byte streams, in a room without a server."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from livekit import rtc
from pydantic import SecretStr

from libacli.complaint_log import ComplaintLog
from libacli.config import LiveKitCredentials, Settings
from libacli.core.caps import SayCaps
from libacli.core.event import AgentFacts
from libacli.core.flac_info import FlacInfo
from libacli.core.given_sound import most_bytes
from libacli.core.protocol import SIGNATURE_ATTRIBUTE, SOUND_TOPIC
from libacli.core.sound_shelf import SoundShelf
from libacli.edges.livekit.authorization import RoomAuthorization
from libacli.edges.livekit.fake_streams import HANG, Step
from libacli.edges.livekit.fakes import FakeRoom
from libacli.edges.livekit.sound_streams import ID_ATTRIBUTE, SHA256_ATTRIBUTE, SoundStreams, announced
from libacli.edges.livekit.tokens import sign_request
from libacli.speech.announcer import Announcer
from libacli.speech.desk import Desk
from libacli.speech.fakes import RecordingSink, ScriptedVoice
from libacli.speech.speaker import Speaker
from tests.core.test_flac_info import head

pytestmark = pytest.mark.anyio

SECRET = "a secret that is long enough to be one, and no example's"
SETTINGS = Settings(
    livekit_url="ws://127.0.0.1:7880", livekit_api_key="key", livekit_api_secret=SecretStr(SECRET)
)
DATA = head(FlacInfo(24_000, 1, 16, 24_000)) + bytes(100)
MOST_S = 2


class Studio:
    """A room with an agent in it, whose sounds are limited to two seconds."""

    def __init__(self, settings: Settings = SETTINGS, *, most_bytes: int = 1 << 20) -> None:
        self.room = FakeRoom("demo", identity="liba-agent-1")
        self.shelf = SoundShelf(most_bytes=most_bytes)
        self.credentials = settings.livekit()
        speaker = Speaker(ScriptedVoice(), RecordingSink(), on_change=lambda utterance: None)
        desk = Desk(
            speaker,
            Announcer(AgentFacts, lambda at: at, []),
            RoomAuthorization(settings, "demo", agent="liba-agent-1"),
            max_text_chars=10,
            max_sound_s=MOST_S,
            caps=SayCaps(rate_per_minute=0, burst=1, max_chars_per_hour=0),
        )
        log = ComplaintLog(logging.getLogger("liba.room"))
        self.streams = SoundStreams(self.room.as_sdk(), desk, self.shelf, log=log)

    def receive(
        self,
        *pieces: bytes | Step,
        data: bytes = DATA,
        size: int | None = None,
        auth: str | None = None,
        **signed: Any,
    ) -> str:
        """A stream comes that is signed for `data`; its SHA-256."""
        sha256, size = hashlib.sha256(data).hexdigest(), len(data) if size is None else size
        made = auth if auth is not None else self.signature(sha256, size, **signed)
        attributes = {SIGNATURE_ATTRIBUTE: made, ID_ATTRIBUTE: "u1", SHA256_ATTRIBUTE: sha256}
        self.room.receive_bytes(
            *(pieces or (data,)), topic=SOUND_TOPIC, sender="ann", attributes=attributes, size=size
        )
        return sha256

    def signature(self, sha256: str, size: int, **signed: Any) -> str:
        usual: dict[str, Any] = {"room": "demo", "method": SOUND_TOPIC, "agent": "liba-agent-1"}
        options = usual | {"credentials": self.credentials} | signed
        return sign_request(body=announced("u1", sha256, size), **options)

    async def has(self, sha256: str) -> bool:
        await asyncio.sleep(0.01)
        return self.shelf.find(sha256, asyncio.get_running_loop().time()) is not None

    @property
    def open_readers(self) -> int:
        return sum(not reader.closed.is_set() for reader in self.room.byte_readers)


@asynccontextmanager
async def working(studio: Studio) -> AsyncIterator[Studio]:
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(studio.streams.run())
        await asyncio.sleep(0)
        yield studio
        running.cancel()


async def test_a_sound_that_is_signed_is_kept_whole_and_its_stream_closed() -> None:
    async with working(Studio()) as studio:
        sha256 = studio.receive(DATA[:10], 0.001, DATA[10:])
        assert await studio.has(sha256)
        assert studio.shelf.find(sha256, 0) == DATA
        assert studio.open_readers == 0


OTHERS = LiveKitCredentials("ws://127.0.0.1:7880", "key", SecretStr(SECRET[::-1]))


@pytest.mark.parametrize(
    "signed",
    [
        {"auth": ""},
        {"auth": "no signature"},
        {"room": "another"},
        {"method": "liba.say"},
        {"agent": "liba-agent-2"},
        {"credentials": OTHERS},
    ],
    ids=["unsigned", "no signature", "another room", "another method", "another agent", "another key"],
)
async def test_one_that_is_not_signed_for_here_is_closed_before_it_is_read(
    signed: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    async with working(Studio()) as studio:
        sha256 = studio.receive(**signed)
        assert studio.open_readers == 0
        assert not await studio.has(sha256)
    assert "not taken" in caplog.text


async def test_where_anybody_may_speak_anybody_may_send() -> None:
    async with working(Studio(SETTINGS.model_copy(update={"say_accept": "anyone"}))) as studio:
        assert await studio.has(studio.receive(auth="-"))


@pytest.mark.parametrize("size", [0, most_bytes(MOST_S) + 1], ids=["nothing", "too much"])
async def test_one_of_no_size_that_is_allowed_is_closed_before_it_is_read(size: int) -> None:
    async with working(Studio()) as studio:
        studio.receive(size=size)
        assert studio.open_readers == 0


async def test_one_that_is_larger_than_it_said_is_dropped_at_that_point() -> None:
    async with working(Studio()) as studio:
        sha256 = studio.receive(DATA, b"more", HANG, size=len(DATA))
        assert not await studio.has(sha256)
        assert studio.open_readers == 0


@pytest.mark.parametrize(
    "pieces",
    [
        (DATA[:-1],),
        (DATA[:-1] + b"x",),
        (DATA[:10], rtc.StreamError("aborted")),
        (DATA[:10], 25.0, DATA[10:]),
    ],
    ids=["less", "another", "broken off", "stalled"],
)
async def test_one_that_is_not_what_was_announced_is_dropped(
    pieces: tuple[bytes | Step, ...], caplog: pytest.LogCaptureFixture
) -> None:
    async with working(Studio()) as studio:
        sha256 = studio.receive(*pieces)
        await asyncio.sleep(30)
        assert not await studio.has(sha256)
        assert studio.open_readers == 0
    assert "dropped" in caplog.text


async def test_what_is_no_flac_is_dropped() -> None:
    async with working(Studio()) as studio:
        assert not await studio.has(studio.receive(data=b"RIFF and so on"))


async def test_no_more_come_at_a_time_than_are_read() -> None:
    async with working(Studio()) as studio:
        for number in range(6):
            studio.receive(HANG, data=DATA + bytes([number]))
        await asyncio.sleep(0.01)
        assert studio.open_readers == 4
    assert studio.open_readers == 0


async def test_what_there_is_no_room_for_is_closed_and_what_is_coming_counts() -> None:
    async with working(Studio(most_bytes=2 * len(DATA) + 10)) as studio:
        studio.receive(HANG)
        studio.receive(HANG, data=DATA + b"1")
        studio.receive(HANG, data=DATA + b"2")
        await asyncio.sleep(0.01)
        assert studio.open_readers == 2
