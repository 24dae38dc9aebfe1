"""Users without a home, and homes that cannot be written to."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from libacli.config import Settings
from libacli.user_folders import check_temporary_folder, folder_error, not_kept, settle_home

VARIABLES = ("XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home below a file: neither this user nor root can make it."""
    (tmp_path / "file").write_text("")
    home = tmp_path / "file" / "home"
    monkeypatch.setenv("HOME", str(home))
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    return home


def run(home: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), "HOME": home}
    command = [sys.executable, "-m", "libacli", *arguments]
    return subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )


def test_what_cannot_be_kept_is_told_in_one_line_with_the_variable(nowhere: Path) -> None:
    (line,) = not_kept(Settings())
    assert line.startswith(f"{nowhere}/")
    assert line.endswith(
        "each room counts its characters for itself alone; no metrics are kept; set XDG_STATE_HOME"
    )
    assert "no avatar is begun" in not_kept(Settings(tavus_api_key="key"))[0]  # type: ignore[arg-type]
    assert not_kept(Settings(metrics_store=False, say_max_chars_per_hour=0)) == []
    assert not_kept(Settings(voice_cache_mb=1))[1].endswith("set XDG_CACHE_HOME")


def test_where_all_can_be_kept_nothing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES:
        monkeypatch.setenv(variable, str(tmp_path / variable))
    assert not_kept(Settings(voice_cache_mb=1, tavus_api_key="key")) == []  # type: ignore[arg-type]
    check_temporary_folder()


def test_an_error_in_the_users_folders_is_told_with_what_helps_and_another_one_is_not(nowhere: Path) -> None:
    with pytest.raises(OSError) as caught:
        nowhere.mkdir()
    told = folder_error(caught.value)
    assert told and str(told) == f"cannot use {nowhere}: Not a directory"
    assert told.exit_code == 3 and "XDG_STATE_HOME" in told.hint
    assert folder_error(FileNotFoundError(2, "No such file", "/elsewhere")) is None
    assert folder_error(OSError("no file at all")) is None


def test_a_command_that_needs_the_folder_ends_with_a_word_about_it(nowhere: Path, tmp_path: Path) -> None:
    ended = run(str(nowhere), tmp_path, "demo", "--once")
    assert ended.returncode == 3
    assert ended.stderr.startswith("liba: cannot use ") and "unexpected" not in ended.stderr


def test_who_has_no_home_has_none_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = tmp_path / "~" / ".config" / "liba" / "config.toml"
    foreign.parent.mkdir(parents=True)
    foreign.write_text("this is no TOML")
    ended = run("~", tmp_path, "config", "path")  # what Python makes of it for a user without a name
    assert ended.returncode == 0, ended.stderr
    assert "missing  /nonexistent/.config/liba/config.toml" in ended.stdout
    environment = {"HOME": "/home/ann"}
    monkeypatch.setenv("HOME", environment["HOME"])
    settle_home(environment)
    assert environment == {"HOME": "/home/ann"}
