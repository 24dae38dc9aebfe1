"""The lowest versions that `pyproject.toml` allows, as constraints for pip: `python -m tests.lowest > FILE`.

What is installed with `pip install -c FILE -e '.[dev]'` is what somebody may have whose other programs want
nothing newer. What others bring is as new as they let it be, as are our tools.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent


def asked_for(*, tools: bool = True) -> dict[str, Requirement]:
    """What `pyproject.toml` names itself, by package; with what only tests and checks need, or without."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = [
        *project["dependencies"],
        *(
            line
            for extra, lines in project["optional-dependencies"].items()
            if tools or extra != "dev"
            for line in lines
        ),
    ]
    return {requirement.name.lower(): requirement for requirement in map(Requirement, named)}


def lowest() -> Iterator[str]:
    """`name==version` of each package that liba itself asks for, in the order of their names."""
    for name, requirement in sorted(asked_for(tools=False).items()):
        if floor := floor_of(requirement):
            yield f"{name}=={floor}"


def floor_of(requirement: Requirement) -> str:
    """The version in `>=` or `==`; empty where there is none."""
    floors = [part.version for part in requirement.specifier if part.operator in (">=", "==")]
    return floors[0] if floors else ""


if __name__ == "__main__":
    sys.stdout.write("".join(f"{line}\n" for line in lowest()))
