"""How values are named in help, and what is said of wrong ones, in words of our own."""

from __future__ import annotations

import re
from typing import Any

import typer

UsageProblem: Any = typer.BadParameter.__bases__[0]
"""What Typer raises for a wrong command line; it has no public name."""

_NUMBERS = {"int": "N", "float": "NUMBER"}
_UNKNOWN_OPTION = re.compile(r"No such option: -(?:(?!-\w)|-\S*\s)")
"""One that is none and looks like none: `-5`, `-- so`, `--help me`, and not a long one that is misspelled."""

_EXTRA = re.compile(r"Got unexpected extra arguments?(?:\(s\))? \((.*)\)")


def value_name(param: Any) -> str | None:
    """What stands for its value in help; None: what Typer shows, for a choice and a switch."""
    described = param.type_descriptor
    if getattr(param, "is_flag", False) or getattr(param, "count", False):
        return None
    if described.is_choice:
        return f"<{'|'.join(map(str, described.choices))}>" if described.is_list else None
    if "econds" in (getattr(param, "help", None) or ""):
        return "SECONDS"
    if described.is_path:
        return "FILE"
    annotation = getattr(described.annotation, "__name__", "")
    return _NUMBERS.get(annotation) or str(param.name).upper().replace("_", "-")


def explained(message: str, param: Any, *, takes_text: bool) -> str:
    """`message` of Typer's, about `param` where it is about one, so that it says what would be right."""
    if extra := _EXTRA.fullmatch(message):
        is_option = extra[1].startswith("-")
        hint = "options stand before --" if is_option else "put a text of several words in quotes"
        return f"{extra[1]} is too much{f'; {hint}' if takes_text else ''}"
    if takes_text and _UNKNOWN_OPTION.match(message):
        return f"{message}; a text that begins with a minus stands last, behind --: -- '-5 degrees'"
    least, most = getattr(param, "min", None), getattr(param, "max", None)
    if message.startswith("Input should be") and (least is not None or most is not None):
        return f"it must be {_range(least, most)}"
    if message.startswith("Input should be a valid "):
        return f"it must be a {'whole ' if 'integer' in message else ''}number"
    return message.removeprefix("Value error, ")


def _range(least: float | None, most: float | None) -> str:
    if most is None:
        return f"at least {least:g}"
    return f"at most {most:g}" if least is None else f"{least:g} to {most:g}"
