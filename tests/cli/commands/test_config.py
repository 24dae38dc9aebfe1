from __future__ import annotations

import os
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from libacli.cli.options import ConfigFile
from libacli.config import Settings, toml_name
from libacli.config_sources import CONFIG_VARIABLE
from tests.cli.conftest import Shell
from tests.twirp_server import API_SECRET


def write(shell: Shell, name: str, text: str | bytes) -> Path:
    path = shell.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_every_setting_is_shown_with_its_value_and_origin(shell: Shell) -> None:
    write(shell, "liba.toml", "[voice]\nspeed = 1.5\n[server]\nbinary = '/opt/livekit-server'")
    assert shell.run("config", "trust").code == 0
    rows = {row["setting"]: row for row in shell.run("config", "show", "--json").json}
    assert rows.keys() == {toml_name(field) for field in Settings.model_fields}
    assert rows["voice.speed"] == {
        "setting": "voice.speed",
        "value": 1.5,
        "origin": "liba.toml",
        "variable": "LIBA_VOICE_SPEED",
    }
    assert rows["server.binary"]["value"] == "/opt/livekit-server"
    assert rows["livekit.url"]["origin"] == "environment LIVEKIT_URL"
    assert (rows["say.room"]["value"], rows["say.room"]["origin"]) == ("demo", "default")


def test_secrets_are_masked_and_missing_ones_look_missing(shell: Shell) -> None:
    rows = {row["setting"]: row["value"] for row in shell.run("config", "show", "--json").json}
    assert (rows["livekit.api_secret"], rows["openai.api_key"]) == ("********", None)
    lines = shell.run("config", "show").stdout.splitlines()
    assert [
        line.split()[1] for line in lines if line.startswith(("livekit.api_secret", "openai.api_key"))
    ] == [
        "********",
        "-",
    ]


@pytest.mark.parametrize("variable", ["LIVEKIT_API_SECRET", "OPENAI_API_KEY", "TAVUS_API_KEY"])
def test_no_secret_is_shown_wherever_it_stands(bare_shell: Shell, variable: str) -> None:
    write(bare_shell, ".env", f"{variable}={API_SECRET}")
    for arguments in (("config", "show"), ("config", "show", "--json"), ("--verbose", "config", "show")):
        assert "********" in bare_shell.run(*arguments).stdout


def test_headers_and_parameters_are_masked_and_fields_are_shown(bare_shell: Shell) -> None:
    write(
        bare_shell,
        "liba.toml",
        f'[openai.headers]\nx-key = "{API_SECRET}"\n[openai.query]\ncode = "{API_SECRET}"\n'
        '[voice.extra]\nlang_code = "a"\n',
    )
    rows = {row["setting"]: row["value"] for row in bare_shell.run("config", "show", "--json").json}
    assert (rows["openai.headers"], rows["openai.query"]) == ("********", "********")
    assert rows["voice.extra"] == '{"lang_code": "a"}'
    assert API_SECRET not in bare_shell.run("config", "show").stdout


def test_the_table_has_one_line_for_each_setting(shell: Shell) -> None:
    ended = shell.run("config", "show")
    assert (ended.code, ended.stderr) == (0, "")
    assert len(ended.stdout.splitlines()) == len(Settings.model_fields)


@pytest.mark.parametrize("way", ["flag", "variable"])
def test_another_file_is_read_when_it_is_named(bare_shell: Shell, way: str) -> None:
    named = str(write(bare_shell, "other.toml", '[say]\nroom = "named"'))
    flags, env = (("--config", named), {}) if way == "flag" else ((), {CONFIG_VARIABLE: named})
    rows = {row["setting"]: row for row in bare_shell.run("config", "show", "--json", *flags, env=env).json}
    assert (rows["say.room"]["value"], rows["say.room"]["origin"]) == ("named", named)


def test_the_variable_for_the_file_is_the_one_that_the_settings_know() -> None:
    option = ConfigFile.__metadata__[0]  # type: ignore[attr-defined]
    assert option.envvar == CONFIG_VARIABLE


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        (
            "liba.toml",
            '[livekit]\napi_secert = "canary"',
            "unknown setting livekit.api_secert - did you mean",
        ),
        ("liba.toml", "[livekit]\napi_secret = canary", "liba.toml is not valid TOML"),
        ("liba.toml", b"\xff\xfe", "cannot read liba.toml"),
        (".env", b"\xff\xfe", "cannot read .env"),
        (
            ".env",
            "LIBA_SAY_ROMO=canary",
            "LIBA_SAY_ROMO is not a setting of liba - did you mean LIBA_SAY_ROOM?",
        ),
        (".env", "LIBA_VOICE_SPEED=canary", "voice.speed: input should be a valid number"),
    ],
)
@pytest.mark.parametrize("command", ["config show", "token", "say Hello."])
def test_a_mistake_in_a_file_is_one_line_that_says_where(
    bare_shell: Shell, command: str, name: str, content: str | bytes, words: str
) -> None:
    write(bare_shell, name, content)
    ended = bare_shell.run(*command.split())
    assert (ended.code, ended.stdout) == (3, "")
    assert ended.stderr.startswith("liba: ")
    assert words in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert "canary" not in ended.stderr


