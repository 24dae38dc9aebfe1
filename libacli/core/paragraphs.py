"""Text as people lay it out: what stands on lines of its own, and what only goes on in the next line."""

from __future__ import annotations

import re

_LINE = re.compile(r"[^\n]*\n?")
_ITEM = re.compile(
    r"[^\S\n]*(?:(?P<bullet>[-*+•◦▪‣⁃●○■□▸►])|(?P<number>\d{1,3})[.)]|(?P<letter>[A-Za-z])(?P<close>[.)]))[^\S\n]+\S"
)

_WRAPPED_CHARS = 40
"""From this length on a line may have been broken because it was full."""


def paragraphs(text: str) -> list[tuple[int, int]]:
    """Where the paragraphs and list items of `text` begin and end, without white space around them.

    A single newline inside a paragraph is a space, as in text that is wrapped; an empty line ends it. List
    items (`-`, `*`, `•`, `1.`, `a)`) stay apart. A number or letter makes an item where a paragraph begins,
    as the first of its kind, or as the next one: "It was in\\n1984. Then" does not.
    """
    found: list[tuple[int, int]] = []
    start, is_item, last, above = -1, False, "", 0
    for line in _LINE.finditer(text):
        item = _ITEM.match(line[0])
        if not line[0].strip():
            start, is_item = -1, False
            continue
        begins = line.start() + len(line[0]) - len(line[0].lstrip())
        if item and (start < 0 or _goes_on(item, last)):
            start, is_item, last = begins, True, item["number"] or item["letter"] or ""
            found.append((start, begins))
        elif start < 0 or (is_item and above < _WRAPPED_CHARS and _stands_apart(line[0])):
            start, is_item = begins, False
            found.append((start, begins))
        found[-1] = (start, line.start() + len(line[0].rstrip()))
        above = len(line[0])
    return found


def _goes_on(item: re.Match[str], last: str) -> bool:
    """Whether a list can go on, or begin, with it in mid-paragraph, `last` being the item before."""
    if item["bullet"]:
        return True
    if number := item["number"]:
        return number == "1" or (last.isdecimal() and int(number) == int(last) + 1)
    letter = item["letter"]
    is_next = len(last) == 1 and ord(letter) == ord(last) + 1
    return is_next or (letter == "a" or (letter == "A" and item["close"] == ")"))


def _stands_apart(line: str) -> bool:
    """Whether a line behind a list item is no part of it: neither indented nor in mid-sentence."""
    return not line[0].isspace() and not line[0].islower()
