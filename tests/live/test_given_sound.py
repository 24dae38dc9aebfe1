"""A sound that is given, in a real room: heard as it is, and its captions in step with a recording of it."""

from __future__ import annotations

import asyncio
import json
import wave
from pathlib import Path

import av
import httpx2
import pytest

from libacli.core.audio import FRAME_MS, SAMPLE_RATE, frames_of, is_audible
from libacli.core.caption_cue import CaptionCue
from libacli.core.subtitles import read_subtitles, write_subtitles
from libacli.speech.fakes import tone
from tests.live.conftest import ReadyRoom, Shell, wait_for_line
from tests.live.heard import quiet
from tests.live.visiting import beside, serving

pytestmark = pytest.mark.live

SAID = [
    CaptionCue(300, 1_100, "One"),
    CaptionCue(1_600, 2_000, "and two."),
    CaptionCue(3_400, 4_200, "The third <of> all."),
]
LENGTH_MS = 4_500
IN_STEP_MS = 100
LATE_S = 0.4
"""What a busy machine may add to a pause."""


def spoken(path: Path) -> Path:
    """An MP3 file that sounds while something is shown."""
    pcm = bytearray(LENGTH_MS * SAMPLE_RATE * 2 // 1000)
    for cue in SAID:
        sound = tone(cue.end_ms - cue.start_ms)
        begin = cue.start_ms * SAMPLE_RATE * 2 // 1000
        pcm[begin : begin + len(sound)] = sound
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libmp3lame", rate=SAMPLE_RATE, layout="mono")
        frame = av.AudioFrame(format="s16", layout="mono", samples=len(pcm) // 2)
        frame.planes[0].update(bytes(pcm))
        frame.sample_rate = SAMPLE_RATE
        for part in av.AudioResampler(format="s16p", layout="mono", rate=SAMPLE_RATE).resample(frame):
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    return path


def onsets_ms(path: Path) -> list[int]:
    """Where a sound begins behind a pause of 0.2 s in a WAV file."""
    with wave.open(str(path)) as file:
        pcm = file.readframes(file.getnframes())
    found, silent_ms = [], 1_000
    for place, frame in enumerate(frames_of(pcm)):
        if is_audible(frame):
            if silent_ms >= 200:
                found.append(place * FRAME_MS)
            silent_ms = 0
        else:
            silent_ms += FRAME_MS
    return found


async def test_a_given_sound_is_heard_as_it_is_and_its_captions_are_in_step_with_the_recording(
    ready_room: ReadyRoom, shell: Shell, tmp_path: Path
) -> None:
    sound = await asyncio.to_thread(spoken, tmp_path / "spoken.mp3")
    await asyncio.to_thread(sound.with_suffix(".srt").write_text, write_subtitles(SAID, "srt"))
    capture = ready_room.listener.start_capture()
    said = await asyncio.to_thread(_recorded, shell, ready_room.room, sound, tmp_path)

    assert (said["state"], said["voice"], said["chars"]) == (
        "done",
        "given",
        len("One\nand two.\nThe third <of> all."),
    )
    pauses_s = [gap for gap in capture.gaps_s if gap > 0.25]
    assert pauses_s == pytest.approx([0.5, 1.4], abs=LATE_S)
    assert capture.speech_s == pytest.approx(2.0, abs=LATE_S)

    source = await asyncio.to_thread((tmp_path / "out.vtt").read_text)
    heard_ms = await asyncio.to_thread(onsets_ms, tmp_path / "out.wav")
    captions = read_subtitles(source)
    assert [cue.text for cue in captions] == [cue.text for cue in SAID]
    assert [cue.start_ms for cue in captions] == pytest.approx(heard_ms, abs=IN_STEP_MS)


async def test_a_sound_over_http_is_heard(ready_room: ReadyRoom, shell: Shell, tmp_path: Path) -> None:
    sound = await asyncio.to_thread(spoken, tmp_path / "spoken.mp3")
    content = await asyncio.to_thread(sound.read_bytes)
    capture = ready_room.listener.start_capture()
    served = beside(serving(shell, tmp_path, "--port", "0", LIBA_AGENT_NAME="liba"))
    async with served as there, httpx2.AsyncClient(trust_env=False, timeout=60) as client:
        answer = await client.post(
            f"{there.url}/api/say/audio",
            params={"room": ready_room.room, "wait": "done", "text": "One and two."},
            headers={"Content-Type": "audio/mpeg"},
            content=content,
        )
    assert answer.status_code == 200, answer.text
    report = answer.json()["report"]
    assert (report["state"], report["voice"], report["chars"]) == ("done", "given", len("One and two."))
    await quiet(ready_room.listener)
    assert capture.speech_s == pytest.approx(2.0, abs=LATE_S)


def _recorded(shell: Shell, room: str, sound: Path, folder: Path) -> dict[str, object]:
    """What became of `sound`, while the room was recorded."""
    log = folder / "record.log"
    recording = ("record", "--room", room, "--audio-only", "--captions", "vtt", str(folder / "out.wav"))
    with shell.running(*recording, log=log) as process:
        wait_for_line(log, "sound    of", process)
        said = shell.run("say", "--room", room, "--audio", str(sound), "--wait", "done", "--json")
        assert said.returncode == 0, said.stderr
        process.terminate()
    assert "captions 3 in" in log.read_text()
    return dict(json.loads(said.stdout))
