"""What a voice waits for, and what it leaves be meanwhile: servers that load, or do one thing at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager

import pytest

from libacli.edges.voices.speech import SpeechApiVoice, open_client
from libacli.errors import VoiceLoadingError, VoiceStalledError
from tests.contracts import pcm_of, speak
from tests.speech_peers import ColdModel, OneAtATime, Peer


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def voice_at(
    peer: Peer, *, first_pcm_timeout_s: float = 5.0, load_timeout_s: float = 20.0
) -> AsyncGenerator[SpeechApiVoice]:
    voice = SpeechApiVoice(
        await asyncio.to_thread(open_client, "", peer.base_url),
        model="kokoro",
        voice="af_heart",
        first_pcm_timeout_s=first_pcm_timeout_s,
        load_timeout_s=load_timeout_s,
    )
    try:
        yield voice
    finally:
        await voice.aclose()


@pytest.mark.parametrize("begins_anew", [False, True])
async def test_cold_model_is_loaded_once_though_lines_come_meanwhile(begins_anew: bool) -> None:
    async with (
        ColdModel(load_s=1.5, begins_anew=begins_anew) as peer,
        voice_at(peer, first_pcm_timeout_s=0.5) as voice,
        asyncio.TaskGroup() as tasks,
    ):
        warming = tasks.create_task(voice.warm_up())
        await asyncio.sleep(0)
        with pytest.raises(VoiceLoadingError) as caught:
            await pcm_of(voice, "Hello.")
        assert caught.value.retry_after_s <= 2
        assert "LIBA_VOICE_LOAD_TIMEOUT" in caught.value.hint
        assert len(peer.requests) == 1, "nothing was asked for meanwhile"
        await warming
        assert await pcm_of(voice, "Hello.")
        assert len(peer.requests) == 2


async def test_a_line_that_waits_for_the_model_is_spoken_as_soon_as_it_is_there() -> None:
    async with ColdModel(load_s=0.7) as peer, voice_at(peer) as voice, asyncio.TaskGroup() as tasks:
        tasks.create_task(voice.warm_up())
        await asyncio.sleep(0)
        began_at = asyncio.get_running_loop().time()
        assert await pcm_of(voice, "Hello.")
        assert 0.6 < asyncio.get_running_loop().time() - began_at < 2


async def test_a_warm_up_that_fails_keeps_no_line_waiting() -> None:
    async with ColdModel(load_s=1) as peer, voice_at(peer, load_timeout_s=0.3) as voice:
        with pytest.raises(VoiceStalledError):
            await voice.warm_up()
        assert await pcm_of(voice, "Hello.")


async def test_cold_model_later_on_is_told_with_the_setting_that_helps_and_it_does() -> None:
    async with ColdModel(load_s=0.6, begins_anew=True) as peer:
        async with voice_at(peer, first_pcm_timeout_s=0.2) as voice:
            for _ in range(2):
                with pytest.raises(VoiceStalledError) as caught:
                    await pcm_of(voice, "Hello.")
                assert "LIBA_VOICE_FIRST_PCM_TIMEOUT" in caught.value.hint
        async with voice_at(peer, first_pcm_timeout_s=5) as voice:
            assert await pcm_of(voice, "Hello.")


async def test_no_more_than_one_request_is_ahead_of_the_one_that_is_worked_on() -> None:
    async with OneAtATime(work_s=0.1) as peer, voice_at(peer) as voice:
        async with asyncio.TaskGroup() as tasks:
            for number in range(6):
                tasks.create_task(pcm_of(voice, f"Sentence number {number}."))
        assert len(peer.requests) == 6
        assert peer.most_waiting == 2


async def test_abandoned_request_keeps_the_next_line_waiting_for_two_of_them_at_most() -> None:
    async with OneAtATime(work_s=0.5) as peer, voice_at(peer) as voice:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2), asyncio.TaskGroup() as tasks:
                for number in range(6):
                    tasks.create_task(pcm_of(voice, f"Sentence number {number}."))
        began_at = asyncio.get_running_loop().time()
        assert await pcm_of(voice, "Next.")
        assert asyncio.get_running_loop().time() - began_at < 3 * 0.5 + 0.2
        assert len(peer.requests) == 3


async def test_a_place_is_free_again_when_an_iterator_is_closed_early() -> None:
    async with OneAtATime(work_s=0) as peer, voice_at(peer) as voice, asyncio.timeout(5):
        for _ in range(4):
            async with aclosing(
                speak(voice, "A rather long sentence that is not heard to its end.")
            ) as pieces:
                assert await anext(pieces)
