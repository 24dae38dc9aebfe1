from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from libacli.cli.runs.doctor_checks import DoctorChecks
from libacli.edges.checks import machine
from libacli.edges.checks.finding import Finding
from tests.cli.conftest import Ended, Shell
from tests.twirp_server import API_SECRET, UNKNOWN_KEY, WRONG_SECRET, TwirpServer

OTHER_SECRET = "another-canary-another-canary-another-canary"


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield


def found(ended: Ended) -> dict[str, dict[str, str]]:
    return {check["name"]: check for check in ended.json["checks"]}


def test_offline_it_checks_this_machine_and_asks_nobody(shell: Shell, server: TwirpServer) -> None:
    ended = shell.run("doctor", "--offline", "--json")
    assert ended.code == 0, ended.stdout
    assert "livekit" not in found(ended)
    assert found(ended)["packages"]["verdict"] == "ok"
    assert server.requests == []


def test_offline_the_agents_framework_is_not_loaded(shell: Shell) -> None:
    code = (
        "import atexit, sys\n"
        "atexit.register(lambda: print('livekit.agents' in sys.modules, file=sys.stderr))\n"
        "from libacli.cli.main import main; sys.argv[1:] = ['doctor', '--offline', '--json']; main()"
    )
    env = os.environ | shell.env
    ended = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert ended.stderr.splitlines()[-1] == "False"
    assert json.loads(ended.stdout)["checks"]


def test_each_check_is_a_line_with_its_fix_below(bare_shell: Shell) -> None:
    ended = bare_shell.run("doctor", "--offline")
    lines = ended.stdout.splitlines()
    assert any(line.startswith("✓ ok    packages       Python") for line in lines)
    place = next(place for place, line in enumerate(lines) if line.startswith("✗ fail  livekit "))
    assert "LIVEKIT_URL" in lines[place]
    assert lines[place + 1].strip().startswith("→ set them")
    assert "1 fail" in ended.stderr


def test_settings_that_are_missing_are_exit_code_3(bare_shell: Shell) -> None:
    ended = bare_shell.run("doctor", "--offline", "--json")
    assert ended.code == 3
    assert ended.json["verdict"] == "fail"
    assert set(ended.json["checks"][0]) == {"name", "verdict", "message", "fix"}


def test_an_unknown_setting_is_told_and_the_machine_is_checked_all_the_same(bare_shell: Shell) -> None:
    ended = bare_shell.run("doctor", "--json", env={"LIBA_VOICE_NAM": "x"})
    assert ended.code == 3
    assert found(ended)["settings"]["fix"] == "did you mean LIBA_VOICE_NAME?"
    assert found(ended)["disk"]["verdict"] == "ok"


def test_a_livekit_that_cannot_be_reached_is_exit_code_4_and_told_once(shell: Shell) -> None:
    ended = shell.run("doctor", "--json", env={"LIVEKIT_URL": "ws://127.0.0.1:1"})
    assert ended.code == 4
    assert [name for name, check in found(ended).items() if check["verdict"] == "fail"] == ["livekit"]
    assert found(ended)["media"]["verdict"] == "skip"


def test_fault_56_a_wrong_key_and_a_wrong_secret_have_words_of_their_own(
    shell: Shell, server: TwirpServer
) -> None:
    messages = set()
    for answer in (UNKNOWN_KEY, WRONG_SECRET):
        server.play("ListParticipants", answer)
        ended = shell.run("doctor", "--json")
        assert ended.code == 3
        assert found(ended)["credentials"]["verdict"] == "fail"
        assert found(ended)["token"]["message"] == "not checked: the credentials do not work"
        messages.add(found(ended)["credentials"]["message"])
    assert len(messages) == 2


def test_fault_11_a_private_livekit_with_a_tavus_in_the_cloud_fails(shell: Shell) -> None:
    keys = {
        "TAVUS_API_KEY": OTHER_SECRET,
        "TAVUS_PAL_ID": "pal",
        "TAVUS_BASE_URL": "http://tavus.invalid",
    }
    ended = shell.run("doctor", "--json", env=keys)
    assert ended.code == 3
    assert "livekit not public" in found(ended)["public"]["message"]
    assert OTHER_SECRET not in ended.stdout + ended.stderr


