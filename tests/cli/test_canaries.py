"""No command tells a secret or the words that are spoken, whatever becomes of it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from typer.main import get_command

from libacli.cli.log import SafeFormatter
from libacli.cli.main import app
from libacli.cli.output import Output
from libacli.config import Settings, is_secret, variable_name
from libacli.config_sources import load
from libacli.errors import LibaError
from libacli.masking import secrets_of
from tests.canaries import KEYS, PASSWORDS, WORDS, secret_settings, secrets_in, words_in
from tests.cli.conftest import Ended, Shell
from tests.cli.runs.test_serve import serving
from tests.twirp_server import (
    API_KEY,
    API_SECRET,
    DENIED,
    Answer,
    TwirpServer,
    reply,
    rpc_error,
    twirp_error,
)

NOBODY = "127.0.0.1:9"
SHOW = "show.jsonl"
"""Holds the words, as its author wrote them."""

RUNS: dict[str, tuple[list[str], list[str]]] = {
    "demo": ([WORDS, "--once"], ["🎉", "--once"]),
    "up": (["--room", "demo"], ["--port", "nonsense"]),
    "ps": ([], ["nonsense"]),
    "logs": (["agent"], ["nonsense"]),
    "down": ([], ["nonsense"]),
    "agent run": (["--room", "demo"], ["--room", " "]),
    "say": ([WORDS, "--wait", "done"], [WORDS, "--id", "a\x1b"]),
    "play": ([SHOW], [SHOW, "--from", "nonsense", "--check"]),
    "next": ([], ["--id", "a\x1b"]),
    "stop": ([], ["--room", ""]),
    "queue": ([], ["--room", ""]),
    "queue cancel": (["u1"], ["a\x1b"]),
    "queue move": (["u1", "--before", "u2"], ["u1", "--first", "--last"]),
    "queue pause": ([], ["--room", ""]),
    "queue resume": ([], ["--room", ""]),
    "serve": (["--new-key", "laptop"], ["--host", "0.0.0.0"]),
    "mcp": ([], ["--room", " "]),
    "sessions": (["--end", WORDS], ["--address", "nonsense"]),
    "probe": (["--text", WORDS, "-n", "1", "--timeout", "1"], ["--text", WORDS, "--assert", "nonsense"]),
    "token": ([], ["--identity", "agent-x"]),
    "record": (["out.mp4", "--for", "1s"], ["out.txt"]),
    "metrics watch": (["--once"], ["--once", "--room", " "]),
    "metrics summary": ([], ["--assert", "nonsense"]),
    "metrics export": ([], ["--since", "nonsense"]),
    "metrics dashboard": ([], ["nonsense"]),
    "metrics alerts": ([], ["nonsense"]),
    "doctor": ([], ["nonsense"]),
    "reap": ([], ["nonsense"]),
    "server install": ([], ["nonsense"]),
    "server run": ([], ["--port", "0"]),
    "avatar run": (["--log-level", "nonsense"], ["--size", "1"]),
    "avatar create-pal": ([], ["nonsense"]),
    "avatar reap": ([], ["nonsense"]),
    "voices try": ([WORDS], [WORDS, "-o", "out.txt"]),
    "cache warm": (["-"], ["nothing.txt"]),
    "cache show": ([], ["nonsense"]),
    "cache clear": ([], ["nonsense"]),
    "deploy dockerfile": ([], ["nonsense"]),
    "deploy compose": ([], ["--with", "nonsense"]),
    "deploy k8s": ([], ["--namespace", WORDS]),
    "deploy systemd": ([], ["--program", WORDS]),
    "deploy livekit-cloud": ([], ["--agent-id", "x"]),
    "config init": ([], ["nonsense"]),
    "config show": ([], ["nonsense"]),
    "config path": ([], ["nonsense"]),
    "config trust": ([], ["nonsense"]),
}
"""Each command, with input that is fine and with input that is not. None of them begins to serve here."""

IN_A_PROCESS = {"demo", "up", "agent run", "mcp"}
"""They catch signals, or set the log up."""


def commands(group: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every command of `liba` by its full name."""
    group = group or get_command(app)
    for name in group.list_commands(None):
        command = group.get_command(None, name)
        if hasattr(command, "list_commands"):
            yield from commands(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


COMMANDS = dict(commands())


def refused_with(token: str) -> Answer:
    """A server that quotes the token it was given."""
    return Answer(f"invalid token: {token}, error: signature is invalid", 401)


FAILURES: dict[str, list[Answer]] = {
    "none": [],
    "wrong key": [Answer(f"invalid API key: {API_KEY}", 401)] * 3,
    "wrong secret": [refused_with(f"eyJhbGciOi.eyJzdWIi.{API_SECRET}")] * 3,
    "denied": [DENIED] * 3,
    "ill": [twirp_error(500, "internal", f"Bearer {API_SECRET}")] * 3,
    "web site": [Answer(f"<html>{API_SECRET}", 200)] * 3,
}

IDLE = reply(epoch="e", agent="liba", room="demo", avatar="ready", speaking=None, waiting=[], caps=[])


@pytest.fixture
def shell(bare_shell: Shell, tmp_path: Path) -> Shell:
    """Every secret is a canary, and nothing answers."""
    (tmp_path / "broken").touch(mode=0o600)
    (tmp_path / SHOW).write_text(json.dumps({"text": WORDS, "step": True}))
    bare_shell.env |= secret_settings(openai=NOBODY, tavus=NOBODY) | {
        "LIVEKIT_URL": f"ws://{NOBODY}",
        "LIVEKIT_API_KEY": API_KEY,
        "LIBA_SERVER_BINARY": str(tmp_path / "broken"),
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    return bare_shell


def check(ended: Ended, folder: Path, *, has_token: bool = False) -> None:
    """Nothing that was printed, or written below `folder`, holds a canary; nor a token, unless wanted."""
    files = {
        str(path): path.read_bytes().decode(errors="replace")
        for path in folder.rglob("*")
        if path.is_file() and path.name != SHOW
    }
    for where, text in {"stdout": ended.stdout, "stderr": ended.stderr, **files}.items():
        assert not secrets_in(text), f"{secrets_in(text)} in {where}: {text}"
        assert not words_in(text), f"words in {where}: {text}"
    assert "eyJ" not in ended.stderr
    assert has_token or "eyJ" not in ended.stdout


def run(shell: Shell, name: str, *arguments: str, before: tuple[str, ...] = ()) -> Ended:
    return (shell.spawn if name in IN_A_PROCESS else shell.run)(*before, *name.split(), *arguments)


def test_every_command_is_among_those_that_are_run() -> None:
    assert set(RUNS) >= set(COMMANDS), "give the new command input to run it with"


def test_every_secret_setting_has_a_canary() -> None:
    secrets = {variable_name(field) for field in Settings.model_fields if is_secret(field)}
    assert secrets == set(KEYS)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_fault_12_help_and_errors_of_a_command_tell_no_secret(
    shell: Shell, name: str, tmp_path: Path
) -> None:
    _, bad = RUNS[name]
    if name not in IN_A_PROCESS:
        check(run(shell, name, "--help"), tmp_path)
    check(run(shell, name, *bad, before=("--verbose",)), tmp_path)


@pytest.mark.live
@pytest.mark.parametrize("level", ["info", "debug"])
@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_fault_12_a_command_to_which_nothing_answers_tells_no_secret(
    shell: Shell, name: str, level: str, tmp_path: Path
) -> None:
    shell.env["LIBA_LOG_LEVEL"] = level
    wants_json = any("--json" in option.opts for option in COMMANDS[name].params)
    arguments = [*RUNS[name][0], *(["--json"] if wants_json else [])]
    before = ("--verbose",) if level == "debug" else ()
    check(run(shell, name, *arguments, before=before), tmp_path, has_token=name in ("token", "serve"))


@pytest.mark.live
def test_fault_12_what_is_asked_of_a_page_without_livekit_brings_no_secret_to_light(
    shell: Shell, tmp_path: Path
) -> None:
    shell.env["LIBA_LOG_LEVEL"] = "debug"
    with serving(shell) as served, httpx2.Client(base_url=served.url, trust_env=False) as client:
        answers = [
            client.post("/api/say", json={"text": WORDS}),
            client.post("/api/say", json={"text": WORDS, "speed": WORDS}),
            client.post(
                "/api/say", content=f'{{"text": "{WORDS}', headers={"Content-Type": "application/json"}
            ),
            client.get("/api/rooms/demo"),
            client.get("/api/rooms/demo", headers={"Authorization": f"Bearer {KEYS['OPENAI_API_KEY']}"}),
            client.get("/readyz"),
            client.get("/metrics"),
        ]
        assert [answer.status_code for answer in answers] == [503, 422, 422, 503, 401, 503, 200]
        assert served.end() == 0
    for answer in answers:
        check(Ended(0, answer.text, str(answer.headers)), tmp_path)


@pytest.mark.parametrize("place", ["user:{}@" + NOBODY, "user:{}@" + NOBODY + "/x", "{}@" + NOBODY])
@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_a_login_in_the_address_of_livekit_is_refused_and_not_told(
    shell: Shell, name: str, place: str, tmp_path: Path
) -> None:
    shell.env["LIVEKIT_URL"] = "ws://" + place.format(PASSWORDS["LIVEKIT_URL"])
    ended = run(shell, name, *RUNS[name][0], before=("--verbose",))
    check(ended, tmp_path)
    if name.split()[0] in ("say", "stop", "queue", "token", "probe", "record", "agent"):
        assert (ended.code, "LIVEKIT_URL" in ended.stderr) == (3, True)


def test_a_page_is_not_served_with_a_login_in_the_address_of_livekit(shell: Shell, tmp_path: Path) -> None:
    shell.env["LIVEKIT_URL"] = f"ws://user:{PASSWORDS['LIVEKIT_URL']}@{NOBODY}"
    ended = shell.run("serve", "--port", "0")
    assert ended.code == 3
    check(ended, tmp_path)


@pytest.mark.parametrize("failure", sorted(FAILURES))
@pytest.mark.parametrize("name", ["say", "stop", "queue"])
def test_fault_12_a_command_that_the_server_refuses_tells_no_secret(
    shell: Shell, server: TwirpServer, name: str, failure: str, tmp_path: Path
) -> None:
    shell.env["LIVEKIT_URL"] = server.url
    server.play("ListParticipants", *FAILURES[failure])
    if name == "queue":
        server.play("PerformRpc", IDLE)
    ended = run(shell, name, *RUNS[name][0], before=("--verbose",))
    assert (ended.code == 0) == (failure == "none")
    check(ended, tmp_path)
    server.play("PerformRpc", *[rpc_error(1500, f"{WORDS} {API_SECRET}")] * 2)
    check(run(shell, name, *RUNS[name][0], before=("--verbose",)), tmp_path)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("liba.toml", f"[livekit]\napi_secret = {API_SECRET}"),
        ("liba.toml", f'[livekit]\napi_secret = "{API_SECRET}'),
        ("liba.toml", f'[livekit]\napi_secret = ["{API_SECRET}"]'),
        ("liba.toml", f'[livekit]\napi_secrte = "{API_SECRET}"'),
        ("liba.toml", f'api_secret = "{API_SECRET}"'),
        ("liba.toml", f'livekit = "{API_SECRET}"'),
        ("liba.toml", f'[openai]\nbase_url = {{ "{API_SECRET}" = 1 }}'),
        (".env", f'LIVEKIT_API_SECRET="{API_SECRET}\n'),
        (".env", f"LIBA_API_SECRET={API_SECRET}\n"),
        (".env", f"{API_SECRET}\n"),
        (
            ".env",
            f"LIVEKIT_URL=http://user:{API_SECRET}@[\nLIVEKIT_API_KEY=k\nLIVEKIT_API_SECRET={API_SECRET}\n",
        ),
        (
            ".env",
            f"LIVEKIT_URL=ftp://user:{API_SECRET}@host\nLIVEKIT_API_KEY=k\nLIVEKIT_API_SECRET={API_SECRET}\n",
        ),
    ],
)
@pytest.mark.parametrize("arguments", [("config", "show"), ("--verbose", "queue")])
def test_fault_12_a_file_of_settings_that_is_broken_is_not_quoted(
    bare_shell: Shell, file: str, content: str, arguments: tuple[str, ...]
) -> None:
    (bare_shell.folder / file).write_text(content)
    ended = bare_shell.run(*arguments)
    assert not secrets_in(ended.stdout + ended.stderr)


