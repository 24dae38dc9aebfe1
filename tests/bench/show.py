"""A show of 40 cues against what a viewer has recorded of it: `python -m tests.bench.show`, some six minutes.

`liba play` plays lines of two voices, three pauses, a sound that is there already and a step, on a real
server with a real worker; `liba record` is the viewer. Each cue's own sound, as the voice makes it by itself,
is found in the recording as a wave, so its beginning is known to a millisecond. `late` is by how much it is
behind its place in the file: where the cue before it ended, its silence and the pause between them; `told` is
by how much it is behind what `liba play --json` says, `shown` behind its caption in the viewer's WebVTT, as
FFmpeg reads that. It ends with 1 where one of them is more than 150 ms, or a word is missing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy
from numpy.typing import NDArray

from libacli.config import Settings
from libacli.core.audio import AUDIBLE_PEAK, SAMPLE_RATE
from libacli.edges.voices.embedded_languages import embedded_voices
from libacli.local.guard import GuardedProcess
from libacli.speech.ports import Style, Voice
from tests.bench.local_stack import Stack, ask, deadline, local_server, worker
from tests.contracts import pcm_of
from tests.hearing import distance, words_in, words_of

ROOM = "bench-show"
CUES = 40
VOICES = ("heart", "british")
PAUSES_S = {8: 1.5, 20: 2.0, 31: 1.0}
"""By number of the cue, from 1."""

SOUND_AT, STEP_AT = 15, 26
WITHIN_MS = 150.0
_WAITED_S = 1.0
_MATCHED_S = 0.5
"""So much of a cue's beginning is looked for."""

_SEARCHED_S = 6.0
_TAIL_S = Settings().speech_silence_tail_ms / 1000
_PLACES = ("garden", "kitchen", "station", "library", "market", "harbour", "theatre", "museum", "village")
_LINES = (
    "Good evening to everybody in the {}.",
    "The children walked slowly to the {}.",
    "My brother works in the {} today.",
    "We talked for hours about the {}.",
    "Somebody opened the window of the {}.",
)
_GIVEN = "This is a message from the director."


@dataclass
class Played:
    """A cue that is heard."""

    number: int
    kind: str
    text: str
    own: NDArray[numpy.float64] = field(repr=False)
    """Its sound by itself, from the first to the last sample that can be heard."""

    lead_s: float = 0.0
    tail_s: float = 0.0
    """The silence that the voice makes before and behind it."""

    heard_s: float = 0.0
    """When it begins in the recording."""

    @property
    def end_s(self) -> float:
        return self.heard_s + len(self.own) / SAMPLE_RATE


@dataclass(frozen=True)
class Recorded:
    """What the viewer has, and what the show told."""

    sound: NDArray[numpy.float64]
    told: dict[int, dict[str, Any]]
    """By number of the cue, as `liba play --json` has it."""

    captions: list[tuple[float, str]]
    """When each begins, in seconds, and its text, as FFmpeg reads them."""


def _text(number: int) -> str:
    return _LINES[number % len(_LINES)].format(_PLACES[number % len(_PLACES)])


