"""A show as TOML: a table `[[cue]]` for each cue, and above them what holds for all."""

from __future__ import annotations

import re
import tomllib
from typing import Any

from libacli.core.cue import STYLES, Cue, CueReader, nearest
from libacli.core.toml_lines import toml_lines

_AT = re.compile(r"\(at line (\d+), column \d+\)")


def read_toml(source: str, reader: CueReader) -> list[Cue]:
    """The cues; problems go to `reader`."""
    try:
        document = tomllib.loads(source.replace("\r\n", "\n"))
    except (ValueError, RecursionError) as error:
        found = _AT.search(str(error))
        reader.note(int(found[1]) if found else source.count("\n") + 1, f"not valid TOML: {error}")
        return []
    top, tables = _places(source)
    defaults = _defaults(document, reader, top)
    cues = document.get("cue", [])
    if not isinstance(cues, list) or not all(isinstance(cue, dict) for cue in cues):
        reader.note(top.get("cue", 1), "cues are tables: write [[cue]] above the keys of each")
        return []
    if len(tables) != len(cues):  # written as [{...}, {...}]
        tables = [(top.get("cue", 0), {}) for _ in cues]
    read = (reader.read(defaults | cue, *place) for cue, place in zip(cues, tables, strict=True))
    return [cue for cue in read if cue]


def _defaults(document: dict[str, Any], reader: CueReader, top: dict[str, int]) -> dict[str, Any]:
    """What holds for all cues, as far as it is as it should be."""
    defaults = {}
    for name, value in document.items():
        if name == "cue":
            continue
        line = top.get(name, 1)
        if name not in STYLES:
            reader.note(line, f"unknown key {name[:40]!r}{nearest(name, (*STYLES, 'cue'))}")
        elif reader.style(name, value, line) is not None:
            defaults[name] = value
    return defaults


def _places(source: str) -> tuple[dict[str, int], list[tuple[int, dict[str, int]]]]:
    """Lines of the keys above all tables; of each table its own, and those of its keys."""
    top: dict[str, int] = {}
    tables: list[tuple[int, dict[str, int]]] = []
    for line, name, is_table in toml_lines(source):
        if is_table and name == "cue":
            tables.append((line, {}))
        else:
            (tables[-1][1] if tables else top).setdefault(name, line)
    return top, tables
