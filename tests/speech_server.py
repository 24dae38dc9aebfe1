"""An OpenAI speech server that does what a test tells it, on a free port of 127.0.0.1 if not told otherwise.

In a test: `async with SpeechServer() as server: server.play(Script(status=500))`.
As a process, for benches: `python -m tests.speech_server --first-byte-ms 300`; its one line is the base URL.
It speaks `POST /v1/audio/speech` (https://platform.openai.com/docs/api-reference/audio/createSpeech) with
`response_format` pcm, over real HTTP/1.1 with chunked bodies. Its sound is a tone, never to be mistaken for
a voice; a request for the voice "tone-880" sounds at 880 Hz.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Self

from aiohttp import web

from libacli.core.audio import BYTES_PER_SECOND, duration_s
from libacli.speech.fakes import tone

Ending = Literal["complete", "truncated", "aborted", "stalled"]

_ERRORS: Mapping[int, tuple[str, str | None, str]] = {
    400: ("invalid_request_error", None, "Invalid request."),
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided: sk-se***cret."),
    402: ("invalid_request_error", None, "Payment required"),
    403: ("invalid_request_error", "unsupported_country_region_territory", "Country not supported."),
    404: ("invalid_request_error", "model_not_found", "The model does not exist."),
    429: ("requests", "rate_limit_exceeded", "Rate limit reached for requests."),
    500: ("server_error", None, "The server had an error while processing your request."),
    503: ("server_error", None, "The engine is currently overloaded."),
}


@dataclass(frozen=True)
class Script:
    """How one request is answered."""

    status: int = 200
    """Anything but 200 is answered with an error in OpenAI's format."""

    code: str | None = None
    """`error.code` instead of the usual one of `status`, such as "insufficient_quota"."""

    message: str | None = None
    """`error.message` instead of the usual one of `status`."""

    param: str | None = None
    """`error.param`: the name of the request's field that is at fault."""

    headers: Mapping[str, str] = field(default_factory=dict)
    """Sent with the answer, for instance Retry-After."""

    first_byte_s: float = 0.0
    """Seconds until the first byte of sound (or the error) is sent."""

    per_char_s: float = 0.0
    """Seconds added to `first_byte_s` for each character of the text."""

    ms_per_char: float = 60.0
    """Milliseconds of sound for each character of the text."""

    pace: float | None = None
    """Sound is sent at so many times real time; None sends as fast as the connection takes it."""

    piece_bytes: int = 4_800
    """Length of the pieces that are sent."""

    ending: Ending = "complete"
    """After `ending_after_bytes`: `truncated` ends the body cleanly, `aborted` resets the connection
    (before the headers, when that is 0), `stalled` sends nothing more and keeps the connection."""

    ending_after_bytes: int = 0
    """Bytes of sound that are sent before `ending`; without meaning for `complete`."""

    content_type: str = "audio/pcm"

    body: bytes | None = None
    """Sent instead of the tone."""


QUOTA_USED_UP = Script(status=429, code="insufficient_quota", message="You exceeded your current quota.")


def rate_limited(retry_after: str | None) -> Script:
    """429 with this Retry-After header (seconds), or without one."""
    return Script(status=429, headers={} if retry_after is None else {"Retry-After": retry_after})


