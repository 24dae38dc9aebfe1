"""The stock way: a livekit-agents worker whose `AgentSession` says what comes on the topic `say`.

`python -m tests.bench.stock_agent ROOM…` sends itself into those rooms once it is registered. Everything is
left at the framework's defaults, except what a fair comparison on one machine needs: it reports no CPU load
(a busy machine would get no job), serves its health check on a free port of loopback, and neither listens
nor ends when the listener leaves. With TAVUS_BASE_URL set it speaks through an avatar, by the stock plugin.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys

import httpx2
import openai
from livekit import api, rtc
from livekit.agents import (
    Agent,
    AgentServer,
    AgentSession,
    APIConnectionError,
    APIConnectOptions,
    AutoSubscribe,
    JobContext,
    room_io,
    tts,
)
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS
from livekit.plugins import tavus

from libacli.core.audio import SAMPLE_RATE
from libacli.core.protocol import SAY_TOPIC

AGENT_NAME = "stock"


class StockTTS(tts.TTS[str]):
    """`livekit.plugins.openai.TTS` of 1.8.9 for `tts-1` and PCM, with the parts that are on its way to sound.

    PCM rather than the plugin's default of MP3, because that is the faster of its ways.
    """

    def __init__(self) -> None:
        super().__init__(
            capabilities=tts.TTSCapabilities(streaming=False), sample_rate=SAMPLE_RATE, num_channels=1
        )
        self.client = openai.AsyncClient(
            max_retries=0,
            http_client=httpx2.AsyncClient(
                timeout=httpx2.Timeout(connect=15.0, read=5.0, write=5.0, pool=5.0),
                follow_redirects=True,
                limits=httpx2.Limits(max_connections=50, max_keepalive_connections=50, keepalive_expiry=120),
            ),
        )

    def synthesize(
        self, text: str, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> tts.ChunkedStream:
        return _Stream(tts=self, input_text=text, conn_options=conn_options)

    async def aclose(self) -> None:
        await self.client.close()


class _Stream(tts.ChunkedStream):
    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        assert isinstance(self._tts, StockTTS)
        answer = self._tts.client.audio.speech.with_streaming_response.create(
            input=self.input_text,
            model="tts-1",
            voice="ash",
            response_format="pcm",
            speed=1.0,
            stream_format="audio",
            timeout=httpx2.Timeout(30, connect=self._conn_options.timeout),
        )
        try:
            async with answer as stream:
                output_emitter.initialize(
                    request_id=stream.request_id or "",
                    sample_rate=SAMPLE_RATE,
                    num_channels=1,
                    mime_type="audio/pcm",
                )
                async for chunk in stream.iter_bytes():
                    output_emitter.push(chunk)
            output_emitter.flush()
        except Exception as error:
            raise APIConnectionError() from error


async def enter(context: JobContext) -> None:
    """The job: says what it is sent, in order."""
    texts: asyncio.Queue[str] = asyncio.Queue()

    def on_data(packet: rtc.DataPacket) -> None:
        if packet.topic == SAY_TOPIC:
            texts.put_nowait(json.loads(packet.data)["text"])

    context.room.on("data_received", on_data)
    await context.connect(auto_subscribe=AutoSubscribe.SUBSCRIBE_NONE)
    session: AgentSession[None] = AgentSession(
        tts=StockTTS(), vad=None, turn_handling={"turn_detection": None}
    )
    if base_url := os.environ.get("TAVUS_BASE_URL"):
        # Key, face and pal it takes from the environment.
        await tavus.AvatarSession(api_url=f"{base_url}/v2").start(session, context.room)
    options = room_io.RoomOptions(audio_input=False, close_on_disconnect=False)
    await session.start(Agent(instructions=""), room=context.room, room_options=options)
    while True:
        session.say(await texts.get())


async def _main(*rooms: str) -> None:
    server = AgentServer(host="127.0.0.1", port=0, load_fnc=lambda: 0.0)
    server.rtc_session(enter, agent_name=AGENT_NAME)
    registered = asyncio.Event()
    server.on("worker_registered", lambda *_: registered.set())
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(server.run())
        await registered.wait()
        async with api.LiveKitAPI() as livekit:
            for room in rooms:
                request = api.CreateAgentDispatchRequest(agent_name=AGENT_NAME, room=room)
                await livekit.agent_dispatch.create_dispatch(request)


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