def test_fault_12_settings_show_no_secret(shell: Shell, tmp_path: Path) -> None:
    ended = shell.run("config", "show", "--json")
    shown = {row["setting"]: row["value"] for row in ended.json}
    assert shown["livekit.api_secret"] == "********"
    assert shown["openai.base_url"] == f"http://[secret]@{NOBODY}/v1"
    check(ended, tmp_path)


def test_fault_12_a_defect_is_told_without_secrets(capsys: pytest.CaptureFixture[str], shell: Shell) -> None:
    output = Output()
    output.verbose = True
    output.settings = load(environment=shell.env, folder=shell.folder).settings
    try:
        raise ValueError(f"{KEYS['OPENAI_API_KEY']}\x1b[2J at http://u:{PASSWORDS['OPENAI_BASE_URL']}@host")
    except ValueError as error:
        defect = LibaError(f"unexpected ValueError: {error}")
        defect.__cause__ = error
        output.error(defect)
    told = capsys.readouterr().err
    assert "Traceback" in told
    assert "ValueError: [secret]\\x1b[2J at http://[secret]@host" in told
    assert not secrets_in(told)
    assert "\x1b" not in told


def test_fault_12_a_token_is_a_result_and_no_leak(shell: Shell) -> None:
    ended = shell.run("token", "--token-only")
    assert ended.stdout.startswith("eyJ")
    assert not secrets_in(ended.stdout)


