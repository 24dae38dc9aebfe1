"""The embedded voice as a speech server: agents that cannot have it otherwise speak with the same sound."""

from __future__ import annotations

import asyncio
from typing import Any, Self

from aiohttp import web

from libacli.edges.voices.embedded import embedded_voice
from tests.contracts import pcm_of
from tests.speech_server import Script, SpeechServer


class EmbeddedServer(SpeechServer):
    """Says each text once, and the same sound whenever it is asked for again."""

    def __init__(self) -> None:
        super().__init__()
        self._voice = embedded_voice()
        self._said: dict[str, bytes] = {}
        self._saying = asyncio.Lock()

    async def __aenter__(self) -> Self:
        await self._voice.warm_up()
        return await super().__aenter__()

    async def __aexit__(self, *ended: Any) -> None:
        await super().__aexit__(*ended)
        await self._voice.aclose()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        text = str((await request.json())["input"])
        self.play(Script(body=await self.said(text)))
        return await super()._answer(request)

    async def said(self, text: str) -> bytes:
        """Its sound of that text."""
        async with self._saying:
            if text not in self._said:
                self._said[text] = await pcm_of(self._voice, text)
        return self._said[text]
