"""A worker as a pod and as a systemd service has it: probes, notifications, its log, a slow start."""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.edges.orchestrator.test_service_manager import managing
from tests.live.conftest import Shell, wait_for_line
from tests.live.node import Node
from tests.live.test_worker_metrics import free_port
from tests.slow_voice import install_slow_voice

pytestmark = pytest.mark.live

TIMEOUT_S = 60.0
LINE = "A line that is long enough for its worker to be told to go while it is still spoken to the end."
LOAD_S = 11
"""Longer than the 10 s that livekit-agents gives a process by itself."""


class Kubelet:
    """Probes a worker, by another address of this machine than 127.0.0.1."""

    def __init__(self) -> None:
        self.port = free_port()
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def ask(self, path: str) -> tuple[int, str]:
        """Status, 0 where nothing answers, and body."""
        try:
            with self._opener.open(f"http://127.0.0.2:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def troubles(self) -> dict[str, str]:
        """Why it is not ready, part by part."""
        status, body = self.ask("/readyz")
        parts = json.loads(body)["parts"]
        assert status == (200 if all(part["ok"] for part in parts.values()) else 503)
        return {name: part["why"] for name, part in parts.items() if not part["ok"]}


def wait_until(condition: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def test_a_pod_that_loads_for_11_s_is_ready_then_speaks_and_drains(
    shell: Shell, room: str, tmp_path: Path
) -> None:
    install_slow_voice(tmp_path, seconds=LOAD_S)
    kubelet, log = Kubelet(), tmp_path / "worker.log"
    secret = tmp_path / "secret"
    secret.write_text(f"{shell.environment['LIVEKIT_API_SECRET']}\n")
    with managing(f"\0liba-test-{os.getpid()}") as manager:
        pod = manager.environment | {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path]),
            "KUBERNETES_SERVICE_HOST": "10.96.0.1",
            "LIBA_PORT": "tcp://10.0.0.1:8080",
            "LIBA_AGENT_HEALTH_PORT": str(kubelet.port),
            "LIBA_AGENT_NAME": "pod",
            "LIBA_VOICE_PROVIDERS": "slow",
            "LIVEKIT_API_SECRET": "",
            "LIVEKIT_API_SECRET_FILE": str(secret),
            "WATCHDOG_USEC": "2000000",
        }
        told: list[str] = []

        def is_told_of_as_ready() -> bool:
            told.extend(manager.told())
            return "READY=1" in told and not kubelet.troubles()

        with shell.running("agent", "run", "--max-rooms", "1", log=log, **pod) as worker:
            wait_until(lambda: kubelet.ask("/healthz")[0] == 200, "it does not live")
            wait_until(lambda: kubelet.troubles().keys() == {"livekit", "voice"}, "it does not load")
            wait_until(is_told_of_as_ready, "it is not ready")
            assert any("WATCHDOG=1" in message for message in told)
            assert kubelet.ask("/") == (200, "OK")
            assert json.loads(kubelet.ask("/worker")[1])["agent_name"] == "pod"
            (guarded,) = psutil.Process(worker.pid).children()
            assert not [child for child in guarded.children(recursive=True) if _knows_manager(child)]
            say = ("say", LINE, "--room", room, "--wait", "audible")
            said = shell.run(*say, LIBA_AGENT_NAME="pod")
            assert said.returncode == 0, said.stderr
            assert json.loads(kubelet.ask("/readyz")[1])["parts"]["rooms"]["why"] == "1 of 1 taken"
            assert kubelet.troubles() == {}
            guarded.terminate()
            wait_until(lambda: "worker" in kubelet.troubles(), "it does not drain")
            assert kubelet.ask("/healthz")[0] == 200
            worker.wait(timeout=TIMEOUT_S)
            assert "STOPPING=1" in manager.told()
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert not [line for line in lines if "initializing" in line["message"] or "ready;" in line["message"]]
    route = next(line for line in lines if line["message"].startswith("ROUTE=fallback | Reason="))
    metrics = next(line for line in lines if line["message"].startswith("METRICS | uid="))
    assert route["room"] == metrics["room"] == room
    assert metrics["message"].startswith(f"METRICS | uid={route['uid']} | route=fallback | ms_tts_start=")


def test_a_worker_that_livekit_is_gone_from_lives_and_is_not_ready(shell: Shell, tmp_path: Path) -> None:
    kubelet, log = Kubelet(), tmp_path / "worker.log"
    with Node(tmp_path) as node:
        asked_for = node.environment | {
            "LIBA_AGENT_HEALTH_HOST": "0.0.0.0",
            "LIBA_AGENT_HEALTH_PORT": str(kubelet.port),
            "LIBA_AGENT_ISOLATION": "thread",
        }
        with shell.running("agent", "run", log=log, **asked_for) as worker:
            wait_for_line(log, "worker is ready", worker)
            wait_until(lambda: not kubelet.troubles(), "it is not ready")
            node.kill()
            lost = {"livekit": "the connection to LiveKit is lost"}
            wait_until(lambda: kubelet.troubles() == lost, "it is not missed")
            assert kubelet.ask("/healthz")[0] == 200
            node.start()
            wait_until(lambda: not kubelet.troubles(), "it is not ready again")


def test_where_nothing_can_be_kept_that_is_told_once_and_speech_goes_on(
    shell: Shell, room: str, tmp_path: Path
) -> None:
    log, nowhere = tmp_path / "worker.log", tmp_path / "file" / "home"
    nowhere.parent.write_text("")
    homeless = {"LIBA_AGENT_NAME": "homeless", "XDG_STATE_HOME": str(nowhere), "XDG_CACHE_HOME": str(nowhere)}
    homeless_shell = Shell(shell.folder, shell.environment | homeless)
    with homeless_shell.running("agent", "run", "--isolation", "thread", log=log) as worker:
        wait_for_line(log, "worker is ready", worker)
        said = homeless_shell.run("say", "All the same.", "--room", room, "--wait", "done")
        assert (said.returncode, said.stdout.split()[0]) == (0, "done"), said.stderr
        worker.terminate()
    told = log.read_text()
    assert told.count(f"{nowhere}/liba cannot be written to (Not a directory)") == 1
    assert "Traceback" not in told


def _knows_manager(process: psutil.Process) -> bool:
    try:
        return "NOTIFY_SOCKET" in process.environ()
    except psutil.Error:
        return False
