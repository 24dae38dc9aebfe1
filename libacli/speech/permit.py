"""Who asks, and what that one may."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from libacli.core.hour import Account
from libacli.core.queue_requests import CancelRequest, MoveRequest, NextRequest, PauseRequest
from libacli.errors import RefusedError
from libacli.speech.desk_request import DeskRequest, Say, Stop


@dataclass(frozen=True)
class Sender:
    """Who sent a request, as far as the LiveKit server vouches for it."""

    identity: str = ""
    """Empty when it is not known: a hidden participant, one that just joined, or the server itself."""

    permission: str = field(default="", repr=False)
    """What its token has as `liba.say`, where the sender cannot have put it there since; else empty."""


@dataclass(frozen=True)
class Permit:
    """Leave to carry out a request."""

    account: str
    """Whose allowance it uses up: the sender's, or that of the key it is signed with."""

    nonce: str = ""
    """What no other signed request has: with the same one it is the same, come again. Empty: not signed."""

    is_owner: bool = False
    """Whoever has the API secret asks, and for nobody else: a part of what may be spoken is kept for him."""

    may_say: bool = True
    may_control: bool = False
    """Stop, interrupt, and go before others."""

    @property
    def payer(self) -> Account:
        return Account(self.account, self.is_owner)


class Authorization(Protocol):
    """The rule who may ask for what."""

    def authorise(self, method: str, body: Mapping[str, Any], auth: str | None, sender: Sender) -> Permit:
        """Raises RefusedError unless this request may be carried out."""


def check_rights(asked: DeskRequest, permit: Permit) -> None:
    """Raises RefusedError when who may ask may not ask for this."""
    match asked:
        case Say(request):
            is_control = request.interrupt or request.priority > 0 or request.standby
            is_allowed = permit.may_say and (permit.may_control or not is_control)
        case Stop() | MoveRequest() | PauseRequest() | NextRequest():
            is_allowed = permit.may_control
        case CancelRequest():
            is_allowed = permit.may_say or permit.may_control
        case _:
            is_allowed = True
    if not is_allowed:
        what = (
            "speak"
            if not permit.may_say and isinstance(asked, Say)
            else "stop, interrupt, pause, stand by or go first"
        )
        raise RefusedError(
            "unauthorized",
            f"the sender's permission does not let it {what}",
            hint="get a token of `liba token --can-say --can-control`",
        )
