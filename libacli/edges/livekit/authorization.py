"""Who may make an agent speak, and how much: the rules, as the settings have them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from libacli.config import Settings
from libacli.core.caps import SayCaps
from libacli.edges.livekit.say_permission import SayPermissions
from libacli.edges.livekit.tokens import verify_request
from libacli.errors import RefusedError
from libacli.speech.permit import Permit, Sender

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
            return self._anyones(method, body, auth, sender)
        if auth is not None:
            return self._signed(method, body, auth)
        if not sender.identity:
            raise RefusedError(
                "unknown_sender",
                "the sender is not known: it is hidden, or joined a moment ago; try again in 3 s, or sign it",
            )
        return self._permitted(sender)

    def _signed(self, method: str, body: Mapping[str, Any], auth: str) -> Permit:
        """What is signed with the API secret is the owner's, unless it says on whose behalf."""
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
        account = _account_of_key(signature.key, signature.on_behalf)
        is_owner = not signature.on_behalf
        return Permit(account, nonce=signature.nonce, is_owner=is_owner, may_control=True)

    def _anyones(self, method: str, body: Mapping[str, Any], auth: str | None, sender: Sender) -> Permit:
        """Whoever asks; what the owner has signed is the owner's here too."""
        if auth is not None:
            with suppress(RefusedError):
                return self._signed(method, body, auth)
        return Permit(self._account_of(sender), may_control=True)

    def _permitted(self, sender: Sender) -> Permit:
        """Raises RefusedError unless the sender's token lets it ask this agent for something."""
        if not sender.permission:
            raise RefusedError(
                "unauthorized",
                "the request is not signed, and its sender's token does not allow it",
                hint="send it with `liba say`, or from a participant with a token of `liba token --can-say`",
            )
        if sender.permission != BARE_PERMISSION:
            found = self._permissions.read(sender.identity, sender.permission)
            behalf = found.on_behalf
            account = _account_of_key(found.key, behalf) if behalf else self._account_of(sender)
            return Permit(account, may_say=found.may_say, may_control=found.may_control)
        if not self._takes_bare_attribute:
            raise RefusedError(
                "unauthorized",
                f"`liba.say` is just {BARE_PERMISSION!r} in the sender's token: nobody knows who wrote that",
                hint='get a token of `liba token --can-say`, or set say.accept = "attribute"',
            )
        return Permit(self._account_of(sender), may_control=True)

    def _account_of(self, sender: Sender) -> str:
        return f"participant {sender.identity} in {self._room}"


def _account_of_key(key: str, on_behalf: str) -> str:
    return f"key {key} for {on_behalf}" if on_behalf else f"key {key}"


def say_caps(settings: Settings, *, hour_clock: Callable[[float], float] = lambda at: at) -> SayCaps:
    """What an agent speaks at most; see SayCaps for the clock."""
    return SayCaps(
        rate_per_minute=settings.say_rate_per_minute,
        burst=settings.say_queue_limit + 1,  # to fill the queue at once is what it is there for
        max_chars_per_hour=settings.say_max_chars_per_hour,
        hour_clock=hour_clock,
    )
