"""A machine of a test's own: a network that nobody else is on, and containers that share it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import psutil
import pytest

from tests.containers.container import Command, Container, Probe, Web
from tests.leftover_processes import MARK
from tests.programs import program
from tests.started import started

ADDRESS = "10.88.0.2"
"""Of everything on a `Machine`; of loopback nobody is to need to know."""

_NETWORK = (
    "ip link set lo up && ip link add eth0 type veth peer name eth1 && "
    f"ip address add {ADDRESS}/24 dev eth0 && ip link set eth0 up && ip link set eth1 up && "
    "echo up && exec sleep infinity"
)
_POLL_S = 0.2
_PROBE_TIMEOUT_S = 5.0


class Machine:
    """Runs containers. Whoever makes one has `network`, a process whose network they share."""

    def __init__(self, network: int, folder: Path, names: Sequence[str]) -> None:
        self.network = network
        self._folder = folder
        self._hosts = folder / "hosts"
        self._hosts.write_text("127.0.0.1 localhost\n" + "".join(f"{ADDRESS} {name}\n" for name in names))

    def run(
        self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command on this machine's network, and else as here."""
        command = ["nsenter", f"--net=/proc/{self.network}/ns/net", *argv]
        return subprocess.run(
            command, env=env, cwd=cwd, text=True, capture_output=True, timeout=60, check=False
        )

    @contextmanager
    def running(self, container: Container) -> Iterator[Running]:
        """Starts it; whatever is left of it afterwards is killed."""
        folder = self._folder / container.name
        (folder / "root").mkdir(parents=True)
        wanted = folder / "wanted.json"
        wanted.write_text(json.dumps(self._wanted(container, folder / "root")))
        command = [
            "nsenter", f"--net=/proc/{self.network}/ns/net",
            "unshare", "--mount", "--propagation=private", "--pid", "--fork", "--kill-child",
            sys.executable, "-I", "-S", str(Path(__file__).parent / "root.py"), str(wanted),
        ]  # fmt: skip
        log = folder / "log"
        with log.open("wb") as out, started(command, stdout=out, stderr=out) as process:
            running = Running(self, container, process, log)
            try:
                yield running
            finally:
                running.kill()

    def _wanted(self, container: Container, root: Path) -> dict[str, object]:
        return {
            "root": str(root),
            "hosts": str(self._hosts),
            "binds": {inside: str(here) for inside, here in container.image.binds.items()},
            "secrets": {inside: str(here) for inside, here in container.secrets.items()},
            "secret_mode": container.secret_mode,
            "gid": container.gid,
            "folders": [asdict(folder) for folder in container.folders],
            "argv": as_user(container, [*container.image.entrypoint, *container.argv]),
        }


