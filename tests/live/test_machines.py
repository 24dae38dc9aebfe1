"""The machines of these tests: apart from each other, and gone afterwards, however a run has ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import psutil
import pytest

from tests.live.cluster.nodes import ROOT
from tests.machines import Machine, Network

pytestmark = pytest.mark.live


def reaches(machine: Machine, address: str) -> bool:
    command = ["ip", "netns", "exec", machine.name, sys.executable, "-c", _CONNECT, address]
    return subprocess.run(command, stderr=subprocess.DEVNULL).returncode == 0


_CONNECT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], 9), timeout=1)
except ConnectionRefusedError:
    pass  # somebody is there
"""


def names() -> str:
    """Namespaces and interfaces of this machine."""
    return subprocess.check_output(["sh", "-c", "ip netns list; ip link show"], text=True)


def test_a_machine_that_is_cut_off_is_reached_by_nobody_until_it_is_mended() -> None:
    with Network() as network:
        one, other = network.machine(), network.machine()
        assert reaches(one, other.address) and reaches(other, network.address)
        one.cut()
        assert not reaches(other, one.address)
        assert not reaches(one, network.address)
        one.mend()
        assert reaches(other, one.address)
    assert one.name not in names() and one.cable not in names()


_KILLED = """
import os, signal
import psutil
from tests.machines import Network

with Network() as network, open(os.devnull, "wb") as log:
    machine = network.machine()
    process = machine.start(["sleep", "1000"], log)
    while not (below := psutil.Process(process.pid).children()):
        pass
    print(machine.name, below[0].pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_run_has_left_is_ended_and_removed() -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    killed = subprocess.run([sys.executable, "-c", _KILLED], env=env, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    name, pid = killed.stdout.split()
    running = [psutil.Process(int(pid))] if psutil.pid_exists(int(pid)) else []
    _, left = psutil.wait_procs(running, timeout=10)
    assert not left
    assert name in names()
    with Network():
        assert name not in names()
