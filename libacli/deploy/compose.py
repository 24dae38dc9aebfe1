"""A file for Docker Compose: all of it on one machine."""

from __future__ import annotations

from collections.abc import Iterable

from libacli.deploy.plan import Part, Plan
from libacli.deploy.probe import probe
from libacli.deploy.secret_words import making_livekit, making_redis, to_fill_in
from libacli.deploy.template import fill
from libacli.deploy.values import values_of

PARTS = (Part.SERVE, Part.REDIS, Part.LIVEKIT, Part.OPENAI, Part.TAVUS)

_SERVICES = (Part.SERVE, Part.REDIS, Part.LIVEKIT)
_OWN_URL = "ws://livekit:7880"
_OWN_PUBLIC_URL = 'LIVEKIT_PUBLIC_URL: "ws://localhost:7880"'
"""Browsers know no service by its name."""


def compose_file(plan: Plan) -> str:
    """A Compose file with all that `plan` asks for."""
    names = ["head", "agent", *(part for part in _SERVICES if part in plan.parts), "tail"]
    values = values_of(plan) | _values(plan)
    return "".join(fill(f"compose/{name}.yaml", values) for name in names)


def _values(plan: Plan) -> dict[str, str]:
    has_redis, has_own = Part.REDIS in plan.parts, Part.LIVEKIT in plan.parts
    needed = plan.serve_secrets if Part.SERVE in plan.parts else plan.secrets
    others = [part for part in (Part.REDIS, Part.LIVEKIT) if part in plan.parts]
    own_url = {"url": _OWN_URL} if has_own else {}
    return own_url | {
        "public_url": _OWN_PUBLIC_URL if has_own else "",
        "settings": "LIBA_SAY_JOURNAL: redis" if has_redis else "",
        "depends_on": f"depends_on: [{', '.join(others)}]" if others else "",
        "agent_probe": probe(8081),
        "serve_probe": probe(8080),
        "fill_in": to_fill_in(needed),
        "make_redis": making_redis("redis") if has_redis else "",
        "make_livekit": making_livekit() if has_own else "",
        "secret_variables": _variables(plan.secrets),
        "secret_names": ", ".join(plan.secrets),
        "serve_secret_variables": _variables(plan.serve_secrets),
        "serve_secret_names": ", ".join(plan.serve_secrets),
        "volumes": "\n".join(f"{name}:" for name in _volumes(plan)),
        "secrets": _sources([*needed, *_config_files(plan)]),
    }


def _variables(secrets: Iterable[str]) -> str:
    return "\n".join(f"{name}_FILE: /run/secrets/{name}" for name in secrets)


def _sources(secrets: Iterable[str]) -> str:
    return "\n".join(f"{name}: {{file: ./secrets/{name}}}" for name in secrets)


def _volumes(plan: Plan) -> list[str]:
    own = {Part.SERVE: "serve-state", Part.REDIS: "redis"}
    return ["state", "cache", *(name for part, name in own.items() if part in plan.parts)]


def _config_files(plan: Plan) -> list[str]:
    own = {Part.REDIS: "redis.conf", Part.LIVEKIT: "livekit.yaml"}
    return [name for part, name in own.items() if part in plan.parts]
