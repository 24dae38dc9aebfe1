"""A server of OpenAI's Realtime API that does what a test tells it, on 127.0.0.1 with a free port of its own.

In a test: `async with RealtimeServer() as server: server.play(Script(says="I am here."))`.
As a process: `python -m tests.realtime_server --reword-every 10`; its one line is the base URL.
It speaks the events of https://platform.openai.com/docs/api-reference/realtime-server-events over a real
WebSocket, refuses what OpenAI's own types do not have, and gives each text a tone, never to be mistaken for a
voice. A session keeps its speaker once it has spoken, as the real one does.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import itertools
import sys
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Self

from aiohttp import WSCloseCode, WSMsgType, web

from libacli.core.audio import BYTES_PER_SECOND
from libacli.speech.fakes import tone

SPEAKERS = "alloy ash ballad coral echo sage shimmer verse marin cedar"
_RESPONSE_FIELDS = """audio conversation input instructions max_output_tokens metadata output_modalities
    parallel_tool_calls prompt reasoning tool_choice tools"""
_HANDSHAKE_ERRORS: Mapping[int, tuple[str, str | None, str]] = {
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided: sk-se***cret."),
    403: ("invalid_request_error", "unsupported_country_region_territory", "Country not supported."),
    404: ("invalid_request_error", "model_not_found", "The model does not exist."),
    429: ("insufficient_quota", "insufficient_quota", "You exceeded your current quota."),
    500: ("server_error", None, "The server had an error while processing your request."),
}
Transcript = Literal["ahead", "beside", "late", "none"]
Ending = Literal["completed", "failed", "incomplete", "cancelled", "stalled", "closed", "unended", "left"]


@dataclass(frozen=True)
class Script:
    """How one response goes."""

    says: str | None = None
    """What is said instead of the text."""

    transcript: Transcript = "ahead"
    """Whether the transcript comes before the sound, word by word with it, after it, or not at all."""

    first_s: float = 0.0
    """Seconds until the first sound."""

    ms_per_char: float = 60.0
    more_s: float = 0.0
    """Seconds of sound after that of the text."""

    delta_ms: float = 200.0
    """Length of the pieces of sound."""

    gap_s: float = 0.0
    """Seconds between two pieces."""

    ending: Ending = "completed"
    """How it ends after `ending_after` pieces of sound; `closed` ends the socket without a word.

    At its usual end `unended` leaves out the end of the response, `left` closes the socket instead of it.
    """

    ending_after: int = 10_000
    error: Mapping[str, str] = field(default_factory=dict)
    """`type`, `code` and `message` of a response that failed, or the `reason` of an incomplete one."""

    beside: Sequence[Mapping[str, Any] | str] = ()
    """Events that come before the sound ends, those of the response with its id; text is sent as it is."""

    is_told_late: bool = False
    """The transcript stands in the response that is done, and nowhere else."""

    adds: str = ""
    """What is said behind it, by the transcript of its end alone: of the response's where `is_told_late`."""

    again: Literal["", "item", "part"] = ""
    """A second item, or a second part of the same one, says all of it once more."""

    gives_back: bool = True
    """Whether the response carries the metadata of its request."""

    refused: Mapping[str, str] = field(default_factory=dict)
    """The request is answered with this `error` event, and no response is created."""


RATE_LIMITED = {"type": "tokens", "code": "rate_limit_exceeded", "message": "Please try again in 300ms."}
NO_QUOTA = {"type": "insufficient_quota", "code": "insufficient_quota", "message": "You exceeded your quota."}


