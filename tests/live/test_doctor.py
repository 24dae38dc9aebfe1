from __future__ import annotations

import asyncio
import json
import secrets
import socket
import subprocess
from pathlib import Path
from typing import Any

import psutil
import pytest
from platformdirs import user_cache_path

from libacli.cli.runs.doctor_capacity import capacity
from libacli.config import LiveKitCredentials, Settings
from libacli.edges.livekit.api import LiveKitApi
from libacli.local.guard import GuardedProcess
from libacli.local.server_binary import ensure_server
from tests.faulty_avatar import FaultyAvatar, Script
from tests.live.conftest import READY_TIMEOUT_S, Listen, Shell, wait_for_line

pytestmark = pytest.mark.live


def checks(ended: subprocess.CompletedProcess[str]) -> dict[str, dict[str, str]]:
    told: dict[str, Any] = json.loads(ended.stdout)
    return {check["name"]: check for check in told["checks"]}


def test_a_working_set_up_has_nothing_that_fails(shell: Shell, credentials: LiveKitCredentials) -> None:
    ended = shell.run("doctor", "--json")
    assert ended.returncode == 0, ended.stdout
    found = checks(ended)
    assert [name for name, check in found.items() if check["verdict"] == "fail"] == []
    for name in ("livekit", "clock", "credentials", "token", "media", "voice"):
        assert found[name]["verdict"] == "ok", found[name]
    assert "livekit-server 1." in found["version"]["message"]
    assert "over UDP" in found["media"]["message"]
    assert credentials.api_secret.get_secret_value() not in ended.stdout + ended.stderr


def test_fault_56_wrong_key_and_wrong_secret_are_told_apart_by_the_real_server(shell: Shell) -> None:
    wrong_secret = checks(shell.run("doctor", "--json", LIVEKIT_API_SECRET="x" * 32))["credentials"]
    wrong_key = checks(shell.run("doctor", "--json", LIVEKIT_API_KEY="other"))["credentials"]
    assert wrong_secret["fix"] == "check LIVEKIT_API_SECRET"
    assert wrong_key["fix"] == "check LIVEKIT_API_KEY"


def test_fault_04_a_token_of_ours_passes_and_one_that_may_publish_is_told(shell: Shell) -> None:
    for options, verdict in ([], "ok"), (["--can-say"], "warn"):
        token = shell.run("token", "--room", "demo", "--token-only", *options).stdout
        ended = shell.run("doctor", "--json", "--offline", "--token", "-", stdin=token)
        assert checks(ended)["given token"]["verdict"] == verdict


async def test_a_tavus_that_takes_the_key_has_no_conversation_left_after(shell: Shell) -> None:
    async with FaultyAvatar() as tavus:
        with_tavus = Shell(
            shell.folder,
            shell.environment
            | {
                "TAVUS_API_KEY": tavus.api_key.get_secret_value(),
                "TAVUS_BASE_URL": tavus.base_url,
                "TAVUS_FACE_ID": "face",
            },
        )
        ended = await asyncio.to_thread(with_tavus.run, "doctor", "--json")
        assert tavus.creates == 1
        assert tavus.active == []
    assert checks(ended)["tavus"]["verdict"] == "ok"
    assert checks(ended)["public"]["verdict"] == "ok"


async def test_paid_goes_the_whole_way_and_leaves_nothing_behind(shell: Shell) -> None:
    async with FaultyAvatar() as tavus:
        key = tavus.api_key.get_secret_value()
        own = {"TAVUS_API_KEY": key, "TAVUS_BASE_URL": tavus.base_url, "TAVUS_FACE_ID": "face"}
        ended = await asyncio.to_thread(shell.run, "doctor", "--paid", "--json", timeout=300, **own)
        assert tavus.active == []
        assert tavus.creates == 2  # the unbilled trial is one
    told = json.loads(ended.stdout)
    way = checks(ended)["whole way"]
    assert way["verdict"] == "ok", ended.stdout
    assert "one word was heard by the avatar" in way["message"]
    report = told["report"]
    assert report["report"]["route"] == "tavus"
    assert report["timings_ms"].keys() >= {"agent_in_room", "ready", "heard", "spoken", "ended"}
    assert len(report["conversations"]) == 1
    assert report["utterance"] == report["report"]["id"]
    assert report["settings"]["livekit.api_secret"] == report["settings"]["tavus.api_key"] == "********"
    for secret in (key, shell.environment["LIVEKIT_API_SECRET"]):
        assert secret not in ended.stdout + ended.stderr


