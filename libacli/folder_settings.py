"""Leaves out what the files of a folder set and may not, as long as the user has not trusted them.

A file that brings addresses and credentials of its own counts as long as all secrets in use are its own:
there is nothing of the user's then that they could be combined with. One secret from elsewhere, the folder's
other file included, and they are left out: `.env` may be the user's where `liba.toml` is a stranger's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from libacli.config import Settings, is_secret
from libacli.config_files import Given
from libacli.config_trust import Needs, Trust, class_of, is_harmless_value, is_tighter

_LOGIN = re.compile(r"://[^/?#]*@")


@dataclass(frozen=True)
class Source:
    """The settings that one place gives, by field."""

    values: Mapping[str, Given]
    is_trusted: bool = True
    """Not: it is a folder's file that the user has not trusted as it is now."""

    file: str = ""
    """Its path, if it is a folder's file."""


@dataclass(frozen=True)
class LeftOut:
    """A value that does not count."""

    field: str
    value: Any
    """As the file has it; it may be a secret."""

    file: str
    spelled: str
    """The setting's name in that file."""

    why: str
    """What the setting is: words that follow its name in brackets."""


def without_untrusted(sources: Sequence[Source]) -> tuple[list[Source], list[LeftOut]]:
    """`sources`, first wins, without what may not count; and what of that would have counted."""
    kept, left_out = list(sources), []
    # Anew each time: below what is left out may stand another value that must not count either.
    while found := _offence(kept):
        position, field, why = found
        source = kept[position]
        given = source.values[field]
        left_out.append(LeftOut(field, given.value, source.file, given.spelled, why))
        rest = {name: other for name, other in source.values.items() if name != field}
        kept[position] = replace(source, values=rest)
    return kept, left_out


def _offence(sources: Sequence[Source]) -> tuple[int, str, str] | None:
    """A value in use that may not count: its source, its field, and why."""
    in_use = {
        field: position for position in reversed(range(len(sources))) for field in sources[position].values
    }
    secrets_of = {
        position
        for field, position in in_use.items()
        if _holds_secret(field, sources[position].values[field])
    }
    for field in Settings.model_fields:
        position = in_use.get(field)
        if position is None or sources[position].is_trusted:
            continue
        given = sources[position].values[field]
        if given.asks_for:
            return position, field, f"it asks for {given.asks_for}"
        trust = class_of(field)
        if trust.needs is Needs.NOTHING or (trust.needs is Needs.OWN_SECRETS and secrets_of <= {position}):
            continue
        if not _changes_nothing(field, given.value, _beside(sources, field)):
            return position, field, trust.value
    return None


def _beside(sources: Sequence[Source], field: str) -> Any:
    """The value that there would be if only what the user has set counted."""
    own = (source.values[field].value for source in sources if source.is_trusted and field in source.values)
    return next(own, Settings.model_fields[field].default)


def _changes_nothing(field: str, value: Any, beside: Any) -> bool:
    """Whether a value is what there would be anyway, harmless, or a limit that is tighter than that."""
    is_tight = class_of(field) is Trust.LIMIT and is_tighter(value, beside)
    return is_tight or str(value) == str(beside) or is_harmless_value(field, value)


def _holds_secret(field: str, given: Given) -> bool:
    return is_secret(field) or (isinstance(given.value, str) and _LOGIN.search(given.value) is not None)
