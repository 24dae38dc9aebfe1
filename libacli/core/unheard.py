"""What stands in Markdown and is not for ears: comments, scripts, style sheets; and formulas."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_OPENING = re.compile(
    r"""
      ^\ {0,3}(?P<fence>`{3,}|~{3,})
    | (?P<code>`[^`\n]+`)
    | (?P<comment><!--)
    | <(?P<element>script|style)\b[^<>]*>
    | ^\ {0,3}(?P<formula>\$\$(?=[^\S\n]*$|[^\n]*\$\$[^\S\n]*$)|\\\[(?=[^\S\n]*$|[^\n]*\\\][^\S\n]*$))
    """,
    re.MULTILINE | re.VERBOSE | re.IGNORECASE,
)
_CLOSING = {
    "<!--": re.compile("-->"),
    "$$": re.compile(r"\$\$[^\S\n]*$", re.MULTILINE),
    "\\[": re.compile(r"\\\][^\S\n]*$", re.MULTILINE),
    "script": re.compile(r"</script\s*>", re.IGNORECASE),
    "style": re.compile(r"</style\s*>", re.IGNORECASE),
}


@dataclass(frozen=True)
class Unheard:
    """A part of a text, from `start` to `end`, marks included."""

    start: int
    end: int | None
    """None: it is still open where the text ends."""

    formula: str = ""
    """What stands between the marks, if it is one."""


def unheard(markdown: str) -> Iterator[Unheard]:
    """All such parts, in order, but for those in code."""
    end = 0
    unclosed: set[str] = set()
    for opening in _OPENING.finditer(markdown):
        mark = (
            opening["fence"] or opening["comment"] or opening["element"] or opening["formula"] or ""
        ).lower()
        if opening.start() < end or not mark or mark in unclosed:
            continue
        closing = _closing(mark).search(markdown, opening.end())
        if not closing:
            unclosed.add(mark)
        end = closing.end() if closing else end
        if opening["fence"]:
            continue
        inner = markdown[opening.end() : closing.start()].strip() if closing and opening["formula"] else ""
        yield Unheard(opening.start(), closing.end() if closing else None, inner)


def _closing(mark: str) -> re.Pattern[str]:
    return _CLOSING.get(mark) or re.compile(rf"^ {{0,3}}{mark[0]}{{{len(mark)},}}[^\S\n]*$", re.MULTILINE)


def without_unheard(markdown: str) -> str:
    """`markdown` without them; a formula is code, which is read if it is one line. What is open stays."""
    kept, end = [], 0
    for part in unheard(markdown):
        if part.end is not None:
            kept += [markdown[end : part.start], f"\n~~~\n{part.formula}\n~~~\n" if part.formula else ""]
            end = part.end
    return "".join([*kept, markdown[end:]])
