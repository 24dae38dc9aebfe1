"""The versions of all that liba stands on, as they are installed here: constraints for pip."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version

EXTRAS = ("journal", "local", "mcp", "redis", "web")
"""All that there are but the developers': one image does for every part."""

_REQUIREMENT = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[([^]]*)\])?")
_EXTRA = re.compile(r"""extra\s*==\s*['"]([^'"]+)['"]""")

Wanted = tuple[str, frozenset[str]]
"""A distribution by its normal name, and the extras that are wanted of it."""


def pins(distribution: str = "libacli", extras: tuple[str, ...] = EXTRAS) -> list[str]:
    """`name==version` of whatever `distribution` needs and has here, and of what that needs, sorted.

    Of conditions only extras are looked at: a constraint that is not needed elsewhere does no harm.
    """
    versions: dict[str, str] = {}
    seen: set[Wanted] = set()
    waiting: list[Wanted] = [(distribution, frozenset(extras))]
    while waiting:
        wanted = waiting.pop()
        if wanted in seen:
            continue
        seen.add(wanted)
        try:
            versions[wanted[0]] = version(wanted[0]).partition("+")[0]
        except PackageNotFoundError:  # for another system
            continue
        waiting += _needed_by(*wanted)
    versions.pop(distribution, None)
    return [f"{name}=={pinned}" for name, pinned in sorted(versions.items())]


def _needed_by(distribution: str, extras: frozenset[str]) -> Iterator[Wanted]:
    for requirement in requires(distribution) or ():
        needed, _, condition = requirement.partition(";")
        extra = _EXTRA.search(condition)
        if (extra is None or extra[1] in extras) and (match := _REQUIREMENT.match(needed)):
            name = re.sub(r"[-_.]+", "-", match[1]).lower()
            yield name, frozenset(part.strip() for part in (match[2] or "").split(",") if part.strip())
