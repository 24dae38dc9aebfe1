"""What the page has to know."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from libacli.web.states import StateRules


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
