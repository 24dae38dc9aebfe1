"""What `liba say --audio` reads before it hands anything over."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import pytest

from libacli.cli.runs.say_audio import captions_of, prepared
from libacli.core.caption_cue import CaptionCue
from libacli.errors import RefusedError, UsageError
from libacli.speech.fakes import tone
from tests.cli.conftest import Shell

VTT = "WEBVTT\n\n00:00.000 --> 00:00.500\nof VTT\n"
SRT = "1\n00:00:00,000 --> 00:00:00,500\nof SRT\n"


@pytest.fixture
def audio(tmp_path: Path) -> Path:
    path = tmp_path / "hello.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 24_000, 0, "NONE", ""))
        file.writeframes(tone(1000))
    return path


def shown(audio: Path, *, text: str | None = None, captions: Path | None = None) -> list[str]:
    given = prepared(audio, text=text, captions=captions, max_s=10).given
    return [cue.text for cue in given.captions]


def test_captions_beside_the_sound_are_taken_webvtt_first(audio: Path) -> None:
    assert shown(audio) == []
    audio.with_suffix(".srt").write_text(SRT)
    assert shown(audio) == ["of SRT"]
    audio.with_suffix(".vtt").write_text(VTT)
    assert shown(audio) == ["of VTT"]


def test_a_text_or_a_file_that_is_named_goes_before_those(audio: Path, tmp_path: Path) -> None:
    audio.with_suffix(".vtt").write_text(VTT)
    other = tmp_path / "other.srt"
    other.write_text(SRT)
    assert shown(audio, captions=other) == ["of SRT"]
    assert shown(audio, text="Hello.") == ["Hello."]
    assert shown(audio, text="") == []
    with pytest.raises(UsageError, match="two captions"):
        shown(audio, text="Hello.", captions=other)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1"])
def test_captions_are_read_in_the_encodings_they_come_in(encoding: str, tmp_path: Path) -> None:
    file = tmp_path / "a.srt"
    file.write_bytes(SRT.replace("of", "für").encode(encoding))
    assert list(captions_of(file)) == [CaptionCue(0, 500, "für SRT")]


@pytest.mark.parametrize(
    ("content", "told"),
    [(None, "No such file"), (b"hello", "no captions in it"), (b" " * (4 << 20 | 1), "too large")],
    ids=["missing", "text", "large"],
)
def test_captions_that_cannot_be_read_are_named_and_never_left_out(
    content: bytes | None, told: str, audio: Path, tmp_path: Path
) -> None:
    file = tmp_path / "a.vtt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UsageError, match=rf"a\.vtt: .*{told}"):
        shown(audio, captions=file)


def test_a_sound_is_read_from_standard_input(audio: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(audio.read_bytes())))
    assert prepared(Path("-"), text="Hello.", captions=None, max_s=10).given.ms == 1000


def test_a_sound_that_is_not_all_there_is_heard_as_far_as_it_goes_and_that_is_told(audio: Path) -> None:
    audio.write_bytes(audio.read_bytes()[: 44 + 12_000])
    told: list[str] = []
    sound = prepared(audio, text="Hello.", captions=None, max_s=10, tell=told.append)
    assert sound.given.ms == 250
    assert told == [f"{audio} is cut off: 0.2 s of 1.0 s are there"]


def test_its_length_has_a_bound(audio: Path) -> None:
    with pytest.raises(RefusedError, match=r"longer than 0\.5 s"):
        prepared(audio, text=None, captions=None, max_s=0.5)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--audio", "a.wav", "Hello."], "--audio has it heard as it is"),
        (["--audio", "a.wav", "--voice", "nova"], "--voice does not go with --audio"),
        (["--audio", "a.wav", "--file", "a.txt"], "--file does not go with --audio"),
        (["--audio", "a.wav", "--markdown", "on"], "--markdown does not go with --audio"),
        (["Hello.", "--text", "Hello."], "--text and --captions are for --audio"),
        (["Hello.", "--captions", "a.vtt"], "--text and --captions are for --audio"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_does_not_go_together_is_refused_before_anything_is_read(
    shell: Shell, arguments: list[str], told: str
) -> None:
    ended = shell.run("say", *arguments)
    assert (ended.code, ended.stdout) == (2, "")
    assert told in ended.stderr
