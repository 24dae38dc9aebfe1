"""The bad network of these tests: what it is told to do, it does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.far import Far, far_from
from tests.impairment import Conditions, Impairment
from tests.machines import Machine, Namespace, Network
from tests.relay import Counts

pytestmark = pytest.mark.live

BAD = Conditions(delay_ms=80, jitter_ms=40, loss=0.1)
SEED = 7
PACKETS, EVERY_S = 150, 0.01

_SEND = """
import json, socket, sys, time
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for number in range(int(sys.argv[2])):
    out.sendto(json.dumps([number, time.monotonic()]).encode(), (sys.argv[1], 9))
    time.sleep(float(sys.argv[3]))
"""

_RECEIVE = """
import json, socket, sys, time
heard = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
heard.bind((sys.argv[1], 9))
heard.settimeout(3)
print("ready", flush=True)
came = []
try:
    while True:
        number, sent_at = json.loads(heard.recv(100))
        came.append([number, 1000 * (time.monotonic() - sent_at)])
        heard.settimeout(0.5)
except TimeoutError:
    print(json.dumps(came))
"""


def python(machine: Namespace, code: str, *arguments: object) -> subprocess.Popen[str]:
    command = ["ip", "netns", "exec", machine.name, sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def arrivals(near: Machine, far: Far) -> list[tuple[int, float]]:
    """Number and milliseconds on the way of each packet that came to the far machine."""
    with python(far.machine, _RECEIVE, far.machine.address) as receiver:
        assert receiver.stdout and receiver.stdout.readline() == "ready\n"
        with python(near, _SEND, far.machine.address, PACKETS, EVERY_S):
            told: list[Any] = json.loads(receiver.stdout.readline())
    return [(number, took_ms) for number, took_ms in told]


def test_packets_come_late_or_not_at_all_as_the_seed_says(tmp_path: Path) -> None:
    with Network() as network:
        near = network.machine()
        with far_from(near, network, tmp_path, BAD, seed=SEED) as far:
            came = arrivals(near, far)
            counts = far.end()["downlink"]
    fates = Impairment(BAD, f"{SEED} downlink")
    kept = [number for number in range(PACKETS) if fates.due_s(0.0) is not None]
    assert [number for number, _ in came] == kept
    assert min(took_ms for _, took_ms in came) >= 40
    assert counts == Counts(len(kept), PACKETS - len(kept), counts.delayed_ms, counts.late_ms)
    assert counts.delayed_ms > 70


def test_a_network_that_does_nothing_loses_nothing_and_is_not_felt(tmp_path: Path) -> None:
    with Network() as network:
        near = network.machine()
        with far_from(near, network, tmp_path, Conditions(), seed=SEED) as far:
            came = arrivals(near, far)
            counts = far.end()["downlink"]
    assert [number for number, _ in came] == list(range(PACKETS))
    assert sorted(took_ms for _, took_ms in came)[PACKETS // 2] < 40
    assert (counts.passed, counts.lost) == (PACKETS, 0)
