"""What a refusal of Tavus means, and what may be shown of its words.

The HTTP status alone does not tell: 400 is a wrong face, an account that is full, and "please reach out to
support". Bodies are objects with `error`, `message` or `detail`:
https://docs.tavus.io/api-reference/conversations/create-conversation
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from libacli.edges.retry_after import retry_after_s
from libacli.errors import AvatarError
from libacli.masking import masked

TOP_UP_S = 720.0
"""Until an account without credit is asked again: whoever tops it up waits no longer."""

_LONGEST_WORDS = 200
_KEY = (401, 403)
_NOT_THERE = (404, 405, 410)
_ELSEWHERE = (301, 302, 303, 307, 308)
_FOR_GOOD_ELSEWHERE = (301, 308)

_FULL = re.compile(r"\bconcurren", re.IGNORECASE)
"""Of "User has reached maximum concurrent conversations"."""

_FULL_STATUSES = (400, 403, 409, 429)

_NO_CREDIT = re.compile(
    r"\bout of\b.*\b(?:credits?|minutes)\b|\binsufficient\b.*\b(?:credits?|funds|balance)\b|\bquota\b"
    r"|\bno\b.*\b(?:credits?|minutes)\b.*\b(?:left|remain\w*)\b|\bused\b.*\b(?:credits?|minutes)\b",
    re.IGNORECASE,
)
"""Of "The user is out of conversational credits."."""

_OF_THE_PLAN = re.compile(r"\b(?:your|current|free) plan\b|\bsubscription\b|\bupgrade\b", re.IGNORECASE)

_OUR_SETTING = re.compile(
    r"(?<![a-z])(?:face|pal|replica|persona)(?:s|_?u?u?ids?)?(?![a-z])|\bapi[ _-]?key\b", re.IGNORECASE
)
"""What names a setting of ours: asked again it would be as wrong. `replica` and `persona` are older names."""

_PASSES = re.compile(
    r"\btry again\b|\btemporar|\bbusy\b|\bnot (?:yet )?ready\b|\btraining\b|\bunavailable\b"
    r"|\bcompleted?\b|\bprocessing\b|\bin progress\b|\bpending\b|\bqueued\b",
    re.IGNORECASE,
)
"""... unless it says itself that this passes."""

_MEMBERS = ("error", "message", "detail", "msg", "error_message", "errors", "title")
_MAY_PASS = "it may pass by itself; if it does not, ask the service's support"


def refusal(status: int, body: str, *, retry_after: str = "", secrets: Iterable[str] = ()) -> AvatarError:
    """What an answer other than 200 means. `retry_after` is its header; `secrets` are not to be told."""
    said, retry_in_s = _words(body, secrets), retry_after_s({"retry-after": retry_after})
    if status in _FULL_STATUSES and _FULL.search(said):
        hint = "end others: liba reap --all"
        return _error(f"{status} too many conversations", status, said, hint, retry_in_s=retry_in_s)
    if status == 402 or (status in (400, 403, 429) and _NO_CREDIT.search(said)):
        hint = "the Tavus account is out of credits"
        return _error(str(status), status, said, hint, retry_in_s=TOP_UP_S)
    if status in _ELSEWHERE:
        hint = "the service sends elsewhere, where the key is not taken: check TAVUS_BASE_URL"
        return _error(str(status), status, said, hint, is_permanent=status in _FOR_GOOD_ELSEWHERE)
    if status in _KEY:
        hint = "see what the account's plan has" if _OF_THE_PLAN.search(said) else "check TAVUS_API_KEY"
        return _error(str(status), status, said, hint, is_permanent=True)
    if status in (400, 404, 422) and _OUR_SETTING.search(said) and not _PASSES.search(said):
        hint = "check TAVUS_FACE_ID and TAVUS_PAL_ID"
        return _error(str(status), status, said, hint, is_permanent=True)
    if status in _NOT_THERE:  # seldom mended within a minute
        return _error(str(status), status, said, "check TAVUS_BASE_URL", retry_in_s=TOP_UP_S)
    return _error(str(status), status, said, _MAY_PASS, retry_in_s=retry_in_s, is_unsure=status >= 500)


def _error(
    reason: str,
    status: int,
    said: str,
    hint: str = "",
    *,
    is_permanent: bool = False,
    is_unsure: bool = False,
    retry_in_s: float | None = None,
) -> AvatarError:
    return AvatarError(
        reason,
        status=status,
        said=said,
        is_permanent=is_permanent,
        is_unsure=is_unsure,
        retry_in_s=retry_in_s,
        hint=hint,
    )


def _words(body: str, secrets: Iterable[str]) -> str:
    """What the service says, for people: in one line, not long, and without any secret."""
    try:
        said = _said(json.loads(body))
    except (ValueError, RecursionError):
        said = "" if "<" in body else body  # a page tells nothing in a line
    line = " ".join(masked(said, secrets).split())
    line = "".join(letter for letter in line if letter.isprintable())
    return line if len(line) <= _LONGEST_WORDS else f"{line[: _LONGEST_WORDS - 1]}…"


def _said(value: Any, *, is_within: bool = False) -> str:
    """The first words that `value` holds where services put them; FastAPI has a list of them, each nested.

    `is_within` what holds them, names are those of fields, as marshmallow has them.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "; ".join(filter(None, (_said(one, is_within=is_within) for one in value)))
    if not isinstance(value, dict):
        return ""
    said = next(filter(None, (_said(value.get(member), is_within=True) for member in _MEMBERS)), "")
    place = value.get("loc")
    if said and isinstance(place, list):
        return f"{'.'.join(str(part) for part in place)}: {said}"
    if said or not is_within:
        return said
    fields = {name: _said(inner, is_within=True) for name, inner in value.items()}
    return "; ".join(f"{name}: {words}" for name, words in fields.items() if words)
