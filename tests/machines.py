"""Machines for a test: network namespaces, each with a cable to one switch, on this one. Needs root.

The switch has an address here, so that the test itself can reach every machine, and they it.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

import pytest

from libacli.local.guard import GuardedProcess
from libacli.local.log_files import is_running
from tests.programs import program

_PREFIX = "lbt"
_OURS = re.compile(rf"{_PREFIX}(\d+)[bmv]\d*")
"""What a run has made is named after its process: an interface's name has 15 characters at most."""

_NETWORKS = [f"10.77.{number}" for number in range(250)]


@dataclass(frozen=True)
class Namespace:
    """What runs in it sees its own network interfaces alone, and all of the disk."""

    name: str
    address: str

    def start(
        self,
        command: Sequence[str | Path],
        log: IO[bytes],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        grace_s: float = 5.0,
    ) -> GuardedProcess:
        """Runs `command` there; it ends with us. `ip` becomes the command, still a child of the guard."""
        there = ["ip", "netns", "exec", self.name, *command]
        return GuardedProcess.start(there, env=env, cwd=cwd, stdout=log, grace_s=grace_s)


@dataclass(frozen=True)
class Machine(Namespace):
    """One with a cable to the switch."""

    cable: str
    """Its end that is at the switch."""

    def cut(self) -> None:
        """Nothing goes in or out any more, and nobody is told."""
        _ip("link", "set", self.cable, "down")

    def mend(self) -> None:
        _ip("link", "set", self.cable, "up")


class Network:
    """A switch and its machines; all is gone after its `with`. Fails the test where it cannot be made."""

    def __init__(self) -> None:
        self._undo = ExitStack()
        self._count = 1
        self._net = ""

    @property
    def address(self) -> str:
        """Where machines reach this one."""
        return f"{self._net}.1"

    def machine(self) -> Machine:
        """One more, with the next address."""
        namespace = self.namespace()
        made = Machine(namespace.name, namespace.address, _name("v", self._count))
        end = ("peer", "name", "eth0", "netns", made.name)
        _ip("link", "add", made.cable, "type", "veth", *end)
        self._undo.callback(_ip, "link", "delete", made.cable)  # with its machine it would go some time later
        _ip("link", "set", made.cable, "master", _name("b"), "up")
        inside = ("-n", made.name)
        _ip(*inside, "address", "add", f"{made.address}/24", "dev", "eth0")
        _ip(*inside, "link", "set", "eth0", "up")
        return made

    def namespace(self) -> Namespace:
        """One more, with the next address and no interface but loopback."""
        self._count += 1
        made = Namespace(_name("m", self._count), f"{self._net}.{self._count}")
        _ip("netns", "add", made.name)
        self._undo.callback(_ip, "netns", "delete", made.name)
        _ip("-n", made.name, "link", "set", "lo", "up")
        return made

    def __enter__(self) -> Self:
        if os.geteuid() != 0 or sys.platform != "linux":
            pytest.fail("machines are network namespaces: this test needs root, on Linux")
        program("ip")
        _remove_what_killed_runs_left()
        with ExitStack() as undo:
            self._net = _free_network()
            _ip("link", "add", _name("b"), "type", "bridge")
            undo.callback(_ip, "link", "delete", _name("b"))
            _ip("address", "add", f"{self.address}/24", "dev", _name("b"))
            _ip("link", "set", _name("b"), "up")
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()


def _name(kind: str, number: int | None = None) -> str:
    return f"{_PREFIX}{os.getpid()}{kind}{'' if number is None else number}"


def _ip(*arguments: str) -> str:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    if done.returncode:
        pytest.fail(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def _listed(*arguments: str) -> list[dict[str, object]]:
    return list(json.loads(_ip("-json", *arguments) or "[]"))


def _free_network() -> str:
    """The first three numbers of a network that this machine is in with no other interface."""
    taken = {
        ipaddress.ip_interface(f"{found['local']}/24").network
        for link in _listed("-4", "address", "show")
        for found in link.get("addr_info", [])  # type: ignore[attr-defined]
    }
    first = os.getpid() % len(_NETWORKS)  # several runs may look for one at once
    return next(
        net
        for net in _NETWORKS[first:] + _NETWORKS[:first]
        if ipaddress.ip_network(f"{net}.0/24") not in taken
    )


def _remove_what_killed_runs_left() -> None:
    for what, listed in (("netns", _listed("netns", "list")), ("link", _listed("link", "show"))):
        for found in listed:
            name = str(found.get("name") or found.get("ifname"))
            ours = _OURS.fullmatch(name)
            if ours and not is_running(ours[1]):
                with suppress(pytest.fail.Exception):  # a cable is gone with its machine
                    _ip(what, "delete", name)