class Running:
    """A container that was started."""

    def __init__(
        self, machine: Machine, container: Container, process: subprocess.Popen[bytes], log: Path
    ) -> None:
        self._machine = machine
        self._process = process
        self._log = log
        self.container = container

    @property
    def log(self) -> str:
        """All that it wrote."""
        return self._log.read_text(errors="replace")

    def wait_until(self, probe: Probe | None, *, within_s: float) -> None:
        """Returns when `probe` is content; fails when it never is, or the container has ended."""
        assert probe
        deadline = time.monotonic() + within_s
        while not self.passes(probe):
            assert self._process.poll() is None, f"{self.container.name} has ended:\n{self.log}"
            assert time.monotonic() < deadline, f"{self.container.name}: no {probe}\n{self.log}"
            time.sleep(_POLL_S)

    def passes(self, probe: Probe) -> bool:
        """Whether the container is as `probe` wants it."""
        if isinstance(probe, Command):
            return self._succeeds_inside(probe.argv)
        if isinstance(probe, Web):
            return status(self._machine, f"http://{ADDRESS}:{probe.port}{probe.path}") == 200
        code = f"import socket; socket.create_connection(('{ADDRESS}', {probe.port}), 1)"
        return self._machine.run([sys.executable, "-I", "-c", code]).returncode == 0

    def end(self) -> float:
        """Sends SIGTERM and returns how many seconds it took to end; fails beyond the time it is given."""
        begin = time.monotonic()
        first = self._first()
        assert first, f"{self.container.name} has ended:\n{self.log}"
        os.kill(first, signal.SIGTERM)
        try:
            self._process.wait(self.container.grace_s)
        except subprocess.TimeoutExpired:
            pytest.fail(
                f"{self.container.name} would be killed after {self.container.grace_s} s:\n{self.log}"
            )
        return time.monotonic() - begin

    def kill(self) -> None:
        """Ends it at once, with all that it started; nothing when it has ended.

        Not by its parent's end: the kernel forgets that wish of a process that becomes another user.
        """
        if first := self._first():
            os.kill(first, signal.SIGKILL)
            self._process.wait()

    @property
    def code(self) -> int | None:
        """Its exit code; None while it runs."""
        return self._process.poll()

    def _first(self) -> int:
        """Process 1 of the container, as it is called here; 0 where there is none, yet or any more."""
        try:
            return int(psutil.Process(self._process.pid).children()[0].pid)
        except (psutil.NoSuchProcess, IndexError):
            return 0

    def _succeeds_inside(self, argv: Sequence[str]) -> bool:
        if not (first := self._first()):
            return False
        enter = ["nsenter", f"--target={first}", "--mount", "--pid", "--net", "--root"]
        command = [*enter, *as_user(self.container, argv)]
        ended = subprocess.run(command, capture_output=True, timeout=_PROBE_TIMEOUT_S, check=False)
        return ended.returncode == 0


def as_user(container: Container, argv: Sequence[str]) -> list[str]:
    """`argv` with the container's user and variables, and no privilege at all."""
    user = [f"--reuid={container.uid}", f"--regid={container.gid}", "--clear-groups"]
    without = ["--no-new-privs", "--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all"]
    mark = {MARK: os.environ[MARK]}  # else nobody would know whose it is, were it left behind
    env = [f"{name}={value}" for name, value in {**container.image.env, **container.env, **mark}.items()]
    return ["setpriv", *user, *without, "env", "-i", "-C", container.image.workdir, *env, *argv]


def status(machine: Machine, url: str, *headers: str, body: str | None = None) -> int:
    """The status with which `url` answers, 0 for none. A header is `Name: value`."""
    code = (
        "import sys, urllib.request as r, urllib.error as e\n"
        "url, body, *headers = sys.argv[1:]\n"
        "headers = dict(header.split(': ', 1) for header in headers)\n"
        "request = r.Request(url, data=body.encode() or None, headers=headers)\n"
        "opener = r.build_opener(r.ProxyHandler({}))\n"
        "try: print(opener.open(request, timeout=4).status)\n"
        "except e.HTTPError as error: print(error.code)\n"
        "except OSError: print(0)\n"
    )
    ended = machine.run([sys.executable, "-I", "-c", code, url, body or "", *headers])
    return int(ended.stdout or 0)


@contextmanager
def machine(folder: Path, names: Sequence[str]) -> Iterator[Machine]:
    """A machine on which everything is found by `names`, too. Fails where that cannot be had."""
    if os.geteuid() != 0 or sys.platform != "linux":
        pytest.fail("machines are network namespaces: this test needs root, on Linux")
    for tool in ("ip", "nsenter", "unshare", "setpriv"):
        program(tool)
    folder.chmod(0o755)
    with started(["unshare", "--net", "sh", "-c", _NETWORK], stdout=subprocess.PIPE, text=True) as process:
        if not process.stdout or process.stdout.readline() != "up\n":
            pytest.fail("no network of its own can be made here: it takes CAP_SYS_ADMIN and veth")
        yield Machine(process.pid, folder, names)
