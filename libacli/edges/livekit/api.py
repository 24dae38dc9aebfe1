"""LiveKit's server API over plain HTTP (Twirp, JSON): who is in a room, send an agent there, ask it.

Calls: https://docs.livekit.io/reference/server/server-apis/
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import httpx2

from libacli.config import LiveKitCredentials
from libacli.core.protocol import AGENT_ATTRIBUTE
from libacli.edges.by_proxy import transport_to
from libacli.edges.livekit.api_errors import (
    error_of,
    is_over_quota,
    is_resolver_away,
    json_object,
    translated,
)
from libacli.edges.livekit.quota import PATIENCE_S, Quota
from libacli.edges.livekit.tokens import admin_token, list_token, room_token
from libacli.errors import NoAgentError, UnreachableError

_CONNECT_TIMEOUT_S = 5.0
_READ_TIMEOUT_S = 10.0
_RESOLVER_TIMEOUT_S = 5.0
_RESOLVER_PAUSE_S = 0.5
"""For names that cannot be resolved yet, as while a container starts."""

_PEOPLE = ("STANDARD", "SIP", "CONNECTOR")
"""Kinds of participants: viewers and phone callers."""

_JOB_ATTRIBUTE = "lk.agent.name"
"""LiveKit puts the agent name of a job here, into the token that the job joins with."""


@dataclass(frozen=True)
class Participant:
    """Somebody in a room, as the server sees them."""

    identity: str
    is_active: bool
    is_agent: bool
    attributes: dict[str, str]
    joined_at_ms: int = 0
    """Since 1970; 0 when the server does not tell."""

    may_send_data: bool = False
    """To everybody in the room, as its token says."""

    publishes: bool = False
    """It publishes sound or picture."""

    encrypts: bool = False
    """It publishes something that is encrypted from end to end."""

    may_hear: bool = False
    """A person, as far as the server can tell, who may subscribe to what is published."""

    sid: str = ""
    """Names this one stay in the room, which no other participant can have."""

    def is_named(self, agent_name: str) -> bool:
        """Whether this is an agent of that name, be it that it takes requests already or is starting."""
        names = (self.attributes.get(AGENT_ATTRIBUTE), self.attributes.get(_JOB_ATTRIBUTE))
        return self.is_agent and agent_name in names


def ready_agent(participants: Iterable[Participant], agent_name: str) -> str | None:
    """Identity of the one of that name which is ready to be asked.

    Of several the one that came last: a killed one is listed for some 20 s after its end.
    """
    ready = [
        participant
        for participant in participants
        if participant.is_agent
        and participant.is_active
        and participant.attributes.get(AGENT_ATTRIBUTE) == agent_name
    ]
    return max(ready, key=lambda agent: agent.joined_at_ms).identity if ready else None


@dataclass(frozen=True)
class RoomRow:
    """A room, as the server lists it; the numbers may be some seconds old."""

    name: str
    sid: str = ""
    """Names this one life of the room."""

    people: int = 0
    """Who is there; agents and recorders do not count."""

    publishers: int = 0
    """Who has published a track, whoever that is."""


class LiveKitApi:
    """Calls to one LiveKit server. Use it as an async context manager.

    Every method raises UnreachableError, CredentialsError, or LibaError for an answer nobody expects.
    A call is made again only where LiveKit has said that it came too soon, after as long as it said;
    OverQuotaError is raised when that is longer than `patience_s`. `transport` is for tests.
    """

    def __init__(
        self,
        credentials: LiveKitCredentials,
        *,
        departure_timeout_s: int = 0,
        patience_s: float = PATIENCE_S,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        """Rooms it makes stay open `departure_timeout_s` when the last has left; 0: as the server has it.

        Raises ConfigError for a proxy, or certificates, of the environment that cannot be used.
        """
        self.credentials = credentials
        self._departure_timeout_s = departure_timeout_s
        self._quota = Quota(patience_s=patience_s)
        with translated(credentials.http_url):
            self._client = httpx2.AsyncClient(
                base_url=credentials.http_url,
                timeout=httpx2.Timeout(_READ_TIMEOUT_S, connect=_CONNECT_TIMEOUT_S),
                transport=transport or transport_to(credentials.http_url),
            )

    async def __aenter__(self) -> LiveKitApi:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """As leaving the context."""
        await self._client.aclose()

    def timeout(self, seconds: float) -> AbstractAsyncContextManager[None]:
        """As `asyncio.timeout`; that LiveKit may not be asked for a while takes nothing from it."""
        return self._quota.timeout(seconds)

    async def participants(self, room: str) -> list[Participant]:
        """Everybody in `room` who is not hidden; empty when there is no such room."""
        answer = await self._call("RoomService", "ListParticipants", room, {"room": room})
        return [
            Participant(
                identity=str(found["identity"]),
                is_active=found.get("state") == "ACTIVE",
                is_agent=found.get("kind") == "AGENT",
                attributes=found.get("attributes") or {},
                joined_at_ms=int(found.get("joined_at_ms") or 0),
                may_send_data=bool((found.get("permission") or {}).get("can_publish_data")),
                publishes=bool(found.get("tracks")),
                encrypts=any(
                    track.get("encryption", "NONE") != "NONE" for track in found.get("tracks") or []
                ),
                may_hear=found.get("kind", "STANDARD") in _PEOPLE
                and bool((found.get("permission") or {}).get("can_subscribe", True)),
                sid=str(found.get("sid", "")),
            )
            for found in answer.get("participants", [])
        ]

    async def find_agent(self, room: str, agent_name: str) -> str | None:
        """Identity of an agent of that name which is in `room` and ready to be asked."""
        return ready_agent(await self.participants(room), agent_name)

    async def remove(self, room: str, identity: str) -> None:
        """Puts a participant out; one that has left already is none of our business any more."""
        with suppress(NoAgentError):
            request = {"room": room, "identity": identity}
            await self._call("RoomService", "RemoveParticipant", room, request)

    async def rooms(self, names: Collection[str] = ()) -> list[RoomRow]:
        """The rooms that there are: all, or those of these names."""
        answer = await self._call("RoomService", "ListRooms", "", {"names": list(names)} if names else {})
        return [
            RoomRow(
                name=str(found["name"]),
                sid=str(found.get("sid", "")),
                people=int(found.get("num_participants") or 0),
                publishers=int(found.get("num_publishers") or 0),
            )
            for found in answer.get("rooms", [])
        ]

    async def was_sent_for(self, room: str, agent_name: str) -> bool:
        """Whether an agent of that name was asked for in `room` at some time, by whomsoever."""
        try:
            answer = await self._call("AgentDispatchService", "ListDispatch", room, {"room": room})
        except NoAgentError:  # closed a moment ago
            return False
        return any(found.get("agent_name") == agent_name for found in answer.get("agent_dispatches", []))

    async def dispatch(self, room: str, agent_name: str) -> str:
        """Asks the server to send an agent of that name into `room`, which is made if need be; its id."""
        # Where `room.auto_create` is off nothing else makes one. One that is there gets these two as well
        # (`CreateRoom` in livekit-server's pkg/service/roomallocator.go).
        lasting = {"departure_timeout": self._departure_timeout_s} if self._departure_timeout_s else {}
        await self._call("RoomService", "CreateRoom", room, {"name": room, "sync_streams": True, **lasting})
        request = {"room": room, "agent_name": agent_name}
        answer = await self._call("AgentDispatchService", "CreateDispatch", room, request)
        return str(answer["id"])

    async def was_taken(self, room: str, dispatch_ids: Collection[str]) -> bool:
        """Whether a worker has taken one of these: LiveKit offers each once, to those that are there then."""
        answer = await self._call("AgentDispatchService", "ListDispatch", room, {"room": room})
        return any(
            found.get("id") in dispatch_ids and (found.get("state") or {}).get("jobs")
            for found in answer.get("agent_dispatches", [])
        )

    async def withdraw(self, room: str, dispatch_id: str) -> None:
        """Takes a dispatch back."""
        request = {"room": room, "dispatch_id": dispatch_id}
        await self._call("AgentDispatchService", "DeleteDispatch", room, request)

    async def perform_rpc(
        self, room: str, identity: str, method: str, payload: str, *, timeout_s: float = 3.0
    ) -> str:
        """Calls an RPC method of a participant and returns its reply.

        Needs livekit-server 1.9.2. Raises NoAgentError when the participant is gone or does not answer,
        RefusedError when it knows no such method or the payload is too large.
        """
        request = {
            "room": room,
            "destination_identity": identity,
            "method": method,
            "payload": payload,
            "response_timeout_ms": int(timeout_s * 1000),
        }
        answer = await self._call("RoomService", "PerformRpc", room, request)
        return str(answer.get("payload", ""))

    async def send_data(self, room: str, topic: str, payload: bytes, *, to: str) -> None:
        """Sends a reliable data packet to one participant; that it was sent is all that is known.

        By its identity, and by its sid for servers before 1.5.0, which would give it to everybody else.
        Raises NoAgentError when it is not in `room`.
        """
        import base64

        there = next((one for one in await self.participants(room) if one.identity == to and one.sid), None)
        if not there:
            raise NoAgentError("the agent is not there any more", hint="is `liba agent run` still running?")
        request = {
            "room": room,
            "data": base64.b64encode(payload).decode(),
            "kind": "RELIABLE",
            "topic": topic,
            "destination_identities": [to],
            "destination_sids": [there.sid],
        }
        await self._call("RoomService", "SendData", room, request)

    def _token(self, method: str, room: str) -> str:
        """For this call alone."""
        if method == "CreateRoom":
            return room_token(self.credentials, room=room)
        return admin_token(self.credentials, room=room) if room else list_token(self.credentials)

    async def _call(self, service: str, method: str, room: str, request: dict[str, Any]) -> dict[str, Any]:
        response = await self._post(service, method, room, request)
        answer = json_object(response.text)
        if answer is None and response.status_code in (200, 404):
            raise UnreachableError(
                f"what answers at {self.credentials.http_url} does not know LiveKit's {method}",
                hint="check LIVEKIT_URL",
            )
        if answer is None or response.status_code != 200:
            raise error_of(response, method)
        return answer

    async def _post(self, service: str, method: str, room: str, request: dict[str, Any]) -> httpx2.Response:
        """The answer, as soon as the quota lets it be had; what is refused for it was not carried out."""
        asked_at, tries = asyncio.get_running_loop().time(), 0
        while True:
            await self._quota.wait()
            token = self._token(method, room)
            with translated(self.credentials.http_url):
                response = await self._send(f"/twirp/livekit.{service}/{method}", request, token)
            if not is_over_quota(response):
                return response
            tries += 1
            self._quota.met(response.headers, tries=tries, asked_at=asked_at)

    async def _send(self, path: str, request: dict[str, Any], token: str) -> httpx2.Response:
        """Tries again while the resolver is not ready: nothing was sent yet."""
        clock = asyncio.get_running_loop().time
        until = clock() + _RESOLVER_TIMEOUT_S
        while True:
            try:
                return await self._client.post(
                    path, json=request, headers={"Authorization": f"Bearer {token}"}
                )
            except httpx2.ConnectError as error:
                if not is_resolver_away(error) or clock() >= until:
                    raise
            await asyncio.sleep(_RESOLVER_PAUSE_S)
