"""What a model may ask the tools for: their input, as it is described to the model."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from libacli.core.emotion import Emotion
from libacli.core.messages import MAX_ID_CHARS

LONGEST_WAIT_S = 600.0
"""Ten minutes after its end an agent knows an utterance no more."""

Room = Annotated[
    str | None,
    Field(description="LiveKit room; leave it out for the usual one, which is nearly always right"),
]


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _leave_out(cls, given: object) -> object:
        """Models write null for what they leave out, also where there is a default of another kind."""
        if not isinstance(given, dict):
            return given
        return {name: value for name, value in given.items() if value is not None}


class SayArguments(_Arguments):
    """Of `say`."""

    text: str = Field(
        description="What to say, word for word, written for the ear. Markdown is read as prose; "
        "[pause 1.5s] makes a pause."
    )
    room: Room = None
    wait: Literal["accepted", "audible", "done"] = Field(
        default="accepted",
        description="When to answer: once it is in the queue (at once), once people hear it, or once it was "
        "spoken to its end",
    )
    timeout_s: float | None = Field(
        default=None,
        gt=0,
        le=LONGEST_WAIT_S,
        description="Seconds to wait at most; default: it fits the text. When they pass, the answer tells "
        "how far it has come, and it is still spoken.",
    )
    voice: str | None = Field(
        default=None, description="Speaker, one that `voices` lists; default: the usual"
    )
    speed: float | None = Field(default=None, ge=0.25, le=4.0, description="Pace, 1 is normal")
    emotion: Emotion | None = Field(default=None, description="What the avatar's face shows meanwhile")
    instructions: str | None = Field(
        default=None, max_length=1000, description="Tone and manner, for voices that follow such: 'whisper'"
    )
    interrupt: bool = Field(
        default=False, description="Cut off what is spoken, forget all that waits, and say this now"
    )
    priority: int = Field(
        default=0, ge=-100, le=100, description="Higher goes before what waits; equals in order"
    )


class StopArguments(_Arguments):
    """Of `stop`."""

    room: Room = None
    id: str | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_ID_CHARS,
        description="End this utterance alone; leave it out to stop all",
    )


class StatusArguments(_Arguments):
    """Of `status`."""

    id: str = Field(
        min_length=1, max_length=MAX_ID_CHARS, description="Id of the utterance, as `say` gave it"
    )
    room: Room = None


class QueueArguments(_Arguments):
    """Of `queue`."""

    room: Room = None


class VoicesArguments(_Arguments):
    """Of `voices`: none."""
