"""The versions of all that liba stands on, as they are installed here: constraints for pip."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from typing import NamedTuple

EXTRAS = ("journal", "local", "mcp", "redis", "web")
"""All that there are but the developers': one image does for every part."""

_REQUIREMENT = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[([^]]*)\])?")
_EXTRA = re.compile(r"""extra\s*==\s*['"]([^'"]+)['"]""")

Wanted = tuple[str, frozenset[str]]
"""A distribution by its normal name, and the extras that are wanted of it."""


class _Installed(NamedTuple):
    version: str
    requires: tuple[str, ...]


def pins(name: str = "libacli", extras: tuple[str, ...] = EXTRAS) -> list[str]:
    """`name==version` of whatever the distribution `name` needs and has here, and of what that needs, sorted.

    Of conditions only extras are looked at: a constraint that is not needed elsewhere does no harm.
    """
    versions: dict[str, str] = {}
    seen: set[Wanted] = set()
    waiting: list[Wanted] = [(name, frozenset(extras))]
    while waiting:
        wanted = waiting.pop()
        if wanted in seen:
            continue
        seen.add(wanted)
        try:
            installed = _installed(wanted[0])
        except PackageNotFoundError:  # for another system
            continue
        versions[wanted[0]] = installed.version.partition("+")[0]
        waiting += _needed_by(installed, wanted[1])
    versions.pop(name, None)
    return [f"{needed}=={pinned}" for needed, pinned in sorted(versions.items())]


@cache
def _installed(name: str) -> _Installed:
    """Read once: each look at the metadata reads all of the file, with the README that is in it."""
    metadata = distribution(name).metadata
    return _Installed(metadata["Version"], tuple(metadata.get_all("Requires-Dist", ())))


def _needed_by(installed: _Installed, extras: frozenset[str]) -> Iterator[Wanted]:
    for requirement in installed.requires:
        needed, _, condition = requirement.partition(";")
        extra = _EXTRA.search(condition)
        if (extra is None or extra[1] in extras) and (match := _REQUIREMENT.match(needed)):
            name = re.sub(r"[-_.]+", "-", match[1]).lower()
            yield name, frozenset(part.strip() for part in (match[2] or "").split(",") if part.strip())
