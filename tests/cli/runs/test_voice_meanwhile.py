from __future__ import annotations

import wave
from pathlib import Path

import pytest

from libacli.cli.runs.voice_meanwhile import VoiceMeanwhile
from libacli.config import Settings
from libacli.core.audio import SAMPLE_RATE
from tests.local.peers import Steps, script

BUILDING = "Building livekit-server 1.13.5 with go1.26, about 2 minutes"


def meanwhile(tmp_path: Path, **settings: object) -> tuple[VoiceMeanwhile, Steps]:
    steps = Steps()
    return VoiceMeanwhile(steps, Settings.model_validate(settings), tmp_path / "liba" / "voice.wav"), steps


def test_as_soon_as_a_build_begins_the_voice_is_heard_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(tmp_path / "bin" / "aplay", f'echo "$@" >> {tmp_path}/played')
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    voice, steps = meanwhile(tmp_path)
    voice.step("Downloading livekit-server")
    assert voice.speaking is None
    for message in (BUILDING, BUILDING, "Compiling"):
        voice.step(message)
    assert voice.speaking
    voice.speaking.join(60)
    with wave.open(str(voice.file)) as file:
        assert file.getnframes() / SAMPLE_RATE > 3
    assert (tmp_path / "played").read_text() == f"-q {voice.file}\n"
    assert f"voice    heard meanwhile: {voice.file}" in steps.steps


def test_without_a_player_it_is_told_where_the_voice_can_be_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    voice, steps = meanwhile(tmp_path)
    voice.step(BUILDING)
    assert voice.speaking
    voice.speaking.join(60)
    assert steps.steps[-1] == f"voice    heard meanwhile: {voice.file}"


def test_a_voice_that_costs_something_is_not_asked(tmp_path: Path) -> None:
    voice, _ = meanwhile(tmp_path, openai_api_key="sk-test")
    voice.step(BUILDING)
    assert voice.speaking is None


def test_a_voice_that_cannot_be_written_down_stops_nothing(tmp_path: Path) -> None:
    voice, steps = meanwhile(tmp_path)
    (tmp_path / "liba").write_text("a file in the way")
    voice.step(BUILDING)
    assert voice.speaking
    voice.speaking.join(60)
    assert steps.steps == [BUILDING]
