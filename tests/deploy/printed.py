"""All that `liba deploy` can print, and containers and variables in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from libacli.cli.runs.deploy import (
    compose_files,
    dockerfile_files,
    k8s_files,
    livekit_cloud_files,
    systemd_files,
)

K8S = {
    words: k8s_files(words)["liba.yaml"] for words in ("", "serve", "serve,redis,openai,tavus,network-policy")
}
COMPOSE = {
    words: compose_files(words)["compose.yaml"]
    for words in ("", "serve,redis", "serve,redis,livekit,openai,tavus")
}
CLOUD = livekit_cloud_files(
    agent_id="CA_x", from_source=False, url="wss://my-project.livekit.cloud", agent_name="liba"
)
DOCKERFILES = {
    "from an index": dockerfile_files(from_source=False)["Dockerfile"],
    "from source": dockerfile_files(from_source=True)["Dockerfile"],
    "for LiveKit Cloud": CLOUD["Dockerfile"],
}
UNITS = systemd_files("serve,redis,openai,tavus", program="/usr/bin/true")

ALL = {
    **{f"k8s {words}": text for words, text in K8S.items()},
    **{f"compose {words}": text for words, text in COMPOSE.items()},
    **{f"Dockerfile {words}": text for words, text in DOCKERFILES.items()},
    **UNITS,
}


def documents(text: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(text))


def pods() -> Iterator[tuple[str, dict[str, Any]]]:
    """Each pod of the largest set, by the name of what makes it."""
    for document in documents(list(K8S.values())[-1]):
        if "template" in document["spec"]:
            yield document["metadata"]["name"], document["spec"]["template"]["spec"]


def services() -> dict[str, dict[str, Any]]:
    """Each service of the largest set."""
    found: dict[str, dict[str, Any]] = yaml.safe_load(list(COMPOSE.values())[-1])["services"]
    return found


_NAME = r"((?:LIBA|LIVEKIT|OPENAI|TAVUS)_[A-Z_]+)"
_GIVEN = (
    rf"^ +- {{name: {_NAME}, value: ",  # a pod's
    rf"^ {{6}}{_NAME}: ",  # a service's
    rf"^ {{4}}{_NAME}=",  # a Dockerfile's
    rf"^Environment=(?:.* )?\"?{_NAME}=",  # a unit's
    rf"^Environment=\"{_NAME}=",
)


def variables(text: str) -> set[str]:
    """Names of settings that `text` gives a value to."""
    return {name for shape in _GIVEN for name in re.findall(shape, text, re.MULTILINE)}