async def written(folder: Path) -> list[Played]:
    """Writes the show and its sound; the cues that are heard."""
    voice = embedded_voices(Settings())
    cues, played = [], []
    for number in range(1, CUES + 1):
        if number in PAUSES_S:
            cues.append(f'[[cue]]\npause = "{PAUSES_S[number]}s"\n')
            continue
        speaker = VOICES[number // 4 % len(VOICES)]
        if number == SOUND_AT:
            pcm = await _own(voice, _GIVEN, VOICES[0])
            _write(folder / "given.wav", pcm)
            cues.append(f'[[cue]]\naudio = "given.wav"\ntext = "{_GIVEN}"\n')
            played.append(_heard(number, "sound", _GIVEN, pcm))
            continue
        step = "step = true\n" if number == STEP_AT else ""
        cues.append(f'[[cue]]\n{step}voice = "{speaker}"\ntext = "{_text(number)}"\n')
        pcm = await _own(voice, _text(number), speaker)
        played.append(_heard(number, "step" if step else speaker, _text(number), pcm))
    await voice.aclose()
    (folder / "show.toml").write_text("\n".join(cues))
    return played


async def _own(voice: Voice, text: str, speaker: str) -> bytes:
    return bytes(await pcm_of(voice, text, Style(voice=speaker)))


def _write(path: Path, pcm: bytes) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(pcm)


def _heard(number: int, kind: str, text: str, pcm: bytes) -> Played:
    values = numpy.frombuffer(pcm, "<i2").astype(float)
    loud = numpy.flatnonzero(numpy.abs(values) >= AUDIBLE_PEAK)
    first, behind = int(loud[0]), int(loud[-1]) + 1
    lead_s, tail_s = first / SAMPLE_RATE, (len(values) - behind) / SAMPLE_RATE
    return Played(number, kind, text, values[first:behind], lead_s, tail_s)


def played_on(stack: Stack, folder: Path) -> Recorded:
    """Plays it while a viewer records."""
    recording, log = folder / "show.mp4", folder / "play.log"
    with (folder / "record.log").open("wb") as out, log.open("wb") as told:
        record = _liba("record", str(recording), "--room", ROOM, "--captions", "vtt")
        play = _liba("play", str(folder / "show.toml"), "--room", ROOM, "--json")
        with GuardedProcess.start(record, env=stack.env, cwd=folder, stdout=out, grace_s=30) as viewer:
            _until(lambda: b"Ctrl-C ends it" in (folder / "record.log").read_bytes())
            with GuardedProcess.start(play, env=stack.env, cwd=folder, stdout=told) as playing:
                asyncio.run(_standby(stack))
                time.sleep(_WAITED_S)
                subprocess.run(_liba("next", "--room", ROOM), env=stack.env, cwd=folder, check=True)
                assert playing.wait(300) == 0, log.read_text()
            time.sleep(1.0)
            assert viewer.terminate() == 0, (folder / "record.log").read_text()
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    captions = _captions(recording.with_suffix(".vtt"))
    return Recorded(_sound(recording), {line["number"]: line for line in lines}, captions)


def _liba(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "libacli", *arguments]


def _until(is_so: Any) -> None:
    end = deadline()
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.05)


async def _standby(stack: Stack) -> None:
    """Until the line of the step is the one that waits for its go-ahead, and nothing is spoken any more."""
    async with asyncio.timeout(300):
        while True:
            status = await ask(stack, ROOM, "queue")
            waiting = [report.id for report in status.waiting if report.standby]
            if not status.speaking and any(id.endswith(f"-{STEP_AT}") for id in waiting):
                return
            await asyncio.sleep(0.2)


def _sound(file: Path) -> NDArray[numpy.float64]:
    with av.open(str(file)) as container:
        resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
        frames = [
            frame.to_ndarray()[0]
            for packet in container.demux(audio=0)
            for decoded in packet.decode()
            for frame in resampler.resample(decoded)
        ]
    return numpy.concatenate(frames).astype(float)


def _captions(file: Path) -> list[tuple[float, str]]:
    with av.open(str(file)) as container:
        return [
            (float(packet.pts * packet.time_base), bytes(packet).decode())
            for packet in container.demux(subtitles=0)
            if packet.pts is not None
        ]


def found(played: Sequence[Played], sound: NDArray[numpy.float64]) -> list[float]:
    """Sets when each is heard, one behind the other; how alike the waves are, 0 to 1."""
    alike, after_s = [], 0.0
    for cue in played:
        wanted = cue.own[: round(_MATCHED_S * SAMPLE_RATE)]
        start = round(after_s * SAMPLE_RATE)
        waited_s = _WAITED_S + 60.0 if cue.number in (1, STEP_AT) else 0.0
        window = sound[start : start + round((_SEARCHED_S + waited_s) * SAMPLE_RATE)]
        size = 1 << (len(window) + len(wanted)).bit_length()
        product = numpy.fft.irfft(numpy.fft.rfft(window, size) * numpy.conj(numpy.fft.rfft(wanted, size)))
        power = (window**2).cumsum()
        most = len(window) - len(wanted)
        energy = power[len(wanted) : len(wanted) + most] - power[:most]
        score = product[:most] / numpy.sqrt(numpy.maximum(energy * (wanted**2).sum(), 1.0))
        place = int(score.argmax())
        alike.append(float(score[place]))
        cue.heard_s = (start + place) / SAMPLE_RATE
        after_s = cue.end_s - 0.2
    return alike


