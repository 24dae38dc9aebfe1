"""Options of all commands, before the command and after it; and commands that are nearly right."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_group

from libacli.cli.main import app
from tests.cli.conftest import Shell
from tests.test_config import CANARY
from tests.test_docs import COMMANDS
from tests.test_lk_projects import WRITTEN_BY_LK


def with_project(shell: Shell) -> None:
    file = shell.folder / "home" / ".livekit" / "cli-config.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(WRITTEN_BY_LK.replace(CANARY, 2 * CANARY))
    file.chmod(0o600)


@pytest.mark.parametrize(
    "words",
    [
        ("--json", "token"),
        ("-j", "token"),
        ("token", "--json"),
        ("token", "-j"),
        ("-qj", "token"),
        ("token", "-qj"),
        ("-j", "token", "-j"),
    ],
    ids=" ".join,
)
def test_json_may_be_asked_for_before_the_command_and_after_it(shell: Shell, words: tuple[str, ...]) -> None:
    assert shell.run(*words).json["room"] == "demo"


@pytest.mark.parametrize(
    "words",
    [("-j", "config", "show"), ("config", "-j", "show"), ("config", "show", "-j"), ("-j", "voices")],
    ids=" ".join,
)
def test_json_may_be_asked_for_at_every_level(shell: Shell, words: tuple[str, ...]) -> None:
    assert shell.run(*words).json


def test_a_group_that_does_something_alone_hands_on_what_stands_behind_it(shell: Shell) -> None:
    told = shell.run(
        "voices", "--json", "try", "Hi.", "--voice", "nobody", env={"LIBA_VOICE_PROVIDERS": "embedded"}
    )
    assert "No such option" not in told.stderr


@pytest.mark.parametrize("before", [("-v",), ("--verbose",), ()], ids=" ".join)
@pytest.mark.parametrize("after", [("-v",), ("--verbose",), ()], ids=" ".join)
def test_tracebacks_are_shown_wherever_they_are_asked_for(
    shell: Shell, before: tuple[str, ...], after: tuple[str, ...]
) -> None:
    told = shell.run(*before, "token", "--identity", "agent-x", *after)
    assert ("Traceback" in told.stderr) is bool(before or after)


@pytest.mark.parametrize(
    "words", [("-q", "config", "init"), ("config", "-q", "init"), ("config", "init", "-q")]
)
def test_quiet_may_stand_at_every_level(shell: Shell, words: tuple[str, ...]) -> None:
    told = shell.run(*words)
    assert (told.stdout, told.stderr) == ("liba.toml\n", "")


def test_what_stands_after_two_dashes_or_belongs_to_an_option_is_no_option_of_ours(shell: Shell) -> None:
    assert shell.run("-j", "token", "--name", "-q", "--identity=-j").json["identity"] == "-j"
    assert "-q is too much" in shell.run("token", "--", "-q").stderr


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_takes_quiet_verbose_and_all_but_two_json(path: tuple[str, ...]) -> None:
    command: Any = get_group(app)
    for name in path:
        command = command.get_command(None, name)
    known = {spelled for param in command.params for spelled in param.opts}
    assert known >= {"-q", "--quiet", "-v", "--verbose"}
    tells_otherwise = path in (("agent", "run"), ("mcp",))  # in its log; what it prints is a protocol
    assert ({"-j", "--json"} <= known) is not tells_otherwise


def test_json_before_a_command_that_has_none_is_told(shell: Shell) -> None:
    told = shell.run("--json", "agent", "run")
    assert told.code == 2
    assert "No such option: --json, which stands before the command" in told.stderr


@pytest.mark.parametrize("place", ["before", "after"])
def test_a_project_and_what_reaches_a_server_may_stand_before_the_command_as_with_lk(
    bare_shell: Shell, place: str
) -> None:
    with_project(bare_shell)
    for option, url in (
        (("--project", "at work"), "wss://work.livekit.cloud"),
        (("--url", "wss://here", "--api-key", "k", "--api-secret", "s" * 32), "wss://here"),
    ):
        words = (*option, "-j", "token") if place == "before" else ("token", "-j", *option)
        assert bare_shell.run(*words).json["url"] == url


def test_what_stands_behind_the_command_goes_before_what_stands_before_it(bare_shell: Shell) -> None:
    with_project(bare_shell)
    told = bare_shell.run("--project", "at work", "token", "--project", "mine", "--json")
    assert told.json["url"] == "wss://mine.livekit.cloud"


def test_a_project_with_an_address_of_another_one_is_a_contradiction(bare_shell: Shell) -> None:
    with_project(bare_shell)
    told = bare_shell.run("token", "--project", "mine", "--url", "wss://here")
    assert (told.code, told.stdout) == (2, "")
    assert "--project brings an address, a key and a secret of its own" in told.stderr


def test_where_a_setting_of_a_project_came_from_is_shown(bare_shell: Shell) -> None:
    with_project(bare_shell)
    rows = {row["setting"]: row for row in bare_shell.run("config", "show", "-j").json}
    file = bare_shell.folder / "home" / ".livekit" / "cli-config.yaml"
    assert rows["livekit.url"]["origin"] == f"{file} (project mine)"
    assert (rows["livekit.api_secret"]["value"], rows["livekit.api_key"]["value"]) == ("********", "APImine")
    assert bare_shell.run("config", "path").stdout.splitlines()[-1] == f"read     {file}"


def test_the_doctor_names_the_project_and_tells_of_a_file_that_others_can_read(bare_shell: Shell) -> None:
    with_project(bare_shell)
    file = bare_shell.folder / "home" / ".livekit" / "cli-config.yaml"
    file.chmod(0o644)
    checks = {one["name"]: one for one in bare_shell.run("doctor", "--offline", "-j").json["checks"]}
    assert f"{file} (project mine) (livekit.url, livekit.api_key" in checks["settings"]["message"]
    assert checks["files"]["fix"] == f"chmod 600 {file}"


def test_the_demo_uses_no_project_that_is_not_named(bare_shell: Shell) -> None:
    with_project(bare_shell)
    told = bare_shell.run("demo", "--once", "--room", "", env={"LIBA_SERVER_BINARY": "/nowhere"})
    assert "livekit.cloud" not in told.stderr


def test_a_token_has_the_names_of_lk_too(shell: Shell) -> None:
    told = shell.run("token", "--identity", "ann", "--name", "Ann", "--can-say", "--json").json
    assert told["access_token"] == told["token"]
    assert told["project_url"] == told["url"]
    assert (told["identity"], told["name"], told["room"]) == ("ann", "Ann", "demo")
    grants = told["grants"]
    assert (grants["identity"], grants["name"]) == ("ann", "Ann")
    assert (grants["video"]["roomJoin"], grants["video"]["room"]) == (True, "demo")
    assert grants["attributes"]["liba.say"]
    assert not grants.keys() & {"iss", "exp", "nbf", "sub"}


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("tokn",), "'token'"),
        (("serv",), "'serve'"),
        (("config", "shwo"), "'show'"),
        (("metrics", "sumary"), "'summary'"),
        (("voices", "tri"), "'try'"),
        (("agent", "rum"), "'run'"),
        (("-q", "doctr"), "'doctor'"),
    ],
    ids=str,
)
def test_a_command_that_is_nearly_right_is_told_at_every_level(
    bare_shell: Shell, words: tuple[str, ...], meant: str
) -> None:
    told = bare_shell.run(*words)
    assert (told.code, told.stdout) == (2, "")
    assert f"No such command {words[-1]!r}. Did you mean {meant}" in told.stderr


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("say", "Hi", "--rom", "x"), "--room"),
        (("config", "show", "--jsn"), "--json"),
        (("--verbos",), "--verbose"),
    ],
    ids=str,
)
def test_an_option_that_is_nearly_right_is_told(
    bare_shell: Shell, words: tuple[str, ...], meant: str
) -> None:
    told = bare_shell.run(*words)
    assert told.code == 2
    assert "No such option: " in told.stderr
    assert meant in told.stderr


def test_env_local_is_shown_as_where_a_setting_came_from(bare_shell: Shell) -> None:
    Path(".env.local").write_text("LIVEKIT_URL=wss://own\nLIVEKIT_AGENT_NAME=ours\n")
    Path(".env").write_text("LIVEKIT_URL=wss://older\nLIBA_SAY_ROOM=hall\n")
    rows = {row["setting"]: row for row in json.loads(bare_shell.run("config", "show", "-j").stdout)}
    assert (rows["livekit.url"]["value"], rows["livekit.url"]["origin"]) == (
        "wss://own",
        ".env.local LIVEKIT_URL",
    )
    assert (rows["agent.name"]["value"], rows["agent.name"]["origin"]) == (
        "ours",
        ".env.local LIVEKIT_AGENT_NAME",
    )
    assert rows["say.room"]["origin"] == ".env LIBA_SAY_ROOM"


NOT_UTF_8 = os.fsdecode(b"caf\xe9")


@pytest.mark.parametrize(
    "words",
    [
        ("say",),
        ("say", "Hi.", "--voice"),
        ("say", "Hi.", "--room"),
        ("stop", "--id"),
        ("queue", "cancel"),
        ("token", "--name"),
        ("voices", "try"),
        ("sessions", "--end"),
        ("metrics", "summary", "--room"),
        ("probe", "--text"),
        ("agent", "run", "--room"),
    ],
    ids=" ".join,
)
def test_what_is_no_text_is_refused_by_the_name_of_what_it_is_for(
    shell: Shell, words: tuple[str, ...]
) -> None:
    told = shell.run(*words, NOT_UTF_8)
    assert (told.code, "it is not UTF-8" in told.stderr) == (2, True), told


def test_text_that_is_utf_8_where_the_locale_is_not_is_text(shell: Shell) -> None:
    odd = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "PYTHONIOENCODING": "utf-8"}
    assert shell.spawn("token", "--json", "--room", "Köln", env=odd).json["room"] == "Köln"
