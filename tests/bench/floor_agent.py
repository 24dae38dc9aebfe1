"""The floor: a participant that plays a ready tone at once when asked. No agent can be heard sooner.

`python -m tests.bench.floor_agent URL MILLISECONDS TOKEN…`: one room for each token; MILLISECONDS of tone.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import aclosing

from livekit import rtc

from libacli.core.audio import FRAME_BYTES, SAMPLE_RATE, FrameSlicer
from libacli.core.protocol import SAY_TOPIC
from libacli.edges.livekit.joining import joined
from tests.bench.voice_process import steady_tone


def requests_to(room: rtc.Room) -> asyncio.Queue[None]:
    """One item for each packet of the topic `say` that comes to `room` from now on."""
    asked: asyncio.Queue[None] = asyncio.Queue()

    def on_data(packet: rtc.DataPacket) -> None:
        if packet.topic == SAY_TOPIC:
            asked.put_nowait(None)

    room.on("data_received", on_data)
    return asked


async def play_when_asked(url: str, token: str, sound: bytes) -> None:
    """Joins the token's room and plays `sound` for each packet of the topic `say`, until cancelled."""
    room = rtc.Room()
    asked = requests_to(room)
    frames = [rtc.AudioFrame(pcm, SAMPLE_RATE, 1, FRAME_BYTES // 2) for pcm in FrameSlicer().push(sound)]
    async with (
        joined(room, url, token, auto_subscribe=False),
        aclosing(rtc.AudioSource(SAMPLE_RATE, 1)) as source,
    ):
        track = rtc.LocalAudioTrack.create_audio_track("floor", source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        await room.local_participant.publish_track(track, options)
        while True:
            await asked.get()
            for frame in frames:
                await source.capture_frame(frame)


async def _main(url: str, milliseconds: str, *tokens: str) -> None:
    sound = steady_tone(float(milliseconds))
    async with asyncio.TaskGroup() as tasks:
        for token in tokens:
            tasks.create_task(play_when_asked(url, token, sound))


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