class RealtimeServer:
    """Answers each `response.create` with the next script in line, or with `default` when there is none."""

    def __init__(self, default: Script | None = None, *, reword_every: int = 0) -> None:
        self.default = default or Script()
        self.reword_every = reword_every
        """Each response of that number says other words; 0: none does."""

        self.base_url = ""
        self.status = 101
        """Of the next handshakes; anything but 101 refuses them."""

        self.answer: Mapping[str, Any] = {}
        """Arguments of the `Response` that each handshake gets instead."""

        self.farewell: tuple[Mapping[str, str], int, str] | None = None
        """Each socket is closed at once: with an `error` event unless that is empty, a code and a reason."""

        self.refuse_session: Mapping[str, str] = {}
        """Each `session.update` is answered with this `error` event."""

        self.handshakes = 0
        self.models: list[str] = []
        self.headers: list[Mapping[str, str]] = []
        self.sessions: list[dict[str, Any]] = []
        """The `session` of each `session.update` so far."""

        self.requests: list[dict[str, Any]] = []
        """The `response` of each `response.create` so far."""

        self.responses = 0
        self.requested = asyncio.Event()
        """Set when a response has been asked for."""

        self.cancelled: list[str] = []
        """Response ids that were cancelled by the client."""

        self.cut_off = asyncio.Event()
        """Set when a client has cancelled."""

        self._scripts: deque[Script] = deque()
        self._sockets: set[web.WebSocketResponse] = set()
        self._numbers = itertools.count(1)
        self._runner: web.AppRunner | None = None

    def play(self, *scripts: Script) -> None:
        """Sets how the next responses go, one script each."""
        self._scripts.extend(scripts)

    async def close_sockets(self, *, expired: bool = False) -> None:
        """Closes what is open, as after an idle time, or as at the end of a session's 60 minutes."""
        reason = "Your session hit the maximum duration of 60 minutes."
        for socket in list(self._sockets):
            if expired:
                await socket.send_json(
                    _error({"type": "invalid_request_error", "code": "session_expired", "message": reason})
                )
            await socket.close(code=WSCloseCode.GOING_AWAY, message=reason.encode())

    def next_script(self) -> Script:
        if self._scripts:
            return self._scripts.popleft()
        if self.reword_every and len(self.requests) % self.reword_every == 0:
            return Script(says="Well, that is what I would say.")
        return self.default

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/v1/realtime", self._socket)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.base_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close_sockets()
        if self._runner:
            await self._runner.cleanup()

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        self.handshakes += 1
        self.models.append(request.query.get("model", ""))
        self.headers.append(request.headers)
        if self.answer:
            return web.Response(**self.answer)
        if self.status != 101:
            kind, code, message = _HANDSHAKE_ERRORS[self.status]
            error = {"message": message, "type": kind, "param": None, "code": code}
            return web.json_response({"error": error}, status=self.status)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        if self.farewell:
            last_words, close_code, reason = self.farewell
            if last_words:
                await socket.send_json(_error(last_words))
            await socket.close(code=close_code, message=reason.encode())
            return socket
        self._sockets.add(socket)
        try:
            async with asyncio.TaskGroup() as tasks:
                await _Session(self, socket, tasks, self._numbers).run()
        except* (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._sockets.discard(socket)
        return socket


class _Session:
    def __init__(
        self,
        server: RealtimeServer,
        socket: web.WebSocketResponse,
        tasks: asyncio.TaskGroup,
        numbers: Iterator[int],
    ) -> None:
        self._server, self._socket, self._tasks, self._numbers = server, socket, tasks, numbers
        self._responses: dict[str, asyncio.Task[None]] = {}
        self._voice = "alloy"
        self._has_spoken = False

    async def run(self) -> None:
        await self._send("session.created", session={"type": "realtime", "object": "realtime.session"})
        async for message in self._socket:
            if message.type is not WSMsgType.TEXT:
                break
            event = message.json()
            match event.get("type"):
                case "session.update":
                    await self._update(event)
                case "response.create":
                    await self._create(event)
                case "response.cancel":
                    await self._cancel(event)
                case other:
                    await self._refuse(event, "type", f"Invalid value: {other!r}.")
        for task in self._responses.values():
            task.cancel()

    async def _update(self, event: dict[str, Any]) -> None:
        session = event["session"]
        self._server.sessions.append(session)
        output = session.get("audio", {}).get("output", {})
        voice = output.get("voice", self._voice)
        if self._server.refuse_session:
            await self._socket.send_json(_error(self._server.refuse_session, event.get("event_id")))
        elif session.get("type") != "realtime":
            await self._refuse(event, "session.type", "Missing required parameter: 'session.type'.")
        elif isinstance(voice, str) and voice not in SPEAKERS.split():
            await self._refuse(event, "session.audio.output.voice", f"Invalid value: {voice!r}.")
        elif self._has_spoken and voice != self._voice:
            await self._refuse(event, "session.audio.output.voice", "Cannot update a conversation's voice.")
        elif not 0.25 <= output.get("speed", 1.0) <= 1.5:
            await self._refuse(event, "session.audio.output.speed", "Invalid speed.")
        else:
            self._voice = voice
            await self._send("session.updated", session=session)

    async def _create(self, event: dict[str, Any]) -> None:
        asked = event.get("response", {})
        self._server.requests.append(asked)
        self._server.requested.set()
        script = self._server.next_script()
        if unknown := set(asked) - set(_RESPONSE_FIELDS.split()):
            await self._refuse(event, f"response.{unknown.pop()}", "Unknown parameter.")
        elif script.refused:
            await self._socket.send_json(_error(script.refused, event.get("event_id")))
        else:
            self._server.responses += 1
            response_id = f"resp_{self._server.responses}"
            asked = asked if script.gives_back else asked | {"metadata": None}
            response = _response(response_id, asked, "in_progress")
            await self._send("response.created", response=response)
            task = self._tasks.create_task(self._speak(response_id, asked, script))
            self._responses[response_id] = task

    async def _cancel(self, event: dict[str, Any]) -> None:
        response_id = event.get("response_id", "")
        task = self._responses.get(response_id)
        if not task or task.done():
            error = {
                "code": "response_cancel_not_active",
                "message": "Cancellation failed: no active response.",
            }
            await self._socket.send_json(_error(error, event.get("event_id")))
            return
        self._server.cancelled.append(response_id)
        self._server.cut_off.set()
        task.cancel()
        details = {"type": "cancelled", "reason": "client_cancelled"}
        await self._send("response.done", response=_response(response_id, {}, "cancelled", details))

    async def _speak(self, response_id: str, asked: dict[str, Any], script: Script) -> None:
        text = asked["input"][0]["content"][0]["text"]
        said = text if script.says is None else script.says
        of = {"response_id": response_id, "item_id": f"item_{response_id}", "output_index": 0}
        item = {"id": of["item_id"], "type": "message", "role": "assistant", "content": []}
        await self._send("response.output_item.added", response_id=response_id, output_index=0, item=item)
        part = {"type": "audio", "transcript": ""}
        await self._send("response.content_part.added", **of, content_index=0, part=part)
        await asyncio.sleep(script.first_s)
        for event in script.beside:
            if isinstance(event, str):
                await self._socket.send_str(event)
            else:
                await self._send(**{**of, "kind": "", **event})
        for count, (kind, delta) in enumerate(_deltas(text, said, script)):
            if script.ending != "completed" and count >= script.ending_after:
                break
            await self._send(f"response.{kind}.delta", **of, content_index=0, delta=delta)
            self._has_spoken = True
            await asyncio.sleep(script.gap_s)
        if script.ending == "stalled":
            await asyncio.Event().wait()
        if script.ending == "closed":
            assert self._socket._req
            assert self._socket._req.transport
            self._socket._req.transport.abort()
            return
        await self._send("response.output_audio.done", **of, content_index=0)
        if script.transcript != "none":
            whole = said if script.ending in ("completed", "unended", "left") else ""
            whole += "" if script.is_told_late else script.adds
            await self._send("response.output_audio_transcript.done", **of, content_index=0, transcript=whole)
        if script.again:
            of_again = of if script.again == "part" else of | {"item_id": "item_again"}
            for kind, delta in _deltas(text, said, script):
                await self._send(f"response.{kind}.delta", **of_again, content_index=1, delta=delta)
        await self._send("response.output_item.done", response_id=response_id, output_index=0, item=item)
        if script.ending == "left":
            await self._socket.close(code=WSCloseCode.INTERNAL_ERROR)
        if script.ending in ("unended", "left"):
            return
        response = _response(response_id, asked, script.ending, _details(script))
        if script.is_told_late:
            content = [{"type": "output_audio", "transcript": said + script.adds}]
            response |= {"output": [item | {"content": content}]}
        await self._send("response.done", response=response)
        limit = {"name": "tokens", "limit": 40_000, "remaining": 39_000, "reset_seconds": 1.5}
        await self._send("rate_limits.updated", rate_limits=[limit])

    async def _refuse(self, event: dict[str, Any], param: str, message: str) -> None:
        error = {"code": "invalid_value", "message": message, "param": param}
        await self._socket.send_json(_error(error, event.get("event_id")))

    async def _send(self, kind: str, **fields: Any) -> None:
        if not self._socket.closed:
            await self._socket.send_json({"type": kind, "event_id": f"event_{next(self._numbers)}", **fields})


def _error(error: Mapping[str, str], about: str | None = None) -> dict[str, Any]:
    told = {"type": "invalid_request_error", "code": None, "message": "", "param": None, "event_id": about}
    return {"type": "error", "event_id": "event_error", "error": told | dict(error)}


def _details(script: Script) -> dict[str, Any] | None:
    if script.ending == "failed":
        return {"type": "failed", "error": {"type": None, "code": None, "message": ""} | dict(script.error)}
    return None if script.ending == "completed" else {"type": script.ending, **script.error}


def _response(
    response_id: str, asked: Mapping[str, Any], status: str, details: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    return {
        "object": "realtime.response",
        "id": response_id,
        "status": status,
        "status_details": details,
        "output": [],
        "conversation_id": None if asked.get("conversation") == "none" else "conv_1",
        "metadata": asked.get("metadata"),
    }


def _deltas(text: str, said: str, script: Script) -> Iterator[tuple[str, str]]:
    """Pieces of sound and of transcript, in their order."""
    pcm = tone(script.ms_per_char * len(text) + script.more_s * 1000)
    step = max(2, round(BYTES_PER_SECOND * script.delta_ms / 1000) // 2 * 2)
    sounds = [
        ("output_audio", base64.b64encode(pcm[start : start + step]).decode())
        for start in range(0, len(pcm), step)
    ]
    words = [("output_audio_transcript", word + " ") for word in said.split()]
    match script.transcript:
        case "ahead":
            yield from (*words, *sounds)
        case "beside":
            ratio = len(words) / max(1, len(sounds))
            given = 0
            for count, sound in enumerate(sounds, 1):
                until = round(count * ratio)
                yield from words[given:until]
                given = until
                yield sound
        case "late":
            yield from (*sounds, *words)
        case "none":
            yield from sounds


async def _serve(reword_every: int) -> None:
    async with RealtimeServer(reword_every=reword_every) as server:
        sys.stdout.write(f"{server.base_url}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


def main() -> None:
    """Serves until interrupted or ended."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--reword-every", type=int, default=0, help="each so manieth response is reworded")
    try:
        asyncio.run(_serve(parser.parse_args().reword_every))
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    main()
