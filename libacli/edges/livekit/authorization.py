"""Who may make an agent speak, and how much: the rules, as the settings have them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from libacli.config import Settings
from libacli.core.caps import SayCaps
from libacli.edges.livekit.say_permission import SayPermissions
from libacli.edges.livekit.tokens import verify_request
from libacli.errors import RefusedError
from libacli.speech.desk import Permit, Sender

BARE_PERMISSION = "true"
"""What earlier versions had for a permission. Whoever can have attributes written into a token has it too."""


class RoomAuthorization:
    """The rule who may make the agent of `room` speak, which has the identity `agent` and begins now."""

    def __init__(self, settings: Settings, room: str, *, agent: str) -> None:
        self._credentials = settings.livekit()
        self._previous = settings.livekit_previous()
        accepted = [self._credentials, self._previous] if self._previous else [self._credentials]
        self._permissions = SayPermissions(accepted, room)
        self._takes_anyone = settings.say_accept == "anyone"
        self._takes_bare_attribute = settings.say_accept == "attribute"
        self._room = room
        self._agent = agent
        self._began_at = datetime.now(UTC).timestamp()

    def authorise(self, method: str, body: Mapping[str, Any], auth: str | None, sender: Sender) -> Permit:
        """Raises RefusedError unless this request may be carried out."""
        if self._takes_anyone:
            return Permit(f"participant {sender.identity}")
        if auth is not None:
            signature = verify_request(
                self._credentials,
                auth,
                room=self._room,
                method=method,
                body=body,
                agent=self._agent,
                began_at=self._began_at,
                previous=self._previous,
            )
            return Permit(f"key {signature.key}", nonce=signature.nonce)
        if not sender.identity:
            raise RefusedError(
                "unknown_sender",
                "the sender is not known: it is hidden, or joined a moment ago; try again in 3 s, or sign it",
            )
        self._check_permission(sender)
        return Permit(f"participant {sender.identity}")

    def _check_permission(self, sender: Sender) -> None:
        """Raises RefusedError unless its token lets the sender make this agent speak."""
        if not sender.permission:
            raise RefusedError(
                "unauthorized",
                "the request is not signed, and its sender's token does not allow it",
                hint="send it with `liba say`, or from a participant with a token of `liba token --can-say`",
            )
        if sender.permission != BARE_PERMISSION:
            self._permissions.read(sender.identity, sender.permission)
        elif not self._takes_bare_attribute:
            raise RefusedError(
                "unauthorized",
                f"`liba.say` is just {BARE_PERMISSION!r} in the sender's token: nobody knows who wrote that",
                hint='get a token of `liba token --can-say`, or set say.accept = "attribute"',
            )


def say_caps(settings: Settings) -> SayCaps:
    """What an agent speaks at most."""
    return SayCaps(
        rate_per_minute=settings.say_rate_per_minute,
        burst=settings.say_queue_limit + 1,  # to fill the queue at once is what it is there for
        max_chars_per_hour=settings.say_max_chars_per_hour,
    )
