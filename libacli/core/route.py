"""The way that the sound of an utterance takes: by the avatar, or on the agent's own track."""

from __future__ import annotations

from typing import Literal

RouteName = Literal["avatar", "track"]

_WORDS: dict[RouteName, str] = {"avatar": "tavus", "track": "fallback"}
"""How it is called outside: in log lines, events, answers and stored records."""

_NAMES: dict[str, RouteName] = {word: name for name, word in _WORDS.items()}

ROUTE_WORDS = tuple(_WORDS.values())


def route_word(route: RouteName | None, none: str = "") -> str:
    """`tavus` or `fallback`; `none` where no way was taken."""
    return none if route is None else _WORDS[route]


def route_of(word: str) -> RouteName | None:
    """The route that is called so outside; None for a word that nobody knows."""
    return _NAMES.get(word)
