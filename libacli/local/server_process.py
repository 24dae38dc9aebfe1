"""A livekit-server of our own on loopback: started, watched, ended with us."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2

from libacli.child_environment import environment_of
from libacli.core.jws import signed
from libacli.errors import ConfigError, InstallError
from libacli.local.guard import GuardedProcess
from libacli.local.log_files import is_running, new_log_file
from libacli.private_files import new_private_file, private_folder

_LOOPBACK = "127.0.0.1"
_ATTEMPTS = 5
_GRACE_S = 0.5  # it keeps nothing, and SIGTERM makes it wait for participants without a bound
_POLL_S = 0.05
_PORT_TAKEN = "address already in use"


@dataclass(frozen=True)
class LocalServer:
    """A livekit-server that answers on loopback."""

    url: str
    """ws://127.0.0.1:<port>"""

    api_key: str
    api_secret: str = field(repr=False)
    """Made for this run; nobody else has it."""

    log_path: Path
    """All that the server writes, with mode 0600."""

    process: GuardedProcess = field(repr=False)

    @property
    def pid(self) -> int:
        """Process id of the server's guard; SIGTERM to it ends the server."""
        return self.process.pid

    def returncode(self) -> int | None:
        """Exit code of the server, None while it runs."""
        return self.process.poll()

    def wait(self, timeout: float | None = None) -> int | None:
        """Waits up to `timeout` seconds for the server to end; its exit code, or None when it still runs."""
        return self.process.wait(timeout)


class _PortTakenError(InstallError):
    """Somebody bound a port between our choosing it and the server's asking for it."""


@contextmanager
def run_server(
    binary: Path, state_dir: Path, *, port: int | None = None, ready_timeout_s: float = 15.0
) -> Iterator[LocalServer]:
    """Runs a livekit-server for as long as the context lasts, on `port` or one that is free.

    On entry it answers to its key. Raises ConfigError for a port that is taken or a state directory that
    cannot be written, InstallError for a server that ends or stays silent for `ready_timeout_s` seconds.
    """
    try:
        server = _start(binary, state_dir, port, ready_timeout_s)
    except OSError as error:
        raise ConfigError(
            f"cannot use {error.filename or state_dir} to run a LiveKit server: {error.strerror}",
            hint=f"make {state_dir} writable, or free some space on its disk",
        ) from error
    with server.process:
        yield server


def _start(binary: Path, state_dir: Path, port: int | None, ready_timeout_s: float) -> LocalServer:
    log_path = new_log_file(state_dir / "logs", "livekit-server")
    with _run_directory(state_dir / "servers") as run_dir:
        for _ in range(_ATTEMPTS - 1):
            with suppress(_PortTakenError):
                return _attempt(binary, run_dir, log_path, _free_ports(port), ready_timeout_s)
        return _attempt(binary, run_dir, log_path, _free_ports(port), ready_timeout_s)


def _attempt(
    binary: Path, run_dir: Path, log_path: Path, ports: tuple[int, int], ready_timeout_s: float
) -> LocalServer:
    api_key, api_secret = f"liba{secrets.token_hex(4)}", secrets.token_hex(32)
    config = run_dir / "livekit.yaml"
    _write_private(config, json.dumps(_server_config(ports, api_key, api_secret)))
    with ExitStack() as undo:
        with log_path.open("ab") as log:
            command = [str(binary.absolute()), "--config", str(config.absolute())]
            # No more than that: a LIVEKIT_KEYS or UDP_PORT of the user would override the file.
            env = environment_of("program")
            process = GuardedProcess.start(command, env=env, stdout=log, grace_s=_GRACE_S)
        undo.enter_context(process)
        server = LocalServer(f"ws://{_LOOPBACK}:{ports[0]}", api_key, api_secret, log_path, process)
        _wait_until_it_answers(server, ready_timeout_s)
        undo.pop_all()
        return server


def _server_config(ports: tuple[int, int], api_key: str, api_secret: str) -> dict[str, object]:
    http_port, udp_port = ports
    return {
        "port": http_port,
        "bind_addresses": [_LOOPBACK],
        "keys": {api_key: api_secret},
        "room": {"auto_create": True, "sync_streams": True},  # lips wait for what they say
        "logging": {"level": "info"},
        "rtc": {
            "node_ip": _LOOPBACK,
            "ips": {"includes": [f"{_LOOPBACK}/32"]},
            "enable_loopback_candidate": True,
            "use_external_ip": False,
            "tcp_port": 0,  # it would be open on all interfaces; loopback needs no fallback for UDP
            "udp_port": udp_port,
        },
    }


def _wait_until_it_answers(server: LocalServer, bound_s: float) -> None:
    deadline = time.monotonic() + bound_s
    with httpx2.Client(trust_env=False, timeout=1.0) as client:
        while not _answers(server, client):
            if server.wait(_POLL_S) is not None:
                last_line = _last_line(server.log_path)
                kind = _PortTakenError if _PORT_TAKEN in last_line else InstallError
                raise kind(
                    f"livekit-server ended before it answered: {last_line or 'it said nothing'}",
                    hint=f"its log is {server.log_path}; `liba server install` fetches another binary",
                )
            if time.monotonic() > deadline:
                raise InstallError(
                    f"livekit-server did not answer within {bound_s:g} s",
                    hint=f"its log is {server.log_path}",
                )


def _answers(server: LocalServer, client: httpx2.Client) -> bool:
    """Whether it is our server that answers on the port: another one would refuse our key."""
    soon = datetime.now(UTC) + timedelta(minutes=1)
    claims = {"iss": server.api_key, "exp": int(soon.timestamp()), "video": {"roomList": True}}
    url = server.url.replace("ws", "http", 1) + "/twirp/livekit.RoomService/ListRooms"
    token = signed(claims, server.api_secret)
    try:
        return client.post(url, json={}, headers={"Authorization": f"Bearer {token}"}).is_success
    except httpx2.TransportError:
        return False


def _free_ports(http_port: int | None) -> tuple[int, int]:
    """Ports for HTTP and media (UDP) that are free right now."""
    with ExitStack() as stack:
        http, udp = (
            stack.enter_context(socket.socket(socket.AF_INET, kind))
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM)
        )
        if http_port is not None:
            http.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does: not TIME_WAIT
        try:
            http.bind((_LOOPBACK, http_port or 0))
        except (OSError, OverflowError) as error:
            raise ConfigError(
                f"port {http_port} cannot be used: {getattr(error, 'strerror', None) or error}",
                hint="name another port, or none, and a free one is chosen",
            ) from error
        udp.bind((_LOOPBACK, 0))
        return http.getsockname()[1], udp.getsockname()[1]


@contextmanager
def _run_directory(parent: Path) -> Iterator[Path]:
    """A directory for the secret while the server starts; what killed runs left there is removed."""
    private_folder(parent)
    for left in parent.glob("*-*"):
        if not is_running(left.name.partition("-")[0]):
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f"{os.getpid()}-", dir=parent) as path:
        yield Path(path)


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(new_private_file(path), "w") as file:
        file.write(text)


def _last_line(path: Path) -> str:
    lines = path.read_text(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
