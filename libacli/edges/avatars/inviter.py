"""Invitations into one room: each with a name that no other has, and an identity that nobody holds."""

from __future__ import annotations

import math
import uuid

from livekit import rtc

from libacli.config import LiveKitCredentials
from libacli.edges.avatars.conversation_names import (
    ConversationName,
    project_of,
    short_name,
    short_name_of_room,
)
from libacli.edges.avatars.policy import AvatarPolicy
from libacli.edges.avatars.port import Invitation
from libacli.edges.livekit.signing import CLOCK_SKEW_S
from libacli.edges.livekit.tokens import avatar_token

_ANSWER_S = 15
"""What a service may take to answer an invitation, before its avatar has `join_timeout_s` to come."""


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
            # For entering alone: who is in the room has tokens from LiveKit, which renews them.
            valid_for_s=_ANSWER_S + math.ceil(self._policy.join_timeout_s) + CLOCK_SKEW_S,
            can_subscribe=self._policy.can_subscribe,
        )
        return Invitation(
            name=self._name(),
            room_url=self._credentials.ws_url,
            identity=identity,
            token=token,
            max_duration_s=self._policy.max_duration_s,
            idle_timeout_s=math.ceil(self._policy.idle_timeout_s),
        )

    def _name(self) -> str:
        name = ConversationName(
            project=project_of(self._credentials.api_key),
            agent=short_name(self._room.local_participant.identity),
            epoch=self._epoch,
            number=self._count,
            room=short_name_of_room(self._room.name),
        )
        return str(name)

    def _free_identity(self) -> str:
        # Joining with an identity that is taken would kick its holder: an avatar that is being replaced.
        if self._count == 1 and self._identity not in self._room.remote_participants:
            return self._identity
        return f"{self._identity}-{self._epoch[:4]}{self._count}"
