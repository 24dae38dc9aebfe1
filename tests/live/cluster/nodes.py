"""A LiveKit cluster: nodes and the Redis that joins them, each on a machine of its own, each to be killed."""

from __future__ import annotations

import json
import re
import secrets
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import httpx2
import psutil
from platformdirs import user_cache_path
from pydantic import SecretStr

from libacli.child_environment import environment_of
from libacli.config import LiveKitCredentials
from libacli.local.guard import GuardedProcess
from libacli.local.server_binary import ensure_server
from tests.live.cluster.tavus import KEY, Conversations
from tests.machines import Machine, Network
from tests.redis_server import redis_server

ROOT = Path(__file__).parents[3]

_READY_TIMEOUT_S = 60.0
_POLL_S = 0.05
_REDIS_PORT, _HTTP_PORT, _MEDIA_PORT, _VOICE_PORT, _TAVUS_PORT = 6379, 7880, 7882, 7990, 7991

MAX_CONVERSATIONS = 2
"""Of the account of all workers, that run at a time."""


def kill(process: GuardedProcess) -> None:
    """As a crash does: the command and all that it has started, at once."""
    with suppress(psutil.NoSuchProcess):
        below = psutil.Process(process.pid).children(recursive=True)
        for one in below:
            with suppress(psutil.NoSuchProcess):
                one.kill()
    process.terminate()


@dataclass
class Service:
    """A command on a machine: `start`, `kill`, `start` again."""

    machine: Machine
    command: Sequence[str | Path]
    port: int
    log: Path
    _process: GuardedProcess | None = None

    @property
    def address(self) -> str:
        return f"{self.machine.address}:{self.port}"

    def start(self) -> None:
        """Returns when it takes connections."""
        with self.log.open("ab") as out:
            self._process = self._run(out)
        deadline = time.monotonic() + _READY_TIMEOUT_S
        while not self._answers():
            assert self._process.poll() is None and time.monotonic() < deadline, self.log.read_text()
            time.sleep(_POLL_S)

    def kill(self) -> None:
        assert self._process
        kill(self._process)

    def end(self) -> None:
        if self._process:
            self._process.terminate()

    def _run(self, out: IO[bytes]) -> GuardedProcess:
        env = environment_of("python")
        return self.machine.start(self.command, out, env=env, cwd=ROOT, grace_s=0.2)

    def _answers(self) -> bool:
        try:
            with socket.create_connection((self.machine.address, self.port), timeout=1):
                return True
        except OSError:
            return False


class Node(Service):
    """A livekit-server. It answers when it is well, which is some time after it takes connections."""

    @property
    def ws_url(self) -> str:
        return f"ws://{self.address}"

    @property
    def id(self) -> str:
        """By which the cluster knows it since it was started last."""
        return str(re.findall(r'starting LiveKit server.*"nodeID": "(\w+)"', self.log.read_text())[-1])

    def _answers(self) -> bool:
        try:
            return httpx2.get(f"http://{self.address}/", trust_env=False, timeout=1).is_success
        except httpx2.TransportError:
            return False


@dataclass
class Cluster:
    """Nodes with their Redis, the balancer before them, and a voice and a Tavus for the workers."""

    network: Network
    folder: Path
    redis: Service
    nodes: list[Node]
    front: Service
    voice: Service
    tavus: Service
    credentials: LiveKitCredentials
    """At the balancer."""

    def near(self, number: int) -> LiveKitCredentials:
        """At that node, counted from 0, and at another one while it takes no connection."""
        there, machine = self.credentials, self.front.machine
        url = f"ws://{machine.address}:{self.front.port + 1 + number}"
        return LiveKitCredentials(url, there.api_key, there.api_secret)

    @property
    def conversations(self) -> Conversations:
        return Conversations(f"http://{self.tavus.address}")

    @property
    def environment(self) -> dict[str, str]:
        """What workers and commands need."""
        return {
            "LIVEKIT_URL": self.credentials.url,
            "LIVEKIT_API_KEY": self.credentials.api_key,
            "LIVEKIT_API_SECRET": self.credentials.api_secret.get_secret_value(),
            "OPENAI_BASE_URL": f"http://{self.voice.address}/v1",
            "OPENAI_API_KEY": "none",
            "LIBA_VOICE_PROVIDERS": "speech",
            "LIBA_SAY_RATE_PER_MINUTE": "0",
            "LIBA_SAY_MAX_CHARS_PER_HOUR": "0",
            "LIBA_REDIS_URL": f"redis://{self.redis.address}/0",
            "TAVUS_BASE_URL": f"http://{self.tavus.address}",
            "TAVUS_API_KEY": KEY,
            "LIBA_AVATAR_CHECK_PUBLIC": "false",
            "LIBA_AVATAR_MAX_CONVERSATIONS": str(MAX_CONVERSATIONS),
        }

    def start(self) -> None:
        for service in (self.redis, *self.nodes, self.front, self.voice, self.tavus):
            service.start()

    def end(self) -> None:
        for service in (self.tavus, self.voice, self.front, *self.nodes, self.redis):
            service.end()


def cluster(network: Network, folder: Path, *, nodes: int = 2) -> Cluster:
    """One that is not started yet."""
    keys = {f"liba{secrets.token_hex(4)}": secrets.token_hex(32)}
    redis = Service(
        network.machine(),
        [
            redis_server(),
            "--port",
            str(_REDIS_PORT),
            "--protected-mode",
            "no",
            "--appendonly",
            "yes",
            "--dir",
            folder,
        ],
        _REDIS_PORT,
        folder / "redis.log",
    )
    made = [node(network.machine(), folder, keys, redis.address) for _ in range(nodes)]
    machine = network.machine()
    front, voice, tavus = (
        Service(
            machine,
            [sys.executable, "-m", f"tests.live.cluster.{module}", machine.address, str(port), *more],
            port,
            folder / f"{module}.log",
        )
        for module, port, more in (
            ("balancer", _HTTP_PORT, [node.address for node in made]),
            ("voice", _VOICE_PORT, []),
            ("tavus", _TAVUS_PORT, []),
        )
    )
    ((key, secret),) = keys.items()
    there = LiveKitCredentials(f"ws://{front.address}", key, SecretStr(secret))
    return Cluster(network, folder, redis, made, front, voice, tavus, there)


def node(machine: Machine, folder: Path, keys: dict[str, str], redis: str = "") -> Node:
    """One that is not started yet; without the address of a Redis it is by itself."""
    config: dict[str, object] = {
        "port": _HTTP_PORT,
        "keys": keys,
        "region": "here",
        "rtc": {
            "node_ip": machine.address,
            "use_external_ip": False,
            "tcp_port": 0,
            "udp_port": _MEDIA_PORT,
        },
    }
    if redis:
        config["redis"] = {"address": redis}
    path = folder / f"{machine.name}.yaml"
    path.write_text(json.dumps(config))
    binary = ensure_server(None, user_cache_path("liba")).path
    return Node(machine, [binary, "--config", path], _HTTP_PORT, path.with_suffix(".log"))