def test_a_named_file_that_is_not_there_is_told(bare_shell: Shell) -> None:
    ended = bare_shell.run("config", "show", "--config", "nowhere.toml")
    assert ended.code == 3
    assert ended.stderr.startswith("liba: cannot read nowhere.toml: No such file or directory - ")


def test_the_files_are_listed_in_the_order_they_are_read(bare_shell: Shell) -> None:
    write(bare_shell, "liba.toml", "")
    folder = bare_shell.folder
    assert bare_shell.run("config", "path").stdout.splitlines() == [
        f"missing  {folder}/.env.local",
        f"missing  {folder}/.env",
        f"read     {folder}/liba.toml",
        f"missing  {folder}/user/liba/config.toml",
        f"missing  {folder}/home/.livekit/cli-config.yaml",
    ]
    assert bare_shell.run("config", "path", "--json").json[2] == {
        "state": "read",
        "path": f"{folder}/liba.toml",
    }


EVIL = """
[say]
room = "hall"
[server]
binary = "./evil"
[openai]
base_url = "http://user:password@evil.example/v1"
api_key = "a-key-of-a-stranger"
[serve]
origins = ["https://evil.example"]
host = 1979-05-27
"""


def test_what_is_left_out_is_shown_with_its_value_and_why(shell: Shell) -> None:
    write(shell, "liba.toml", EVIL)
    rows = {row["setting"]: row for row in shell.run("config", "show", "--json").json}
    assert (rows["say.room"]["value"], rows["say.room"]["origin"]) == ("hall", "liba.toml")
    assert rows["server.binary"] == {
        "setting": "server.binary",
        "value": None,
        "origin": "default",
        "variable": "LIBA_SERVER_BINARY",
        "left_out": [{"value": "./evil", "origin": "liba.toml", "why": "a program that would run"}],
    }
    values = {name: row["left_out"][0]["value"] for name, row in rows.items() if "left_out" in row}
    assert values == {
        "server.binary": "./evil",
        "openai.base_url": "http://[secret]@evil.example/v1",
        "openai.api_key": "********",
        "serve.origins": "['https://evil.example']",
        "serve.host": "1979-05-27",
    }
    ended = shell.run("config", "show")
    line = next(line for line in ended.stdout.splitlines() if "./evil" in line)
    assert line.split(maxsplit=2)[2] == "left out of liba.toml: a program that would run"
    assert (ended.code, ended.stderr) == (0, "read it, then: liba config trust\n")
    assert "password" not in ended.stdout and "stranger" not in ended.stdout


def test_a_command_ends_where_something_is_left_out_and_names_the_next_step(shell: Shell) -> None:
    write(shell, "liba.toml", EVIL)
    ended = shell.run("token")
    assert (ended.code, ended.stdout) == (3, "")
    assert ended.stderr == (
        "liba: liba.toml sets server.binary (a program that would run), openai.base_url (an address that "
        "your keys would be used with), openai.api_key (a credential that would be used with your own) and "
        "2 more, and you have not trusted it - read it, then: liba config trust\n"
    )


def test_a_folder_is_trusted_until_one_of_its_files_changes(shell: Shell) -> None:
    file = write(shell, "liba.toml", "[server]\nbinary = './evil'\n[say]\nroom = 'hall'")
    env = write(shell, ".env", f"OPENAI_API_KEY={API_SECRET}")
    assert shell.run("token").code == 3
    ended = shell.run("config", "trust")
    assert ended.stdout == f"trusted  {env}\ntrusted  {file}\n"
    assert ended.stderr.splitlines() == [
        "OPENAI_API_KEY = ********  (a credential that would be used with your own)",
        "server.binary = ./evil  (a program that would run)",
    ]
    assert shell.run("token").code == 0
    rows = {row["setting"]: row for row in shell.run("config", "show", "--json").json}
    assert (rows["server.binary"]["value"], rows["server.binary"]["origin"]) == ("evil", "liba.toml")
    file.write_text(file.read_text() + "\n")
    assert shell.run("token").code == 3
    assert shell.run("config", "trust").code == 0
    assert shell.run("token").code == 0
    ended = shell.run("config", "trust", "--remove")
    assert ended.stdout == f"not trusted any more  {env}\nnot trusted any more  {file}\n"
    assert shell.run("token").code == 3
    assert shell.run("config", "trust", "--remove").stderr == "no file of this folder was trusted\n"


