from __future__ import annotations

import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from libacli.deploy.pins import EXTRAS, pins
from tests.lowest import asked_for

ROOT = Path(__file__).parent.parent.parent
PINNED = {Requirement(pin).name: pin for pin in pins()}


@pytest.mark.parametrize("name", sorted(set(asked_for(tools=False))))
def test_whatever_liba_asks_for_is_pinned_as_it_is_installed_here(name: str) -> None:
    normal = canonicalize_name(name)
    assert PINNED[normal] == f"{normal}=={version(name)}"


def test_what_that_asks_for_is_pinned_too() -> None:
    assert {"pydantic-core", "starlette", "protobuf"} <= PINNED.keys()


def test_no_tool_of_developers_is_pinned_and_not_liba_itself() -> None:
    assert not {"libacli", "pytest", "mypy", "ruff", "playwright", "pip", "setuptools"} & PINNED.keys()


def test_all_extras_are_installed_but_those_of_developers() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert sorted(EXTRAS) == sorted(project["optional-dependencies"].keys() - {"dev"})


def test_each_is_pinned_once() -> None:
    assert len(PINNED) == len(pins())