def test_the_search_finds_a_canary_that_was_let_out() -> None:
    for name, value in KEYS.items():
        assert secrets_in(f"... {value} ...") == [name]
    assert secrets_in("Basic dXNlcjpjYW5hcnktb3BlbmFpLXBhc3N3b3Jk") == ["password of OPENAI_BASE_URL"]
    assert words_in(f"chunk: {WORDS[11:]}")


def logged(shell: Shell, message: str, *arguments: object, error: BaseException | None = None) -> str:
    settings = load(environment=shell.env, folder=shell.folder).settings
    exc_info = (type(error), error, error.__traceback__) if error else None
    record = logging.LogRecord("x", logging.INFO, __file__, 1, message, arguments, exc_info)
    return SafeFormatter(secrets_of(settings, shell.env)).format(record)


def test_fault_12_the_log_masks_every_secret_in_messages_and_tracebacks(shell: Shell) -> None:
    told = " ".join(shell.env.values())
    assert secrets_in(told)
    assert not secrets_in(logged(shell, "settings %s", told))
    try:
        raise ValueError(told)
    except ValueError as error:
        line = logged(shell, "failed", error=error)
    assert "Traceback" in line
    assert not secrets_in(line)


def test_fault_62_a_record_of_the_log_is_one_line_whatever_is_in_it(shell: Shell) -> None:
    line = logged(shell, "from %s", "a\r\nINFO forged\x1b[2J\u202e\u2028b\ud800")
    assert line.endswith(r"x: from a\r\nINFO forged\x1b[2J\u202e\u2028b\ud800")


def test_a_traceback_from_a_room_process_is_told_once_and_readable(shell: Shell) -> None:
    record = logging.LogRecord("x", logging.ERROR, __file__, 1, "failed\nTraceback:\n  here", (), None)
    record.exc_text = "Traceback:\n  here"
    line = SafeFormatter([]).format(record)
    assert line.endswith("x: failed\nTraceback:\n  here")


def test_fault_62_what_drives_a_terminal_is_shown_not_obeyed(shell: Shell, server: TwirpServer) -> None:
    shell.env["LIVEKIT_URL"] = server.url
    server.play("PerformRpc", reply(epoch="e", rejected="odd", message="no\x1b[2J\rway\u202e"))
    ended = shell.run("say", WORDS)
    assert (ended.code, ended.stderr) == (6, "liba: the agent refused: no\\x1b[2J way\\u202e\n")
