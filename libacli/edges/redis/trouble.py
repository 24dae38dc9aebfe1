"""What keeps a Redis from doing what it is asked to: in our words, and what to do about it.

Its own words are not passed on: they may hold a user, an address, or what was asked.
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from libacli.errors import StoreError


class Trouble(NamedTuple):
    why: str
    fix: str


_DOCTOR = "liba doctor checks redis.url"
_PASSWORD = Trouble(
    "it does not let this user and password in",
    "redis.url has USER:PASSWORD@ before HOST, signs like / and # in them as %2F and %23, or neither",
)
_CLUSTER = Trouble(
    "it is a node of a Redis Cluster", "name a Redis in redis.url that is alone, with replicas or without"
)
_CUT = Trouble("it closes the connection", "see its log; for one with TLS write rediss://")

_BY_CLASS = {
    "AuthenticationError": _PASSWORD,
    "AuthenticationWrongNumberOfArgsError": _PASSWORD,
    "NoPermissionError": Trouble(
        "this user may not do that there",
        "let it run scripts, and use keys that begin with redis.prefix: ~liba:* +@all -@dangerous",
    ),
    "ReadOnlyError": Trouble(
        "it is a replica, which takes nothing", "name the one that it is a copy of in redis.url"
    ),
    "MasterDownError": Trouble(
        "it is a replica, and the one that it is a copy of is gone",
        "name the one that takes writes in redis.url",
    ),
    "OutOfMemoryError": Trouble("it is full", "raise maxmemory there, or have what else is in it removed"),
    "BusyLoadingError": Trouble("it still reads what it had kept", "wait until it has"),
    "ClusterDownError": _CLUSTER,
    "ClusterCrossSlotError": _CLUSTER,
    "AskError": _CLUSTER,
    "TryAgainError": _CLUSTER,
    "NoScriptError": Trouble("it has forgotten a script", "liba tells it again by itself"),
    "InvalidResponse": Trouble("what answers there is no Redis", "check host and port of redis.url"),
    "TimeoutError": Trouble(
        "it does not answer in time",
        "see whether it runs, and takes TLS where redis.url begins with rediss://, and else none",
    ),
}
"""By the name of the client's class, which is loaded only where there is a Redis."""

_BY_CODE = {
    "MISCONF": Trouble(
        "it cannot save what it has (MISCONF)", "see its log: its disk is full, or not its own"
    ),
    "WRONGTYPE": Trouble(
        "a key of ours is another application's (WRONGTYPE)",
        "set redis.prefix to what nobody else uses there",
    ),
    "BUSY": Trouble("somebody's script occupies it (BUSY)", "end that: redis-cli SCRIPT KILL"),
    "NOREPLICAS": Trouble(
        "too few replicas follow it (NOREPLICAS)", "start these, or see min-replicas-to-write"
    ),
    "unknown command": Trouble(
        "it does not know a command that liba needs",
        "name a Redis that runs scripts in redis.url, no Sentinel",
    ),
    "DB index": Trouble("it has no database of this number", "end redis.url with /0"),
}
"""By how its refusal begins."""

_CODE = re.compile(r"[A-Z]{3,}\b")


@contextmanager
def translated() -> Iterator[None]:
    """Raises StoreError for whatever keeps Redis from doing what it was asked to."""
    from redis.exceptions import RedisError

    try:
        yield
    except (RedisError, OSError, TimeoutError) as error:
        found = trouble(error)
        raise StoreError(f"Redis did not do what it was asked: {found.why}", hint=found.fix) from error


def trouble(error: Exception) -> Trouble:
    """What `error`, of the client or of the connection below it, amounts to."""
    for kind in type(error).__mro__:
        if kind.__name__ in _BY_CLASS:
            return _BY_CLASS[kind.__name__]
    said = str(error)
    for beginning, found in _BY_CODE.items():
        if said.startswith(beginning):
            return found
    below = error if isinstance(error, OSError) else error.__cause__ or error.__context__
    if isinstance(below, OSError):
        return _of_connection(below)
    if type(error).__name__ == "ConnectionError":
        return _CUT
    code = _CODE.match(said)
    return Trouble(code[0] if code else type(error).__name__, _DOCTOR)


def _of_connection(error: OSError) -> Trouble:
    if isinstance(error, ssl.SSLCertVerificationError):
        fix = "name its certificate authority: rediss://HOST:6379/0?ssl_ca_certs=FILE"
        return Trouble(f"its certificate is not trusted: {error.verify_message}", fix)
    if isinstance(error, ssl.SSLError):
        return Trouble("it speaks no TLS, or none that is taken here", "write redis:// for one without TLS")
    if isinstance(error, ConnectionResetError):
        return _CUT
    # asyncio's own words hold the address; of a name that is not known the number is none of the system's.
    is_systems = error.errno is not None and error.errno > 0
    why = os.strerror(error.errno) if is_systems and error.errno else error.strerror or type(error).__name__
    return Trouble(why, "start it, or check redis.url")
