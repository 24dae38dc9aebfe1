"""Real builds of a copy of the source by pip. They need what an installation needs: the network and npm."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from libacli.web.npm import NODE_WHEEL, SERVED

pytestmark = pytest.mark.live

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


@pytest.fixture(scope="module")
def requirements(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What our builds require, installed once: pip alone would do so for each of them."""
    build = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]
    folder = tmp_path_factory.mktemp("requirements")
    wanted = [*build["requires"], "editables"]  # hatchling itself asks for that, for an editable install
    command = [sys.executable, "-m", "pip", "install", "--target", folder, *wanted]
    installed = subprocess.run(command, capture_output=True, text=True, timeout=150)
    assert installed.returncode == 0, installed.stdout + installed.stderr
    return folder


@dataclass(frozen=True)
class Pip:
    """For a Python of its own that has what a build requires, and nothing else."""

    source: Path
    python: Path
    requirements: Path

    def __call__(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "pip", "--python", self.python, *arguments],
            cwd=self.source,
            env=os.environ | {"PYTHONPATH": str(self.requirements)} | environment,
            capture_output=True,
            text=True,
            timeout=150,
        )

    def wheel(self, **environment: str) -> subprocess.CompletedProcess[str]:
        return self("wheel", "--no-build-isolation", "--no-deps", "--wheel-dir", "wheels", ".", **environment)

    def install(self, **environment: str) -> subprocess.CompletedProcess[str]:
        return self("install", "--verbose", "--no-build-isolation", "--no-deps", "-e", ".", **environment)

    def wheel_names(self) -> set[str]:
        (built,) = (self.source / "wheels").glob("*.whl")
        return {*zipfile.ZipFile(built).namelist()}


@pytest.fixture
def pip(source: Path, requirements: Path, tmp_path: Path) -> Pip:
    venv.create(tmp_path / "venv")
    return Pip(source, tmp_path / "venv" / "bin" / "python", requirements)


def test_a_wheel_holds_the_files_of_npm_with_their_licenses_and_not_the_hook(pip: Pip) -> None:
    built = pip.wheel()
    assert built.returncode == 0, built.stdout + built.stderr
    names = pip.wheel_names()
    assert {name for name in names if name.startswith(VENDOR)} == WANTED
    assert "libacli/web/build_hook.py" not in names
    assert {"libacli/py.typed", "libacli/CHANGELOG.md"} <= names


@pytest.mark.parametrize("kind", ["wheel", "editable"])
def test_a_build_asks_for_npm_where_there_is_none(pip: Pip, without_node: dict[str, str], kind: str) -> None:
    asked = f"from hatchling.build import get_requires_for_build_{kind} as asked; print(*asked())"
    told = {
        name: subprocess.run(
            [pip.python, "-c", asked],
            cwd=pip.source,
            env=os.environ | {"PYTHONPATH": str(pip.requirements)} | environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for name, environment in {
            "with": {},
            "without": without_node,
            "wanted so": without_node | {"LIBACLI_BUILD_WITHOUT_NODE": "1"},
        }.items()
    }
    assert NODE_WHEEL in told["without"]
    assert "nodejs" not in told["with"] + told["wanted so"]


def test_tests_have_the_npm_that_builds_have() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert NODE_WHEEL in extras["optional-dependencies"]["dev"]


def test_a_wheel_without_npm_is_not_built_and_the_message_names_both_ways_out(
    pip: Pip, without_node: dict[str, str]
) -> None:
    built = pip.wheel(**without_node)
    assert built.returncode != 0
    told = built.stdout + built.stderr
    assert "there is no npm" in told
    assert "Install Node.js" in told
    assert "LIBACLI_BUILD_WITHOUT_NODE=1" in told
    assert "Traceback" not in told


def test_a_wheel_without_npm_is_built_when_it_is_asked_for(pip: Pip, without_node: dict[str, str]) -> None:
    built = pip.wheel(LIBACLI_BUILD_WITHOUT_NODE="1", **without_node)
    assert built.returncode == 0, built.stdout + built.stderr
    names = pip.wheel_names()
    assert not WANTED & names
    assert "libacli/web/npm.py" in names


def test_an_editable_install_without_npm_warns_and_goes_on(pip: Pip, without_node: dict[str, str]) -> None:
    installed = pip.install(**without_node)
    assert installed.returncode == 0, installed.stdout + installed.stderr
    assert "without video in its page: there is no npm" in installed.stdout + installed.stderr
    assert not (pip.source / VENDOR).exists()


def test_an_editable_install_with_npm_puts_the_files_into_the_source(pip: Pip) -> None:
    installed = pip.install()
    assert installed.returncode == 0, installed.stdout + installed.stderr
    assert {str(one.relative_to(pip.source)) for one in (pip.source / VENDOR).iterdir()} >= WANTED
