from __future__ import annotations

import hashlib
import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.cli.conftest import Shell
from tests.cli.fake_browser import FakeBrowser
from tests.edges.orchestrator.test_service_manager import managing
from tests.twirp_server import API_SECRET, TwirpServer

pytestmark = pytest.mark.live

SAY = {"text": "Hello."}
ENTRY = f"laptop:{hashlib.sha256(b'liba_' + b'x' * 43).hexdigest()}"


@dataclass
class Served:
    """A running `liba serve`."""

    process: subprocess.Popen[str]
    url: str
    page: str
    log: Path

    def get(self, path: str, **headers: str) -> httpx2.Response:
        port = urlsplit(self.url).port
        return httpx2.get(f"http://127.0.0.1:{port}{path}", headers=headers, trust_env=False, timeout=10)

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(15)


@contextmanager
def serving(shell: Shell, *arguments: str, errors: int | None = None, **environment: str) -> Iterator[Served]:
    """`liba serve --json` on a free port, once it serves; nothing it prints holds the API secret.

    `errors` takes its standard error, instead of its log.
    """
    log = shell.folder / "serve.log"
    ours = ("LIBA_", "LIVEKIT_", "OPENAI_", "TAVUS_")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    with (
        log.open("wb") as written,
        subprocess.Popen(
            [sys.executable, "-m", "libacli", "serve", "--port", "0", "--json", *arguments],
            env=inherited | shell.env | environment,
            cwd=shell.folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=written if errors is None else errors,
        ) as process,
    ):
        try:
            assert process.stdout
            line = process.stdout.readline()
            assert line, log.read_text()
            told = json.loads(line)
            assert set(told) == {"url", "page"}
            yield Served(process, told["url"], told["page"], log)
        finally:
            process.kill()
    assert API_SECRET not in log.read_text()


def test_it_serves_on_loopback_tells_where_and_ends_well_on_sigterm(shell: Shell) -> None:
    with serving(shell) as served:
        assert served.url.startswith("http://127.0.0.1:")
        assert served.page == f"{served.url}/#room=demo"
        assert served.get("/healthz").json() == {"status": "ok"}
        assert served.get("/readyz").status_code == 200
        assert "server" not in served.get("/healthz").headers
        assert served.end() == 0
        assert f"page     {served.page}" in served.log.read_text()


def test_a_service_manager_is_told_when_it_serves_and_when_it_stops(shell: Shell) -> None:
    with managing(str(shell.folder / "notify")) as manager:
        shell.env |= manager.environment | {"WATCHDOG_USEC": "1000000", "LIBA_LOG_FORMAT": "json"}
        with serving(shell) as served:
            assert served.get("/healthz").status_code == 200
            assert served.end() == 0
            told = manager.told()
        lines = [json.loads(line)["message"] for line in served.log.read_text().splitlines()]
    assert told.index("READY=1") < told.index("STOPPING=1")
    assert any("WATCHDOG=1" in message and f"STATUS=serves {served.url}" in message for message in told)
    assert f"page     {served.page}" in lines


def test_what_others_can_read_or_guess_is_a_warning_of_the_log(shell: Shell) -> None:
    shell.env |= {"LIVEKIT_URL": "ws://livekit.invalid", "LIVEKIT_API_SECRET": "devsecret"}
    with serving(shell) as served:
        assert served.end() == 0
        told = served.log.read_text()
    assert "WARNING liba: livekit.url is ws://livekit.invalid: " in told
    assert "WARNING liba: livekit.api_secret is shorter than 32 characters: " in told
    assert "devsecret" not in told


def test_ctrl_c_ends_it_with_130(shell: Shell) -> None:
    with serving(shell) as served:
        assert served.end(signal.SIGINT) == 130
        assert "Traceback" not in served.log.read_text()


def test_without_livekit_it_serves_and_says_that_it_is_not_ready(shell: Shell, server: TwirpServer) -> None:
    with serving(shell, LIVEKIT_URL="ws://127.0.0.1:1") as served:
        assert served.get("/healthz").status_code == 200
        assert served.get("/readyz").status_code == 503


