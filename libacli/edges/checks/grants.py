"""What a token allows, and whether that is more than a viewer needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import jwt

from libacli.config import LiveKitCredentials
from libacli.core.protocol import CAN_SAY_ATTRIBUTE
from libacli.edges.checks.finding import WRONG_SETTING, Finding
from libacli.edges.livekit.authorization import BARE_PERMISSION
from libacli.edges.livekit.say_permission import SayPermissions
from libacli.edges.livekit.signing import CLOCK_SKEW_S
from libacli.edges.livekit.tokens import IN_SYNC
from libacli.errors import RefusedError

_NAME = "given token"
_LONG_H = 24.0
_WATCHING = {"roomJoin", "room", "canSubscribe"}
_PUBLISHING = {"canPublish", "canPublishData", "canPublishSources"}
_HARMLESS = {"iss", "sub", "nbf", "exp", "iat", "jti", "name", "video", "metadata", "attributes", "sha256"}


def given_token(token: str, credentials: LiveKitCredentials | None, *, room: str | None) -> Finding:
    """Whether `token` is one for a viewer: valid, of this project, for this room, and with no right too many.

    Without credentials it is only read.
    """
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError):
        return _wrong("it is not a token", "get one: liba token --token-only")
    found = (credentials and _refused(token, claims, credentials)) or _misplaced(claims, room)
    if found := found or _worthless_permission(claims, credentials):
        return found
    if too_much := list(excess(claims)):
        message = f"it allows more than watching: {', '.join(too_much)}"
        return Finding(_NAME, "fail", message, "give viewers this one: liba token", WRONG_SETTING)
    if granted := list(_granted(claims)):
        message = f"it also allows to {' and '.join(granted)}"
        return Finding(_NAME, "warn", message, "for those who only watch: liba token")
    return Finding(_NAME, "ok", f"it allows to watch room {_video(claims).get('room')!r}, nothing else")


def excess(claims: Mapping[str, Any]) -> Iterator[str]:
    """Rights in a token that no viewer should have. LiveKit lets publish whoever is not forbidden to."""
    video = _video(claims)
    if not video.get("room"):
        yield "any room"
    if video.get("canPublish") is None:
        yield "publishing (canPublish is not set to false)"
    if video.get("canPublishData") is None and video.get("canPublish") is not False:
        yield "sending data, which can slow speech (canPublishData is not set to false)"
    if video.get("canPublishData") is True and not _permission(claims):
        yield "sending data, which can slow speech (canPublishData)"
    yield from (name for name, is_on in video.items() if is_on and name not in _WATCHING | _PUBLISHING)
    yield from (name for name, value in claims.items() if value and not _is_harmless(name, value))


def _is_harmless(name: str, value: Any) -> bool:
    return name in _HARMLESS or (name, value) == ("roomConfig", IN_SYNC)


def _granted(claims: Mapping[str, Any]) -> Iterator[str]:
    """Rights that somebody gave on purpose."""
    if permission := _permission(claims):
        yield f"{_permitted(permission)} and send data"
    if _video(claims).get("canPublish"):
        yield "publish sound and picture"
    life_h = (claims.get("exp", 0) - claims.get("nbf", claims.get("iat", _now()))) / 3600
    if life_h > _LONG_H:
        yield f"join for {life_h / 24:.0f} days"


def _refused(token: str, claims: Mapping[str, Any], credentials: LiveKitCredentials) -> Finding | None:
    """What the server would not like about it."""
    if claims.get("iss") != credentials.api_key:
        return _wrong(
            "it was made with another API key", "check LIVEKIT_API_KEY, or make it anew: liba token"
        )
    secret = credentials.api_secret.get_secret_value()
    try:
        jwt.decode(
            token,
            secret,
            algorithms=["HS256"],
            leeway=CLOCK_SKEW_S,
            options={"require": ["exp"], "verify_aud": False},
        )
    except jwt.ExpiredSignatureError:
        ago_s = _now() - claims["exp"]
        return _wrong(f"it expired {ago_s / 60:.0f} min ago", "make a new one: liba token --valid-for 1h")
    except jwt.ImmatureSignatureError:
        return _wrong(
            "it is not valid yet: who made it has a clock that is ahead", "set that machine's clock"
        )
    except jwt.InvalidSignatureError:
        return _wrong("it was signed with another API secret", "check LIVEKIT_API_SECRET on both sides")
    except jwt.PyJWTError as error:
        return _wrong(f"LiveKit would refuse it: {type(error).__name__}", "make it anew: liba token")
    return None


def _misplaced(claims: Mapping[str, Any], room: str | None) -> Finding | None:
    video = _video(claims)
    if not video.get("roomJoin"):
        return _wrong("it does not allow to join (roomJoin)", "make it anew: liba token")
    if room and video.get("room") not in (room, None, ""):
        return _wrong(f"it is for room {video['room']!r}, not {room!r}", f"liba token --room {room}")
    return None


def _worthless_permission(
    claims: Mapping[str, Any], credentials: LiveKitCredentials | None
) -> Finding | None:
    """Why no agent would take what it has for a permission to speak."""
    permission = _permission(claims)
    if not credentials or permission in ("", BARE_PERMISSION):
        return None
    room, identity = str(_video(claims).get("room")), str(claims.get("sub"))
    try:
        SayPermissions([credentials], room).read(identity, permission)
    except RefusedError as error:
        return _wrong(str(error), "make it anew: liba token --can-say")
    return None


def _permitted(permission: str) -> str:
    """What a permission lets do; whether agents take it is another question."""
    if permission == BARE_PERMISSION:
        return "make agents speak that have say.accept = attribute"
    try:
        may = jwt.decode(permission, options={"verify_signature": False}).get("may", [])
    except (jwt.PyJWTError, ValueError, RecursionError):
        may = []
    return "make the agent speak, and stop it" if "control" in may else "make the agent speak"


def _permission(claims: Mapping[str, Any]) -> str:
    attributes = claims.get("attributes")
    return str(attributes.get(CAN_SAY_ATTRIBUTE) or "") if isinstance(attributes, dict) else ""


def _video(claims: Mapping[str, Any]) -> dict[str, Any]:
    video = claims.get("video")
    return video if isinstance(video, dict) else {}


def _wrong(message: str, fix: str) -> Finding:
    return Finding(_NAME, "fail", message, fix, WRONG_SETTING)


def _now() -> float:
    return datetime.now(UTC).timestamp()
