"""A LiveKit server's API that says what a test tells it, on 127.0.0.1 with a free port of its own.

`with TwirpServer() as server: server.play("PerformRpc", UNKNOWN_METHOD)`; it runs in a thread, so tests
with and without an event loop may use it. Without a script it is a room with `participants`, whose agent
answers RPC as one that speaks each line in `speech_s`, at once if nothing else is said. The scripted answers
are those of livekit-server 1.13.5.

A `TwirpPeer` is the same without network, `LiveKitApi(peer.credentials, transport=peer)`, for virtual time.
"""

from __future__ import annotations

import asyncio
import json
import math
import sys
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import httpx2
import jwt
from pydantic import SecretStr

from libacli.config import LiveKitCredentials
from libacli.core.messages import MAX_REQUEST_BYTES
from libacli.core.packing import PACKED, unpacked
from libacli.core.protocol import AGENT_ATTRIBUTE, SAY_METHOD, STATUS_METHOD, STOP_METHOD

API_KEY = "key-of-a-project"
API_SECRET = "canary-secret-canary-secret-canary-secret"
EPOCH = "epoch-1"


@dataclass(frozen=True)
class Answer:
    """One answer over HTTP; a dict is sent as JSON."""

    body: dict[str, Any] | str = field(default_factory=dict)
    status: int = 200
    delay_s: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return json.dumps(self.body) if isinstance(self.body, dict) else self.body

    @property
    def all_headers(self) -> dict[str, str]:
        kind = "application/json" if isinstance(self.body, dict) else "text/plain"
        return {"Content-Type": kind} | self.headers


def twirp_error(status: int, code: str, message: str) -> Answer:
    return Answer({"code": code, "msg": message}, status)


def rpc_error(code: int, message: str, *, status: int = 500, kind: str = "internal") -> Answer:
    return twirp_error(status, kind, f"twirp error unknown: RpcError {code}: {message}")


def reply(**members: Any) -> Answer:
    """What PerformRpc answers when the agent replied with these members."""
    return Answer({"payload": json.dumps(members)})


def people(*participants: dict[str, Any]) -> Answer:
    """What ListParticipants answers."""
    return Answer({"participants": list(participants)})


def agent(identity: str = "liba-agent-1", *, name: str = "liba", state: str = "ACTIVE") -> dict[str, Any]:
    """A row of ListParticipants: an agent that takes requests once it is `ACTIVE`."""
    return {
        "sid": "PA_x",
        "identity": identity,
        "state": state,
        "tracks": [],
        "kind": "AGENT",
        "attributes": {AGENT_ATTRIBUTE: name},
    }


UNKNOWN_KEY = Answer("invalid API key: otherkey", 401)
WRONG_SECRET = Answer(
    "invalid token: eyJhbGciOi, error: token signature is invalid: signature is invalid", 401
)
EXPIRED = Answer("invalid token: eyJhbGciOi, error: token has invalid claims: token is expired", 401)
DENIED = twirp_error(401, "unauthenticated", "permissions denied")
AGENT_GONE = rpc_error(1600, "Participant not found")
UNKNOWN_METHOD = rpc_error(1400, "Method not supported at destination", status=400, kind="invalid_argument")
TOO_LARGE = rpc_error(1402, "Request payload too large", status=400, kind="invalid_argument")
NO_RESPONSE = twirp_error(503, "unavailable", "twirp error unknown: no response from servers")
OLD_SERVER = twirp_error(404, "bad_route", "no handler for path /twirp/livekit.RoomService/PerformRpc")


UNIMPLEMENTED = twirp_error(501, "unimplemented", "unimplemented")


def over_quota(retry_after: str | None = None) -> Answer:
    """What a project is told that has had its calls."""
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return Answer({"code": "resource_exhausted", "msg": "rate limit exceeded"}, 429, headers=headers)


@dataclass
class TokenBucket:
    """A project's calls: `per_minute` at once, and as many a minute from then on."""

    per_minute: int = 1000
    tells_when: bool = True
    """Whether a refusal says when to come back."""

    refused: int = 0
    _left: float = field(init=False)
    _filled_at: float | None = None

    def __post_init__(self) -> None:
        self._left = self.per_minute

    def drain(self) -> None:
        """Somebody else has had them all."""
        self._left, self._filled_at = 0.0, None

    def take(self, now: float) -> Answer | None:
        """None, or the refusal of this call."""
        per_s = self.per_minute / 60
        since_s = 0.0 if self._filled_at is None else now - self._filled_at
        self._left, self._filled_at = min(self._left + since_s * per_s, self.per_minute), now
        if self._left < 1:
            self.refused += 1
            return over_quota(str(math.ceil((1 - self._left) / per_s)) if self.tells_when else None)
        self._left -= 1
        return None


@dataclass(frozen=True)
class Asked:
    """A request that came."""

    method: str
    body: dict[str, Any]
    grants: dict[str, Any]
    """Claims of its token."""

    @property
    def rpc(self) -> dict[str, Any]:
        """What the agent was sent, `auth` included."""
        sent: dict[str, Any] = json.loads(self.body["payload"])
        if packed := sent.get(PACKED):
            sent = json.loads(unpacked(packed, most=MAX_REQUEST_BYTES))
        return sent


