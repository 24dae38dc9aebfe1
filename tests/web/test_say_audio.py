from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from libacli.config import Settings
from libacli.core.caption_cue import CaptionCue
from libacli.web import say_audio, upload
from libacli.web.app import make_app
from tests.web.conftest import ADDRESS, connected
from tests.web.fake_gateway import FakeGateway

SOUND = b"RIFF and so on"
WAV = {"Content-Type": "audio/wav"}


@pytest.fixture
def settings() -> Settings:
    return Settings(say_max_sound=1)


async def post(
    client: httpx2.AsyncClient, content: Any = SOUND, headers: dict[str, str] | None = None, **query: Any
) -> httpx2.Response:
    return await client.post("/api/say/audio", params=query, content=content, headers=WAV | (headers or {}))


def temporary_files() -> set[str]:
    import tempfile

    return {file.name for file in Path(tempfile.gettempdir()).glob("liba-*")}


async def test_a_sound_is_handed_over_as_a_text_would_be(
    client: httpx2.AsyncClient, gateway: FakeGateway
) -> None:
    before = temporary_files()
    answer = await post(client, room="demo", text="Hello.", priority=3, ttl_ms=5000, emotion="happiness")
    assert answer.status_code == 202, answer.text
    told = answer.json()
    (request,) = gateway.agents["demo"].requests
    assert (told["id"], told["room"], told["state"]) == (request.id, "demo", "accepted")
    assert answer.headers["location"] == f"/api/say/{request.id}?room=demo"
    assert request.sound
    assert (request.sound.ms, request.sound.words) == (len(SOUND), "Hello.")
    assert (request.priority, request.ttl_ms, request.emotion) == (3, 5000, "happiness")
    assert temporary_files() == before


async def test_captions_are_those_of_a_file_of_either_kind(
    client: httpx2.AsyncClient, gateway: FakeGateway
) -> None:
    vtt = "WEBVTT\n\n00:00.000 --> 00:00.005\nDa\n\n00:00.005 --> 00:00.009\nd\u00fcm &amp; so on\n"
    srt = "1\n00:00:00,000 --> 00:00:00,005\nDa\n\n2\n00:00:00,005 --> 00:00:00,009\nd\u00fcm & so on\n"
    for file in (vtt, srt, srt.replace("\n", "\r\n")):
        answer = await post(client, room="demo", captions=file)
        assert answer.status_code == 202, answer.text
        sound = gateway.agents["demo"].requests[-1].sound
        assert sound
        assert sound.captions == (CaptionCue(0, 5, "Da"), CaptionCue(5, 9, "d\u00fcm & so on"))


@pytest.mark.parametrize(
    "query", [{"captions": "no times"}, {"captions": ""}, {"captions": "WEBVTT", "text": "Hello."}]
)
async def test_captions_that_are_none_or_two_are_refused(
    client: httpx2.AsyncClient, gateway: FakeGateway, query: dict[str, Any]
) -> None:
    answer = await post(client, **query)
    assert (answer.status_code, answer.json()["reason"]) == (422, "malformed")
    assert answer.json()["hint"]
    assert not gateway.agents


async def test_it_is_waited_for_as_a_text_is(client: httpx2.AsyncClient, gateway: FakeGateway) -> None:
    gateway.is_ideal = True
    answer = await post(client, room="demo", wait="done")
    assert (answer.status_code, answer.json()["state"]) == (200, "done")


async def test_the_same_key_is_heard_once_and_with_another_sound_it_is_refused(
    client: httpx2.AsyncClient, gateway: FakeGateway
) -> None:
    key = {"Idempotency-Key": "jingle-1"}
    first, again = await post(client, headers=key), await post(client, headers=key)
    assert [(one.status_code, one.json()["id"]) for one in (first, again)] == [(202, "jingle-1")] * 2
    assert again.json()["duplicate"]
    other = await post(client, b"RIFF other", headers=key)
    assert (other.status_code, other.json()["reason"]) == (422, "id_reused")
    both = await post(client, headers=key, id="another")
    assert (both.status_code, both.json()["reason"]) == (422, "malformed")
    assert len(gateway.agents["demo"].requests) == 1


@pytest.mark.parametrize(
    ("content", "headers", "status", "reason"),
    [
        (b"", {}, 422, "malformed"),
        (b"ID4?", {}, 415, "unsupported_media_type"),
        (SOUND, {"Content-Type": "application/json"}, 415, "unsupported_media_type"),
        (SOUND, {"Content-Type": "multipart/form-data; boundary=x"}, 415, "unsupported_media_type"),
        (SOUND, {"Content-Type": ""}, 415, "unsupported_media_type"),
        (b"RIFF" + bytes(1000), {}, 413, "sound_too_long"),
        (bytes(say_audio.most_bytes(1) + 1), {}, 413, "too_large"),
    ],
)
async def test_what_is_no_sound_or_too_much_of_it_is_refused_and_no_agent_is_asked(
    client: httpx2.AsyncClient,
    gateway: FakeGateway,
    content: bytes,
    headers: dict[str, str],
    status: int,
    reason: str,
) -> None:
    answer = await post(client, content, headers)
    assert (answer.status_code, answer.json()["reason"]) == (status, reason), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert gateway.calls == []


async def test_a_body_of_unknown_length_is_read_no_further_than_it_may_be_long(
    client: httpx2.AsyncClient,
) -> None:
    taken = 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal taken
        while True:
            taken += 65536
            yield bytes(65536)

    answer = await post(client, pieces())
    assert (answer.status_code, answer.json()["reason"]) == (413, "too_large")
    assert taken <= say_audio.most_bytes(1) + 2 * 65536


async def test_one_that_does_not_come_is_given_up(client: httpx2.AsyncClient) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield SOUND
        await asyncio.sleep(upload._STALL_TIMEOUT_S + 1)
        yield SOUND

    answer = await post(client, pieces())
    assert (answer.status_code, answer.json()["reason"]) == (408, "too_slow")


async def test_who_waits_too_long_behind_others_that_send_slowly_is_told_to_come_again(
    client: httpx2.AsyncClient,
) -> None:
    async def slowly() -> AsyncIterator[bytes]:
        for _ in range(4):
            yield SOUND
            await asyncio.sleep(upload._STALL_TIMEOUT_S - 1)

    async with asyncio.TaskGroup() as tasks:
        others = [tasks.create_task(post(client, slowly())) for _ in range(2)]
        await asyncio.sleep(1)
        answer = await post(client)
        assert not any(other.done() for other in others)
    assert (answer.status_code, answer.json()["reason"]) == (503, "busy")
    assert answer.headers["retry-after"] == "10"
    assert [other.result().status_code for other in others] == [202, 202]
    assert (await post(client)).status_code == 202


@pytest.mark.parametrize("query", [{"voice": "nova"}, {"speed": 2}, {"priority": 101}, {"id": ""}])
async def test_what_is_about_a_voice_or_out_of_range_is_refused(
    client: httpx2.AsyncClient, gateway: FakeGateway, query: dict[str, Any]
) -> None:
    answer = await post(client, **query)
    assert (answer.status_code, gateway.calls) == (422, [])


async def test_it_is_found_where_a_proxy_mounts_the_server(gateway: FakeGateway) -> None:
    app = make_app(Settings(), gateway, address=f"{ADDRESS}/liba")
    async with connected(app) as client:
        for prefix in ("", "/liba"):
            answer = await client.post(f"{prefix}/api/say/audio", content=SOUND, headers=WAV)
            assert answer.status_code == 202, answer.text
