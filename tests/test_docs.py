"""What is written about liba and what liba does must be the same."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_group
from typer.testing import CliRunner

from libacli import errors
from libacli.cli.main import app
from libacli.config import Settings, example
from libacli.config_sources import load
from tests.speech_peers import PEERS, Peer

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
GATE = (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def commands(command: Any, *path: str) -> Iterator[tuple[str, ...]]:
    """Paths of all commands below `command`, which is liba's root or one of its groups."""
    if not hasattr(command, "list_commands"):
        yield path
        return
    for name in command.list_commands(None):
        yield from commands(command.get_command(None, name), *path, name)


COMMANDS = list(commands(get_group(app)))


def test_the_example_file_describes_every_setting_as_it_is() -> None:
    assert (ROOT / "config.example.toml").read_text(encoding="utf-8") == example()


def test_the_example_file_holds_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "liba.toml"
    file.write_text(re.sub(r"^# (\w+ = )", r"\1", example(), flags=re.MULTILINE))
    # `is_local`: nothing that runs on this machine counts.
    loaded = load(
        config_file=file, environment={}, folder=tmp_path, user_file=tmp_path / "none", is_local=True
    )
    assert loaded.settings == Settings()


def named_files() -> list[str]:
    """Files that the README names, from wherever it names them: "core/turn.py" is below libacli."""
    linked = re.findall(r"\]\(([\w./-]+)\)", README)
    quoted = re.findall(r"`((?:[\w-]+/)+[\w-]+\.(?:py|js))`", README)
    return sorted(name for name in {*linked, *quoted} if "NAME" not in name)


@pytest.mark.parametrize("name", named_files())
def test_a_file_that_the_readme_names_is_there(name: str) -> None:
    assert (ROOT / name).exists() or (ROOT / "libacli" / name).exists()


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_the_readme_names_every_command(path: tuple[str, ...]) -> None:
    assert f"`liba {' '.join(path)}" in README


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(path: tuple[str, ...]) -> None:
    help_text = CliRunner().invoke(app, [*path, "--help"])
    assert help_text.exit_code == 0
    assert "Usage:" in help_text.output


def test_the_readme_explains_every_exit_code() -> None:
    codes = {
        error.exit_code
        for _, error in inspect.getmembers(errors, inspect.isclass)
        if issubclass(error, errors.LibaError)
    }
    explained = {int(code) for code in re.findall(r"^\| (\d+) \|", README, flags=re.MULTILINE)}
    assert explained == codes | {0, 130}


def test_the_error_tree_is_drawn_as_it_is() -> None:
    drawn = dict(re.findall(r"(\w+Error)\s+(\d+)", errors.__doc__ or ""))
    real = {
        name: str(error.exit_code)
        for name, error in inspect.getmembers(errors, inspect.isclass)
        if issubclass(error, errors.LibaError)
    }
    assert drawn == real


def test_the_gate_tests_what_the_readme_says() -> None:
    assert "pip install -e '.[dev]' && .venv/bin/pytest" in README
    assert "install --quiet --disable-pip-version-check -e '.[dev]'" in GATE
    assert GATE.splitlines()[-1].split(" || ")[0] == "pytest"
    assert "`pytest --last-failed -n 0` tries that once more" in README
    assert GATE.splitlines()[-1].split(" || ")[1].startswith("pytest --last-failed ")


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.__name__)
def test_the_readme_says_what_each_tried_server_wants_set(peer: type[Peer]) -> None:
    row = next(line for line in README.splitlines() if line.startswith(f"  | {peer.title} |"))
    wanted = {"the key" if name == "openai_api_key" else name.replace("_", ".", 1) for name in peer.settings}
    assert [name for name in wanted if name not in row] == []
