"""What is to end."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from libacli.core.messages import MAX_ID_CHARS
from libacli.web.models.fields import Body, Room


class StopBody(Body):
    """What is to end."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"room": "demo"}]})

    room: Room = None
    id: str | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_ID_CHARS,
        description="Of the only utterance that is to end; default: what is spoken, and all that waits",
    )


class Stopped(BaseModel):
    """What was ended."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"room": "demo", "stopped": ["61c08bdc0353"]}]})

    room: str
    stopped: list[str] = Field(description="Ids of what was spoken and of what waited")
