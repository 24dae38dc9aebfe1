"""What goes in and out, as OpenAPI describes it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field, model_validator

from libacli.core.agent_status import AgentStatus
from libacli.core.emotion import Emotion
from libacli.core.given_sound import MOST_CAPTION_CHARS
from libacli.core.lifecycle import MOVES
from libacli.core.messages import MAX_ID_CHARS
from libacli.core.protocol import MAX_NAME_CHARS
from libacli.web.states import StateRules

LONGEST_WAIT_S = 600.0
"""Ten minutes after its end an agent knows an utterance no more."""

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


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class SayBody(_Body):
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
        default=None, ge=1, le=86_400_000, description="Not worth saying if it had to wait longer"
    )


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
        default=None, ge=1, le=86_400_000, description="Not worth it if it had to wait longer"
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


class StopBody(_Body):
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


class MoveBody(_Body):
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


class NextBody(_Body):
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


class AgentState(BaseModel):
    """An agent that takes requests."""

    name: str
    model: str = Field(description="Model of its voice")
    voice_state: str = Field(default="", description="Why it is not the voice that is asked first")
    epoch: str


class RoomState(BaseModel):
    """A room, as its agent tells it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "room": "demo",
                    "agent": {"name": "liba", "model": "hibari", "epoch": "5c89a277"},
                    "avatar": "ready",
                    "queue": 0,
                    "paused": False,
                    "speaking": None,
                    "waiting": [],
                    "waiting_left_out": 0,
                    "caps": [],
                }
            ]
        }
    )

    room: str
    agent: AgentState | None = Field(default=None, description="null: there is none, or none that answers")
    avatar: str | None = Field(default=None, description="`ready`, or the reason why not")
    queue: int = Field(default=0, description="Utterances that wait")
    paused: bool = Field(default=False, description="Nothing begins until the queue is resumed")
    speaking: dict[str, Any] | None = Field(default=None, description="Report of what is spoken")
    waiting: list[dict[str, Any]] = Field(default=[], description="Reports of what waits, next one first")
    waiting_left_out: int = Field(default=0, description="How many more wait behind those")
    caps: list[dict[str, Any]] = Field(default=[], description="What may be spent, and what is used up")


def room_state(room: str, status: AgentStatus | None) -> RoomState:
    """The state of `room` as all of the API tells it, from what its agent said; None: there is none."""
    if status is None:
        return RoomState(room=room)
    facts = status.facts
    return RoomState(
        room=room,
        agent=AgentState(
            name=facts.agent,
            model=facts.model,
            voice_state=facts.voice_state,
            epoch=facts.epoch,
        ),
        avatar=facts.avatar,
        queue=facts.queue,
        paused=facts.paused,
        speaking=status.speaking.encode() if status.speaking else None,
        waiting=[report.encode() for report in status.waiting],
        waiting_left_out=status.waiting_left_out,
        caps=[asdict(cap) for cap in status.caps],
    )


class TokenBody(_Body):
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


class LatencyBudgets(BaseModel):
    """Milliseconds that are fine for each part of the latency."""

    d01: float
    d12: float
    d2a: float


class PageInfo(BaseModel):
    """What the page has to know before anybody is let in."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "room": "demo",
                    "agent": "liba",
                    "needs_key": False,
                    "max_text_chars": 4000,
                    "voices": ["heart", "british"],
                    "usual_voice": "heart",
                    "usual_speed": 1.0,
                    "budgets": {"d01": 900, "d12": 50, "d2a": 500},
                    "states": {"done": {"rank": 3, "is_final": True, "is_over": True}},
                    "version": "0.1.0",
                    "video": True,
                }
            ]
        }
    )

    room: str
    agent: str = Field(description="Name that the agent is dispatched by")
    needs_key: bool
    max_text_chars: int
    voices: list[str] = Field(description="Speakers to choose from; others may exist")
    usual_voice: str = Field(description="Who speaks unless a line asks for another; empty: not known here")
    usual_speed: float = Field(description="As fast as it is unless a line asks for another pace")
    budgets: LatencyBudgets
    states: dict[str, StateRules] = Field(description="By name, `lost` included, which only watchers say")
    version: str
    video: bool = Field(description="Whether the LiveKit client is there, which shows picture and sound")


class Health(BaseModel):
    """That it is well."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "ok"}]})

    status: str
    shared: str | None = Field(default=None, description="`ok` or `unreachable`: what servers share")
