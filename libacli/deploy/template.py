"""Texts with places to fill, beside this file."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from string import Template
from textwrap import indent


def fill(name: str, values: Mapping[str, object]) -> str:
    """The template `name`, filled: see `filled`."""
    text = files("libacli.deploy").joinpath("templates", name).read_text(encoding="utf-8")
    return filled(text, values)


def filled(text: str, values: Mapping[str, object]) -> str:
    """`text` with its `$places` filled; `$$` is a dollar. Raises KeyError for a place without a value.

    A line that is one place alone takes several lines, indented as it is, or none when there is nothing.
    """
    return "".join(_line(line, values) for line in text.splitlines(keepends=True))


def _line(line: str, values: Mapping[str, object]) -> str:
    place = line.strip()
    if place.startswith("$") and place[1:] in values:
        block = str(values[place[1:]])
        return indent(block.rstrip("\n"), line[: line.index("$")]) + "\n" if block else ""
    return Template(line).substitute(values)
