"""LiveKit access tokens and signed requests: JWTs under the API secret (HS256).

Grants: https://docs.livekit.io/frontends/authentication/tokens/
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from libacli.config import LiveKitCredentials
from libacli.core.protocol import CAN_SAY_ATTRIBUTE, MAX_NAME_BYTES, MAX_NAME_CHARS
from libacli.core.reasons import refusal
from libacli.edges.livekit.say_permission import sign_permission
from libacli.edges.livekit.signing import CLOCK_SKEW_S, encode, named, unauthorized, verified
from libacli.errors import UsageError

AVATAR_IDENTITIES = {"tavus": "tavus-avatar-agent"}
"""Vendor of avatars → the identity its avatar joins with, alone or with an ending (`-2`); reserved for it."""

ON_BEHALF_ATTRIBUTE = "lk.publish_on_behalf"
AGENT_IDENTITY_PREFIX = "liba-agent-"
SIGNATURE_VALID_S = 60
LONGEST_TOKEN_S = 86_400
"""It is needed to join only, and nobody can take it back: a day is plenty."""

IN_SYNC = {"syncStreams": True}
"""Of a room that joining makes: sound and picture of a participant are one stream, or browsers play each as
it comes, lips up to a quarter of a second before what they say (`SupportsSyncStreamID` in livekit-server's
`pkg/rtc/participant.go`)."""

_MAX_NONCE_CHARS = 64
"""Twice what `sign_request` makes: they are remembered."""


_RESERVED_NAMES = f"liba-*, agent-* and {', '.join(AVATAR_IDENTITIES.values())}"
_AVATARS = "|".join(re.escape(identity) for identity in AVATAR_IDENTITIES.values())
_RESERVED = re.compile(rf"(liba-|agent-).*|({_AVATARS})(-.*)?", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class Permissions:
    """What a participant may do in its room, beyond joining and subscribing."""

    can_say: bool = False
    """Send say requests to the agent: carries the permission that the agent asks for, valid as long."""

    can_publish: bool = False
    """Publish camera and microphone."""

    can_control: bool = False
    """Stop the agent, interrupt it, have lines of its own go first; `can_say` alone does not."""


def join_token(
    credentials: LiveKitCredentials,
    *,
    room: str,
    identity: str,
    name: str = "",
    valid_for_s: int = 600,
    permissions: Permissions | None = None,
    on_behalf: str = "",
    brings: str = "",
) -> str:
    """A token for one participant and one room: join and subscribe, and what `permissions` add.

    What it has spoken is on the account of `on_behalf`, if that is given. Where joining makes the room,
    LiveKit sends an agent of the name `brings` into it; into one that is there already it sends none:
    https://docs.livekit.io/agents/server/agent-dispatch/#dispatch-on-participant-connection
    Never the right to change its own
    name, metadata or attributes. Raises UsageError for a room or identity that is no name, and for a time
    that is not 1 s to `LONGEST_TOKEN_S`; RefusedError for an identity that belongs to liba itself.
    """
    check_name("room", room)
    check_identity(identity)
    if not 1 <= valid_for_s <= LONGEST_TOKEN_S:
        raise UsageError(
            f"a token is valid for 1 to {LONGEST_TOKEN_S} s",
            hint="it is only needed to join; 10 minutes are plenty",
        )
    permissions = permissions or Permissions()
    claims: dict[str, Any] = {"sub": identity, "name": name, "video": _video(room, permissions)}
    if permissions.can_say or permissions.can_control:
        permission = sign_permission(
            credentials,
            room=room,
            identity=identity,
            valid_for_s=valid_for_s,
            may_say=permissions.can_say,
            may_control=permissions.can_control,
            on_behalf=on_behalf,
        )
        claims["attributes"] = {CAN_SAY_ATTRIBUTE: permission}
    agents = {"agents": [{"agentName": brings}]} if brings else {}
    return encode(credentials, claims | {"roomConfig": IN_SYNC | agents}, valid_for_s)


def listener_token(credentials: LiveKitCredentials, *, room: str, identity: str, hidden: bool = False) -> str:
    """A token for a listener of liba's own, whose identity is one of the reserved ones; subscribes only.

    Participants are not told of one that is `hidden`: for the agent it is no viewer.
    """
    video = _video(room, Permissions()) | {"hidden": hidden}
    return encode(credentials, {"sub": identity, "video": video, "roomConfig": IN_SYNC}, 600)


def sender_token(credentials: LiveKitCredentials, *, room: str, identity: str) -> str:
    """A token for one of liba's own that sends data, and that nobody sees; it hears nothing."""
    video = {
        "roomJoin": True,
        "room": room,
        "canSubscribe": False,
        "canPublish": False,
        "canPublishData": True,
        "canUpdateOwnMetadata": False,
        "hidden": True,
    }
    return encode(credentials, {"sub": identity, "video": video}, SIGNATURE_VALID_S)


def avatar_token(
    credentials: LiveKitCredentials,
    *,
    room: str,
    identity: str,
    on_behalf_of: str,
    valid_for_s: int,
    can_subscribe: bool = False,
) -> str:
    """A token for the avatar, which publishes sound and picture for the participant `on_behalf_of`.

    Its kind makes it an agent in the room; the grant `agent` is for workers, which get jobs of every room.
    It need not subscribe: its sound comes as data, and viewers may have their microphones open.
    """
    video = {
        "roomJoin": True,
        "room": room,
        "canSubscribe": can_subscribe,
        "canPublish": True,
        "canPublishSources": ["camera", "microphone"],
        "canPublishData": True,  # its RPCs: that it has finished playing
        "canUpdateOwnMetadata": False,
    }
    claims: dict[str, Any] = {
        "sub": identity,
        "name": identity,
        "kind": "agent",
        "video": video,
        "attributes": {ON_BEHALF_ATTRIBUTE: on_behalf_of},
    }
    return encode(credentials, claims, valid_for_s)


