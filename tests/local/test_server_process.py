from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import jwt
import psutil
import pytest

from libacli.errors import ConfigError, InstallError
from libacli.local.log_files import LOGS_KEPT
from libacli.local.server_binary import ServerBinary
from libacli.local.server_process import LocalServer, run_server
from tests.local.peers import script

live = pytest.mark.live
first_may_build = pytest.mark.timeout(900)


def until(true: Callable[[], bool], bound_s: float = 60.0) -> None:
    deadline = time.monotonic() + bound_s
    while not true():
        assert time.monotonic() < deadline, "it did not happen within its bound"
        time.sleep(0.01)


def answers(server: LocalServer) -> bool:
    try:
        response = httpx2.get(server.url.replace("ws", "http", 1), trust_env=False)
    except httpx2.TransportError:
        return False
    return response.status_code == 200 and response.text == "OK"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def family(server: LocalServer) -> list[psutil.Process]:
    guard = psutil.Process(server.pid)
    return [guard, *guard.children(recursive=True)]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@live
@first_may_build
def test_the_server_answers_as_long_as_the_context_lasts(real_server: ServerBinary, state: Path) -> None:
    with run_server(real_server.path, state) as server:
        assert answers(server)
        assert server.returncode() is None
        assert server.wait(0.2) is None
        processes = family(server)
    assert not answers(server)
    assert server.returncode() == 0
    assert not any(process.is_running() for process in processes)


