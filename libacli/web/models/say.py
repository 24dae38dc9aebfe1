"""A text to be spoken, and what is known of it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from libacli.core.emotion import Emotion
from libacli.core.lifecycle import MOVES
from libacli.core.messages import MAX_ID_CHARS, MAX_TTL_MS
from libacli.web.models.fields import Body, Room


class SayBody(Body):
    """A text to be spoken."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "examples": [
                {"text": "Hello."},
                {"text": "One moment, please.", "room": "demo", "interrupt": True, "speed": 1.1},
            ]
        },
    )

    text: str = Field(description="What to say")
    room: Room = None
    id: str | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_ID_CHARS,
        description="Chosen by the sender; the same id is spoken once",
    )
    voice: str | None = Field(default=None, min_length=1, max_length=MAX_ID_CHARS, description="Speaker")
    speed: float | None = Field(default=None, ge=0.25, le=4.0, description="Pace, 1 is normal")
    instructions: str | None = Field(default=None, max_length=1000, description="Tone and manner")
    emotion: Emotion | None = Field(default=None, description="What the avatar's face shows with it")
    markdown: Literal["auto", "on", "off"] = Field(
        default="off", description="Read Markdown as prose; auto: if there are clear signs of it"
    )
    interrupt: bool | None = Field(
        default=None, description="Stop what is spoken, clear the queue, then say this"
    )
    priority: int | None = Field(default=None, ge=-100, le=100, description="Higher goes first")
    ttl_ms: int | None = Field(
        default=None, ge=1, le=MAX_TTL_MS, description="Not worth saying if it had to wait longer"
    )


class SayAnswer(BaseModel):
    """What is known of an utterance: never more than somebody said who knows."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "61c08bdc0353",
                    "room": "demo",
                    "level": "accepted",
                    "epoch": "5c89a277",
                    "position": 0,
                    "duplicate": False,
                    "state": "accepted",
                    "report": None,
                }
            ]
        }
    )

    id: str
    room: str
    level: str = Field(description="`sent`, `accepted`, `audible`, `done` or `unconfirmed`")
    epoch: str = Field(
        description="Another one after the agent was started anew: its queue is gone then, unless `journaled`"
    )
    position: int = Field(description="How many go before it")
    duplicate: bool = Field(description="The agent had this id already; it is spoken once")
    journaled: bool | None = Field(
        default=None,
        description="Whether the agent that follows says it, if this one dies; null: nothing is written down",
    )
    paused: bool = Field(default=False, description="The queue is paused: nothing begins meanwhile")
    state: str = Field(
        description=f"{', '.join(f'`{state}`' for state in MOVES if state != 'rejected')}; "
        "`lost` when its agent is gone"
    )
    report: dict[str, Any] | None = Field(description="The agent's own words: route, durations in ms")


class UtteranceState(BaseModel):
    """What became of an utterance."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "61c08bdc0353",
                    "room": "demo",
                    "epoch": "5c89a277",
                    "state": "done",
                    "report": {"id": "61c08bdc0353", "epoch": "5c89a277", "state": "done", "route": "tavus"},
                }
            ]
        }
    )

    id: str
    room: str
    epoch: str
    state: str = Field(description="As in the answer to `POST /api/say`")
    report: dict[str, Any] | None = Field(description="The agent's own words; null when it is `lost`")
