"""Runs `liba record`: joins, records, ends in an orderly way, and tells how."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from livekit import rtc

from libacli.cli.output import output
from libacli.config import Settings
from libacli.core.caption_cue import clipped
from libacli.core.caption_track import CaptionTrack
from libacli.core.subtitles import SubtitleFormat, write_subtitles
from libacli.edges.livekit.encryption import EncryptionWatch
from libacli.edges.livekit.joining import joined
from libacli.edges.livekit.tokens import check_name, listener_token
from libacli.edges.viewer.caption_listener import CaptionListener
from libacli.edges.viewer.file_writer import FileWriter, check_space
from libacli.edges.viewer.live_stream import LiveStream
from libacli.edges.viewer.recorder import Recorder
from libacli.edges.viewer.stream_target import StreamTarget
from libacli.errors import FileError, LibaError, NoAgentError, UnreachableError
from libacli.private_files import write_kept

_SIGNALS = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}
_LOST = "the connection was lost"


@dataclass
class RecordRun:
    """One run of `liba record`."""

    settings: Settings
    path: Path
    """The file; of a stream, what may be told of its address."""

    target: StreamTarget | None
    """Where it is sent to as it happens, instead of to the file."""

    for_s: int | None
    """Seconds after which it ends, counted from joining; None: until Ctrl-C."""

    audio_only: bool
    as_json: bool
    captions: SubtitleFormat | None = None
    """What is said is written beside it, in a file of that kind."""

    _stream: LiveStream | None = field(default=None, init=False)
    _recorder: Recorder | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._credentials, self._room = self.settings.livekit(), self.settings.say_room

    def run(self) -> None:
        """Joins, records until the end, and prints what was recorded, as it does when an error ended it.

        Raises NoAgentError when there was nothing to record, UnreachableError, LibaError.
        """
        try:
            asyncio.run(self._run())
        except LibaError:
            self._show()
            raise
        self._show()

    async def _run(self) -> None:
        if not output.verbose:  # the SDK tells of every attempt to reconnect; the recorder tells it once
            logging.getLogger("livekit").setLevel(logging.CRITICAL)
        check_name("room", self._room)
        if self.target:
            self.target.check()
        else:
            check_space(self.path)
        identity = f"liba-recorder-{os.urandom(3).hex()}"
        token = listener_token(self._credentials, room=self._room, identity=identity)
        room, key = rtc.Room(), self._credentials.e2ee_key
        encryption = EncryptionWatch(room, has_key=key is not None)
        track = CaptionTrack()
        async with (
            self._listening(room, track),
            joined(room, self._credentials.ws_url, token, auto_subscribe=False, e2ee_key=key),
        ):
            until = f"for {self.for_s} s, or until Ctrl-C" if self.for_s else "Ctrl-C ends it"
            output.status(f"record   room {self._room!r} to {self._place}; {until}")
            self._recorder = self._make_recorder(room, track)
            try:
                ended = await self._record_until_end(self._recorder)
            except BaseException:  # what has ended it is what counts
                if unwritten := await self._write_captions(track, self._recorder):
                    output.status(str(unwritten))
                raise
            if unwritten := await self._write_captions(track, self._recorder):
                raise unwritten
            await encryption.look()
        if not (self._recorder.seconds or self._recorder.frames):
            raise NoAgentError(
                f"no agent was seen or heard in room {self._room!r}; there is no recording",
                hint="bring one in: liba say 'Hello.' --room " + self._room,
            )
        output.status(f"ended    {ended}")
        self._check_end(ended)

    def _check_end(self, ended: str) -> None:
        """Raises UnreachableError for an end that is none, or of a stream that nobody took."""
        if ended == _LOST:
            raise UnreachableError(
                f"the connection to LiveKit was lost; what came before is in {self._place}",
                hint="check the network and the server",
            )
        if self._is_unsent:
            raise UnreachableError(
                f"nothing was sent: {self._place} never took the stream",
                hint="check its address and its key, and that the service expects you now",
            )

    def _listening(self, room: rtc.Room, track: CaptionTrack) -> AbstractAsyncContextManager[None]:
        if not self.captions:
            return nullcontext()
        return CaptionListener(
            room,
            track,
            self._credentials,
            agent_name=self.settings.agent_name,
            previous=self.settings.livekit_previous(),
        ).listening()

    async def _write_captions(self, track: CaptionTrack, recorder: Recorder) -> FileError | None:
        """Returns why they could not be written."""
        if not self.captions or not (recorder.seconds or recorder.frames):
            return None
        cues = clipped(track.cues(began_at=recorder.began_at), round(recorder.seconds * 1000))
        path = self.path.with_suffix(f".{self.captions}")
        try:
            await asyncio.to_thread(write_kept, path, write_subtitles(cues, self.captions))
        except OSError as error:
            return FileError(f"cannot write {path}: {error.strerror}", hint="choose another place")
        output.status(f"captions {len(cues)} in {path}" if cues else f"captions none came; {path} is empty")
        return None

    @property
    def _is_unsent(self) -> bool:
        """It is a stream, and its server never took it."""
        return self._stream is not None and not self._stream.connections

    @property
    def _place(self) -> str:
        return self.target.shown if self.target else str(self.path)

    def _make_recorder(self, room: rtc.Room, track: CaptionTrack) -> Recorder:
        writer = FileWriter(self.path, self._begin_stream, least_free_bytes=0) if self.target else None
        return Recorder(
            room,
            self.path,
            audio_only=self.audio_only,
            tell=output.status,
            captions=track,
            writer=writer,
        )

    def _begin_stream(self, path: Path) -> LiveStream:
        assert self.target
        self._stream = LiveStream(self.target, audio_only=self.audio_only, tell=output.status)
        return self._stream

    async def _record_until_end(self, recorder: Recorder) -> str:
        """Records; returns what ended it."""
        loop = asyncio.get_running_loop()
        ended = f"after {self.for_s} s, as asked for by --for"
        try:
            async with asyncio.timeout(self.for_s) as bound:

                def stop(name: str) -> None:
                    nonlocal ended
                    if not bound.expired():
                        ended = f"by {name}"
                        bound.reschedule(loop.time())

                with _signals_calling(stop):
                    await recorder.run()
        except TimeoutError:
            return ended
        return _why_disconnected(recorder)

    def _show(self) -> None:
        """Prints what was recorded, if anything was."""
        recorder = self._recorder
        if not recorder or not recorder.seconds or not (self.target or self.path.exists()):
            return
        if self.as_json:
            output.json(
                {
                    "path": self._place,
                    "seconds": round(recorder.seconds, 3),
                    "frames": recorder.frames,
                    "width": recorder.width,
                    "height": recorder.height,
                    "speech_s": round(recorder.speech_s, 3),
                    **self._sent(),
                }
            )
        elif not self._is_unsent:
            pictures = f"{recorder.frames} pictures of {recorder.width}x{recorder.height}, "
            output.result(
                f"{self._place}  {recorder.seconds:.1f} s, {pictures if recorder.frames else ''}"
                f"{recorder.speech_s:.1f} s of sound"
            )
        if self._stream and self._stream.dropped_groups and not self._is_unsent:
            output.status(
                f"{self._stream.dropped_groups} groups of pictures were left out: the line was slow, or gone"
            )
        if recorder.dropped:
            output.status(f"{recorder.dropped} pictures were left out: the encoder could not keep up")

    def _sent(self) -> dict[str, int]:
        """What became of a stream."""
        if not self._stream:
            return {}
        return {"connections": self._stream.connections, "groups_left_out": self._stream.dropped_groups}


def _why_disconnected(recorder: Recorder) -> str:
    """How a room ended that we did not leave."""
    reason = rtc.DisconnectReason
    orderly = {
        reason.ROOM_DELETED: "the room was deleted",
        reason.ROOM_CLOSED: "the room was closed",
        reason.PARTICIPANT_REMOVED: "somebody removed the recorder from the room",
    }
    return orderly.get(recorder.disconnected, _LOST) if recorder.disconnected is not None else _LOST


@contextmanager
def _signals_calling(stop: Callable[[str], None]) -> Iterator[None]:
    """Calls `stop` at the first signal that asks us to end; the second one has its usual effect."""
    loop = asyncio.get_running_loop()

    def on_signal(name: str) -> None:
        remove()
        stop(name)

    def remove() -> None:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)

    for number, name in _SIGNALS.items():
        loop.add_signal_handler(number, on_signal, name)
    try:
        yield
    finally:
        remove()
