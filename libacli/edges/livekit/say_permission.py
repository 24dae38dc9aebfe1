"""The attribute `liba.say` of a participant: a permission that the API secret has signed.

LiveKit vouches for what stands in a participant's token, not for who wrote it there: token services that
follow LiveKit's endpoint schema copy `participant_attributes` out of a client's request. So the value itself
says whose it is, in which room, and until when, and is signed. Everybody in the room can read it, and nobody
else use it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from libacli.config import LiveKitCredentials
from libacli.edges.livekit.signing import encode, named, unauthorized, verified, wall_clock
from libacli.errors import RefusedError

_AUDIENCE = "liba-say"
_MAX_CHARS = 8192
"""More than one has with the longest names there are: what is longer is not looked at."""

_KEPT = 256
_SAY, _CONTROL = "say", "control"
_HINT = "get a new token: liba token --can-say"


@dataclass(frozen=True)
class SayPermission:
    """Leave of one participant to make the agent of one room speak, or to control it."""

    expires_at: float
    """POSIX seconds."""

    key: str
    """The API key that has signed it."""

    may_say: bool = True
    may_control: bool = False
    """Stop, interrupt, and go before others."""

    on_behalf: str = ""
    """On whose account it is, where several participants have one."""


def sign_permission(
    credentials: LiveKitCredentials,
    *,
    room: str,
    identity: str,
    valid_for_s: int,
    may_say: bool = True,
    may_control: bool = False,
    on_behalf: str = "",
) -> str:
    """The value of `liba.say` for the participant `identity` of `room`."""
    may = [right for right, is_given in ((_SAY, may_say), (_CONTROL, may_control)) if is_given]
    claims: dict[str, Any] = {"aud": _AUDIENCE, "room": room, "sub": identity, "may": may}
    if on_behalf:
        claims["on_behalf"] = on_behalf
    return encode(credentials, claims, valid_for_s)


class SayPermissions:
    """Reads permissions for `room`. What was found good is remembered, so that each is verified once.

    `accepted` are the keys whose signature counts, `clock` tells POSIX seconds.
    """

    def __init__(
        self,
        accepted: Sequence[LiveKitCredentials],
        room: str,
        *,
        clock: Callable[[], float] = wall_clock,
    ) -> None:
        self._accepted = accepted
        self._room = room
        self._clock = clock
        self._known: OrderedDict[tuple[str, str], SayPermission] = OrderedDict()

    def read(self, identity: str, value: str) -> SayPermission:
        """The permission that `value` gives to the participant `identity`.

        Raises RefusedError, `unauthorized`, when it gives none to it, here and now; never anything else.
        """
        permission = self._known.get((identity, value)) or self._verify(identity, value)
        if not permission.expires_at > self._clock():
            raise _refused("the permission in the sender's token has expired")
        return permission

    def _verify(self, identity: str, value: str) -> SayPermission:
        if len(value) > _MAX_CHARS:
            raise _refused("the permission in the sender's token is too long")
        try:
            claims = verified(
                self._accepted,
                value,
                audience=_AUDIENCE,
                required=["sub"],
                called="permission in the sender's token",
            )
            permission = _permission(claims)
        except RefusedError as error:
            raise _refused(str(error)) from error
        if claims["sub"] != identity:
            raise _refused("the permission in the sender's token is another participant's")
        if claims.get("room") != self._room:
            raise _refused("the permission in the sender's token is for another room")
        self._known[identity, value] = permission
        if len(self._known) > _KEPT:
            self._known.popitem(last=False)
        return permission


def _permission(claims: Mapping[str, Any]) -> SayPermission:
    """Raises RefusedError."""
    may = claims.get("may", [_SAY])
    if not isinstance(may, list):
        raise unauthorized("the permission in the sender's token does not say what it is for")
    return SayPermission(
        float(claims["exp"]),
        str(claims["iss"]),
        may_say=_SAY in may,
        may_control=_CONTROL in may,
        on_behalf=named(claims, "on_behalf"),
    )


def _refused(message: str) -> RefusedError:
    return unauthorized(message, hint=_HINT)
