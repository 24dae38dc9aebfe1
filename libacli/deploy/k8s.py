"""Manifests for Kubernetes."""

from __future__ import annotations

from collections.abc import Iterable

from libacli.deploy.plan import Part, Plan
from libacli.deploy.secret_words import making_redis, to_fill_in
from libacli.deploy.sizes import START_S
from libacli.deploy.template import fill
from libacli.deploy.values import values_of

PARTS = (Part.SERVE, Part.REDIS, Part.OPENAI, Part.TAVUS, Part.NETWORK_POLICY)

_FOLDER = "/run/secrets/liba"
_PROBE_S = 5
_ROOMS_IN_USE = 0.7
"""Of a worker's rooms: when another worker is to come. One needs half a minute to be there."""

_GROWTH = 4
"""So many times as many workers as at least."""

_CREATE_REDIS = "#      kubectl --namespace {} create secret generic liba-redis --from-file=redis.conf"


def manifests(plan: Plan) -> str:
    """Manifests of all that `plan` asks for, in one file."""
    names = ["head.yaml", "agent.yaml"]
    names += [f"{part}.yaml" for part in (Part.SERVE, Part.REDIS, Part.NETWORK_POLICY) if part in plan.parts]
    values = _values(plan)
    of_serve = values | _secrets(plan.serve_secrets)
    return "".join(fill(f"k8s/{name}", of_serve if name == "serve.yaml" else values) for name in names)


def _values(plan: Plan) -> dict[str, object]:
    has_redis = Part.REDIS in plan.parts
    needed = plan.serve_secrets if Part.SERVE in plan.parts else plan.secrets
    return (
        values_of(plan)
        | _secrets(plan.secrets)
        | {
            "most_replicas": plan.replicas * _GROWTH,
            "serve_replicas": plan.replicas if has_redis else 1,
            "rooms_target": f"{int(plan.max_rooms * _ROOMS_IN_USE * 1000)}m",
            "start_failures": START_S // _PROBE_S,
            "settings": "- {name: LIBA_SAY_JOURNAL, value: redis}" if has_redis else "",
            "fill_in": to_fill_in(needed),
            "make_redis": making_redis("liba-redis") if has_redis else "",
            "from_files": " ".join(f"--from-file={name}" for name in needed),
            "create_redis": _CREATE_REDIS.format(plan.namespace) if has_redis else "",
        }
    )


def _secrets(names: Iterable[str]) -> dict[str, str]:
    names = tuple(names)
    return {
        "secret_variables": "\n".join(f"- {{name: {name}_FILE, value: {_FOLDER}/{name}}}" for name in names),
        "secret_items": "\n".join(f"- {{key: {name}, path: {name}}}" for name in names),
    }
