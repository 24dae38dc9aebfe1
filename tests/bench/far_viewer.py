"""A viewer who keeps all that arrives, as a process: `python -m tests.bench.far_viewer FOLDER`.

Joins LIVEKIT_URL with LIVEKIT_TOKEN, hears the agent whose identity begins as HEARD_FROM does, prints `ready`
when its sound has arrived, and a picture where SEES is set, and leaves at SIGTERM. All times are of
CLOCK_MONOTONIC, which processes of one machine share, whatever their network.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass, field
from pathlib import Path

import numpy
from livekit import rtc

from libacli.edges.livekit.background import in_background
from libacli.edges.livekit.joining import joined
from libacli.edges.viewer.frames import is_picture
from libacli.edges.viewer.listener import AudioCapture
from tests.bench.ears import Ear
from tests.seeing import brightness, mouth_openness

_SOUND, _TOLD = "far.npz", "far.json"


@dataclass
class Tape(AudioCapture):
    """All sound, with the times at which it arrived; nothing is judged yet."""

    frames: list[tuple[float, bytes]] = field(default_factory=list)

    def add(self, pcm: bytes, arrived_at: float, source: str = "") -> None:
        self.frames.append((arrived_at, pcm))


@dataclass(frozen=True)
class Received:
    """What the receiver tells of its sound: WebRTC's statistics, since the viewer was ready."""

    lost: int = 0
    """Packets that never came."""

    asked_again: int = 0
    """How often the receiver asked for packets once more (NACK)."""

    samples: int = 0
    concealed: int = 0
    """Samples that were made up for what was missing, silence left out."""

    emitted: int = 0
    waited_s: float = 0
    """Samples that left the jitter buffer, and for how long each had been there, added up."""

    def since(self, before: Received) -> Received:
        mine, theirs = astuple(self), astuple(before)
        return Received(*(now - then for now, then in zip(mine, theirs, strict=True)))

    @property
    def made_up(self) -> float:
        """Which part of the sound was made up, 0 to 1."""
        return self.concealed / max(1, self.samples)

    @property
    def kept_ms(self) -> float:
        """How long sound was in the jitter buffer, on average."""
        return 1000 * self.waited_s / max(1, self.emitted)


@dataclass(frozen=True)
class Kept:
    """All that a viewer got."""

    sound: list[tuple[float, bytes]]
    mouth: list[tuple[float, float]]
    """When each picture arrived, and how far the mouth is open in it."""

    received: Received

    @classmethod
    def read(cls, folder: Path) -> Kept:
        with numpy.load(folder / _SOUND) as kept:
            sound = [(float(at), pcm.tobytes()) for at, pcm in zip(kept["at"], kept["pcm"], strict=True)]
            mouth = [(float(at), float(opened)) for at, opened in kept["mouth"]]
        return cls(sound, mouth, Received(**json.loads((folder / _TOLD).read_text())))

    def between(self, start: float, end: float) -> AudioCapture:
        """What was heard from `start` to `end`, as one capture."""
        capture = AudioCapture()
        for at, pcm in self.sound:
            if start <= at < end:
                capture.add(pcm, at, "far")
        return capture


class Eye:
    """Looks at the mouth of whoever shows a picture."""

    def __init__(self, room: rtc.Room) -> None:
        self.mouth: list[tuple[float, float]] = []
        self.sees = asyncio.Event()
        self._tracks: asyncio.Queue[rtc.RemoteVideoTrack] = asyncio.Queue()
        room.on("track_subscribed", self._on_track)

    def _on_track(self, track: rtc.Track, *_: object) -> None:
        if isinstance(track, rtc.RemoteVideoTrack):
            self._tracks.put_nowait(track)

    async def run(self) -> None:
        """Until cancelled: the first picture that there is."""
        stream = rtc.VideoStream(await self._tracks.get(), format=rtc.VideoBufferType.I420)
        async for event in stream:
            if is_picture(frame := event.frame):
                opened = mouth_openness(brightness(frame.data, frame.width, frame.height))
                self.mouth.append((asyncio.get_running_loop().time(), opened))
                self.sees.set()


async def _received(tracks: Sequence[rtc.Track]) -> Received:
    sounds = [track for track in tracks if track.kind == rtc.TrackKind.KIND_AUDIO]
    for stats in await sounds[-1].get_stats():
        if stats.WhichOneof("stats") == "inbound_rtp":
            told = stats.inbound_rtp.inbound
            return Received(
                lost=stats.inbound_rtp.received.packets_lost,
                asked_again=told.nack_count,
                samples=told.total_samples_received,
                concealed=told.concealed_samples - told.silent_concealed_samples,
                emitted=told.jitter_buffer_emitted_count,
                waited_s=told.jitter_buffer_delay,
            )
    return Received()  # nothing has come yet


async def main(folder: Path) -> None:
    room, ended = rtc.Room(), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    heard_from = os.environ["HEARD_FROM"]
    ear, eye = Ear(room, lambda identity: identity.startswith(heard_from)), Eye(room)
    ear.capture = tape = Tape()
    tracks: list[rtc.Track] = []

    def on_track(track: rtc.Track, _: object, whose: rtc.RemoteParticipant) -> None:
        if whose.identity.startswith(heard_from):
            tracks.append(track)

    room.on("track_subscribed", on_track)
    token, url = os.environ["LIVEKIT_TOKEN"], os.environ["LIVEKIT_URL"]
    async with joined(room, url, token), in_background(ear.run(), eye.run()):
        await ear.subscribed.wait()
        if os.environ.get("SEES"):
            await eye.sees.wait()
        before = await _received(tracks)
        print("ready", flush=True)
        await ended.wait()
        received = (await _received(tracks)).since(before)
    numpy.savez(
        folder / _SOUND,
        at=numpy.array([at for at, _ in tape.frames]),
        pcm=numpy.array([numpy.frombuffer(pcm, "<i2") for _, pcm in tape.frames]),
        mouth=numpy.array(eye.mouth).reshape(-1, 2),
    )
    (folder / _TOLD).write_text(json.dumps(asdict(received)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
