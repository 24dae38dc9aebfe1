"""Where keys stand in a TOML file: `tomllib` tells what they are, and not where."""

from __future__ import annotations

import re
from collections.abc import Iterator

_TABLE = re.compile(r"\s*\[\[\s*([\w-]+|\"[^\"]*\"|'[^']*')\s*\]\]\s*(?:#.*)?")
_KEY = re.compile(r"\s*([\w-]+|\"[^\"]*\"|'[^']*')\s*=")
_QUOTES = re.compile(r'"""|\'\'\'|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'|#.*')


def toml_lines(source: str) -> Iterator[tuple[int, str, bool]]:
    """Line from 1, name, and whether it is a table `[[name]]` that begins there or else a key."""
    inside = ""
    for number, line in enumerate(source.split("\n"), 1):
        if not inside and (found := _TABLE.fullmatch(line.rstrip("\r"))):
            yield number, found[1].strip("\"'"), True
        elif not inside and (found := _KEY.match(line)):
            yield number, found[1].strip("\"'"), False
        inside = _left_open(line, inside)


def _left_open(line: str, inside: str) -> str:
    """The quotes of a text of many lines that goes on behind `line`; empty: none does."""
    at = 0
    while at <= len(line):
        if inside:
            end = _closing(line, inside, at)
            if end < 0:
                return inside
            at, inside = end, ""
        found = _QUOTES.search(line, at)
        if not found:
            return ""
        inside = found[0] if found[0] in ('"""', "'''") else ""
        at = found.end()
    return inside


def _closing(line: str, quotes: str, start: int) -> int:
    """Behind the quotes that close it; -1: they are not there."""
    escape = r"(?:[^\\]|\\.)*?" if quotes == '"""' else ".*?"
    found = re.compile(escape + re.escape(quotes)).match(line, start)
    return found.end() if found else -1
