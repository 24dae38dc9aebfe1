"""The right to join a room."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from libacli.core.protocol import MAX_NAME_CHARS
from libacli.web.models.fields import Body, Room


class TokenBody(Body):
    """Whom a token is for."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "examples": [{"room": "demo"}, {"room": "demo", "identity": "ann", "can_say": True}]
        },
    )

    room: Room = None
    identity: str | None = Field(
        default=None, min_length=1, max_length=MAX_NAME_CHARS, description="Default: one of its own"
    )
    name: str = Field(default="", max_length=MAX_NAME_CHARS, description="Shown to others")
    can_say: bool = Field(default=False, description="May make the agent speak, from inside the room")
    can_control: bool = Field(default=False, description="May stop it, interrupt it, and go before others")
    valid_for_s: int = Field(
        default=600,
        ge=1,
        le=86_400,
        description="Seconds in which it may join, and speak; of a session no more than its server lets",
    )


class Token(BaseModel):
    """The right to join one room and watch."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "url": "wss://example.livekit.cloud",
                    "room": "demo",
                    "identity": "viewer-3f9a1c",
                    "token": "eyJ...",
                    "valid_for_s": 600,
                    "can_say": False,
                    "can_control": False,
                }
            ]
        }
    )

    url: str = Field(description="Address of the LiveKit server")
    room: str
    identity: str
    token: str
    valid_for_s: int
    can_say: bool
    can_control: bool
    e2ee_key: str | None = Field(
        default=None, description="Key of sound and picture, where they are encrypted end to end"
    )
