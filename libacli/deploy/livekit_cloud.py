"""A folder that `lk agent create` and `lk agent deploy` take.

Facts: https://docs.livekit.io/deploy/agents (what is built and injected), and livekit-cli 2 (`pkg/agentfs`),
which builds no folder without a `requirements.txt` or the like that asks for livekit-agents.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from libacli.deploy.dockerfile import image
from libacli.deploy.plan import Plan, checked
from libacli.deploy.template import fill
from libacli.errors import UsageError

PINS_FILE = "requirements.txt"

_PROJECT = re.compile(r"wss://([a-z0-9-]+)\.livekit\.cloud/?")
_NEEDED_ALONE = f"*\n!Dockerfile\n!{PINS_FILE}"
_NEEDED_OF_SOURCE = ".git\n.venv\n**/__pycache__\n**/.env*\ntests"


def folder(
    plan: Plan, pins: Sequence[str], *, from_source: bool, agent_id: str | None = None
) -> dict[str, str]:
    """The folder's files by name; `livekit.toml` only for an agent that exists already.

    Raises UsageError for an `agent_id` without the address of its project.
    """
    values = {"version": plan.version, "ignored": _NEEDED_OF_SOURCE if from_source else _NEEDED_ALONE}
    # Its own health check looks from outside of the container.
    settings = [
        "LIBA_AGENT_HEALTH_HOST=0.0.0.0 \\",
        f"LIBA_AGENT_NAME={plan.agent_name} \\",
        f"LIBA_AGENT_MAX_ROOMS={plan.max_rooms} \\",
    ]
    built = image(
        plan.version,
        head=fill("livekit-cloud/head", values),
        constraints=f"COPY {PINS_FILE} /constraints.txt",
        from_source=from_source,
        settings="\n".join(settings),
    )
    files = {
        "Dockerfile": built,
        PINS_FILE: "# Constraints for pip: what liba stands on.\n" + "\n".join(pins) + "\n",
        ".dockerignore": fill("livekit-cloud/dockerignore", values),
    }
    if agent_id is not None:
        files["livekit.toml"] = _livekit_toml(plan.url, agent_id)
    return files


def _livekit_toml(url: str, agent_id: str) -> str:
    project = _PROJECT.fullmatch(url)
    if not project:
        raise UsageError(
            "an agent of LiveKit Cloud belongs to a project", hint="add --url wss://my-project.livekit.cloud"
        )
    values = {"subdomain": checked("subdomain", project[1]), "agent_id": checked("agent id", agent_id)}
    return fill("livekit-cloud/livekit.toml", values)