def test_with_keys_what_goes_to_a_log_holds_no_code(shell: Shell) -> None:
    with serving(shell, LIBA_SERVE_KEYS=ENTRY, LIBA_SAY_ROOM="lobby") as served:
        assert served.page == f"{served.url}/#room=lobby"
        assert served.get("/api/rooms/lobby").status_code == 401
        assert served.end() == 0
    told = served.log.read_text()
    assert "code=" not in told
    assert "asks for a key" in told


def test_a_browser_is_led_to_the_page_without_a_code_in_its_command_line(shell: Shell) -> None:
    browser = FakeBrowser(shell.folder)
    shell.env["XDG_STATE_HOME"] = str(shell.folder / "state")
    shell.env |= browser.env
    with serving(shell, "--open", LIBA_SERVE_KEYS=ENTRY, LIBA_SAY_ROOM="lobby") as served:
        link = urlsplit(browser.led_to())
        fragment = dict(part.split("=") for part in link.fragment.split("&"))
        assert fragment["room"] == "lobby"
        assert link.query == ""
        assert fragment["code"] not in browser.arguments()
        assert browser.file_modes() == (0o700, 0o600)
        answers = [redeem(served, fragment["code"]) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [200, 401]
        assert (answers[0].json()["room"], answers[0].json()["can_say"]) == ("lobby", True)
        assert served.end() == 0
    assert "code=" not in served.log.read_text()
    assert list((shell.folder / "state").rglob("*.html")) == []


def test_without_keys_a_browser_is_given_the_address_itself(shell: Shell) -> None:
    browser = FakeBrowser(shell.folder)
    shell.env |= browser.env
    with serving(shell, "--open") as served:
        assert browser.arguments() == served.page


@pytest.mark.parametrize("is_opened", [False, True])
def test_on_a_terminal_the_link_lets_one_browser_in_to_watch_unless_it_was_to_be_opened(
    shell: Shell, is_opened: bool
) -> None:
    browser = FakeBrowser(shell.folder)
    shell.env["XDG_STATE_HOME"] = str(shell.folder / "state")
    arguments = ("--open",) if is_opened else ()
    terminal, line = pty.openpty()
    shell.env |= browser.env
    with serving(shell, *arguments, errors=line, LIBA_SERVE_KEYS=ENTRY) as served:
        os.close(line)
        told = read_until(terminal, b"within 10 minutes")
        shown = re.search(r"page +(\S+#room=demo&code=(\S+))", told)
        assert shown, told
        answer = redeem(served, shown[2])
        assert (answer.status_code, answer.json()["can_say"]) == (200, is_opened)
    os.close(terminal)


def redeem(served: Served, code: str) -> httpx2.Response:
    return httpx2.post(f"{served.url}/api/session", json={"code": code}, trust_env=False)


def read_until(terminal: int, words: bytes, timeout_s: float = 20.0) -> str:
    """What a terminal shows, up to these words."""
    seen, deadline = b"", time.monotonic() + timeout_s
    while words not in seen:
        assert time.monotonic() < deadline, seen
        if select.select([terminal], [], [], 0.1)[0]:
            seen += os.read(terminal, 65536)
    return seen.decode()


def test_a_room_with_a_strange_name_is_still_one_word_of_the_link(shell: Shell) -> None:
    with serving(shell, LIBA_SAY_ROOM="a room & more") as served:
        assert served.page.endswith("/#room=a%20room%20%26%20more")


def test_for_others_it_wants_a_key_and_warns_of_plain_http(shell: Shell) -> None:
    refused = shell.spawn("serve", "--host", "0.0.0.0", "--port", "0")
    assert refused.code == 3
    assert "--new-key" in refused.stderr
    with serving(shell, "--host", "0.0.0.0", LIBA_SERVE_KEYS=ENTRY) as served:
        assert urlsplit(served.url).hostname != "0.0.0.0"
        assert "warning" in served.log.read_text()
        assert served.get("/api/rooms/demo").status_code == 401


def test_behind_a_proxy_the_link_is_its_address_and_there_is_no_warning(shell: Shell) -> None:
    address = "https://liba.example.org"
    with serving(
        shell, "--host", "0.0.0.0", LIBA_SERVE_KEYS=ENTRY, LIBA_SERVE_PUBLIC_URL=f"{address}/"
    ) as served:
        assert served.page == f"{address}/#room=demo"
        assert "warning" not in served.log.read_text()


def test_who_has_hung_up_while_he_waited_does_not_hold_the_end(shell: Shell, server: TwirpServer) -> None:
    server.status = {"state": "speaking"}
    with serving(shell) as served:
        with pytest.raises(httpx2.ReadTimeout):
            httpx2.post(f"{served.url}/api/say?wait=done", json=SAY, trust_env=False, timeout=1)
        began = time.monotonic()
        assert served.end() == 0
        assert time.monotonic() - began < 5  # less than requests have; it takes a fraction of a second
        assert "Cancel" not in served.log.read_text()


def test_who_waits_for_a_long_utterance_when_it_ends_is_told_what_is_known(
    shell: Shell, server: TwirpServer
) -> None:
    server.status = {"state": "speaking"}
    with serving(shell) as served, ThreadPoolExecutor() as threads:
        url = f"{served.url}/api/say?wait=done"
        asked = threads.submit(httpx2.post, url, json=SAY, trust_env=False, timeout=20)
        while len(server.asked("PerformRpc")) < 2:  # it was handed over, and is asked about
            time.sleep(0.05)
        assert served.end() == 0
        answer = asked.result()
    assert (answer.status_code, answer.json()["state"]) == (202, "speaking")


def test_a_port_that_is_taken_is_told_with_the_next_step(shell: Shell) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = shell.run("serve", "--port", str(port))
    assert (ended.code, ended.stdout) == (2, "")
    assert f"port {port} of 127.0.0.1 is taken" in ended.stderr
    assert "--port 0" in ended.stderr


def test_an_address_of_another_machine_cannot_be_bound(shell: Shell) -> None:
    ended = shell.run("serve", "--host", "192.0.2.1", env={"LIBA_SERVE_KEYS": ENTRY})
    assert ended.code == 2
    assert "cannot listen on 192.0.2.1" in ended.stderr


def test_certificate_and_key_must_both_be_there_and_be_some(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "file.pem"
    file.write_text("nothing of that kind")
    half = shell.spawn("serve", "--port", "0", env={"LIBA_SERVE_TLS_CERT": str(file)})
    assert half.code == 3
    assert "only one is set" in half.stderr
    both = {"LIBA_SERVE_TLS_CERT": str(file), "LIBA_SERVE_TLS_KEY": str(file)}
    broken = shell.spawn("serve", "--port", "0", env=both)
    assert broken.code == 3
    assert "PEM" in broken.stderr


def test_without_credentials_it_does_not_begin(bare_shell: Shell) -> None:
    ended = bare_shell.run("serve", "--port", "0")
    assert ended.code == 3
    assert "LIVEKIT_URL" in ended.stderr


def test_a_new_key_is_printed_with_the_setting_that_lets_it_in(bare_shell: Shell) -> None:
    ended = bare_shell.run("serve", "--new-key", "phone", env={"LIBA_SERVE_KEYS": ENTRY})
    key = ended.stdout.strip()
    digest = hashlib.sha256(key.encode()).hexdigest()
    assert ended.code == 0
    assert key.startswith("liba_") and len(key) == 48
    assert f'keys = ["{ENTRY}", "phone:{digest}"]' in ended.stderr
    assert key not in ended.stderr


def test_a_new_key_can_be_had_as_json_and_is_another_one_each_time(bare_shell: Shell) -> None:
    told = [bare_shell.run("serve", "--new-key", "phone", "--json").json for _ in range(2)]
    for one in told:
        assert one["entry"] == f"phone:{hashlib.sha256(one['key'].encode()).hexdigest()}"
    assert told[0]["key"] != told[1]["key"]


def test_without_the_extra_it_says_what_to_install(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "uvicorn.py").write_text("raise ModuleNotFoundError('none', name='uvicorn')")
    ended = shell.spawn("serve", env={"PYTHONPATH": str(tmp_path)})
    assert ended.code == 3
    assert "pip install 'libacli[web]'" in ended.stderr
