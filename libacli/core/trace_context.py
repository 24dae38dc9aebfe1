"""The caller's place in a trace, by W3C Trace Context. What is malformed is passed over, never refused.

https://www.w3.org/TR/trace-context/; in the environment, where CI tools put it:
https://opentelemetry.io/docs/specs/otel/context/env-carriers/
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_MAX_STATE_CHARS = 512
"""As many as everybody has to pass on."""


@dataclass(frozen=True)
class TraceContext:
    """Which span of the caller's an utterance belongs to; empty: none that is known."""

    traceparent: str = ""
    """Version, id of the trace, id of the span, flags: in hex, with hyphens."""

    tracestate: str = ""
    """What tracing systems tell each other besides; passed on as it is."""

    @classmethod
    def read(cls, members: Mapping[str, object]) -> TraceContext:
        """What `traceparent` and `tracestate` of anything hold, as far as they are well-formed."""
        parent = read_traceparent(members.get("traceparent"))
        return cls(parent, read_tracestate(members.get("tracestate")) if parent else "")

    @classmethod
    def of_environment(cls, environment: Mapping[str, str]) -> TraceContext:
        """What the variables `TRACEPARENT` and `TRACESTATE` hold."""
        return cls.read({name: environment.get(name.upper()) for name in ("traceparent", "tracestate")})

    def encode(self) -> dict[str, str]:
        """As members; what is empty is left out."""
        members = {"traceparent": self.traceparent, "tracestate": self.tracestate}
        return {name: value for name, value in members.items() if value}


UNTRACED = TraceContext()


def read_traceparent(value: object) -> str:
    """`value`, if it is a traceparent; else empty. Later versions may have more than the parts known here."""
    if not isinstance(value, str) or not (found := _TRACEPARENT.match(value)):
        return ""
    rest = value[found.end() :]
    return found[0] if not rest or (rest.startswith("-") and not value.startswith("00")) else ""


def read_tracestate(value: object) -> str:
    """`value`, if it can be passed on: printable ASCII, 512 characters at most; else empty."""
    if not isinstance(value, str) or len(value) > _MAX_STATE_CHARS:
        return ""
    return value if value.isascii() and value.isprintable() else ""
