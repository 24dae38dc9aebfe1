"""A gateway of LiveKit Inference that does what a test tells it, on 127.0.0.1 with a free port of its own.

What there is of the protocol in public is its client, `livekit.agents.inference.TTS`: a WebSocket `/v1/tts`
with a LiveKit token for inference, `session.create`, `input_transcript`…, `session.flush`, answered with
`session.created`, `output_audio`… and `done`, or `error`. Its sound is a tone.
"""

from __future__ import annotations

import base64
from types import TracebackType
from typing import Any, Self

import jwt
from aiohttp import WSMsgType, web

from libacli.speech.fakes import tone


class InferenceGateway:
    def __init__(self, *, api_key: str, api_secret: str) -> None:
        self.base_url = ""
        self.models: list[str] = []
        self.sessions: list[dict[str, Any]] = []
        """Each `session.create` so far."""

        self.said: list[str] = []
        self.error = ""
        """Said instead of sound, when it is not empty."""

        self.status = 101
        """Of the next handshakes."""

        self._api_key, self._api_secret = api_key, api_secret
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/v1/tts", self._socket)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.base_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner:
            await self._runner.cleanup()

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        if self.status != 101 or not self._is_known(request):
            return web.json_response({"message": "no"}, status=self.status if self.status != 101 else 401)
        self.models.append(request.query["model"])
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        text = ""
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                break
            event = message.json()
            if event["type"] == "session.create":
                self.sessions.append(event)
                await socket.send_json({"type": "session.created", "session_id": "session"})
            elif event["type"] == "input_transcript":
                text += event["transcript"]
            elif event["type"] == "session.flush":
                await self._answer(socket, text.strip())
                text = ""
        return socket

    def _is_known(self, request: web.Request) -> bool:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        try:
            claims = jwt.decode(token, self._api_secret, algorithms=["HS256"])
        except jwt.InvalidTokenError:
            return False
        return claims["iss"] == self._api_key and bool(claims.get("inference", {}).get("perform"))

    async def _answer(self, socket: web.WebSocketResponse, text: str) -> None:
        self.said.append(text)
        if self.error:
            await socket.send_json({"type": "error", "message": self.error, "session_id": "session"})
            return
        pcm = tone(60 * len(text))
        for start in range(0, len(pcm), 9_600):
            piece = base64.b64encode(pcm[start : start + 9_600]).decode()
            await socket.send_json({"type": "output_audio", "audio": piece, "session_id": "session"})
        await socket.send_json({"type": "done", "session_id": "session"})