def test_a_redis_that_is_gone_fails_and_without_one_none_is_looked_for(bare_shell: Shell) -> None:
    assert "redis" not in found(bare_shell.run("doctor", "--json"))
    url = f"redis://ann:{OTHER_SECRET}@127.0.0.1:1/0"
    ended = bare_shell.run("doctor", "--json", env={"LIBA_REDIS_URL": url})
    assert found(ended)["redis"]["verdict"] == "fail"
    assert "redis://127.0.0.1:1/0 cannot be used" in found(ended)["redis"]["message"]
    assert OTHER_SECRET not in ended.stdout + ended.stderr


def test_what_others_can_read_or_guess_is_exit_code_3(shell: Shell) -> None:
    env = {"LIVEKIT_URL": "ws://livekit.invalid", "LIVEKIT_API_SECRET": "secret"}
    ended = shell.run("doctor", "--offline", "--json", env=env)
    assert (ended.code, found(ended)["exposure"]["verdict"]) == (3, "fail")
    assert "livekit.url is ws://livekit.invalid" in found(ended)["exposure"]["message"]


def test_fault_54_a_port_that_is_taken_fails_with_the_setting_to_change(shell: Shell) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = shell.run("doctor", "--offline", "--json", env={"LIBA_AGENT_HEALTH_PORT": port})
    assert ended.code == 1
    assert "LIBA_AGENT_HEALTH_PORT=0" in found(ended)["ports"]["fix"]


def test_fault_54_a_server_setting_that_cannot_run_is_told(shell: Shell, tmp_path: Path) -> None:
    program = tmp_path / "livekit-server"
    program.write_bytes(b"\x7fELF\x02\x01\x01" + b"\0" * 9 + b"\x02\x00\xf7\x00" + b"\0" * 44)
    program.chmod(0o755)
    ended = shell.run("doctor", "--offline", "--json", env={"LIBA_SERVER_BINARY": str(program)})
    assert ended.code == 3
    assert "is no program for this machine" in found(ended)["local server"]["message"]


def test_fault_04_a_token_on_standard_input_that_allows_too_much_fails(shell: Shell) -> None:
    import jwt

    broad = jwt.encode(
        {"iss": "key-of-a-project", "exp": 4_000_000_000, "video": {"roomJoin": True, "room": "demo"}},
        API_SECRET,
        algorithm="HS256",
    )
    ended = shell.spawn("doctor", "--offline", "--json", "--token", "-", input=broad.encode())
    assert ended.code == 3
    assert "canPublish is not set" in found(ended)["given token"]["message"]
    assert broad not in ended.stdout + ended.stderr


def test_a_token_on_the_command_line_is_refused_and_not_repeated(shell: Shell) -> None:
    ended = shell.run("doctor", "--token", "eyJhbGciOi")
    assert ended.code == 2
    assert "--token -" in ended.stderr
    assert "eyJ" not in ended.stdout + ended.stderr


def test_a_check_that_breaks_is_a_failure_of_its_own_and_the_rest_go_on(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(folders: object) -> Finding:
        raise RuntimeError(OTHER_SECRET)

    monkeypatch.setattr(machine, "disk", breaks)
    ended = shell.run("doctor", "--offline", "--json")
    assert ended.code == 1
    assert found(ended)["disk"]["message"] == "internal: the check broke (RuntimeError)"
    assert found(ended)["ports"]["verdict"] == "ok"
    assert OTHER_SECRET not in ended.stdout + ended.stderr


def test_the_trace_of_a_check_that_breaks_tells_where_and_no_secret(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(folders: object) -> Finding:
        raise RuntimeError(f"refused {API_SECRET}")

    monkeypatch.setattr(machine, "disk", breaks)
    ended = shell.run("--verbose", "doctor", "--offline", env={"LIVEKIT_API_SECRET": API_SECRET})
    assert "in breaks" in ended.stderr
    assert API_SECRET not in ended.stdout + ended.stderr


@pytest.mark.parametrize(
    ("verdicts", "is_strict", "code"),
    [
        (["ok", "skip"], True, 0),
        (["warn"], False, 0),
        (["warn"], True, 1),
        ([("fail", 1)], False, 1),
        ([("fail", 9)], False, 1),
        ([("fail", 4), ("fail", 1)], False, 4),
        ([("fail", 4), ("fail", 3)], False, 3),
    ],
)
def test_the_exit_code_tells_what_kind_of_failure_there_was(
    verdicts: list[object], is_strict: bool, code: int
) -> None:
    checks = DoctorChecks(show=lambda finding: None)
    for verdict in verdicts:
        word, exit_code = verdict if isinstance(verdict, tuple) else (str(verdict), 1)
        checks.add(Finding("name", word, "message", exit_code=exit_code))
    assert checks.exit_code(is_strict=is_strict) == code
