"""What the SDK passes on of what a source was given, heard where it does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from libacli.core.audio import FRAME_BYTES, duration_s, frames_of, is_audible
from libacli.edges.sinks.source import FADE_S, SpeechSource
from libacli.local.avatar_sound import Playout
from tests.clicks import clicks, fades, hearing, most, sound


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def source() -> AsyncIterator[SpeechSource]:
    source = SpeechSource("speech", queue_s=1.0)
    yield source
    await source.aclose()


async def test_what_is_stopped_fades_out_without_a_click(source: SpeechSource) -> None:
    clicked, faded = [], []
    for number in range(5):
        async with hearing(source.track) as heard:
            await source.capture(sound(0.8))
            await asyncio.sleep(0.153 + 0.011 * number)
            assert await source.fade_out() <= FADE_S
            assert source.queued_s <= FADE_S
        clicked.append(clicks(bytes(heard)))
        faded.append(fades(bytes(heard)))
    assert not most(clicked)
    assert most(faded)


async def test_what_an_avatar_is_to_stop_fades_out_without_a_click() -> None:
    playout = Playout()
    clicked, faded = [], []
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(playout.run())
        for number in range(5):
            async with hearing(playout.track) as heard:
                playout.begin()
                await playout.play(list(frames_of(sound(0.4))))
                await asyncio.sleep(0.153 + 0.011 * number)
                await playout.clear()
                playout.end()
            clicked.append(clicks(bytes(heard)))
            faded.append(fades(bytes(heard)))
        running.cancel()
    await playout.aclose()
    assert not most(clicked)
    assert most(faded)


async def test_what_is_queued_behind_what_was_stopped_is_played_whole(source: SpeechSource) -> None:
    await source.capture(sound(0.8))
    await asyncio.sleep(0.1)
    await source.fade_out()
    async with hearing(source.track) as heard:
        await source.capture(sound(0.2))
        await source.passed_on()
    assert duration_s(sum(FRAME_BYTES for one in frames_of(bytes(heard)) if is_audible(one))) >= 0.2


async def test_where_nothing_sounds_nothing_is_waited_for(source: SpeechSource) -> None:
    began_at = asyncio.get_running_loop().time()
    assert await source.fade_out() == 0
    assert asyncio.get_running_loop().time() - began_at < 0.01


async def test_a_stop_that_is_given_up_cuts_off(source: SpeechSource) -> None:
    await source.capture(sound(0.8))
    stopping = asyncio.get_running_loop().create_task(source.fade_out())
    await asyncio.sleep(0.001)
    stopping.cancel()
    await asyncio.wait([stopping])
    assert source.queued_s == 0
