"""Real builds of a copy of the source by pip. They need what an installation needs: the network and npm."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from libacli.web.npm import SERVED

ROOT = Path(__file__).parents[2]
VENDOR = "libacli/web/static/vendor"
WANTED = {f"{VENDOR}/{name}" for pin in SERVED for name in pin.files.values()}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """What a fresh clone holds of what a build reads."""
    copy = tmp_path / "source"
    ignored = shutil.ignore_patterns("vendor", "__pycache__")
    shutil.copytree(ROOT / "libacli", copy / "libacli", ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(ROOT / name, copy)
    return copy


@pytest.fixture
def without_node(tmp_path: Path) -> dict[str, str]:
    """Environment in which no program is found by name."""
    (tmp_path / "nothing").mkdir()
    return {"PATH": str(tmp_path / "nothing")}


def pip(source: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pip", *arguments],
        cwd=source,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=150,
    )


def wheel(source: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return pip(source, "wheel", "--no-deps", "--wheel-dir", "wheels", ".", **environment)


def wheel_names(source: Path) -> set[str]:
    (built,) = (source / "wheels").glob("*.whl")
    return {*zipfile.ZipFile(built).namelist()}


def test_a_wheel_holds_the_files_of_npm_with_their_licenses_and_not_the_hook(source: Path) -> None:
    built = wheel(source)
    assert built.returncode == 0, built.stdout + built.stderr
    names = wheel_names(source)
    assert {name for name in names if name.startswith(VENDOR)} == WANTED
    assert "libacli/web/build_hook.py" not in names


def test_a_wheel_without_npm_is_not_built_and_the_message_names_both_ways_out(
    source: Path, without_node: dict[str, str]
) -> None:
    built = wheel(source, **without_node)
    assert built.returncode != 0
    told = built.stdout + built.stderr
    assert "there is no npm" in told
    assert "Install Node.js" in told
    assert "LIBACLI_BUILD_WITHOUT_NODE=1" in told
    assert "Traceback" not in told


def test_a_wheel_without_npm_is_built_when_it_is_asked_for(
    source: Path, without_node: dict[str, str]
) -> None:
    built = wheel(source, LIBACLI_BUILD_WITHOUT_NODE="1", **without_node)
    assert built.returncode == 0, built.stdout + built.stderr
    names = wheel_names(source)
    assert not WANTED & names
    assert "libacli/web/npm.py" in names


def test_an_editable_install_without_npm_warns_and_goes_on(
    source: Path, without_node: dict[str, str], tmp_path: Path
) -> None:
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    installed = pip(
        source, "--python", str(venv), "install", "--verbose", "--no-deps", "-e", ".", **without_node
    )
    assert installed.returncode == 0, installed.stdout + installed.stderr
    assert "without video in its page: there is no npm" in installed.stdout + installed.stderr
    assert not (source / VENDOR).exists()


def test_an_editable_install_with_npm_puts_the_files_into_the_source(source: Path, tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    installed = pip(source, "--python", str(venv), "install", "--no-deps", "-e", ".")
    assert installed.returncode == 0, installed.stdout + installed.stderr
    assert {str(one.relative_to(source)) for one in (source / VENDOR).iterdir()} >= WANTED
