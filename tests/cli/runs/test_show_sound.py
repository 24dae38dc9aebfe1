"""Cues with a sound: read beside the show, and handed over as sounds."""

from __future__ import annotations

import asyncio
import wave
from pathlib import Path
from typing import Any, cast

import pytest

from libacli.cli.runs.show_file import show_of
from libacli.cli.runs.show_sound import ShowSounds, SoundingAgent
from libacli.core.acknowledgement import Acknowledgement
from libacli.core.delivery import Delivery
from libacli.core.messages import SayRequest, read_say
from libacli.core.show_plan import estimate_s, starts_s
from libacli.edges.livekit.agent_client import AgentClient
from libacli.edges.sounds.sound_file import PreparedSound
from libacli.speech.fakes import tone

SOUNDS_S = 60.0


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def jingle(tmp_path: Path) -> Path:
    file = tmp_path / "jingle.wav"
    with wave.open(str(file), "wb") as out:
        out.setparams((1, 2, 24_000, 0, "NONE", ""))
        out.writeframes(tone(1500))
    (tmp_path / "jingle.srt").write_text("1\n00:00:00,200 --> 00:00:00,900\nDing.\n")
    return file


class FakeClient:
    """Notes what an agent would be handed."""

    def __init__(self) -> None:
        self.texts: list[SayRequest] = []
        self.sounds: list[tuple[PreparedSound, dict[str, Any]]] = []

    async def say(self, request: SayRequest) -> Delivery:
        self.texts.append(request)
        return Delivery.accepted(Acknowledgement(request.id, 0))

    async def say_sound(self, sound: PreparedSound, **members: Any) -> Delivery:
        self.sounds.append((sound, members))
        return Delivery.accepted(Acknowledgement(members["id"], 0))


def written(folder: Path, source: str) -> Path:
    file = folder / "show.jsonl"
    file.write_text(source)
    return file


def test_a_sound_is_read_with_the_captions_beside_it_and_its_length_is_known(jingle: Path) -> None:
    file = written(jingle.parent, '{"audio": "jingle.wav"}\n{"text": "Hello."}\n')
    show = show_of(file, ShowSounds(file.parent, SOUNDS_S), max_text_chars=100)
    sound = show.cues[0].sound
    assert show.problems == ()
    assert sound and [cue.text for cue in sound.captions] == ["Ding."]
    assert estimate_s(show.cues[0]) == pytest.approx(1.5, abs=0.01)
    assert starts_s(show.cues)[1] == pytest.approx(1.5, abs=0.01)


@pytest.mark.parametrize(
    ("members", "shown"),
    [
        ('"text": "A bell."', "A bell."),
        ('"captions": "other.vtt"', "Bong."),
        ('"captions": "A gong."', "A gong."),
    ],
)
def test_what_is_shown_with_it_is_its_words_or_the_file_that_is_named(
    jingle: Path, members: str, shown: str
) -> None:
    (jingle.parent / "other.vtt").write_text("WEBVTT\n\n00:00.000 --> 00:01.000\nBong.\n")
    file = written(jingle.parent, '{"audio": "jingle.wav", ' + members + "}\n")
    (cue,) = show_of(file, ShowSounds(file.parent, SOUNDS_S), max_text_chars=100).cues
    assert cue.sound and cue.sound.words == shown


@pytest.mark.parametrize(
    ("audio", "told"),
    [("gone.wav", "gone.wav"), ("jingle.srt", "jingle.srt"), ("jingle.wav", "longer than 1 s")],
)
def test_a_sound_that_cannot_be_heard_is_a_problem_at_its_line(jingle: Path, audio: str, told: str) -> None:
    file = written(jingle.parent, '{"text": "Hello."}\n{"audio": "' + audio + '"}\n')
    show = show_of(file, ShowSounds(file.parent, 1.0), max_text_chars=100)
    (problem,) = show.problems
    assert (problem.line, told in problem.message, len(show.cues)) == (2, True, 1)


def test_a_file_that_is_called_as_standard_input_is_no_standard_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    show = show_of(
        written(tmp_path, '{"audio": "-"}\n').relative_to(tmp_path),
        ShowSounds(Path("."), SOUNDS_S),
        max_text_chars=100,
    )
    (problem,) = show.problems
    assert "No such file" in problem.message


def test_captions_of_a_show_are_not_told_one_by_one(jingle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(jingle.parent, '{"audio": "jingle.wav"}\n')
    show_of(file, ShowSounds(file.parent, SOUNDS_S), max_text_chars=100)
    assert capsys.readouterr() == ("", "")


async def test_a_line_is_handed_over_as_a_text_and_a_sound_as_a_sound(jingle: Path) -> None:
    source = '{"audio": "jingle.wav", "voice": "nova", "emotion": "anger"}\n{"text": "Hello."}\n'
    file = written(jingle.parent, source)
    sounds = ShowSounds(file.parent, SOUNDS_S)
    show = await asyncio.to_thread(show_of, file, sounds, max_text_chars=100)
    client = FakeClient()
    agent = SoundingAgent(cast(AgentClient, client), sounds, show.cues)
    for number, cue in enumerate(show.cues):
        text = {} if cue.sound else {"text": cue.text}
        members = cue.members | text | {"id": f"u{number}", "standby": True}
        await agent.say(read_say(members, max_text_chars=100))
    ((sound, members),) = client.sounds
    assert sound.given == show.cues[0].sound
    assert members == {"id": "u0", "standby": True, "emotion": "anger"}
    assert [(request.text, request.standby) for request in client.texts] == [("Hello.", True)]