class SpeechServer:
    """Answers each request with the next script in line, or with `default` when there is none."""

    def __init__(self, default: Script | None = None, *, address: str = "127.0.0.1", port: int = 0) -> None:
        self.default = default or Script()
        self._place = (address, port)
        self.base_url = ""
        """What to give to a client as base URL; known once the server runs."""

        self.requests: list[dict[str, Any]] = []
        """JSON bodies of the requests so far."""

        self.connections: set[tuple[str, int]] = set()
        """Addresses of the clients' connections so far: one entry for requests that shared one."""

        self.cut_off = asyncio.Event()
        """Set when a client went away before its answer was complete."""

        self._scripts: deque[Script] = deque()
        self._runner: web.AppRunner | None = None

    @property
    def calls(self) -> int:
        return len(self.requests)

    def play(self, *scripts: Script) -> None:
        """Sets how the next requests are answered, one script each."""
        self._scripts.extend(scripts)

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/v1/audio/speech", self._answer)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        address, port = self._place
        await web.TCPSite(self._runner, address, port).start()
        self.base_url = f"http://{address}:{self._runner.addresses[0][1]}/v1"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner:
            await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        asked: dict[str, Any] = await request.json()
        self.requests.append(asked)
        assert request.transport
        self.connections.add(request.transport.get_extra_info("peername"))
        script = self._scripts.popleft() if self._scripts else self.default
        try:
            text = str(asked.get("input", ""))
            if not text:
                script = Script(status=400, param="input", message="Input must not be empty.")
            if script.ending == "aborted" and not script.ending_after_bytes:
                request.transport.abort()
            await asyncio.sleep(script.first_byte_s + script.per_char_s * len(text))
            if script.status != 200:
                return _error(script)
            return await _sound(request, script, _pcm(script, text, str(asked.get("voice", ""))))
        except (asyncio.CancelledError, ConnectionError):
            self.cut_off.set()
            raise


def _error(script: Script) -> web.Response:
    kind, code, message = _ERRORS[script.status]
    error = {
        "message": script.message or message,
        "type": kind,
        "param": script.param,
        "code": script.code or code,
    }
    return web.json_response({"error": error}, status=script.status, headers=script.headers)


def _pcm(script: Script, text: str, voice: str) -> bytes:
    if script.body is not None:
        return script.body
    frequency = int(voice.removeprefix("tone-")) if voice.startswith("tone-") else 440
    return tone(script.ms_per_char * len(text), frequency)


async def _sound(request: web.Request, script: Script, pcm: bytes) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": script.content_type, **script.headers})
    response.enable_chunked_encoding()
    await response.prepare(request)
    loop = asyncio.get_running_loop()
    started, sent = loop.time(), 0
    for piece in _pieces(pcm if script.ending == "complete" else pcm[: script.ending_after_bytes], script):
        await response.write(piece)
        sent += len(piece)
        if script.pace:
            await asyncio.sleep(max(0.0, started + duration_s(sent) / script.pace - loop.time()))
    if script.ending == "stalled":
        await asyncio.Event().wait()
    if script.ending == "aborted" and request.transport:
        await asyncio.sleep(0.02)  # what was written is on its way before the reset overtakes it
        request.transport.abort()
        return response
    await response.write_eof()
    return response


def _pieces(pcm: bytes, script: Script) -> Iterator[bytes]:
    for start in range(0, len(pcm), script.piece_bytes):
        yield pcm[start : start + script.piece_bytes]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--first-byte-ms", type=float, default=0.0, help="delay until the first byte of sound"
    )
    parser.add_argument("--per-char-ms", type=float, default=0.0, help="delay added for each character")
    parser.add_argument("--sound-ms-per-char", type=float, default=60.0, help="sound for each character")
    parser.add_argument("--pace", type=float, help="times real time; as fast as possible if not given")
    parser.add_argument("--piece-ms", type=float, default=100.0, help="length of the pieces sent")
    return parser.parse_args()


async def _serve(script: Script) -> None:
    async with SpeechServer(script) as server:
        sys.stdout.write(f"{server.base_url}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


def main() -> None:
    """Serves until interrupted or ended."""
    args = _arguments()
    script = Script(
        first_byte_s=args.first_byte_ms / 1000,
        per_char_s=args.per_char_ms / 1000,
        ms_per_char=args.sound_ms_per_char,
        pace=args.pace,
        piece_bytes=max(1, round(BYTES_PER_SECOND * args.piece_ms / 1000)),
    )
    try:
        asyncio.run(_serve(script))
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    main()
