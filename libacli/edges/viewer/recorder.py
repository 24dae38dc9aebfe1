"""Records a room's speaker: the sound of all its agents, the picture of one of them, on one timeline.

Both are placed by when they arrived. The sound of a track is continuous, so its first pieces tell where all
the others belong (`core.mixer`). A picture carries WebRTC's own time of when it is to be shown; the pictures
that arrived with the least delay tell what that clock says on ours.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from livekit import rtc

from libacli.core.audio import FRAME_MS, SAMPLE_RATE, FrameSlicer, duration_s, is_audible
from libacli.core.caption_track import CaptionTrack
from libacli.core.mixer import Mixer
from libacli.core.picture_clock import PictureClock
from libacli.edges.livekit.participants import is_agent
from libacli.edges.viewer.file_writer import FileWriter
from libacli.edges.viewer.frames import is_picture
from libacli.edges.viewer.media_file import Mp4File, Picture, WavFile
from libacli.errors import LibaError

logger = logging.getLogger("liba.recorder")

_TICK_S = 0.1
"""How often sound is handed to the writer; well below the hold back."""

_HOLD_BACK_S = 1.0
"""How long sound is kept before it is written: a track that appears meanwhile can still be added. One
that begins while we are busy seems to begin too late: until then it is put right with nothing lost."""

_CLOSE_TIMEOUT_S = 2.0
"""For a stream of the SDK to close: one that hangs must not keep the file from being completed."""

_FINISH_TIMEOUT_S = 30.0
"""For what waits before the encoder, a second of pictures at most (`file_writer`), and the file's index."""


@dataclass(frozen=True)
class _Came:
    track: rtc.Track
    publication: rtc.RemoteTrackPublication
    identity: str


@dataclass(frozen=True)
class _Went:
    sid: str


_Event = _Came | _Went | rtc.RemoteTrackPublication | str
"""What the room's callbacks leave for `_follow`; a text is to be told."""


