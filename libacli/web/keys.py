"""API keys: random, named, and kept only as what cannot be turned back into them."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from libacli.errors import ConfigError, UsageError

PREFIX = "liba_"

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_ENTRY = re.compile(rf"({_NAME.pattern}):([0-9a-f]{{64}})")


@dataclass(frozen=True)
class Key:
    """A key that is let in."""

    name: str
    digest: str
    """SHA-256 of the key, in hex. A key has 256 random bits: a slow hash would make nothing safer."""


def new_key(name: str) -> tuple[str, str]:
    """A key, and the entry for `serve.keys` that lets it in. Raises UsageError for a name that is none."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            "the name of a key is 1 to 64 letters, digits, dots, dashes or underscores",
            hint="for example: liba serve --new-key laptop",
        )
    key = PREFIX + secrets.token_urlsafe(32)
    return key, f"{name}:{_digest(key)}"


def parse_keys(entries: Iterable[str]) -> tuple[Key, ...]:
    """The keys of `serve.keys`. Raises ConfigError for an entry that is none, without repeating it."""
    keys = []
    for number, entry in enumerate(entries, 1):
        if not (match := _ENTRY.fullmatch(entry)):
            raise ConfigError(
                f"serve.keys: entry {number} is not NAME:SHA256",
                hint="`liba serve --new-key NAME` makes one",
            )
        keys.append(Key(match[1], match[2]))
    if len({key.name for key in keys}) < len(keys):
        raise ConfigError("serve.keys: two keys have one name", hint="give each a name of its own")
    return tuple(keys)


def find_key(keys: Iterable[Key], presented: str) -> Key | None:
    """The key that was presented, if it is one of `keys`; takes as long whichever it is."""
    digest = _digest(presented)
    found = None
    for key in keys:
        if hmac.compare_digest(key.digest, digest):
            found = key
    return found


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
