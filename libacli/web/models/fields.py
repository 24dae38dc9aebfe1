"""What several requests have in common."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field

from libacli.core.protocol import MAX_NAME_CHARS

RoomName = Annotated[
    str, Path(min_length=1, max_length=MAX_NAME_CHARS, description="Name of the room", examples=["demo"])
]
RoomQuery = Annotated[
    str | None,
    Query(min_length=1, max_length=MAX_NAME_CHARS, description="Room; default: the caller's, or `say.room`"),
]
Identity = Annotated[
    str | None,
    Query(min_length=1, max_length=MAX_NAME_CHARS, description="Identity; default: one of its own"),
]
Room = Annotated[
    str | None,
    Field(
        min_length=1,
        max_length=MAX_NAME_CHARS,
        description="Room; default: the caller's, or `say.room`",
    ),
]


class Body(BaseModel):
    """What comes with a request: no member is unknown, and none of another type."""

    model_config = ConfigDict(extra="forbid", strict=True)