class Recorder:
    """Records the agents of a room that is connected, from the first of their tracks on.

    It subscribes to what it needs; other users of the same room are not disturbed.
    """

    def __init__(
        self,
        room: rtc.Room,
        path: Path,
        *,
        audio_only: bool = False,
        tell: Callable[[str], None] = logger.info,
        captions: CaptionTrack | None = None,
        writer: FileWriter | None = None,
    ) -> None:
        """`path` becomes an MP4 file, or WAV when `audio_only`; `tell` gets what a user may want to know.

        `captions` hears what is recorded. With a `writer` of its own it goes where that writes, which is
        called `path`.
        """
        self.speech_s = 0.0
        """Seconds in which there was sound."""

        self.disconnected: rtc.DisconnectReason.ValueType | None = None
        """Why the room was lost, when it was."""

        self._room = room
        self._path = path
        self._audio_only = audio_only
        self._tell = tell
        self._captions = captions
        self._writer = writer or FileWriter(path, WavFile if audio_only else Mp4File)
        self._ended = asyncio.Event()
        self._events: asyncio.Queue[_Event | None] = asyncio.Queue()
        self._mixer: Mixer | None = None
        self._began_at = 0.0
        self._slicer = FrameSlicer()
        self._readers: dict[str, asyncio.Task[None]] = {}
        self._pictures: dict[str, _Came] = {}

    @property
    def began_at(self) -> float:
        """The moment of the loop's clock with which the recording begins, once it has."""
        return self._began_at

    @property
    def seconds(self) -> float:
        """Length of the file's sound."""
        return self._writer.sound_s

    @property
    def frames(self) -> int:
        """Pictures in the file."""
        return self._writer.frames

    @property
    def dropped(self) -> int:
        """Pictures left out because the encoder was behind."""
        return self._writer.dropped

    @property
    def width(self) -> int:
        """In pixels; 0 before the first picture."""
        return self._writer.size[0]

    @property
    def height(self) -> int:
        return self._writer.size[1]

    async def run(self) -> None:
        """Records until cancelled, or until the room is lost; the file is complete when this ends.

        There is no file when no agent published anything. Raises LibaError when the file cannot be written;
        it then holds what came before, as far as possible.
        """
        loop = asyncio.get_running_loop()
        handlers: dict[Any, Callable[..., None]] = {
            "track_published": self._on_published,
            "track_subscribed": self._on_subscribed,
            "track_unsubscribed": self._on_unsubscribed,
            "reconnecting": lambda: self._events.put_nowait("the connection is interrupted; trying again"),
            "reconnected": self._on_reconnected,
            "disconnected": self._on_disconnected,
        }

        def on_end() -> None:
            with suppress(RuntimeError):  # nobody waits any more, the loop is closed
                loop.call_soon_threadsafe(self._on_end)

        self._writer.start(on_end)
        for name, handler in handlers.items():
            self._room.on(name, handler)
        try:
            self._look_around()
            async with asyncio.TaskGroup() as tasks:
                writing = tasks.create_task(self._write())
                await self._follow(tasks)
                for task in (writing, *self._readers.values()):
                    task.cancel()
        finally:
            for name, handler in handlers.items():
                self._room.off(name, handler)
            await self._finish()

    def _look_around(self) -> None:
        """Takes what was published before we came, or came back."""
        agents = [one for one in self._room.remote_participants.values() if is_agent(one)]
        for participant in agents:
            for publication in participant.track_publications.values():
                if publication.track and publication.track.sid not in self._readers:
                    self._on_subscribed(publication.track, publication, participant)
                else:
                    self._on_published(publication, participant)
        if not agents:
            self._events.put_nowait(f"waiting for an agent to come into room {self._room.name!r}")

    async def _follow(self, tasks: asyncio.TaskGroup) -> None:
        """Reads each track from its coming to its going; returns when nothing more can be recorded."""
        while (event := await self._events.get()) is not None:
            match event:
                case _Came(track=rtc.RemoteAudioTrack()):
                    self._forget(event.track.sid)
                    self._tell(f"sound    of {event.identity}")
                    self._readers[event.track.sid] = tasks.create_task(self._read_sound(event.track))
                case _Came():
                    self._forget(event.track.sid)
                    self._pictures[event.track.sid] = event
                case _Went():
                    self._forget(event.sid)
                case str():
                    self._tell(event)
                case _:
                    event.set_subscribed(True)
            if self._pictures and not self._pictures.keys() & self._readers.keys():
                sid, picture = next(iter(self._pictures.items()))
                self._readers[sid] = tasks.create_task(self._read_pictures(picture))

    def _forget(self, sid: str) -> None:
        self._pictures.pop(sid, None)
        if reader := self._readers.pop(sid, None):
            reader.cancel()

    async def _read_sound(self, track: rtc.Track) -> None:
        clock = asyncio.get_running_loop().time
        stream = rtc.AudioStream(track, sample_rate=SAMPLE_RATE, num_channels=1, frame_size_ms=FRAME_MS)
        try:
            async for event in stream:
                now = clock()
                pcm = bytes(event.frame.data)
                self._begun(now - duration_s(len(pcm))).add(track.sid, pcm, now)
        finally:
            if self._mixer:
                self._mixer.drop(track.sid)
            await _closed(stream)

    async def _read_pictures(self, came: _Came) -> None:
        clock = asyncio.get_running_loop().time
        picture_clock = PictureClock()
        stream = rtc.VideoStream(came.track, format=rtc.VideoBufferType.I420)
        try:
            async for event in stream:
                if not is_picture(event.frame):
                    continue
                if not picture_clock.is_known:
                    size = _full_size(came.publication, event.frame)
                    self._tell(f"picture  of {came.identity}, {size[0]}x{size[1]}")
                shown_at = picture_clock.shown_at(event.timestamp_us, clock())
                self._begun(shown_at)
                picture = Picture(event.frame.width, event.frame.height, event.frame.data, size)
                at_s = max(0.0, shown_at - self._began_at)
                if not self._writer.picture(picture, at_s) and self._writer.dropped == 1:
                    self._tell("the encoder cannot keep up: pictures are left out")
        finally:
            await _closed(stream)

    def _begun(self, at: float) -> Mixer:
        """The timeline, which begins with the first thing that arrives."""
        if self._mixer is None:
            self._began_at = at
            self._mixer = Mixer(at)
        return self._mixer

    async def _write(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(_TICK_S)
            self._hand_over(clock() - _HOLD_BACK_S)

    def _hand_over(self, until: float) -> None:
        if self._mixer and (pcm := self._mixer.mixed_until(until)):
            self._writer.sound(pcm)
            for frame in self._slicer.push(pcm):
                is_heard = is_audible(frame)
                self.speech_s += duration_s(len(frame)) if is_heard else 0.0
                if self._captions:
                    self._captions.hear(is_audible=is_heard)

    async def _finish(self) -> None:
        self._hand_over(asyncio.get_running_loop().time())
        self._writer.close()
        task = asyncio.current_task()
        try:
            await self._complete()
        except asyncio.CancelledError:
            if task and task.cancelling() > 1:  # asked twice: does not wait for the file
                raise
            await self._complete()
            raise
        if self._writer.error:
            raise self._writer.error

    async def _complete(self) -> None:
        try:
            async with asyncio.timeout(_FINISH_TIMEOUT_S):
                await self._ended.wait()
        except TimeoutError as error:
            raise LibaError(f"{self._path} was not complete after {_FINISH_TIMEOUT_S:g} s") from error

    def _on_published(
        self, publication: rtc.RemoteTrackPublication, participant: rtc.RemoteParticipant
    ) -> None:
        wants = not (self._audio_only and publication.kind == rtc.TrackKind.KIND_VIDEO)
        if wants and is_agent(participant):
            self._events.put_nowait(publication)

    def _on_subscribed(
        self, track: rtc.Track, publication: rtc.RemoteTrackPublication, participant: rtc.RemoteParticipant
    ) -> None:
        wants = not (self._audio_only and isinstance(track, rtc.RemoteVideoTrack))
        if wants and is_agent(participant):
            name = participant.identity
            self._events.put_nowait(_Came(track, publication, name if name.isprintable() else repr(name)))

    def _on_unsubscribed(
        self, track: rtc.Track, publication: rtc.RemoteTrackPublication, participant: rtc.RemoteParticipant
    ) -> None:
        self._events.put_nowait(_Went(track.sid))

    def _on_reconnected(self) -> None:
        self._events.put_nowait("the connection is back")
        self._look_around()  # what was subscribed to while it was away is not

    def _on_disconnected(self, reason: rtc.DisconnectReason.ValueType) -> None:
        self.disconnected = reason
        self._events.put_nowait(None)

    def _on_end(self) -> None:
        self._ended.set()
        self._events.put_nowait(None)


def _full_size(publication: rtc.RemoteTrackPublication, frame: rtc.VideoFrame) -> tuple[int, int]:
    """What was published, if that is the same picture in larger: a stream often begins small."""
    width, height = publication.width, publication.height
    is_larger = width > frame.width and height > frame.height
    if is_larger and abs(width * frame.height - height * frame.width) <= 0.02 * width * frame.height:
        return width, height
    return frame.width, frame.height


async def _closed(stream: rtc.AudioStream | rtc.VideoStream) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(_CLOSE_TIMEOUT_S):
            await stream.aclose()
