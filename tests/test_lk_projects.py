"""The projects of LiveKit's own `lk`: read last, or first where one is named."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from libacli.config_sources import LoadedSettings
from libacli.errors import ConfigError
from tests.test_config import CANARY, Sources

# As `lk project add` writes it: yaml.Marshal of CLIConfig, https://github.com/livekit/livekit-cli.
WRITTEN_BY_LK = f"""\
default_project: mine
projects:
    - name: mine
      project_id: p_1234
      url: wss://mine.livekit.cloud
      api_key: APImine
      api_secret: {CANARY}
    - name: at work
      project_id: ""
      url: wss://work.livekit.cloud
      api_key: "0123"
      api_secret: 12345678901234567890123456789012345e5
device_name: laptop
theme: ""
"""
MINE = ("wss://mine.livekit.cloud", "APImine", CANARY)
AT_WORK = ("wss://work.livekit.cloud", "0123", "12345678901234567890123456789012345e5")


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    sources = Sources(tmp_path)
    write(sources, WRITTEN_BY_LK)
    return sources


def write(sources: Sources, content: str | bytes) -> None:
    sources.projects_file.parent.mkdir(exist_ok=True)
    sources.projects_file.write_bytes(content if isinstance(content, bytes) else content.encode())
    sources.projects_file.chmod(0o600)


def used(loaded: LoadedSettings) -> tuple[str, str, str]:
    credentials = loaded.settings.livekit()
    return credentials.url, credentials.api_key, credentials.api_secret.get_secret_value()


def test_the_default_project_counts_where_nothing_else_names_one(sources: Sources) -> None:
    loaded = sources.load()
    assert used(loaded) == MINE
    assert loaded.origins["livekit_api_secret"] == f"{sources.projects_file} (project mine)"


def test_what_looks_like_a_number_is_text_as_for_lk(sources: Sources) -> None:
    assert used(sources.load(project="at work")) == AT_WORK


def test_a_project_that_is_named_goes_before_the_environment_as_with_lk(sources: Sources) -> None:
    others = {"LIVEKIT_URL": "wss://other", "LIVEKIT_API_KEY": "other", "LIVEKIT_API_SECRET": "other"}
    assert used(sources.load(others, project="mine")) == MINE
    assert used(sources.load(others))[0] == "wss://other"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("LIVEKIT_URL", "wss://other"),
        ("LIVEKIT_API_KEY", "other"),
        ("LIVEKIT_API_SECRET", "other"),
    ],
)
def test_the_default_project_is_never_mixed_with_another_one(
    sources: Sources, variable: str, value: str
) -> None:
    with pytest.raises(ConfigError, match="not set"):
        sources.load({variable: value}).settings.livekit()


@pytest.mark.parametrize("url", ["wss://mine.livekit.cloud", "wss://mine.livekit.cloud/"])
def test_the_default_project_adds_the_key_where_its_own_address_is_named(sources: Sources, url: str) -> None:
    assert used(sources.load({"LIVEKIT_URL": url})) == (url, *MINE[1:])


def test_the_secret_of_a_project_goes_nowhere_that_a_strangers_folder_names(sources: Sources) -> None:
    sources.write("liba.toml", '[openai]\nbase_url = "https://evil.example/v1"')
    loaded = sources.load()
    assert [one.field for one in loaded.left_out] == ["openai_base_url"]
    assert used(loaded) == MINE


def test_a_folder_that_names_an_address_does_not_get_the_key_of_a_project(sources: Sources) -> None:
    sources.write(".env.local", "LIVEKIT_URL=wss://evil.example")
    with pytest.raises(ConfigError, match="LIVEKIT_API_KEY and LIVEKIT_API_SECRET are not set"):
        sources.load().settings.livekit()


def test_a_folder_with_an_address_and_keys_of_its_own_goes_before_the_project(sources: Sources) -> None:
    sources.write(".env.local", "LIVEKIT_URL=wss://own\nLIVEKIT_API_KEY=own\nLIVEKIT_API_SECRET=own-secret")
    loaded = sources.load()
    loaded.check_nothing_is_left_out()
    assert used(loaded) == ("wss://own", "own", "own-secret")


def test_what_is_left_out_of_a_folder_leaves_the_place_to_the_project(sources: Sources) -> None:
    sources.write(".env", "LIVEKIT_URL=wss://evil\nLIVEKIT_API_KEY=evil\nLIVEKIT_API_SECRET=evil-secret")
    loaded = sources.load({"OPENAI_API_KEY": CANARY})
    assert used(loaded) == MINE
    assert len(loaded.left_out) == 3


def test_a_project_that_lk_does_not_know_is_told_with_those_that_it_knows(sources: Sources) -> None:
    with pytest.raises(
        ConfigError, match=r"^lk knows no project 'yours': there are 'mine', 'at work'$"
    ) as told:
        sources.load(project="yours")
    assert told.value.exit_code == 3
    sources.projects_file.unlink()
    with pytest.raises(ConfigError, match=r"^lk knows no project 'mine'$"):
        sources.load(project="mine")


def test_a_project_without_a_secret_is_no_project(sources: Sources) -> None:
    write(sources, "default_project: half\nprojects: [{name: half, url: 'wss://half', api_key: k}]\n")
    assert not sources.load().settings.livekit_url
    with pytest.raises(ConfigError, match=r"^lk's project 'half' has no api_secret$"):
        sources.load(project="half")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "null\n",
        "theme: dark\n",
        "default_project: gone\nprojects: []\n",
        "default_project: [mine]\nprojects: 7\n",
        "default_project: mine\nprojects: [7, [mine], {name: {a: b}}, null]\n",
    ],
)
def test_a_file_without_a_default_project_changes_nothing(sources: Sources, content: str) -> None:
    write(sources, content)
    assert set(sources.load().origins.values()) == {"default"}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (f"projects:\n  - api_secret: {CANARY}\n bad: [", "is not valid YAML, line 3$"),
        (b"\xff\xfe\x00\xd8" + CANARY.encode(), "is not valid YAML"),
        ("- a list\n", "is not as lk writes it$"),
        ("[" * 5000, "is not valid YAML"),
    ],
)
def test_a_file_that_cannot_be_understood_is_named_and_never_quoted(
    sources: Sources, content: str | bytes, told: str
) -> None:
    write(sources, content)
    with pytest.raises(ConfigError, match=told) as error:
        sources.load()
    assert str(sources.projects_file) in str(error.value)
    assert CANARY not in str(error.value)
    assert error.value.__cause__ is None


def test_a_file_that_others_may_write_to_is_not_read(sources: Sources) -> None:
    sources.projects_file.chmod(0o666)
    with pytest.raises(ConfigError, match="others may write to"):
        sources.load()


def test_the_file_is_not_read_where_all_is_set_elsewhere(sources: Sources) -> None:
    write(sources, "[not: yaml")
    others = {"LIVEKIT_URL": "wss://other", "LIVEKIT_API_KEY": "other", "LIVEKIT_API_SECRET": "other"}
    assert used(sources.load(others))[0] == "wss://other"


@pytest.mark.parametrize(("content", "is_loaded"), [("", False), (WRITTEN_BY_LK, True)])
def test_what_reads_yaml_is_loaded_only_for_who_has_the_file(
    tmp_path: Path, content: str, is_loaded: bool
) -> None:
    file = tmp_path / ".livekit" / "cli-config.yaml"
    if content:
        file.parent.mkdir()
        file.write_text(content)
        file.chmod(0o600)
    program = """import sys; from libacli.config_sources import load
load(environment={}); print("yaml" in sys.modules)"""
    environment: dict[str, Any] = {"HOME": str(tmp_path), "PYTHONPATH": ":".join(filter(None, sys.path))}
    told = subprocess.run(
        [sys.executable, "-c", program], env=environment, cwd=tmp_path, capture_output=True, check=True
    )
    assert told.stdout.decode().strip() == str(is_loaded)
