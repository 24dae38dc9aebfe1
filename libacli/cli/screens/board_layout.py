"""Which columns of a board fit into a width."""

from __future__ import annotations

_PRIORITY = (
    ("status", 13),
    ("latency", 7),
    ("bar", 0),
    ("route", 8),
    ("playing", 7),
    ("time", 8),
    ("room", 10),
    ("text", 14),
    ("note", 14),
    ("queued", 6),
    ("d01", 7),
    ("d12", 7),
    ("d2a", 7),
    ("id", 12),
    ("chars", 5),
    ("voice", 8),
    ("played", 12),
)
"""Columns and their least width; when it gets narrow, the last ones go first."""

_DISPLAYED = (
    *("time", "room", "id", "status", "route", "note", "queued", "d01", "d12", "d2a"),
    *("latency", "bar", "playing", "played", "chars", "voice", "text"),
)
_GROWTH = (("bar", 40), ("note", 26), ("room", 18), ("text", 60), ("played", 20), ("bar", 64), ("text", 200))
"""Who gets the space that is left, and up to which width."""


def layout(width: int, *, with_rooms: bool = False, with_text: bool = False) -> dict[str, int]:
    """The columns that fit into `width`, in their order from the left, and how wide each is."""
    absent = {name for name, wanted in (("room", with_rooms), ("text", with_text)) if not wanted}
    gap, left = gap_of(width), width + gap_of(width)
    chosen: dict[str, int] = {}
    for name, least in _PRIORITY:
        least = least or max(10, width // 5 - 1)
        if name in absent:
            continue
        if least + gap > left:
            break
        chosen[name] = least
        left -= least + gap
    if "d2a" not in chosen:  # all three of them, or none
        left += sum(chosen.pop(name) + gap for name in ("d01", "d12") if name in chosen)
    for name, most in _GROWTH:
        more = max(0, min(left, most - chosen[name])) if name in chosen else 0
        left -= more
        if more:
            chosen[name] += more
    return {name: chosen[name] for name in _DISPLAYED if name in chosen}


def gap_of(width: int) -> int:
    """Blanks between two columns."""
    return 1 if width < 150 else 2
