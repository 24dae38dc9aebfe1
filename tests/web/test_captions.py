"""The captions of a room as files."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx2
import pytest

from libacli.config import Settings
from libacli.core.event import AgentFacts, Event, Report
from libacli.core.room_update import CaptionPart
from libacli.core.subtitles import read_subtitles
from libacli.web.app import make_app
from libacli.web.feed import KEEP_S
from tests.core.test_subtitles import is_webvtt
from tests.web.conftest import ADDRESS, connected
from tests.web.fake_gateway import FakeGateway

pytestmark = pytest.mark.anyio

VTT, SRT = "/api/rooms/demo/captions.vtt", "/api/rooms/demo/captions.srt"
AUDIBLE = Event(AgentFacts("demo", epoch="e1"), Report("u1", "audible"), 0.0)


@pytest.fixture
async def followed(client: httpx2.AsyncClient) -> AsyncIterator[httpx2.AsyncClient]:
    """Somebody who has asked for the captions before anything was said."""
    assert read_times(await client.get(VTT)) == []
    await asyncio.sleep(0.01)
    yield client


def read_times(answer: httpx2.Response) -> list[tuple[float, str]]:
    assert answer.status_code == 200
    if "-->" not in answer.text:
        return []
    return [(round(cue.start_ms / 1000, 1), cue.text) for cue in read_subtitles(answer.text)]


async def test_captions_are_there_from_the_first_request_on(
    followed: httpx2.AsyncClient, gateway: FakeGateway
) -> None:
    await asyncio.sleep(5)
    gateway.tell("demo", AUDIBLE, CaptionPart("u1", 1, "Hello <there>.", 0))
    await asyncio.sleep(2)
    gateway.tell(
        "demo", CaptionPart("u1", 2, "And on.", 2000), CaptionPart("u1", 1, "Hello <there>.", 0, True)
    )
    await asyncio.sleep(1)
    answer = await followed.get(VTT)
    assert is_webvtt(answer.text)
    assert read_times(answer) == [(5.0, "Hello <there>."), (7.0, "And on.")]
    assert answer.headers["content-type"] == "text/vtt; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert "NOTE times count from 20" in answer.text
    srt = await followed.get(SRT)
    assert read_times(srt) == [(5.0, "Hello <there>."), (7.0, "And on.")]
    assert srt.headers["content-type"] == "application/x-subrip; charset=utf-8"


async def test_a_room_is_followed_as_long_as_somebody_asks(
    followed: httpx2.AsyncClient, gateway: FakeGateway
) -> None:
    gateway.tell("demo", AUDIBLE, CaptionPart("u1", 1, "Hello.", 0))
    for _ in range(3):
        await asyncio.sleep(KEEP_S - 1)
        assert len(read_times(await followed.get(VTT))) == 1
    await asyncio.sleep(KEEP_S + 1)
    assert read_times(await followed.get(VTT)) == []


async def test_where_captions_are_off_there_are_none(gateway: FakeGateway) -> None:
    app = make_app(Settings(speech_captions=False), gateway, address=ADDRESS)
    async with connected(app) as client:
        answer = await client.get(VTT)
    assert (answer.status_code, answer.json()["reason"]) == (404, "no_captions")


async def test_a_room_that_is_called_like_a_file_is_a_room(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/api/rooms/captions.vtt")).json()["room"] == "captions.vtt"
