"""The speech server of the first-audio bench, a process of its own that the bench steers over its pipes.

As a process it prints its base URL, then takes one JSON object a line on standard input, the fields of
`tests.speech_server.Script` for all requests from now on, and prints an empty line when they are in force.
With `sigma` first bytes are lognormal, and `first_byte_s` is their mean.
It ends when its standard input does. Its sound is one tone without any pause: silence is never its own.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import sys
from array import array
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from aiohttp import web

from libacli.core.audio import SAMPLE_RATE
from tests.speech_server import Script, SpeechServer

FREQUENCY = 500
"""A cycle takes 2 ms: sound of whole even milliseconds ends where the next piece begins."""

_PEAK = 8_000


def steady_tone(milliseconds: float) -> bytes:
    """PCM of a cosine, loud from its first sample to its last; the same bytes every time."""
    step = 2 * math.pi * FREQUENCY / SAMPLE_RATE
    cycle = array("h", (round(_PEAK * math.cos(step * n)) for n in range(SAMPLE_RATE // FREQUENCY)))
    length = round(SAMPLE_RATE * milliseconds / 1000) * 2
    return (cycle.tobytes() * (length // len(cycle.tobytes()) + 1))[:length]


class SteadySpeechServer(SpeechServer):
    """Answers every request as `default` says, with a tone that has no pauses."""

    sigma = 0.0

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        script = self.default
        body = steady_tone(script.ms_per_char * len(str(asked.get("input", ""))))
        first_s = script.first_byte_s * random.lognormvariate(-(self.sigma**2) / 2, self.sigma)
        self.play(replace(script, body=body, first_byte_s=first_s))
        return await super()._answer(request)


class VoiceProcess:
    """The running server, from the bench's side."""

    def __init__(self, process: asyncio.subprocess.Process, base_url: str) -> None:
        self.base_url = base_url
        self._process = process

    async def become(self, script: Script, *, sigma: float = 0.0) -> None:
        """Answers all requests from now on as `script` says."""
        assert self._process.stdin and self._process.stdout
        fields = ("first_byte_s", "per_char_s", "ms_per_char", "pace", "piece_bytes")
        line = json.dumps({name: getattr(script, name) for name in fields} | {"sigma": sigma})
        self._process.stdin.write(line.encode() + b"\n")
        await self._process.stdin.drain()
        if await self._process.stdout.readline() != b"\n":
            raise RuntimeError("the speech server has ended")


@asynccontextmanager
async def voice_process() -> AsyncIterator[VoiceProcess]:
    """Runs the server; it ends with the context, or with us."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __name__, stdin=pipe, stdout=pipe, start_new_session=True
    )
    assert process.stdin and process.stdout
    try:
        async with asyncio.timeout(20):
            base_url = (await process.stdout.readline()).decode().strip()
        yield VoiceProcess(process, base_url)
    finally:
        process.stdin.close()
        await process.wait()


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with SteadySpeechServer() as server:
        print(server.base_url, flush=True)
        while line := await reader.readline():
            fields = json.loads(line)
            server.sigma = fields.pop("sigma")
            server.default = Script(**fields)
            print(flush=True)


if __name__ == "__main__":
    asyncio.run(_serve())
