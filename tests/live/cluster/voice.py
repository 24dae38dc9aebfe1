"""The voice of the cluster's workers: `python -m tests.live.cluster.voice ADDRESS PORT`.

Says each number as a tone of its own pitch, see `tests.bench.soak_ear`.
"""

from __future__ import annotations

import asyncio
import re
import sys

from aiohttp import web

from tests.bench.soak_ear import spoken
from tests.speech_server import Script, SpeechServer


class Numbers(SpeechServer):
    """What has no number in it, as the line that warms it up, is any sound."""

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        numbers = re.findall(r"\d+", str((await request.json())["input"]))
        self.play(Script(body=spoken(int(numbers[0]))) if numbers else Script())
        return await super()._answer(request)


async def main(address: str, port: int) -> None:
    async with Numbers(address=address, port=port):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
