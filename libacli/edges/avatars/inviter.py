"""Invitations into one room: each with a name that no other has, and an identity that nobody holds."""

from __future__ import annotations

import math
import uuid

from livekit import rtc

from libacli.config import LiveKitCredentials
from libacli.edges.avatars.policy import AvatarPolicy
from libacli.edges.avatars.port import Invitation
from libacli.edges.livekit.tokens import avatar_token

_ENTER_WITHIN_S = 120
"""An invitation is for entering alone: who is in the room has tokens from LiveKit, which renews them."""


class Inviter:
    """Writes the invitations for avatars of the room's agent.

    `identity` is the vendor's; later avatars have it with an ending of their own.
    """

    def __init__(
        self, room: rtc.Room, credentials: LiveKitCredentials, *, identity: str, policy: AvatarPolicy
    ) -> None:
        self._room = room
        self._credentials = credentials
        self._identity = identity
        self._policy = policy
        self._epoch = uuid.uuid4().hex[:8]
        self._count = 0

    @property
    def server_url(self) -> str:
        """Address of the LiveKit server, as it was given."""
        return self._credentials.url

    def next_invitation(self) -> Invitation:
        self._count += 1
        identity = self._free_identity()
        token = avatar_token(
            self._credentials,
            room=self._room.name,
            identity=identity,
            on_behalf_of=self._room.local_participant.identity,
            valid_for_s=max(_ENTER_WITHIN_S, math.ceil(self._policy.join_timeout_s)),
            can_subscribe=self._policy.can_subscribe,
        )
        return Invitation(
            name=f"liba-{self._epoch}-{self._count}",
            room_url=self._credentials.ws_url,
            identity=identity,
            token=token,
            max_duration_s=self._policy.max_duration_s,
        )

    def _free_identity(self) -> str:
        # Joining with an identity that is taken would kick its holder: an avatar that is being replaced.
        if self._count == 1 and self._identity not in self._room.remote_participants:
            return self._identity
        return f"{self._identity}-{self._epoch[:4]}{self._count}"
