"""What the places in all templates stand for."""

from __future__ import annotations

from libacli.deploy.plan import Plan
from libacli.deploy.sizes import GRACE_S, START_S, sizes

_REDIS_IMAGE = "redis:8.2-alpine"
_URL_TO_FILL_IN = "wss://YOUR-PROJECT.livekit.cloud"


def values_of(plan: Plan) -> dict[str, object]:
    """By name: what is the same for whichever target. Times are in seconds, sizes in MiB."""
    size = sizes(plan.max_rooms)
    return {
        "version": plan.version,
        "image": plan.image or f"liba:{plan.version}",
        "redis_image": _REDIS_IMAGE,
        "livekit_version": plan.livekit_version,
        "url": plan.url or _URL_TO_FILL_IN,
        "agent_name": plan.agent_name,
        "namespace": plan.namespace,
        "max_rooms": plan.max_rooms,
        "replicas": plan.replicas,
        "grace": GRACE_S,
        "start": START_S,
        "millicores": size.millicores,
        "memory": size.memory_mb,
        "memory_most": size.memory_most_mb,
    }
