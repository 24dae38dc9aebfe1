"""Settings `agent.*`: the worker and its rooms."""

from typing import Literal

from pydantic import Field

from libacli.settings.group import Group


class AgentSettings(Group):
    """How it is found, and how much it takes on."""

    agent_name: str = Field(
        default="liba", min_length=1, max_length=64, description="Name the agent is dispatched by"
    )
    agent_max_rooms: int = Field(
        default=8, ge=1, le=1000, description="Rooms that one worker takes at a time"
    )
    agent_isolation: Literal["process", "thread"] = Field(
        default="process", description="A process per room, or a thread, which needs far less memory"
    )
    agent_health_host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="Address to bind the health check to; under Kubernetes 0.0.0.0, unless it is set",
    )
    agent_health_port: int = Field(
        default=0,
        ge=0,
        le=65535,
        description="Port of the health check; 0: any free one; under Kubernetes 8081, unless it is set",
    )
