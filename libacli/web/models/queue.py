"""The queue in hand: cancel, move, pause, resume, next."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from libacli.core.messages import MAX_ID_CHARS
from libacli.web.models.fields import Body


class Cancelled(BaseModel):
    """A line that waits no more."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "room": "demo",
                    "id": "61c08bdc0353",
                    "report": {"id": "61c08bdc0353", "state": "interrupted", "reason": "cancelled"},
                }
            ]
        }
    )

    room: str
    id: str
    report: dict[str, Any] = Field(description="The agent's own words")


class MoveBody(Body):
    """Where a line is to go."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "examples": [{"to": "first"}, {"before": "61c08bdc0353"}],
            "oneOf": [{"required": ["to"]}, {"required": ["before"]}],
        },
    )

    to: Literal["first", "last"] | None = Field(default=None, description="An end of the queue")
    before: str | None = Field(
        default=None, min_length=1, max_length=MAX_ID_CHARS, description="Id of the line that it goes before"
    )

    @model_validator(mode="after")
    def _is_one(self) -> MoveBody:
        if (self.to is None) == (self.before is None):
            raise ValueError("one of `to` and `before` is wanted")
        return self


class Moved(BaseModel):
    """Where a line is now."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"room": "demo", "id": "61c08bdc0353", "position": 1, "priority": 0}]}
    )

    room: str
    id: str
    position: int = Field(description="How many go before it, what is spoken included")
    priority: int = Field(description="That of its new place")


class QueueState(BaseModel):
    """Whether anything new begins."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"room": "demo", "paused": True, "changed": True, "queue": 2, "journaled": None}]
        }
    )

    room: str
    paused: bool
    changed: bool = Field(description="It was not so before")
    queue: int = Field(description="Utterances that wait")
    journaled: bool | None = Field(
        default=None, description="Whether the agent that follows knows it; null: it ends with this agent"
    )


class NextBody(Body):
    """Which line is to begin."""

    model_config = ConfigDict(
        extra="forbid", strict=True, json_schema_extra={"examples": [{"id": "78d6a2e7-1-5"}, {}]}
    )

    id: str | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_ID_CHARS,
        description="Id of a line on standby; null: the one that is longest on standby",
    )


class Released(BaseModel):
    """The line that has the go-ahead."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"room": "demo", "id": "78d6a2e7-1-5", "released": True}]}
    )

    room: str
    id: str
    released: bool = Field(description="It was on standby before")
