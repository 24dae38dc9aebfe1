"""What a room is like."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from libacli.core.agent_status import AgentStatus


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
