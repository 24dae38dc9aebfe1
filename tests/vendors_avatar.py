"""The avatar that vendors embed: livekit-agents' own `AvatarRunner`, fed by its `DataStreamAudioReceiver`.

What they add is the picture, here a grey one. It speaks for the first agent that it meets; its frames are of
100 ms; it reports an end when the last frame is handed over, not when it has sounded; and the end of a line
of which the next one was there already it does not report at all.
https://docs.livekit.io/agents/models/avatar/ and `livekit.agents.voice.avatar`, which is imported when it is
used: that takes seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from livekit import rtc

from libacli.core.audio import SAMPLE_RATE

_SIZE = 64
_FPS = 10.0
_GREY = b"\x80" * (_SIZE * _SIZE * 3 // 2)


async def play_as_vendors_do(room: rtc.Room) -> None:
    """Plays in a room that is joined, until cancelled."""
    from livekit.agents.voice.avatar import (
        AudioSegmentEnd,
        AvatarOptions,
        AvatarRunner,
        DataStreamAudioReceiver,
        VideoGenerator,
    )

    class Grey(VideoGenerator):
        """Gives the sound back as it came, each frame with a picture."""

        def __init__(self) -> None:
            self._frames: asyncio.Queue[rtc.AudioFrame | AudioSegmentEnd] = asyncio.Queue()

        async def push_audio(self, frame: rtc.AudioFrame | AudioSegmentEnd) -> None:
            self._frames.put_nowait(frame)

        def clear_buffer(self) -> None:
            while not self._frames.empty():
                self._frames.get_nowait()

        def __aiter__(self) -> AsyncIterator[rtc.VideoFrame | rtc.AudioFrame | AudioSegmentEnd]:
            return self._both()

        async def _both(self) -> AsyncIterator[rtc.VideoFrame | rtc.AudioFrame | AudioSegmentEnd]:
            while True:
                sound = await self._next()
                if not isinstance(sound, AudioSegmentEnd):
                    yield rtc.VideoFrame(_SIZE, _SIZE, rtc.VideoBufferType.I420, _GREY)
                if sound:
                    yield sound

        async def _next(self) -> rtc.AudioFrame | AudioSegmentEnd | None:
            try:
                async with asyncio.timeout(1 / _FPS):
                    return await self._frames.get()
            except TimeoutError:
                return None

    runner = AvatarRunner(
        room,
        audio_recv=DataStreamAudioReceiver(room),
        video_gen=Grey(),
        options=AvatarOptions(_SIZE, _SIZE, _FPS, SAMPLE_RATE, 1),
    )
    await runner.start()
    try:
        await runner.wait_for_complete()
    finally:
        await runner.aclose()