@live
@first_may_build
def test_the_port_asked_for_is_the_one_used(real_server: ServerBinary, state: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with run_server(real_server.path, state, port=port) as server:
        assert server.url == f"ws://127.0.0.1:{port}"


@live
@first_may_build
def test_two_at_once_do_not_meet(real_server: ServerBinary, state: Path) -> None:
    with run_server(real_server.path, state) as one, run_server(real_server.path, state) as other:
        assert one.url != other.url
        assert one.api_secret != other.api_secret
        assert one.log_path != other.log_path
        assert answers(one)
        assert answers(other)


@live
@first_may_build
def test_only_its_own_key_opens_it(real_server: ServerBinary, state: Path) -> None:
    with run_server(real_server.path, state) as one, run_server(real_server.path, state) as other:
        claims = {"iss": one.api_key, "exp": 2**33, "video": {"roomList": True}}
        token = jwt.encode(claims, one.api_secret, algorithm="HS256")
        status = [
            httpx2.post(
                server.url.replace("ws", "http", 1) + "/twirp/livekit.RoomService/ListRooms",
                json={},
                headers={"Authorization": f"Bearer {token}"},
                trust_env=False,
            ).status_code
            for server in (one, other)
        ]
    assert status == [200, 401]


@live
@first_may_build
def test_the_secret_is_in_no_argument_no_environment_and_no_file(
    real_server: ServerBinary, state: Path
) -> None:
    with run_server(real_server.path, state) as server:
        for process in family(server):
            assert server.api_secret not in " ".join(process.cmdline())
            assert server.api_secret not in " ".join(process.environ().values())
        assert [path for path in state.rglob("*") if path.is_file()] == [server.log_path]
        assert server.api_secret not in server.log_path.read_text()
        assert server.api_secret not in repr(server)
        assert len(server.api_secret) >= 32


@live
@first_may_build
def test_settings_of_the_user_do_not_reach_the_server(
    real_server: ServerBinary, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIVEKIT_KEYS", "theirs: 0123456789012345678901234567890123456789")
    monkeypatch.setenv("REDIS_HOST", "127.0.0.1:9")
    with run_server(real_server.path, state) as server:
        assert answers(server)


@live
@first_may_build
def test_everything_is_bound_to_loopback_only(real_server: ServerBinary, state: Path) -> None:
    with run_server(real_server.path, state) as server:
        (process,) = psutil.Process(server.pid).children()
        bound = {(c.type, c.laddr.ip) for c in process.net_connections("inet") if not c.raddr}
    assert bound == {(socket.SOCK_STREAM, "127.0.0.1"), (socket.SOCK_DGRAM, "127.0.0.1")}


@live
@first_may_build
def test_a_server_that_dies_is_noticed(real_server: ServerBinary, state: Path) -> None:
    with run_server(real_server.path, state) as server:
        (process,) = psutil.Process(server.pid).children()
        process.kill()
        assert server.wait(60) == 128 + signal.SIGKILL


RUN = """
import sys
from pathlib import Path
from libacli.local.server_process import run_server
with run_server(Path(sys.argv[1]), Path(sys.argv[2])) as server:
    print(server.pid, flush=True)
    server.wait(60)
"""


@live
@first_may_build
@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_server_ends_with_us_however_we_end(
    real_server: ServerBinary, state: Path, ending: signal.Signals
) -> None:
    arguments = [sys.executable, "-c", RUN, str(real_server.path), str(state)]
    pipe = subprocess.PIPE
    with subprocess.Popen(arguments, stdout=pipe, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        guard = psutil.Process(int(process.stdout.readline()))
        (server,) = guard.children()
        process.send_signal(ending)
        until(lambda: not server.is_running() and not guard_runs(guard))


def guard_runs(guard: psutil.Process) -> bool:
    return bool(guard.is_running() and guard.status() != psutil.STATUS_ZOMBIE)


def test_a_port_that_is_taken_is_named(state: Path, taken_port: int) -> None:
    with (
        pytest.raises(
            ConfigError, match=f"port {taken_port} cannot be used: Address already in use"
        ) as error,
        run_server(Path("/bin/true"), state, port=taken_port),
    ):
        pass
    assert "another port" in error.value.hint


@pytest.mark.parametrize("port", [70000, -1])
def test_a_port_that_is_none_is_named(state: Path, port: int) -> None:
    with (
        pytest.raises(ConfigError, match=f"port {port} cannot be used"),
        run_server(Path("/bin/true"), state, port=port),
    ):
        pass


def test_a_server_that_ends_at_once_is_an_error_with_its_last_line(state: Path, tmp_path: Path) -> None:
    broken = script(tmp_path / "broken", "echo starting; echo unknown field in config; exit 1")
    with (
        pytest.raises(InstallError, match="before it answered: unknown field in config") as error,
        run_server(broken, state),
    ):
        pass
    (log,) = (state / "logs").iterdir()
    assert str(log) in error.value.hint


def test_a_binary_that_does_not_exist_is_an_error(state: Path) -> None:
    with (
        pytest.raises(InstallError, match="/no/such/server: No such file or directory"),
        run_server(Path("/no/such/server"), state),
    ):
        pass


def test_a_server_that_stays_silent_is_ended_after_the_bound(state: Path, tmp_path: Path) -> None:
    silent = script(tmp_path / "silent", f"echo $$ > {tmp_path}/pid; exec sleep 60")
    with (
        pytest.raises(InstallError, match=r"did not answer within 0\.5 s"),
        run_server(silent, state, ready_timeout_s=0.5),
    ):
        pass
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))


def test_other_ports_are_tried_when_one_was_taken_in_between(state: Path, tmp_path: Path) -> None:
    unlucky = script(
        tmp_path / "unlucky", f'cat "$2" >> {tmp_path}/configs; echo listen: bind: address already in use'
    )
    with pytest.raises(InstallError, match="address already in use"), run_server(unlucky, state):
        pass
    decoder, text, ports = json.JSONDecoder(), (tmp_path / "configs").read_text(), set()
    while text:
        config, end = decoder.raw_decode(text)
        ports |= {config["port"], config["rtc"]["tcp_port"], config["rtc"]["udp_port"]}
        text = text[end:]
    assert len(ports) > 3


def test_the_config_with_the_secret_is_private_and_gone_afterwards(state: Path, tmp_path: Path) -> None:
    curious = script(tmp_path / "curious", 'stat -c %a "$2" "$(dirname "$2")" | tr "\\n" " "')
    with pytest.raises(InstallError, match="600 700"), run_server(curious, state):
        pass
    assert list((state / "servers").iterdir()) == []


def test_the_log_is_private_and_old_ones_are_removed(state: Path) -> None:
    for _ in range(LOGS_KEPT + 2):
        with pytest.raises(InstallError), run_server(Path("/bin/true"), state):
            pass
    logs = list((state / "logs").iterdir())
    assert len(logs) == LOGS_KEPT
    assert {mode(log) for log in logs} == {0o600}


def test_what_a_killed_run_left_is_removed_and_a_living_one_kept(state: Path) -> None:
    with subprocess.Popen(["/bin/true"]) as ended:
        pass
    for pid in (ended.pid, os.getppid()):
        (state / "servers" / f"{pid}-x").mkdir(parents=True)
    with pytest.raises(InstallError), run_server(Path("/bin/true"), state):
        pass
    assert [path.name for path in (state / "servers").iterdir()] == [f"{os.getppid()}-x"]


def test_a_state_directory_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(ConfigError, match="Not a directory") as error,
        run_server(Path("/bin/true"), tmp_path / "file"),
    ):
        pass
    assert "writable" in error.value.hint
