"""Checks of the LiveKit server: reached, in time, with these credentials, new enough; and of its agent."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import aiohttp
import httpx2
from livekit.protocol.models import ParticipantPermission, ServerInfo
from livekit.protocol.rtc import LeaveRequest, SignalRequest, SignalResponse

from libacli.config import LiveKitCredentials
from libacli.core.protocol import CAN_SAY_ATTRIBUTE
from libacli.edges.by_proxy import session_to, transport_to
from libacli.edges.checks.finding import WRONG_SETTING, Finding, Verdict
from libacli.edges.livekit.agent_client import open_client
from libacli.edges.livekit.api import LiveKitApi
from libacli.edges.livekit.encryption import ANOTHER_KEY, NO_KEY
from libacli.edges.no_redirects import no_redirects
from libacli.errors import LibaError, NoAgentError, RefusedError, UnreachableError
from libacli.network_environment import proxy_hint

RPC_SINCE = (1, 9, 2)
NO_LOSS_SINCE = (1, 13, 7)

_TIMEOUT_S = 8.0
_SHOWN = 5  # names in one line
_KEY_FIX = "set LIVEKIT_E2EE_KEY to the room's key, for the agent and here"
_SKEW_OK_S, _SKEW_WARN_S = 5.0, 30.0


@dataclass(frozen=True)
class Answer:
    """What the server said to a request without credentials."""

    url: str
    status: int
    text: str
    date: str | None
    """Its `Date` header."""

    arrived_at: datetime
    took_s: float


@dataclass(frozen=True)
class Welcome:
    """What the server says to a participant that joins."""

    version: str
    is_cloud: bool
    may: tuple[str, ...]
    """What the participant may do beyond watching and listening."""


async def first_answer(credentials: LiveKitCredentials) -> Answer:
    """Asks the server for nothing in particular. Raises UnreachableError that says what is in the way."""
    url = credentials.http_url
    try:
        async with httpx2.AsyncClient(timeout=_TIMEOUT_S, transport=transport_to(url)) as client:
            response = await client.get(url)
    except httpx2.InvalidURL as error:
        raise UnreachableError(f"{url} is not an address", hint="check LIVEKIT_URL") from error
    except httpx2.TransportError as error:
        raise _obstacle(credentials, error) from error
    return Answer(
        url=credentials.url,
        status=response.status_code,
        text=response.text[:200],
        date=response.headers.get("date"),
        arrived_at=datetime.now(UTC),
        took_s=response.elapsed.total_seconds(),
    )


def reached(answer: Answer) -> Finding:
    """Whether it was LiveKit that answered."""
    if answer.status in (406, 502, 503, 504):
        message = f"{answer.url} answers, but not LiveKit behind it, or it is not ready ({answer.status})"
        return Finding("livekit", "fail", message, "look into the server's log", UnreachableError.exit_code)
    if "HTTP request to an HTTPS server" in answer.text:
        message = f"{answer.url} wants an encrypted connection"
        return Finding("livekit", "fail", message, "LIVEKIT_URL must begin with wss://", WRONG_SETTING)
    if answer.text.strip() != "OK":
        message = f"{answer.url} answers, but not as LiveKit does ({answer.status})"
        return Finding("livekit", "warn", message, "check LIVEKIT_URL")
    return Finding("livekit", "ok", f"{answer.url} answers in {answer.took_s * 1000:.0f} ms")


def clock(answer: Answer) -> Finding:
    """How far this machine's clock is from the server's. Tokens and signatures live by it."""
    try:
        # Whole seconds, cut off: half a second later is the best guess.
        server_time = parsedate_to_datetime(answer.date or "") + timedelta(seconds=0.5)
        ahead_s = (answer.arrived_at - server_time).total_seconds() - answer.took_s / 2
    except (ValueError, TypeError):
        return Finding("clock", "skip", "the server does not tell its time; see `credentials`")
    off_s = abs(ahead_s)
    if off_s < 2:
        return Finding("clock", "ok", "the same as the server's")
    message = f"{off_s:.0f} s {'ahead of' if ahead_s > 0 else 'behind'} the server's"
    if off_s < _SKEW_OK_S:
        return Finding("clock", "ok", message)
    verdict: Verdict = "warn" if off_s < _SKEW_WARN_S else "fail"
    told = f"{message}: tokens and signatures {'are near being' if verdict == 'warn' else 'are'} refused"
    return Finding("clock", verdict, told, "set this machine's clock: timedatectl set-ntp true")


async def credentials_work(credentials: LiveKitCredentials, room: str) -> Finding:
    """Whether key and secret are taken. Raises what LiveKitApi raises."""
    async with LiveKitApi(credentials) as api:
        await api.participants(room)
    return Finding("credentials", "ok", f"the server takes key {credentials.api_key} and its secret")


async def welcome(credentials: LiveKitCredentials, token: str) -> Welcome:
    """Joins with `token` for a moment, without media. Raises UnreachableError, LibaError."""
    url = f"{credentials.ws_url}/rtc?protocol=9&auto_subscribe=0"
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
    try:
        async with (
            session_to(url, timeout=timeout, middlewares=(no_redirects,)) as session,
            # In a header, as URLs get logged.
            session.ws_connect(url, headers={"Authorization": f"Bearer {token}"}) as socket_,
        ):
            answer = SignalResponse.FromString(await socket_.receive_bytes(timeout=_TIMEOUT_S))
            leave = SignalRequest(leave=LeaveRequest())
            await socket_.send_bytes(leave.SerializeToString())
    except aiohttp.WSServerHandshakeError as error:
        raise LibaError(
            f"a room cannot be joined: status {error.status}",
            hint="if there is a proxy in between, it must let websockets through to /rtc",
        ) from error
    except (aiohttp.ClientError, TypeError, TimeoutError) as error:
        raise UnreachableError(
            "the server answers, but its websocket does not",
            hint=proxy_hint(url) or "if there is a proxy in between, it must let websockets through to /rtc",
        ) from error
    join = answer.join
    return Welcome(
        version=join.server_info.version or join.server_version,
        is_cloud=join.server_info.edition == ServerInfo.Edition.Cloud,
        may=tuple(_beyond_watching(join.participant.permission)),
    )


def version(welcome: Welcome, *, is_loopback: bool = False) -> Finding:
    """Whether the server is new enough. On this machine the least is what liba itself can build."""
    numbers = tuple(int(number) for number in re.findall(r"\d+", welcome.version)[:3])
    if welcome.is_cloud:
        return Finding("version", "ok", f"LiveKit Cloud, {welcome.version or 'version not told'}")
    if not numbers:
        return Finding("version", "warn", "version not told", "use livekit-server 1.13.7 or newer")
    told = f"livekit-server {welcome.version}"
    if numbers < RPC_SINCE:
        message = f"{told} cannot hand requests to the agent: what is said is sent, and never confirmed"
        return Finding("version", "fail", message, "upgrade it to 1.13.7 or newer; 1.9.2 is the least")
    if numbers < NO_LOSS_SINCE:
        message = f"{told} loses data packets while a participant joins; `liba say` does not need them"
        if is_loopback:
            return Finding("version", "ok", message)
        return Finding("version", "warn", message, "upgrade it to 1.13.7 or newer")
    return Finding("version", "ok", told)


def token_round_trip(welcome: Welcome) -> Finding:
    """Whether a viewer with a token of ours may watch, and nothing else."""
    if welcome.may:
        message = f"the server lets a viewer {' and '.join(welcome.may)}, which its token does not grant"
        return Finding("token", "fail", message, "look for room settings on the server that add permissions")
    return Finding("token", "ok", "a viewer's token joins; it may watch and listen, nothing else")


async def agent(credentials: LiveKitCredentials, room: str, agent_name: str, *, is_asked: bool) -> Finding:
    """Whether an agent is in `room` and answers; that there is none matters if the user asked for it."""
    async with open_client(credentials, room=room, agent_name=agent_name) as client:
        if not await client.find():
            message = f"none named {agent_name!r} in room {room!r}"
            fix = "`liba say` brings one there, if `liba agent run` is running"
            return Finding("agent", "warn" if is_asked else "skip", message, fix)
        try:
            facts = (await client.queue()).facts
        except NoAgentError as error:
            message = f"one is in room {room!r} and does not answer: {error}"
            fix = "it hangs or has crashed: end its `liba agent run`, and start it anew"
            return Finding("agent", "fail", message, fix)
        except RefusedError as error:
            return Finding("agent", "fail", str(error), error.hint)
    told = f"avatar: {facts.avatar or 'unknown'}, {facts.queue} waiting{', paused' if facts.paused else ''}"
    if facts.encryption in (NO_KEY, ANOTHER_KEY):
        message = f"{facts.agent or 'one'} in room {room!r} answers, and the room is {facts.encryption}"
        return Finding("agent", "fail", message, _KEY_FIX, WRONG_SETTING)
    return Finding("agent", "ok", f"{facts.agent or 'one'} in room {room!r} answers; {told}")


async def data_senders(credentials: LiveKitCredentials, room: str) -> Finding:
    """Who in `room` may send data and has no leave to speak: whatever they send, all others get it."""
    async with LiveKitApi(credentials) as api:
        present = await api.participants(room)
    senders = [
        participant.identity
        for participant in present
        if participant.may_send_data
        and not participant.is_agent
        and CAN_SAY_ATTRIBUTE not in participant.attributes
    ]
    if not senders:
        return Finding("data senders", "ok", f"nobody in room {room!r} may send data who need not")
    shown = ", ".join(repr(identity) for identity in sorted(senders)[:_SHOWN])
    more = f" and {len(senders) - _SHOWN} more" if len(senders) > _SHOWN else ""
    message = f"{shown}{more} may send data in room {room!r}, which can slow speech, and not speak"
    return Finding("data senders", "warn", message, "give viewers tokens without canPublishData: liba token")


async def encryption(credentials: LiveKitCredentials, room: str) -> Finding:
    """Whether `room` is encrypted from end to end, and there is a key here."""
    async with LiveKitApi(credentials) as api:
        present = await api.participants(room)
    shown = ", ".join(repr(one.identity) for one in present if one.encrypts)
    in_the_clear = [one for one in present if one.is_agent and one.publishes and not one.encrypts]
    if credentials.e2ee_key is None:
        if not shown:
            return Finding(
                "encryption", "skip", f"nobody in room {room!r} encrypts end to end; no key is set"
            )
        message = f"room {room!r} is encrypted end to end ({shown}), and there is no key here"
        return Finding("encryption", "fail", message, _KEY_FIX, WRONG_SETTING)
    if in_the_clear:
        agents = ", ".join(repr(one.identity) for one in in_the_clear)
        message = f"a key is set, and {agents} in room {room!r} publishes in the clear"
        return Finding("encryption", "warn", message, "start it with LIVEKIT_E2EE_KEY, or unset it here")
    return Finding("encryption", "ok", f"a key is set; it encrypts in room {room!r}: {shown or 'nobody yet'}")


def _beyond_watching(permission: ParticipantPermission) -> Iterator[str]:
    if permission.can_publish:
        yield "publish sound and picture"
    if permission.can_publish_data:
        yield "publish data"
    if permission.can_update_metadata:
        yield "change its own attributes"


def _obstacle(credentials: LiveKitCredentials, error: BaseException) -> UnreachableError:
    """The deepest reason of a connection that did not come about, and what to do about it."""
    url = credentials.url
    if not any(isinstance(cause, ssl.SSLError) for cause in _causes(error)) and (hint := proxy_hint(url)):
        return UnreachableError(f"{url}: the proxy does not get through", hint=hint)
    for cause in _causes(error):
        if isinstance(cause, socket.gaierror):
            return UnreachableError(
                f"{url}: there is no host of that name", hint="check LIVEKIT_URL and the DNS"
            )
        if isinstance(cause, ssl.SSLCertVerificationError):
            return UnreachableError(
                f"{url}: its certificate is not trusted here: {cause.verify_message}",
                hint="renew the certificate, or use the name that it was made for",
            )
        if isinstance(cause, ssl.SSLError):
            return UnreachableError(
                f"{url}: it does not speak TLS", hint="LIVEKIT_URL must begin with ws:// for such a server"
            )
        if isinstance(cause, ConnectionRefusedError):
            start = "start it: liba server run" if credentials.is_loopback else "is LiveKit running there?"
            return UnreachableError(f"{url}: nothing listens there", hint=start)
    if isinstance(error, httpx2.TimeoutException):
        return UnreachableError(f"{url}: no answer", hint="check LIVEKIT_URL, the network and firewalls")
    return UnreachableError(f"{url}: the connection failed", hint="check LIVEKIT_URL and the network")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for one in error.exceptions:
                yield from _causes(one)
        error = error.__cause__ or error.__context__
