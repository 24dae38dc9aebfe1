"""What Kubernetes puts into the environment of each container, and what liba makes of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_LINK = re.compile(
    r"\w+_(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)"
)
_LINKED_ADDRESS = re.compile(r"(?:tcp|udp|sctp)://\S+:\d+")

POD_DEFAULTS: Mapping[str, Any] = {"agent_health_host": "0.0.0.0", "agent_health_port": 8081}
"""Field → its value in a pod where nobody says another one: the kubelet probes the pod's own address."""


def is_pod(environment: Mapping[str, str]) -> bool:
    """Whether this is the environment of a pod.

    https://kubernetes.io/docs/tutorials/services/connect-applications-service/#environment-variables
    """
    return bool(environment.get("KUBERNETES_SERVICE_HOST"))


def is_service_link(name: str, value: str) -> bool:
    """Whether a variable is there only because the pod's namespace has a Service that is called so.

    A Service `liba-serve` makes LIBA_SERVE_SERVICE_HOST, LIBA_SERVE_PORT=tcp://10.0.0.1:8080 and more, as
    Docker's links did: https://github.com/kubernetes/kubernetes/blob/master/pkg/kubelet/envvars/envvars.go
    """
    is_address = name.endswith("_PORT") and _LINKED_ADDRESS.fullmatch(value) is not None
    return is_address or _LINK.fullmatch(name) is not None
