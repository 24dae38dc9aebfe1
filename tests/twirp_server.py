"""A LiveKit server's API that says what a test tells it, on 127.0.0.1 with a free port of its own.

`with TwirpServer() as server: server.play("PerformRpc", UNKNOWN_METHOD)`; it runs in a thread, so tests
with and without an event loop may use it. Without a script it is a room with `participants`, whose agent
answers RPC as one that speaks each line at once. The scripted answers are those of livekit-server 1.13.5.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import defaultdict, deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import jwt
from pydantic import SecretStr

from libacli.config import LiveKitCredentials
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
        return sent


class TwirpServer:
    """Answers each call with the next script of its method, or as a room that works."""

    def __init__(self) -> None:
        self.participants: list[dict[str, Any]] = [agent()]
        self.status: dict[str, Any] = {"state": "done", "route": "fallback", "route_reason": "not configured"}
        """What the agent says of an utterance."""

        self.requests: list[Asked] = []
        self.queued: list[str] = []
        """Ids of the utterances that the agent took, without repetitions."""

        self._scripts: dict[str, deque[Answer]] = defaultdict(deque)
        self._http = _Http(("127.0.0.1", 0), _Handler)
        self._http.twirp = self
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self._http.server_port}"

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
        if script := self._scripts[asked.method]:
            return script.popleft()
        if asked.method == "ListParticipants":
            return people(*self.participants)
        if asked.method == "CreateDispatch":
            return Answer({"id": "AD_1"})
        return self._agent_says(asked) if asked.method == "PerformRpc" else Answer()

    def _agent_says(self, asked: Asked) -> Answer:
        method, sent = asked.body["method"], asked.rpc
        if method == SAY_METHOD:
            duplicate = sent["id"] in self.queued
            if not duplicate:
                self.queued.append(sent["id"])
            return reply(epoch=EPOCH, id=sent["id"], position=0, duplicate=duplicate)
        if method == STATUS_METHOD:
            return reply(**{"epoch": EPOCH, "id": sent["id"]} | self.status)
        assert method == STOP_METHOD, method
        return reply(epoch=EPOCH, stopped=self.queued)

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
    server: _Http

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        token = self.headers["Authorization"].removeprefix("Bearer ")
        grants = jwt.decode(token, API_SECRET, algorithms=["HS256"])
        answer = self.server.twirp.answer(Asked(self.path.rpartition("/")[2], body, grants))
        time.sleep(answer.delay_s)
        is_json = isinstance(answer.body, dict)
        payload = (json.dumps(answer.body) if is_json else str(answer.body)).encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", "application/json" if is_json else "text/plain")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, format: str, *args: Any) -> None:
        pass
