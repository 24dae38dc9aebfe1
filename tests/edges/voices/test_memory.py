from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from libacli.config import Settings
from libacli.edges.voices.cache_files import SoundFiles
from libacli.edges.voices.choose import make_voice
from libacli.edges.voices.memory import memory_of, sound_stores
from libacli.speech.cache import CachedVoice
from libacli.speech.fakes import ScriptedVoice, tone
from libacli.speech.ports import Style
from libacli.speech.sound_store import SoundMemory
from tests.contracts import PLAIN
from tests.speech.test_speaker import LONG, on_stage
from tests.speech_server import SpeechServer

HELLO = "Hello there."


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_a_voice_remembers_in_memory_and_on_disk_as_the_settings_say() -> None:
    assert [type(store) for store in sound_stores(Settings())] == [SoundMemory]
    both = sound_stores(Settings(voice_cache_mb=8, voice_cache_memory_mb=4))
    assert [(type(store), store.most_bytes) for store in both] == [
        (SoundMemory, 1_000_000),
        (SoundFiles, 2_000_000),
    ]
    assert sound_stores(Settings(voice_cache_memory_mb=0)) == []
    assert memory_of(ScriptedVoice(), Settings(), []) is None


def test_a_disk_that_cannot_be_used_costs_its_cache_and_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert [type(store) for store in sound_stores(Settings(voice_cache_mb=8))] == [SoundMemory]
    assert "what is said is not kept on disk" in caplog.text


OF_THE_SOUND: dict[str, Any] = {
    "openai_base_url": "http://other.example/v1",
    "voice_speed": 1.5,
    "voice_instructions": "softly",
}
OF_THE_REST: dict[str, Any] = {
    "openai_api_key": "other",
    "voice_first_pcm_timeout": 3.0,
    "voice_stall_timeout": 3.0,
    "voice_hedge": False,
    "voice_cache_mb": 5,
    "voice_cache_memory_mb": 5,
    "say_room": "hall",
}


@pytest.mark.parametrize(
    ("changed", "is_found"),
    [({name: value}, False) for name, value in OF_THE_SOUND.items()]
    + [({name: value}, True) for name, value in OF_THE_REST.items()],
    ids=[*OF_THE_SOUND, *OF_THE_REST],
)
def test_what_was_kept_is_found_as_long_as_the_settings_make_the_same_sound(
    changed: dict[str, Any], is_found: bool
) -> None:
    store = SoundMemory(1_000_000)
    before = memory_of(ScriptedVoice(), Settings(), [store])
    after = memory_of(ScriptedVoice(), Settings(**changed), [store])
    assert before and after
    before.keep(HELLO, PLAIN, tone(100))
    assert before.remembers(HELLO, PLAIN)
    assert after.remembers(HELLO, PLAIN) == is_found


async def test_a_line_is_asked_for_once_also_after_the_next_start() -> None:
    async with SpeechServer() as server:
        settings = Settings(openai_base_url=server.base_url, voice_cache_mb=8)
        for expected in ([False, True], [True, True]):
            voice = await asyncio.to_thread(make_voice, settings)
            async with on_stage(voice) as stage:  # type: ignore[arg-type]
                for id in "ab":
                    stage.say(LONG, id)
                    spoken = await stage.spoken(id)
                    assert (spoken.state, spoken.cached) == ("done", expected["ab".index(id)])
            await voice.aclose()
            assert stage.sink.segments[0] == stage.sink.segments[1]
        assert server.calls == 1


async def test_a_line_that_was_made_with_other_options_of_a_plugin_is_not_remembered() -> None:
    stores = [SoundMemory(1_000_000)]

    def remembering(model: str) -> CachedVoice:
        settings = Settings(voice_options={"livekit:plugin": {"model": model}})  # type: ignore[arg-type]
        memory = memory_of(ScriptedVoice(), settings, stores)
        assert memory
        return memory

    remembering("one").keep(LONG, Style(), tone(100))
    assert remembering("one").remembers(LONG, Style())
    assert not remembering("another").remembers(LONG, Style())