def _planned_s(cue: Played, before: Played | None) -> float | None:
    """When the file has it begin, after what was heard before it; None: the first, and behind a go-ahead."""
    if before is None or cue.number == STEP_AT:
        return None
    pause_s = sum(PAUSES_S.get(number, 0.0) for number in range(before.number + 1, cue.number))
    return before.end_s + before.tail_s + _TAIL_S + pause_s + cue.lead_s


def report(played: Sequence[Played], recorded: Recorded) -> bool:
    """Prints the table; whether all is as it should be."""
    alike = found(played, recorded.sound)
    told = [recorded.told[cue.number]["started"] for cue in played]
    offset_s = float(numpy.median([cue.heard_s - at for cue, at in zip(played, told, strict=True)]))
    print(f"{'cue':>4} {'kind':8} {'planned':>8} {'heard':>8} {'late':>6} {'told':>6} {'shown':>6}  words")
    worst, wrong, shown = 0.0, 0, dict(zip([cue.number for cue in played], recorded.captions, strict=False))
    for index, (cue, at) in enumerate(zip(played, told, strict=True)):
        planned = _planned_s(cue, played[index - 1] if index else None)
        planned = at + offset_s if planned is None else planned
        late_ms = (cue.heard_s - planned) * 1000
        told_ms = (cue.heard_s - at - offset_s) * 1000
        shown_ms = (cue.heard_s - shown[cue.number][0]) * 1000
        errors = _errors(cue, recorded.sound)
        worst, wrong = max(worst, abs(late_ms), abs(told_ms), abs(shown_ms)), wrong + errors
        print(
            f"{cue.number:4} {cue.kind:8} {planned:8.3f} {cue.heard_s:8.3f} {late_ms:6.0f} {told_ms:6.0f}"
            f" {shown_ms:6.0f}  {errors or 'all'} {'' if alike[index] > 0.5 else f'alike {alike[index]:.2f}'}"
        )
    texts = [text.strip() for _, text in recorded.captions]
    are_all_shown = words_of(" ".join(texts)) == words_of(" ".join(cue.text for cue in played))
    print(f"worst {worst:.0f} ms, words wrong {wrong}, {len(texts)} captions, all words: {are_all_shown}")
    return worst <= WITHIN_MS and wrong == 0 and are_all_shown


def _errors(cue: Played, sound: NDArray[numpy.float64]) -> int:
    """Words that a recogniser hears neither as they are written nor as it hears them in the cue's own sound.

    It errs now and then by where a sound is cut: the best of two cuts counts.
    """
    meant, own, errors = words_of(cue.text), list[str](), list[int]()
    for before_s, behind_s in ((0.05, 0.15), (0.1, 0.05)):
        start, end = (round(at * SAMPLE_RATE) for at in (cue.heard_s - before_s, cue.end_s + behind_s))
        heard = words_in(sound[max(0, start) : end].astype("<i2").tobytes())
        if heard == meant:
            return 0
        own = own or words_in(cue.own.astype("<i2").tobytes())
        errors.append(min(distance(meant, heard), distance(own, heard)))
    return min(errors)


def main() -> bool:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        played = asyncio.run(written(folder))
        with local_server(folder) as stack, worker(stack, "--room", ROOM):
            _until(lambda: "worker is ready" in (folder / "worker.log").read_text())
            recorded = played_on(stack, folder)
        return report(played, recorded)


if __name__ == "__main__":
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    sys.exit(0 if main() else 1)
