"""Settings `avatar.*`: when one comes, how long it stays, and what it may cost."""

from typing import Literal

from pydantic import Field

from libacli.config_values import Seconds
from libacli.settings.group import Group


class AvatarSettings(Group):
    """Of any vendor."""

    avatar_ready_timeout: Seconds = Field(
        default=5.0, description="Seconds that speech waits for an avatar that is joining"
    )
    avatar_join_timeout: Seconds = Field(
        default=45.0, description="Seconds until an avatar that was asked for must be in the room"
    )
    avatar_audible_timeout: Seconds = Field(
        default=5.0,
        description="Seconds from sound sent to sound heard; an avatar that takes longer is stalled",
    )
    avatar_idle_timeout: Seconds = Field(
        default=120.0, description="Seconds without a viewer after which the avatar is ended"
    )
    avatar_begin: Literal["viewer", "line"] = Field(
        default="viewer", description="What brings the avatar: somebody who watches, or the first line then"
    )
    avatar_silent_timeout: float = Field(
        default=3600.0,
        ge=0,
        description="Seconds without a line after which it rests until the next one; 0: it never rests",
    )
    avatar_max_duration: int = Field(
        default=3600,
        ge=120,
        le=3600,
        description="Seconds after which the service ends a conversation; renewed before",
    )
    avatar_renew_before: Seconds = Field(
        default=60.0, description="Seconds before that end from which on a new conversation takes over"
    )
    avatar_overlap: bool = Field(
        default=False,
        description="Renew without a gap, if the account and the avatar can do with two at a time",
    )
    avatar_can_subscribe: bool = Field(
        default=False,
        description="Whether the avatar service may hear and see everybody in the room; it needs neither",
    )
    avatar_check_public: bool = Field(
        default=True,
        description="Ask for no avatar while LiveKit's address is a private one, seen from here",
    )
    avatar_max_minutes_per_day: float = Field(
        default=240.0,
        ge=0,
        le=1_000_000,
        description="Minutes of avatar a day (UTC) for all agents here, or that share redis.url; 0: no cap",
    )
    avatar_max_minutes_per_room: float = Field(
        default=0.0,
        ge=0,
        le=1_000_000,
        description="Of these, minutes a day that one room may have; 0: all that are left",
    )
    avatar_max_conversations: int = Field(
        default=0,
        ge=0,
        le=10_000,
        description="Conversations of the account that run at a time, seen from here; 0: no cap of ours",
    )
