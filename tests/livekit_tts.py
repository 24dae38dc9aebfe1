"""A text-to-speech of livekit-agents that does what a test tells it, written against its public classes.

https://docs.livekit.io/agents/models/tts/#advanced: one that answers text by text, one that streams only.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from livekit.agents import APIConnectOptions, tts

from libacli.speech.fakes import tone

CONNECT_OPTIONS = APIConnectOptions()


@dataclass
class Script:
    """How the next requests go."""

    sample_rate: int = 24_000
    channels: int = 1
    ms_per_char: float = 60.0
    first_s: float = 0.0
    error: Exception | None = None
    """Raised after `error_after` pieces of 100 ms."""

    error_after: int = 0
    errors: int = 1_000
    """So many requests end with it."""

    stalls_after: int | None = None
    """Pieces after which nothing more comes."""

    close_s: float = 0.0
    """How long an answer takes to be closed."""


class ScriptedTTS(tts.TTS[Any]):
    """Answers text by text; its sound is a tone, at 880 Hz for the speaker "high"."""

    streams = False

    def __init__(self, script: Script, *, voice: str = "low", speed: float = 1.0) -> None:
        super().__init__(
            capabilities=tts.TTSCapabilities(streaming=self.streams),
            sample_rate=script.sample_rate,
            num_channels=script.channels,
        )
        self.script = script
        self.voice = voice
        self.speed = speed
        self.asked: list[str] = []
        self.retries: list[int] = []
        self.cancelled = asyncio.Event()
        self.is_closed = False

    def synthesize(
        self, text: str, *, conn_options: APIConnectOptions = CONNECT_OPTIONS
    ) -> tts.ChunkedStream:
        return _Chunked(tts=self, input_text=text, conn_options=conn_options)

    async def aclose(self) -> None:
        self.is_closed = True

    async def say(self, text: str, emitter: tts.AudioEmitter, retries: int) -> None:
        """Pushes the sound of `text`, as the script has it."""
        self.asked.append(text)
        self.retries.append(retries)
        script = self.script
        try:
            await asyncio.sleep(script.first_s)
            pcm = tone(script.ms_per_char * len(text) / self.speed, 880 if self.voice == "high" else 440)
            step = 4_800
            for count, start in enumerate(range(0, max(1, len(pcm)), step)):
                if script.error and count >= script.error_after and script.errors:
                    script.errors -= 1
                    raise script.error
                if script.stalls_after is not None and count >= script.stalls_after:
                    await asyncio.Event().wait()
                emitter.push(_as(pcm[start : start + step], script))
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise


class StreamingTTS(ScriptedTTS):
    """Streams only, as some plugins do."""

    streams = True

    def synthesize(
        self, text: str, *, conn_options: APIConnectOptions = CONNECT_OPTIONS
    ) -> tts.ChunkedStream:
        raise NotImplementedError

    def stream(self, *, conn_options: APIConnectOptions = CONNECT_OPTIONS) -> tts.SynthesizeStream:
        return _Stream(tts=self, conn_options=conn_options)


class _Chunked(tts.ChunkedStream):
    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        kind = self._tts
        assert isinstance(kind, ScriptedTTS)
        output_emitter.initialize(
            request_id="request",
            sample_rate=kind.sample_rate,
            num_channels=kind.num_channels,
            mime_type="audio/pcm",
        )
        await kind.say(self.input_text, output_emitter, self._conn_options.max_retry)
        output_emitter.flush()

    async def aclose(self) -> None:
        await super().aclose()
        assert isinstance(self._tts, ScriptedTTS)
        await asyncio.sleep(self._tts.script.close_s)


class _Stream(tts.SynthesizeStream):
    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        kind = self._tts
        assert isinstance(kind, ScriptedTTS)
        output_emitter.initialize(
            request_id="request",
            sample_rate=kind.sample_rate,
            num_channels=kind.num_channels,
            mime_type="audio/pcm",
            stream=True,
        )
        output_emitter.start_segment(segment_id="segment")
        async for text in self._input_ch:
            if isinstance(text, str):
                self._mark_started()
                await kind.say(text, output_emitter, self._conn_options.max_retry)
        output_emitter.end_segment()


def _as(pcm: bytes, script: Script) -> bytes:
    """24 kHz mono as the script's rate (a whole fraction, or twice as much) and channels."""
    samples = [pcm[start : start + 2] for start in range(0, len(pcm), 2)]
    if script.sample_rate == 48_000:
        samples = [sample for sample in samples for _ in range(2)]
    else:
        samples = samples[:: 24_000 // script.sample_rate]
    return b"".join(sample * script.channels for sample in samples)
