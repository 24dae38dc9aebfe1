"""Runs `liba token`: mints a token for one room, and prints it or opens a browser with it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from libacli.cli.options import seconds
from libacli.cli.output import output
from libacli.cli.runs.page_link import PageLink
from libacli.config import LiveKitCredentials
from libacli.core.connection_details import MEET, ConnectionDetails
from libacli.core.jws import claims_of
from libacli.edges.livekit.say_permission import sign_permission
from libacli.edges.livekit.tokens import LONGEST_TOKEN_S, Permissions, join_token
from libacli.errors import UsageError

_OF_ANY_TOKEN = ("iss", "sub", "iat", "nbf", "exp", "jti")


@dataclass(frozen=True)
class TokenRun:
    """One run of `liba token`."""

    credentials: LiveKitCredentials
    room: str
    identity: str | None
    """Who joins; None: a viewer with a name of its own."""

    name: str
    valid_for: str
    """As given: `90s`, `10m`."""

    permissions: Permissions
    brings: str
    """Name of the agent that comes with who joins; empty: none."""

    as_json: bool
    token_only: bool
    permission_only: bool
    """Prints no token, but what lets one speak that is made elsewhere."""

    open_page: bool

    def run(self) -> None:
        """Prints the token, or the permission alone. Raises UsageError, RefusedError."""
        identity = f"viewer-{os.urandom(3).hex()}" if self.identity is None else self.identity
        valid_for_s = seconds(self.valid_for)
        if not 1 <= valid_for_s <= LONGEST_TOKEN_S:
            raise UsageError(
                "--valid-for must be 1s to 24h", hint="a token is only needed to join; 10m is plenty"
            )
        token = join_token(
            self.credentials,
            room=self.room,
            identity=identity,
            name=self.name,
            valid_for_s=valid_for_s,
            permissions=self.permissions,
            brings=self.brings,
        )
        if self.permission_only:
            output.result(self._permission(valid_for_s))
            return
        self._show(token, identity, valid_for_s)
        if self.open_page:
            key = self.credentials.e2ee_key
            details = ConnectionDetails(
                self.credentials.outside.ws_url, token, key.get_secret_value() if key else ""
            )
            link = details.meet_url
            PageLink(MEET, link).open(otherwise=f"join with the token at {MEET}")

    def _as_lk_tells_it(self, token: str, identity: str) -> dict[str, Any]:
        """What `lk token create --json` prints beside `room` and `identity`."""
        claims = claims_of(token)
        return {
            "access_token": token,
            "project_url": self.credentials.ws_url,
            "name": self.name,
            "grants": {"identity": identity}
            | {claim: value for claim, value in claims.items() if claim not in _OF_ANY_TOKEN},
        }

    def _permission(self, valid_for_s: int) -> str:
        """Raises UsageError when it would be nobody's, or to nothing."""
        may_say, may_control = self.permissions.can_say, self.permissions.can_control
        if self.identity is None or not (may_say or may_control):
            raise UsageError(
                "a permission is for one identity, and to do something",
                hint="liba token --can-say --permission-only --identity ann",
            )
        return sign_permission(
            self.credentials,
            room=self.room,
            identity=self.identity,
            valid_for_s=valid_for_s,
            may_say=may_say,
            may_control=may_control,
        )

    def _show(self, token: str, identity: str, valid_for_s: int) -> None:
        if self.token_only:
            output.result(token)
        elif self.as_json:
            output.json(
                {
                    "url": self.credentials.outside.ws_url,
                    "room": self.room,
                    "identity": identity,
                    "valid_for_s": valid_for_s,
                    "can_say": self.permissions.can_say,
                    "can_control": self.permissions.can_control,
                    "can_publish": self.permissions.can_publish,
                    **({"agent": self.brings} if self.brings else {}),
                    "token": token,
                }
                | self._as_lk_tells_it(token, identity)
            )
        else:
            output.result(f"url:       {self.credentials.outside.ws_url}")
            output.result(f"room:      {self.room}")
            output.result(f"identity:  {identity}")
            output.result(f"valid for: {self.valid_for}")
            if self.brings:
                output.result(f"agent:     {self.brings}")
            output.result(f"token:     {token}")