class Twirp:
    """Answers each call with the next script of its method, or as a room that works."""

    url = "ws://livekit.invalid"

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.participants: list[dict[str, Any]] = [agent()]
        self.status: dict[str, Any] = {"state": "done", "route": "fallback", "route_reason": "not configured"}
        """What the agent says of an utterance that is over."""

        self.speech_s = 0.0
        """How long the agent speaks each line; it is `audible` meanwhile."""

        self.answers_late = True
        """Whether the agent knows how to wait, as since version 14."""

        self.bucket: TokenBucket | None = None
        self.requests: list[Asked] = []
        self.queued: list[str] = []
        """Ids of the utterances that the agent took, without repetitions."""

        self._clock = clock
        self._over_at: dict[str, float] = {}
        self._scripts: dict[str, deque[Answer]] = defaultdict(deque)

    @property
    def credentials(self) -> LiveKitCredentials:
        return LiveKitCredentials(self.url, API_KEY, SecretStr(API_SECRET))

    @property
    def env(self) -> dict[str, str]:
        return {"LIVEKIT_URL": self.url, "LIVEKIT_API_KEY": API_KEY, "LIVEKIT_API_SECRET": API_SECRET}

    def play(self, method: str, *answers: Answer) -> None:
        """Sets how the next calls of `method` are answered."""
        self._scripts[method].extend(answers)

    def asked(self, method: str) -> list[Asked]:
        return [request for request in self.requests if request.method == method]

    def answer(self, asked: Asked) -> Answer:
        self.requests.append(asked)
        if self.bucket and (refusal := self.bucket.take(self._clock())):
            return refusal
        if script := self._scripts[asked.method]:
            return script.popleft()
        if asked.method == "ListParticipants":
            return people(*self.participants)
        if asked.method == "CreateDispatch":
            return Answer({"id": f"AD_{len(self.asked('CreateDispatch'))}"})
        return self._agent_says(asked) if asked.method == "PerformRpc" else Answer()

    def _agent_says(self, asked: Asked) -> Answer:
        method, sent = asked.body["method"], asked.rpc
        if method == SAY_METHOD:
            duplicate = sent["id"] in self.queued
            if not duplicate:
                self.queued.append(sent["id"])
                self._over_at[sent["id"]] = self._clock() + self.speech_s
            return reply(epoch=EPOCH, id=sent["id"], position=0, duplicate=duplicate)
        if method == STATUS_METHOD:
            return self._report(sent) if "id" in sent else reply(epoch=EPOCH, agent="liba", waiting=[])
        assert method == STOP_METHOD, method
        return reply(epoch=EPOCH, stopped=self.queued)

    def _report(self, sent: dict[str, Any]) -> Answer:
        left_s = self._over_at.get(sent["id"], 0.0) - self._clock()
        wait_s = sent.get("wait_ms", 0) / 1000 if self.answers_late else 0.0
        status = {"state": "audible"} if left_s > wait_s else self.status
        answer = reply(**{"epoch": EPOCH, "id": sent["id"]} | status)
        return replace(answer, delay_s=max(0.0, min(left_s, wait_s)))


class TwirpPeer(Twirp, httpx2.AsyncBaseTransport):
    """Without network: its clock is the event loop's."""

    def __init__(self) -> None:
        super().__init__(clock=lambda: asyncio.get_running_loop().time())

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        answer = self.answer(
            _asked(request.url.path, await request.aread(), request.headers["Authorization"])
        )
        await asyncio.sleep(answer.delay_s)
        return httpx2.Response(answer.status, text=answer.text, headers=answer.all_headers)


class TwirpServer(Twirp):
    """On a port of its own."""

    def __init__(self) -> None:
        super().__init__()
        self._http = _Http(("127.0.0.1", 0), _Handler)
        self._http.twirp = self
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})
        self.url = f"ws://127.0.0.1:{self._http.server_port}"

    def sent(self, answer: Answer) -> None:
        """`answer` is on its way."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    twirp: TwirpServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # that is a client that did not wait
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet: else the body waits for that of the head to be acknowledged
    server: _Http

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        body = self.rfile.read(length)
        if len(body) < length:  # who asks was cancelled in the middle of it
            self.close_connection = True
            return
        answer = self.server.twirp.answer(_asked(self.path, body, self.headers["Authorization"]))
        time.sleep(answer.delay_s)
        payload = answer.text.encode()
        self.send_response(answer.status)
        for name, value in (answer.all_headers | {"Content-Length": str(len(payload))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(payload)
        self.wfile.flush()
        self.server.twirp.sent(answer)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def _asked(path: str, body: bytes, authorization: str) -> Asked:
    token = authorization.removeprefix("Bearer ")
    grants = jwt.decode(token, API_SECRET, algorithms=["HS256"])
    return Asked(path.rpartition("/")[2], json.loads(body), grants)
