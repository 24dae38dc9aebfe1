"""A given sound to be heard."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from libacli.core.emotion import Emotion
from libacli.core.given_sound import MOST_CAPTION_CHARS
from libacli.core.messages import MAX_ID_CHARS, MAX_TTL_MS
from libacli.core.protocol import MAX_NAME_CHARS

LONGEST_WAIT_S = 600.0
"""Ten minutes after its end an agent knows an utterance no more."""


class SoundQuery(BaseModel):
    """How a sound is to be heard: the members of a say request that are not about a voice, and a wait."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"room": "demo", "text": "Da-dum!", "wait": "done"}]}
    )

    wait: Literal["accepted", "audible", "done"] = Field(default="accepted", description="What to wait for")
    timeout_s: float | None = Field(
        default=None,
        gt=0,
        le=LONGEST_WAIT_S,
        description="How long to wait; default: it fits the sound, and what waits before it",
    )
    room: str | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_NAME_CHARS,
        description="Room; default: the caller's, or `say.room`",
    )
    id: str | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_ID_CHARS,
        description="Chosen by the sender; the same id is heard once",
    )
    text: str | None = Field(
        default=None, max_length=MOST_CAPTION_CHARS, description="What is shown while it is heard"
    )
    captions: str | None = Field(
        default=None,
        max_length=MOST_CAPTION_CHARS,
        description="The same, part by part in its time: what a WebVTT or SRT file has; without `text`",
    )
    emotion: Emotion | None = Field(default=None, description="What the avatar's face shows with it")
    interrupt: bool | None = Field(
        default=None, description="Stop what is spoken, clear the queue, then have this heard"
    )
    priority: int | None = Field(default=None, ge=-100, le=100, description="Higher goes first")
    ttl_ms: int | None = Field(
        default=None, ge=1, le=MAX_TTL_MS, description="Not worth it if it had to wait longer"
    )
