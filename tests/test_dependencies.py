"""What stands between us and hostile input is new enough: no known hole in what is installed or asked for.

The vulnerability data of the package index is not reachable from everywhere; this list is. Add to it when an
advisory appears for something in the resolved set, and raise the floor in `pyproject.toml` if it is ours.
"""

from __future__ import annotations

from importlib.metadata import requires, version

import pytest
from packaging.version import Version

from tests.lowest import asked_for, lowest

FLOORS = {
    "aiohttp": "3.14.4",  # PYSEC-2026-4369, and request smuggling before
    "h11": "0.16.0",  # CVE-2025-43859
    "idna": "3.15",  # CVE-2026-45409
    "protobuf": "6.33.5",  # CVE-2026-0994
    "pygments": "2.20.0",  # CVE-2026-4539
    "pyjwt": "2.15.1",  # a deep header raises RecursionError before; GHSA-xgmm-8j9v-c9wx, CVE-2026-32597
    "requests": "2.33.0",  # CVE-2026-25645
    "urllib3": "2.7.0",  # CVE-2026-44431, CVE-2026-44432
}
"""The first release without a hole that is known, of each package that parses what others send.

One that is no part of the resolved set any more has no place here.
"""


@pytest.mark.parametrize("package", sorted(FLOORS))
def test_what_is_installed_has_no_known_hole(package: str) -> None:
    assert Version(version(package)) >= Version(FLOORS[package])


@pytest.mark.parametrize("package", sorted(FLOORS.keys() & asked_for().keys()))
def test_what_is_asked_for_lets_in_nothing_older(package: str) -> None:
    floor = Version(FLOORS[package])
    lowest = min(
        Version(part.version) for part in asked_for()[package].specifier if part.operator in (">=", "==")
    )
    assert lowest >= floor


def test_what_is_imported_by_name_is_asked_for_by_name() -> None:
    """Otherwise its version is somebody else's choice."""
    assert {"aiohttp", "pyjwt"} <= asked_for().keys()


def test_every_dependency_has_a_floor() -> None:
    without = [
        name for name, requirement in asked_for().items() if name != "libacli" and not requirement.specifier
    ]
    assert without == []
    assert requires("libacli")


def test_the_lowest_versions_are_one_of_each_package_that_liba_asks_for() -> None:
    named = dict(line.split("==") for line in lowest())
    assert named.keys() == asked_for(tools=False).keys()
    assert {"pyjwt", "uvicorn", "hibari-tts"} <= named.keys()
    assert "pytest" not in named
