"""When a server that has too much to do wants to be asked again.

`Retry-After` in seconds or as a date: https://www.rfc-editor.org/rfc/rfc9110#name-retry-after; in
milliseconds as `retry-after-ms` (OpenAI's and Azure's servers: https://github.com/openai/openai-python).
Where neither is sent the words may tell: "Please retry after 20 seconds" (Azure), or "in 20s" (OpenAI).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_IN_WORDS = re.compile(r"(?:retry|try again) (?:after|in) (\d+(?:\.\d+)?) ?(ms|m(?!s)|s)", re.IGNORECASE)
_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0}


def retry_after_s(headers: Mapping[str, str], words: str = "") -> float | None:
    """Seconds from now, not below 0; None where nothing tells. `headers` knows names in any letters."""
    for name, unit_s in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        seconds = _number(headers.get(name, "")) * unit_s
        if math.isfinite(seconds):
            return max(0.0, seconds)
    until, now = _date(headers.get("retry-after", "")), _date(headers.get("date", ""))
    if until:  # by the server's own clock, if it tells that
        return max(0.0, (until - (now or datetime.now(UTC))).total_seconds())
    if found := _IN_WORDS.search(words):
        return float(found[1]) * _UNITS_S[found[2].lower()]
    return None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
