"""What a server says of its own failure, made fit to be shown: its reason, and nothing that it quotes.

Bodies seen: `{"error": {"message": …}}` (OpenAI: https://platform.openai.com/docs/guides/error-codes; Azure),
`{"error": "…"}`, `{"message": …}` (openedai-speech), `{"detail": "…"}`, `{"detail": {"message": …}}`
(Kokoro-FastAPI), `{"detail": [{"loc": […], "msg": …, "input": …}]}` (FastAPI:
https://fastapi.tiangolo.com/tutorial/handling-errors/), `{"title": …, "detail": …}` (RFC 9457), plain text.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable
from typing import Any

_MOST_CHARS = 200
_QUOTED_FROM_CHARS = 10
"""What has so many characters in common with the text in a row quotes it."""

_NAMES = ("message", "detail", "error", "error_description", "msg", "reason", "title")
_UNREADABLE = re.compile(r"[^\S ]|[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
_ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})")
_HALF_HIDDEN = re.compile(r"\S*\*{3,}\S*")
"""A key as servers quote it: sk-proj-****************abcd."""

_QUOTE = "[...]"


def reason_in(body: object) -> str:
    """The reason that the body of an answer gives, decoded JSON or text; empty where it gives none."""
    if isinstance(body, str):
        text = body.strip()
        if text.startswith(("{", "[")):
            try:
                return reason_in(json.loads(text))
            except (ValueError, RecursionError):
                return ""
        return "" if text.startswith("<") else text
    if isinstance(body, dict):
        where = _place(body.get("loc"))
        found = next((reason for name in _NAMES if (reason := reason_in(body.get(name)))), "")
        return f"{where}: {found}" if where and found else found
    if isinstance(body, list):
        return "; ".join(filter(None, (reason_in(one) for one in body[:3])))
    return ""


def _place(loc: Any) -> str:
    """Which field of the request FastAPI means: `["body", "voice"]`."""
    if not isinstance(loc, list):
        return ""
    return ".".join(str(part) for part in loc if isinstance(part, str | int) and part != "body")


def presentable(words: str, quotes: Iterable[str] = ()) -> str:
    """`words` in one line of bounded length, without control characters, and without anything of `quotes`."""
    words = html.unescape(_ESCAPED.sub(lambda code: chr(int(code[1], 16)), words[: 4 * _MOST_CHARS]))
    words = _HALF_HIDDEN.sub(_QUOTE, " ".join(_UNREADABLE.sub(" ", words).split()))
    for quote in quotes:
        words = _without(words, " ".join(quote.split()))
    return words if len(words) <= _MOST_CHARS else f"{words[:_MOST_CHARS]}..."


def _without(words: str, text: str) -> str:
    """`words` without what stands in `text` as well."""
    if not text:
        return words
    if len(text) < _QUOTED_FROM_CHARS:
        quote = rf"(?<!\w){re.escape(text)}(?!\w)"
        return re.sub(quote, _QUOTE, words, flags=re.IGNORECASE)
    folded, wanted = _folded(words), _folded(text)
    kept, start = [], 0
    while start < len(words):
        end = start
        while end + _QUOTED_FROM_CHARS <= len(words) and folded[end : end + _QUOTED_FROM_CHARS] in wanted:
            end += 1
        if end > start:
            kept.append(_QUOTE)
            start = end + _QUOTED_FROM_CHARS - 1
        else:
            kept.append(words[start])
            start += 1
    return "".join(kept)


def _folded(text: str) -> str:
    """In small letters, as long as before."""
    return "".join(char.lower() if len(char.lower()) == 1 else char for char in text)
