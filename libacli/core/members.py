"""JSON members that come from somewhere else: each is what it should be, or it is malformed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from libacli.core.lifecycle import MOVES, State
from libacli.core.route import RouteName, route_of
from libacli.errors import RefusedError

MAX_TEXT_CHARS = 500
"""What is longer is cut: the longest is a reason, and no line of a table or a log shows more of it."""

_BEYOND = 1e15
"""No count or duration comes near it, and every whole number below it is a float, too."""

Reader = Callable[[str, object], Any]
"""Gives the value of a member, of a name. Raises RefusedError."""


def read_members(members: Mapping[str, Any], readers: Mapping[str, Reader]) -> dict[str, Any]:
    """The members that `readers` know, as far as they are there; null is as if not. Raises RefusedError."""
    return {
        name: read(name, members[name]) for name, read in readers.items() if members.get(name) is not None
    }


def read_text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise RefusedError("malformed", f"{name} is not a text")
    # Half a character, which JSON can hold, could be shown or passed on by nobody.
    return value[:MAX_TEXT_CHARS].encode(errors="replace").decode()


def read_amount(name: str, value: object) -> float:
    """Finite and not negative."""
    return float(_number(name, value))


def read_count(name: str, value: object) -> int:
    return int(_number(name, value))


def read_number(name: str, value: object) -> float:
    """As it came: a whole number stays one."""
    return _number(name, value)


def read_flag(name: str, value: object) -> bool:
    if not isinstance(value, (bool, int)):
        raise RefusedError("malformed", f"{name} is neither true nor false")
    return bool(value)


def read_state(name: str, value: object) -> State:
    for state in MOVES:
        if value == state:
            return state
    raise RefusedError("malformed", f"{name} is no state of an utterance")


def read_route(name: str, value: object) -> RouteName | None:
    return route_of(read_text(name, value))


def _number(name: str, value: object) -> float:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or not 0 <= value < _BEYOND:  # type: ignore[arg-type,operator]
        raise RefusedError("malformed", f"{name} is not a number from 0 on")
    return value  # type: ignore[return-value]
