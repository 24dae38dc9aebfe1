"""Reads containers out of what `liba deploy` prints."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.containers.container import Command, Container, Folder, Probe, Socket, Web
from tests.containers.image import Image


def of_kubernetes(text: str, images: Mapping[str, Image], secrets: Path) -> dict[str, Container]:
    """The container of each pod, by its name."""
    pods = {}
    for document in yaml.safe_load_all(text):
        template = document["spec"].get("template")
        if template:
            container = _of_pod(template["spec"], document, images, secrets)
            pods[container.name] = container
    return pods


def _of_pod(
    pod: Mapping[str, Any],
    document: Mapping[str, Any],
    images: Mapping[str, Image],
    secrets: Path,
) -> Container:
    (container,) = pod["containers"]
    name, user = container["name"], pod["securityContext"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    claims = document["spec"].get("volumeClaimTemplates", ())
    written = {"emptyDir" in volume and volume["name"] for volume in volumes.values()}
    written |= {claim["metadata"]["name"] for claim in claims}
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    secret = volumes["secrets"]["secret"]
    keys = [item["key"] for item in secret["items"]] if "items" in secret else ["redis.conf"]
    startup = container["startupProbe"]
    return Container(
        name=name,
        image=images[name],
        argv=tuple(container.get("command", ()) or container["args"]),
        env={item["name"]: item["value"] for item in container.get("env", ())},
        uid=user["runAsUser"],
        gid=user["runAsGroup"],
        grace_s=pod["terminationGracePeriodSeconds"],
        folders=tuple(
            # https://kubernetes.io/docs/tasks/configure-pod-container/security-context: fsGroup
            Folder(path, 0, user["fsGroup"], 0o2777)
            for name, path in mounts.items()
            if name in written
        ),
        secrets={f"{mounts['secrets']}/{key}": secrets / key for key in keys},
        secret_mode=secret["defaultMode"],
        alive=_probe(startup, ports),
        ready=_probe(container["readinessProbe"], ports),
        start_s=startup["periodSeconds"] * startup["failureThreshold"],
    )


def _probe(probe: Mapping[str, Any], ports: Mapping[str, int]) -> Probe:
    if "tcpSocket" in probe:
        return Socket(ports[probe["tcpSocket"]["port"]])
    return Web(ports[probe["httpGet"]["port"]], probe["httpGet"]["path"])


def of_compose(text: str, images: Mapping[str, Image], folder: Path) -> dict[str, Container]:
    """The container of each service, by its name; its secrets are files below `folder`."""
    document = yaml.safe_load(text)
    return {
        name: _of_service(name, service, document, images[name], folder)
        for name, service in document["services"].items()
    }


def _of_service(
    name: str, service: Mapping[str, Any], document: Mapping[str, Any], image: Image, folder: Path
) -> Container:
    uid, gid = map(int, service["user"].split(":"))
    volumes = [volume.split(":")[1] for volume in service.get("volumes", ())]
    check = service.get("healthcheck")
    assert service["read_only"]
    return Container(
        name=name,
        image=image,
        argv=tuple(service["command"]),
        env=service.get("environment", {}),
        uid=uid,
        gid=gid,
        grace_s=_seconds(service["stop_grace_period"]),
        folders=(
            # A new volume belongs to whom its place in the image does.
            *(Folder(path, uid, gid, 0o700) for path in volumes),
            *(Folder(tmpfs.split(":")[0], 0, 0, 0o1777) for tmpfs in service.get("tmpfs", ())),
        ),
        secrets={
            f"/run/secrets/{secret}": folder / document["secrets"][secret]["file"]
            for secret in service["secrets"]
        },
        alive=_check(check["test"]) if check else None,
        start_s=_seconds(check["start_period"]) if check else 0,
    )


def _check(test: list[str]) -> Command:
    kind, *argv = test
    return Command(("/bin/sh", "-c", *argv) if kind == "CMD-SHELL" else tuple(argv))


def _seconds(duration: str) -> int:
    match = re.fullmatch(r"(\d+)s", duration)
    assert match
    return int(match[1])


def commands_of(text: str) -> str:
    """The shell commands of a file's head that make secrets, as somebody types them who follows it."""
    commands: list[str] = []
    for line in text.splitlines():
        command = line.removeprefix("#").strip()
        goes_on = bool(commands) and commands[-1].endswith("\\")
        if line.startswith("#      ") and (goes_on or command.startswith(("printf ", "chmod "))):
            commands.append(command)
    return "\n".join(commands)
