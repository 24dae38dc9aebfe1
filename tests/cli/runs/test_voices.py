from __future__ import annotations

import json
import wave
from pathlib import Path

import pytest

from libacli.cli.runs.voices import VoicesRun
from libacli.config import Settings
from libacli.core.utterance_record import UtteranceRecord
from libacli.edges.metrics.schema import metrics_path
from libacli.edges.voices import pico
from libacli.errors import RefusedError, UsageError, VoiceError
from tests.edges.metrics.test_store import put

NOWHERE = "http://127.0.0.1:9/v1"


def run_of(*providers: str, as_json: bool = True) -> VoicesRun:
    return VoicesRun(Settings(voice_providers=providers, openai_base_url=NOWHERE), as_json=as_json)


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def told(capsys: pytest.CaptureFixture[str]) -> dict[str, list[dict[str, object]]]:
    document: dict[str, list[dict[str, object]]] = json.loads(capsys.readouterr().out)
    return document


def test_each_provider_is_listed_with_its_speakers_and_what_it_did(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from datetime import UTC, datetime

    now = datetime.now(UTC).timestamp()
    put(metrics_path(), [UtteranceRecord("u1", now, "done", provider="embedded", voice_reason="speech: 401")])
    run_of("speech", "embedded").show()
    speech, embedded = told(capsys)["voices"]
    assert (speech["provider"], speech["model"], speech["speaker"]) == ("speech", "gpt-4o-mini-tts", "alloy")
    assert (embedded["provider"], embedded["speakers"]) == ("embedded", ["heart", *pico.SPEAKERS])
    assert embedded["history"] == {
        "utterances": 1,
        "last_at": now,
        "stood_in": 1,
        "last_reason": "speech: 401",
        "p50_ms": None,
    }
    run_of("speech", "embedded", as_json=False).show()
    assert "speech: 401" in capsys.readouterr().out


def test_voices_are_tried_one_after_the_other_and_one_that_fails_hides_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_of("speech", "embedded").try_out("Hello.", [], tmp_path / "out.wav", force=False)
    failed, spoken = told(capsys)["trials"]
    assert (failed["provider"], failed["file"]) == ("speech", "")
    assert "cannot be reached" in str(failed["error"])
    assert (spoken["error"], spoken["speaker"]) == ("", "heart")
    with wave.open(str(tmp_path / "out-embedded-heart.wav")) as file:
        assert file.getnframes() / file.getframerate() == pytest.approx(spoken["duration_s"])


def test_a_file_that_is_there_is_kept_unless_it_may_be_overwritten(tmp_path: Path) -> None:
    out = tmp_path / "out.wav"
    out.write_text("mine")
    with pytest.raises(UsageError, match="is there already"):
        run_of("embedded").try_out("Hello.", [], out, force=False)
    assert out.read_text() == "mine"
    run_of("embedded").try_out("Hello.", [], out, force=True)
    assert out.read_bytes().startswith(b"RIFF")


@pytest.mark.parametrize("voice", ["heart", "embedded", "embedded/heart"])
def test_a_voice_is_named_by_its_speaker_or_provider_or_both(
    voice: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run_of("speech", "embedded").try_out("Hello.", [voice], None, force=False)
    (trial,) = told(capsys)["trials"]
    assert (trial["provider"], trial["speaker"]) == ("embedded", "heart")


def test_a_provider_that_does_not_speak_here_is_told_with_those_that_do() -> None:
    with pytest.raises(UsageError, match="'livekit' does not speak here") as caught:
        run_of("speech", "embedded").try_out("Hello.", ["livekit/x"], None, force=False)
    assert caught.value.hint == "it is one of speech, embedded"


def test_where_no_voice_spoke_the_command_fails() -> None:
    with pytest.raises(VoiceError, match="no voice said it") as caught:
        run_of("speech", as_json=False).try_out("Hello.", [], None, force=False)
    assert caught.value.hint == "check the network and OPENAI_BASE_URL"


def test_pauses_are_silence_and_other_markup_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    run_of("embedded").try_out("Go.", [], None, force=False)
    (alone,) = told(capsys)["trials"]
    run_of("embedded").try_out("[pause 2s] Go. \N{CLAPPING HANDS SIGN}", [], None, force=False)
    (behind,) = told(capsys)["trials"]
    assert behind["duration_s"] == pytest.approx(float(str(alone["duration_s"])) + 2, abs=0.2)
    with pytest.raises(RefusedError, match="<speak>"):
        run_of("embedded").try_out("<speak>Go.</speak>", [], None, force=False)


def test_there_must_be_something_to_say() -> None:
    with pytest.raises(UsageError, match="nothing to say"):
        run_of("embedded").try_out("...", [], None, force=False)
