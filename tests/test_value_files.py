"""Settings whose values lie in files of their own: NAME_FILE."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from libacli.child_environment import environment_of
from libacli.config import Settings, variable_name
from libacli.errors import ConfigError
from tests.privileges import held_to_file_modes
from tests.test_config import CANARY, Sources

VARIABLES = [
    "LIVEKIT_URL",
    "LIVEKIT_API_KEY",
    "LIVEKIT_API_SECRET",
    "OPENAI_API_KEY",
    "TAVUS_API_KEY",
    "LIBA_REDIS_URL",
    "LIBA_SERVE_KEYS",
    "LIBA_SERVE_OWNER_KEY",
]


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    return Sources(tmp_path)


@pytest.fixture
def secret(sources: Sources) -> Path:
    return sources.write("secret", f"{CANARY}\n")


@pytest.mark.parametrize("variable", VARIABLES)
@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n"])
def test_a_value_in_a_file_is_as_one_in_a_variable(sources: Sources, variable: str, end: str) -> None:
    file = sources.write("mounted", CANARY + end)
    loaded = sources.load({f"{variable}_FILE": str(file)})
    assert loaded.settings == sources.load({variable: CANARY}).settings != Settings()
    field = next(field for field in Settings.model_fields if variable_name(field) == variable)
    assert loaded.origins[field] == f"{file} {variable}_FILE"


def test_a_newline_at_the_end_of_a_variable_is_none_of_its_value(sources: Sources) -> None:
    settings = sources.load({"OPENAI_API_KEY": f"{CANARY}\r\n", "LIVEKIT_API_KEY": "\n"}).settings
    assert settings.openai_api_key and settings.openai_api_key.get_secret_value() == CANARY
    assert not settings.livekit_api_key


def test_an_older_spelling_may_name_a_file_too(sources: Sources, secret: Path) -> None:
    assert sources.load({"TAVUS_REPLICA_ID_FILE": str(secret)}).settings.tavus_face_id == CANARY


def test_no_setting_is_called_as_the_file_of_another_one() -> None:
    variables = set(map(variable_name, Settings.model_fields))
    assert not {f"{name}_FILE" for name in variables} & variables


def test_a_setting_that_is_a_file_itself_stays_one(sources: Sources, secret: Path) -> None:
    settings = sources.load({"LIBA_VOICE_PRONOUNCE_FILE": str(secret)}).settings
    assert settings.voice_pronounce_file == secret


def test_both_a_value_and_its_file_are_an_error_that_names_both(sources: Sources, secret: Path) -> None:
    with pytest.raises(ConfigError, match="both OPENAI_API_KEY and OPENAI_API_KEY_FILE are set"):
        sources.load({"OPENAI_API_KEY": CANARY, "OPENAI_API_KEY_FILE": str(secret)})
    sources.load({"OPENAI_API_KEY": "", "OPENAI_API_KEY_FILE": str(secret)})  # empty is not set
    sources.load({"OPENAI_API_KEY": CANARY, "OPENAI_API_KEY_FILE": ""})


def test_a_file_of_something_that_is_no_setting_is_an_unknown_variable(sources: Sources) -> None:
    with pytest.raises(ConfigError, match="LIBA_OWNER_KEY_FILE is not a setting"):
        sources.load({"LIBA_OWNER_KEY_FILE": "/x"})


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (f"{CANARY}\xff".encode("latin-1"), "is not a text file in UTF-8"),
        (CANARY.encode() * 5000, "has more than 64 KB"),
        (b"\n", "is empty"),
    ],
)
def test_a_file_that_holds_no_value_is_told_without_what_it_holds(
    sources: Sources, content: bytes, why: str
) -> None:
    file = sources.write("mounted", content)
    with pytest.raises(ConfigError) as caught:
        sources.load({"LIVEKIT_API_SECRET_FILE": str(file)})
    assert str(caught.value) == f"LIVEKIT_API_SECRET_FILE names {file}, which {why}"
    assert caught.value.exit_code == 3
    assert CANARY not in repr(caught.value.__cause__)


def test_a_file_that_is_not_there_or_is_none_is_told_by_its_path(sources: Sources) -> None:
    pipe = sources.folder / "pipe"
    os.mkfifo(pipe)
    for path, why in (
        (sources.folder / "absent", "cannot be read: No such file or directory"),
        (sources.folder, "cannot be read: Is a directory"),
        (pipe, "cannot be read: it is no file"),
        ("/dev/zero", "cannot be read: it is no file"),
        ("a\0b", "cannot be read: embedded null byte"),
    ):
        with pytest.raises(ConfigError) as caught:
            sources.load({"LIVEKIT_API_SECRET_FILE": str(path)})
        assert str(caught.value) == f"LIVEKIT_API_SECRET_FILE names {path}, which {why}"


def test_a_file_that_this_user_may_not_read_is_told(sources: Sources, secret: Path) -> None:
    secret.chmod(0)
    with held_to_file_modes(), pytest.raises(ConfigError, match="cannot be read: Permission denied"):
        sources.load({"LIVEKIT_API_SECRET_FILE": str(secret)})


@pytest.mark.parametrize("name", [".env", ".env.local"])
def test_a_strangers_folder_has_no_file_of_the_users_read_before_it_is_trusted(
    sources: Sources, secret: Path, name: str
) -> None:
    own = "LIVEKIT_URL=wss://evil.example\nLIVEKIT_API_KEY=k\nLIVEKIT_API_SECRET=s\n"
    dotenv = sources.write(name, f"{own}OPENAI_API_KEY_FILE={secret}\nLIBA_SAY_ROOM_FILE=/dev/nowhere")
    loaded = sources.load()
    assert loaded.settings.openai_api_key is None and loaded.settings.say_room == "demo"
    assert {one.field for one in loaded.left_out} == {"openai_api_key", "say_room"}
    with pytest.raises(ConfigError, match=r"sets OPENAI_API_KEY_FILE \(it asks for a file by its path\)"):
        loaded.check_nothing_is_left_out()
    dotenv.write_text(f"{own}OPENAI_API_KEY_FILE={secret}")
    sources.trusted.add(dotenv, dotenv.read_bytes())
    trusted = sources.load().settings
    assert trusted.openai_api_key and trusted.openai_api_key.get_secret_value() == CANARY


def test_a_child_is_handed_the_value_and_not_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY_FILE", "/run/secrets/openai")
    child = environment_of("liba", {"OPENAI_API_KEY": CANARY})
    assert child["OPENAI_API_KEY"] == CANARY and "OPENAI_API_KEY_FILE" not in child