def test_a_file_that_was_trusted_and_is_gone_can_be_trusted_no_more(shell: Shell) -> None:
    file = write(shell, "liba.toml", "[server]\nbinary = './evil'")
    shell.run("config", "trust")
    file.unlink()
    assert shell.run("config", "trust", "--remove").stdout == f"not trusted any more  {file}\n"
    write(shell, "liba.toml", "[server]\nbinary = './evil'")
    assert shell.run("token").code == 3


def test_a_copy_of_a_trusted_folder_is_another_folder(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(shell, "liba.toml", "[server]\nbinary = './evil'")
    shell.run("config", "trust")
    write(shell, "copy/liba.toml", "[server]\nbinary = './evil'")
    monkeypatch.chdir(tmp_path / "copy")
    assert shell.run("token").code == 3


def test_where_there_is_nothing_to_trust_that_is_told(bare_shell: Shell) -> None:
    ended = bare_shell.run("config", "trust")
    assert (ended.code, ended.stdout) == (3, "")
    assert ended.stderr.startswith("liba: there is none of .env.local, .env, liba.toml in this folder - ")


@pytest.mark.parametrize("name", ["liba.toml", ".env", ".env.local"])
def test_a_file_that_is_not_the_users_alone_or_not_understood_is_not_trusted(shell: Shell, name: str) -> None:
    file = write(shell, name, "nonsense = 1\nLIBA_NONSENSE=1")
    write(shell, "liba.toml" if name.startswith(".env") else ".env", "")
    assert shell.run("config", "trust").code == 3
    file.write_text("")
    file.chmod(0o606)
    ended = shell.run("config", "trust")
    assert ended.code == 3
    assert f"others may write to {name}" in ended.stderr
    assert shell.run("config", "trust", "--remove").stdout == ""


def test_a_trusted_env_may_ask_for_a_variable_whose_value_is_not_shown(shell: Shell) -> None:
    write(shell, ".env", "LIBA_SERVE_PUBLIC_URL=https://${LIVEKIT_API_SECRET}.example")
    assert shell.run("token").code == 3
    assert "${LIVEKIT_API_SECRET}" in shell.run("config", "trust").stderr
    assert shell.run("token").code == 0


def test_the_list_of_files_tells_which_are_trusted_and_which_count_in_part(shell: Shell) -> None:
    def states() -> list[str]:
        return [line.split()[0] for line in shell.run("config", "path").stdout.splitlines()]

    write(shell, ".env", "LIBA_SAY_ROOM=hall")
    file = write(shell, "liba.toml", "[server]\nbinary = './evil'")
    assert states() == ["missing", "read", "partly", "missing", "missing"]
    shell.run("config", "trust")
    assert states() == ["missing", "trusted", "trusted", "missing", "missing"]
    file.chmod(0o666)
    assert states() == ["missing", "trusted", "refused", "missing", "missing"]


def test_a_new_file_describes_every_setting_and_is_for_its_owner_alone(bare_shell: Shell) -> None:
    ended = bare_shell.run("config", "init")
    file = bare_shell.folder / "liba.toml"
    assert (ended.code, ended.stdout) == (0, "liba.toml\n")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert tomllib.loads(file.read_text()).keys() == {
        toml_name(name).split(".")[0] for name in Settings.model_fields
    }
    assert bare_shell.run("config", "show").code == 0


def test_a_file_that_is_there_is_overwritten_only_by_force(bare_shell: Shell) -> None:
    file = write(bare_shell, "liba.toml", "# mine")
    file.chmod(0o644)
    ended = bare_shell.run("config", "init")
    assert (ended.code, ended.stderr) == (3, "liba: liba.toml is there already - --force overwrites it\n")
    assert file.read_text() == "# mine"
    assert bare_shell.run("config", "init", "--force").code == 0
    assert "# mine" not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_the_file_of_the_user_is_made_with_its_folder(bare_shell: Shell) -> None:
    file = bare_shell.folder / "user" / "liba" / "config.toml"
    assert bare_shell.run("config", "init", "--user").stdout == f"{file}\n"
    assert file.is_file()


def test_a_folder_that_cannot_be_written_is_told(bare_shell: Shell) -> None:
    write(bare_shell, "user", "a file where a folder should be")
    ended = bare_shell.run("config", "init", "--user")
    assert ended.code == 3
    assert ended.stderr.startswith("liba: cannot write ")


@pytest.mark.parametrize("command", ["path", "init", "trust"])
def test_a_folder_that_is_gone_is_told_as_such(bare_shell: Shell, command: str) -> None:
    gone = bare_shell.folder / "gone"
    gone.mkdir()
    script = f"rmdir {gone}; exec {sys.executable} -m libacli config {command}"
    env = dict(os.environ) | bare_shell.env
    ended = subprocess.run(
        ["sh", "-c", script], cwd=gone, env=env, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 3
    assert ended.stderr.startswith("liba: ") and " - " in ended.stderr
    assert "unexpected" not in ended.stderr