async def test_paid_tells_that_the_avatar_did_not_come_and_why(shell: Shell) -> None:
    async with FaultyAvatar(Script(create=402)) as tavus:
        key = tavus.api_key.get_secret_value()
        own = {"TAVUS_API_KEY": key, "TAVUS_BASE_URL": tavus.base_url, "TAVUS_FACE_ID": "face"}
        own["LIBA_AVATAR_JOIN_TIMEOUT"] = "3"
        ended = await asyncio.to_thread(shell.run, "doctor", "--paid", timeout=300, **own)
    way = next(line for line in ended.stdout.splitlines() if " whole way " in line)
    assert way.startswith("! warn")
    assert "without the avatar: 402" in way
    assert "  system: " in ended.stdout


async def test_fault_28_an_agent_that_was_killed_is_told_from_one_that_answers(
    shell: Shell, credentials: LiveKitCredentials, room: str, listen: Listen, tmp_path: Path
) -> None:
    log = tmp_path / "worker.log"
    run = ("agent", "run", "--agent-name", room, "--room", room, "--isolation", "thread")
    ask = ("doctor", "--room", room, "--json")
    async with listen(), LiveKitApi(credentials) as api:
        with shell.running(*run, log=log) as process:
            await asyncio.to_thread(wait_for_line, log, "worker is ready", process)
            async with asyncio.timeout(READY_TIMEOUT_S):
                while not await api.find_agent(room, room):  # noqa: ASYNC110 - nothing to wait on
                    await asyncio.sleep(0.1)
            alive = await asyncio.to_thread(shell.run, *ask, LIBA_AGENT_NAME=room)
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
            dead = await asyncio.to_thread(shell.run, *ask, LIBA_AGENT_NAME=room)
    assert checks(alive)["agent"]["verdict"] == "ok", alive.stdout
    assert checks(dead)["agent"]["verdict"] == "fail"
    assert "does not answer" in checks(dead)["agent"]["message"]
    assert dead.returncode == 1


def test_a_room_without_an_agent_is_a_warning_for_who_asks(shell: Shell, room: str) -> None:
    ended = shell.run("doctor", "--room", room, "--json", "--strict")
    assert checks(ended)["agent"]["verdict"] == "warn"
    assert ended.returncode == 1


def test_media_that_cannot_pass_is_told_within_its_bound(shell: Shell, tmp_path: Path) -> None:
    key, secret = "key", secrets.token_hex(32)
    with socket.create_server(("127.0.0.1", 0)) as one:
        port = one.getsockname()[1]
    config = {
        "port": port,
        "bind_addresses": ["127.0.0.1"],
        # An address for documentation, where nobody is, and no TCP.
        "rtc": {"node_ip": "192.0.2.1", "interfaces": {"includes": ["lo"]}, "udp_port": 0, "tcp_port": 0},
        "keys": {key: secret},
    }
    (tmp_path / "livekit.yaml").write_text(json.dumps(config))
    binary = ensure_server(None, user_cache_path("liba"))
    command = [str(binary.path), "--config", str(tmp_path / "livekit.yaml")]
    log = tmp_path / "server.log"
    with log.open("wb") as out, GuardedProcess.start(command, stdout=out) as process:
        wait_for_line(log, "starting LiveKit server", process)
        keys = {
            "LIVEKIT_URL": f"ws://127.0.0.1:{port}",
            "LIVEKIT_API_KEY": key,
            "LIVEKIT_API_SECRET": secret,
        }
        ended = Shell(shell.folder, shell.environment | keys).run("doctor", "--json")
    found = checks(ended)
    assert ended.returncode == 1, ended.stdout
    assert [name for name, check in found.items() if check["verdict"] == "fail"] == ["media"]
    assert "no media connection within 9 s" in found["media"]["message"]


async def test_capacity_is_measured_with_a_server_and_a_worker_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))  # where the worker's log goes
    finding = await capacity(Settings(agent_max_rooms=1), steps=(1,))
    assert finding.verdict == "ok", finding
    assert "1 room speaks at once without a break" in finding.message
