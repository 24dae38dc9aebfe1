"""A livekit-server that can be killed and started again as the same one: same ports, same keys."""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
import time
from pathlib import Path
from typing import Any

import httpx2
import psutil
from platformdirs import user_cache_path
from pydantic import SecretStr

from libacli.config import LiveKitCredentials
from libacli.local.guard import GuardedProcess
from libacli.local.server_binary import ensure_server

_READY_TIMEOUT_S = 60.0


class Node:
    """`start`, `kill`, `start` again. Ends with its `with`. `settings` are further ones of the server."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self._folder = folder
        self._port, udp_port = _free_port(socket.SOCK_STREAM), _free_port(socket.SOCK_DGRAM)
        key, secret = "node", secrets.token_hex(32)
        self.credentials = LiveKitCredentials(f"ws://127.0.0.1:{self._port}", key, SecretStr(secret))
        rtc = {
            "node_ip": "127.0.0.1",
            "ips": {"includes": ["127.0.0.1/32"]},
            "enable_loopback_candidate": True,
            "use_external_ip": False,
            "tcp_port": 0,
            "udp_port": udp_port,
        }
        config = {"port": self._port, "bind_addresses": ["127.0.0.1"], "keys": {key: secret}, "rtc": rtc}
        config |= settings
        (folder / "node.yaml").write_text(json.dumps(config))
        self._process: GuardedProcess | None = None

    @property
    def environment(self) -> dict[str, str]:
        return {
            "LIVEKIT_URL": self.credentials.url,
            "LIVEKIT_API_KEY": self.credentials.api_key,
            "LIVEKIT_API_SECRET": self.credentials.api_secret.get_secret_value(),
        }

    def start(self) -> None:
        """Returns when it answers."""
        binary = ensure_server(None, user_cache_path("liba")).path
        with (self._folder / "node.log").open("ab") as log:
            self._process = GuardedProcess.start(
                [str(binary), "--config", str(self._folder / "node.yaml")], stdout=log, grace_s=0.2
            )
        deadline = time.monotonic() + _READY_TIMEOUT_S
        while not self._answers():
            assert time.monotonic() < deadline, (self._folder / "node.log").read_text()
            time.sleep(0.05)

    def kill(self) -> None:
        assert self._process
        for process in psutil.Process(self._process.pid).children(recursive=True):
            process.kill()
        self._process.terminate()

    async def restart(self, *, after_s: float) -> None:
        """Kills it, and starts it again `after_s` seconds later."""
        await asyncio.to_thread(self.kill)
        await asyncio.sleep(after_s)
        await asyncio.to_thread(self.start)

    def _answers(self) -> bool:
        try:
            return httpx2.get(f"http://127.0.0.1:{self._port}/", trust_env=False, timeout=1).is_success
        except httpx2.TransportError:
            return False

    def __enter__(self) -> Node:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process:
            self._process.terminate()


def _free_port(kind: int) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