def admin_token(credentials: LiveKitCredentials, *, room: str) -> str:
    """A token for calls to LiveKit's server API about one room, valid for a minute."""
    return encode(credentials, {"video": {"roomAdmin": True, "room": room}}, 60)


def room_token(credentials: LiveKitCredentials, *, room: str) -> str:
    """A token for making one room, valid for a minute."""
    return encode(credentials, {"video": {"roomCreate": True, "room": room}}, 60)


def list_token(credentials: LiveKitCredentials) -> str:
    """A token for the one server call that is about no room of its own, valid for a minute."""
    return encode(credentials, {"video": {"roomList": True}}, 60)


def check_name(what: str, name: str) -> None:
    """Raises UsageError when `name` cannot be the name of a room or participant."""
    if not name or name != name.strip() or len(name) > MAX_NAME_CHARS or not name.isprintable():
        raise UsageError(
            f"{what} must be 1 to {MAX_NAME_CHARS} printable characters without spaces around them",
            hint=f"for example: --{what} demo",
        )
    if (size := len(name.encode())) > MAX_NAME_BYTES:
        raise UsageError(
            f"{what} has {size} bytes as UTF-8, LiveKit takes {MAX_NAME_BYTES}", hint="choose a shorter name"
        )


def check_identity(identity: str) -> None:
    """Raises RefusedError for an identity that liba keeps for itself: joining with it kicks its holder."""
    check_name("identity", identity)
    if _RESERVED.fullmatch(identity):
        message = f"the identity {identity!r} is reserved: {_RESERVED_NAMES} belong to agents"
        raise refusal("reserved_identity", message)


@dataclass(frozen=True)
class Signature:
    """What a signed request says of itself besides its contents."""

    key: str
    """The API key that it was made with."""

    nonce: str
    """Another one for each signature."""

    on_behalf: str = ""
    """For whom the holder of the key asks; empty: for himself."""


def sign_request(
    credentials: LiveKitCredentials,
    *,
    room: str,
    method: str,
    body: Mapping[str, Any],
    agent: str = "",
    on_behalf: str = "",
) -> str:
    """The `auth` member for a request: a JWT bound to room, method and body, valid for a minute.

    `agent` is the identity of the agent that it is for, which no agent after it will have; empty: whichever
    is in the room. `on_behalf` names who asks, where that is somebody else than the holder of the key: he has
    an account of his own with the agent.
    """
    claims = {
        "aud": "liba",
        "jti": os.urandom(16).hex(),
        "room": room,
        "agent": agent,
        "method": method,
        "body": _digest(body),
        **({"on_behalf": on_behalf} if on_behalf else {}),
    }
    return encode(credentials, claims, SIGNATURE_VALID_S)


def verify_request(
    credentials: LiveKitCredentials,
    auth: str,
    *,
    room: str,
    method: str,
    body: Mapping[str, Any],
    agent: str | None = None,
    began_at: float = 0.0,
    previous: LiveKitCredentials | None = None,
) -> Signature:
    """Raises RefusedError unless `auth` was made by `sign_request` for just this, not long ago.

    `agent` is the identity of who is asked (None: it does not matter) and `began_at` when it began, in POSIX
    seconds: it cannot know what its predecessor has carried out, so it takes no request that was meant for
    that one. `previous` is a key that is accepted too.
    """
    accepted = [credentials, previous] if previous else [credentials]
    claims = verified(accepted, auth, audience="liba", required=["jti"])
    if not _is_nonce(claims["jti"]):
        raise unauthorized("the signature is not valid")
    if not float(claims["exp"]) - float(claims["nbf"]) <= SIGNATURE_VALID_S:
        # Nobody could remember for so long that it was carried out.
        raise unauthorized(f"the signature is for more than {SIGNATURE_VALID_S} s")
    wanted = {"room": room, "method": method, "body": _digest(body)}
    for claim, value in wanted.items():
        if claims.get(claim) != value:
            raise unauthorized(f"the signature is for another {claim}")
    addressee = claims.get("agent")
    if addressee and agent is not None and addressee != agent:
        raise unauthorized("the signature is for another agent", hint="send it again, with a new signature")
    # Whoever names no agent may have a clock that is behind: what was signed just before may pass again.
    if not addressee and float(claims["nbf"]) < began_at - CLOCK_SKEW_S:
        raise unauthorized("it was signed before this agent began", hint="send it again, signed anew")
    return Signature(claims["iss"], claims["jti"], named(claims, "on_behalf"))


def _is_nonce(value: object) -> bool:
    return isinstance(value, str) and value.isascii() and 0 < len(value) <= _MAX_NONCE_CHARS


def _video(room: str, permissions: Permissions) -> dict[str, Any]:
    return {
        "roomJoin": True,
        "room": room,
        "canSubscribe": True,
        "canPublish": permissions.can_publish,
        "canPublishData": permissions.can_say or permissions.can_control,
        "canUpdateOwnMetadata": False,
    }


def _digest(body: Mapping[str, Any]) -> str:
    canonical = json.dumps(body, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    # Half a character is no reason to fail: the request is judged, and refused where it is read.
    return hashlib.sha256(canonical.encode(errors="surrogatepass")).hexdigest()
