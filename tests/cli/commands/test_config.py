from __future__ import annotations

import stat
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
        f"missing  {folder}/.env",
        f"read     {folder}/liba.toml",
        f"missing  {folder}/user/liba/config.toml",
    ]


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
