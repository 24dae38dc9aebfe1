"""What `liba deploy` prints for containers is really run, by a user who can write hardly anywhere."""

from __future__ import annotations

import json
import secrets as randomness
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from platformdirs import user_cache_path

from libacli.local.server_binary import ensure_server
from tests.containers.container import Container, Socket, Web
from tests.containers.image import Image, liba_image
from tests.containers.machine import ADDRESS, Machine, Running, machine, status
from tests.containers.manifests import commands_of, of_compose, of_kubernetes
from tests.live.conftest import Shell

pytestmark = pytest.mark.live

LIVEKIT_PORT = 7880
START_S = 60.0
LINE = "This comes out of a container."


@pytest.fixture
def images(bare_shell: Shell, tmp_path: Path) -> dict[str, Image]:
    """By the name of what runs them."""
    liba = liba_image(bare_shell.run("deploy", "dockerfile").stdout, tmp_path)
    server = tmp_path / "livekit-server"  # the one in the cache is its owner's alone
    shutil.copy(ensure_server(None, user_cache_path("liba")).path, server)
    server.chmod(0o755)
    livekit = Image(("/livekit-server",), binds={"/livekit-server": server})
    return {"agent": liba, "serve": liba, "redis": Image(), "livekit": livekit}


def filled_in(shell: Shell, text: str, folder: Path) -> str:
    """Makes the secrets as the head of `text` tells one to; returns the key of the page."""
    folder.mkdir(mode=0o700)
    made = json.loads(shell.run("serve", "--new-key", "page", "--json").stdout)
    (folder / "LIBA_SERVE_KEYS").write_text(made["entry"] + "\n")
    (folder / "LIVEKIT_API_KEY").write_text("APImadeup\n")
    (folder / "LIVEKIT_API_SECRET").write_text(randomness.token_hex(32) + "\n")
    subprocess.run(["sh", "-ec", commands_of(text)], cwd=folder, check=True)
    return str(made["key"])


def say(shell: Shell, network: Machine, folder: Path) -> None:
    """Has a line spoken, as anybody may who has the LiveKit server's key, and waits until it is heard."""
    keys = {name: (folder / name).read_text().strip() for name in ("LIVEKIT_API_KEY", "LIVEKIT_API_SECRET")}
    env = shell.environment | keys | {"LIVEKIT_URL": f"ws://{ADDRESS}:{LIVEKIT_PORT}"}
    command = shell.command("say", LINE, "--wait", "audible", "--timeout", "40", "--json")
    ended = network.run(command, env=env, cwd=shell.folder)
    assert ended.returncode == 0, ended.stderr


@contextmanager
def all_running(
    network: Machine, containers: Mapping[str, Container], first: Mapping[str, int]
) -> Iterator[dict[str, Running]]:
    """All of them are alive; those of `first` are, at their ports, before the others begin."""
    if not containers:
        yield {}
        return
    name = next(iter([*(name for name in first if name in containers), *containers]))
    with network.running(containers[name]) as running:
        if name in first:
            running.wait_until(Socket(first[name]), within_s=START_S)
        others = {other: container for other, container in containers.items() if other != name}
        with all_running(network, others, first) as rest:
            if running.container.alive:
                running.wait_until(running.container.alive, within_s=running.container.start_s)
            yield {name: running} | rest


def ends_in_time(running: Running) -> None:
    running.end()
    assert running.code == 0, running.log
    assert "Traceback" not in running.log


def test_what_compose_starts_speaks_and_ends_within_its_grace(
    bare_shell: Shell, images: dict[str, Image], tmp_path: Path
) -> None:
    text = bare_shell.run("deploy", "compose", "--with", "serve,redis,livekit").stdout
    key = filled_in(bare_shell, text, tmp_path / "secrets")
    containers = of_compose(text, images, tmp_path)
    first = {"redis": 6379, "livekit": LIVEKIT_PORT}
    with machine(tmp_path, ["redis", "livekit"]) as network, all_running(network, containers, first) as up:
        say(bare_shell, network, tmp_path / "secrets")
        up["serve"].wait_until(Web(8080, "/readyz"), within_s=START_S)
        headers = (f"Authorization: Bearer {key}", "Content-Type: application/json")
        body = json.dumps({"text": LINE, "room": "demo"})
        assert status(network, f"http://{ADDRESS}:8080/api/say", *headers, body=body) == 202
        ends_in_time(up["agent"])
        ends_in_time(up["serve"])
        ends_in_time(up["redis"])


def test_what_kubernetes_starts_is_ready_speaks_and_ends_within_its_grace(
    bare_shell: Shell, images: dict[str, Image], tmp_path: Path
) -> None:
    text = bare_shell.run("deploy", "k8s", "--url", f"ws://livekit:{LIVEKIT_PORT}").stdout
    own = bare_shell.run("deploy", "compose", "--with", "livekit").stdout
    filled_in(bare_shell, own, tmp_path / "secrets")
    subprocess.run(["sh", "-ec", commands_of(text)], cwd=tmp_path / "secrets", check=True)
    livekit = of_compose(own, images, tmp_path)["livekit"]
    containers = {"livekit": livekit} | of_kubernetes(text, images, tmp_path / "secrets")
    first = {"redis": 6379, "livekit": LIVEKIT_PORT}
    with (
        machine(tmp_path, ["livekit", "liba-redis"]) as network,
        all_running(network, containers, first) as up,
    ):
        for name in ("redis", "agent", "serve"):
            up[name].wait_until(up[name].container.ready, within_s=START_S)
        say(bare_shell, network, tmp_path / "secrets")
        assert "liba_rooms_in_use 1.0" in scraped(network)
        for name in ("agent", "serve", "redis"):
            ends_in_time(up[name])


def scraped(network: Machine) -> str:
    """What Prometheus gets, where the manifest's annotations send it."""
    code = f"import urllib.request as r; print(r.urlopen('http://{ADDRESS}:9464/metrics').read().decode())"
    return network.run([sys.executable, "-I", "-c", code]).stdout
