"""A participant's eyes: pictures that arrived, and whether something moves where a mouth is."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field

import numpy
from livekit import rtc

from libacli.edges.livekit.participants import is_agent
from libacli.edges.viewer.frames import is_picture

_MOUTH = (slice(0.50, 0.85), slice(0.30, 0.70))
"""Rows and columns, as parts of the height and width, in which the mouth of a portrait is."""

LEAST_MOTION = 0.6
"""Mean change of brightness there from one picture to the next, of 255, that idle swaying does not reach."""

_MOTION_KEPT = 120 * 30
"""Two minutes, usually."""


@dataclass
class VideoCapture:
    """Pictures since the capture began."""

    frames: int = 0
    width: int = 0
    height: int = 0
    motion: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=_MOTION_KEPT))
    """For each picture when it arrived, on the loop's clock, and how it differs from the one before where the
    mouth is: mean of brightness, 0 to 255. The newest ones."""

    def mouth_moved(self, since: float, until: float) -> bool:
        """Whether there was more than idle motion in a fair part of the pictures between those moments."""
        changes = [change for at, change in self.motion if since <= at <= until]
        return sum(change >= LEAST_MOTION for change in changes) >= max(5, len(changes) // 10)


class VideoWatcher:
    """Subscribes to the picture of every agent in a room; the room must subscribe by itself."""

    def __init__(self, room: rtc.Room) -> None:
        self.capture = VideoCapture()
        self.seen = asyncio.Event()
        """Set once a picture has arrived."""

        self._tracks: asyncio.Queue[rtc.RemoteVideoTrack] = asyncio.Queue()
        room.on("track_subscribed", self._on_track)

    def start_capture(self) -> VideoCapture:
        """Forgets what was seen so far and begins anew."""
        self.capture = VideoCapture()
        return self.capture

    async def run(self) -> None:
        """Watches until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                tasks.create_task(self._read_pictures(await self._tracks.get()))

    async def _read_pictures(self, track: rtc.RemoteVideoTrack) -> None:
        clock = asyncio.get_running_loop().time
        stream = rtc.VideoStream(track, format=rtc.VideoBufferType.I420, capacity=5)
        before: numpy.ndarray | None = None
        try:
            async for event in stream:
                if is_picture(event.frame):
                    before = self._add_picture(event.frame, before, clock())
        finally:
            await stream.aclose()

    def _add_picture(self, frame: rtc.VideoFrame, before: numpy.ndarray | None, now: float) -> numpy.ndarray:
        """Notes down one picture; returns its mouth, which is `before` for the next one of its track."""
        self.seen.set()
        brightness = numpy.frombuffer(frame.data, numpy.uint8, frame.width * frame.height)
        rows, columns = _MOUTH
        mouth = brightness.reshape(frame.height, frame.width)[
            int(rows.start * frame.height) : int(rows.stop * frame.height) : 2,
            int(columns.start * frame.width) : int(columns.stop * frame.width) : 2,
        ].astype(numpy.int16)
        if before is not None and before.shape == mouth.shape:
            self.capture.motion.append((now, float(numpy.abs(mouth - before).mean())))
        self.capture.frames += 1
        self.capture.width, self.capture.height = frame.width, frame.height
        return mouth

    def _on_track(
        self, track: rtc.Track, publication: rtc.RemoteTrackPublication, participant: rtc.RemoteParticipant
    ) -> None:
        if isinstance(track, rtc.RemoteVideoTrack) and is_agent(participant):
            self._tracks.put_nowait(track)
