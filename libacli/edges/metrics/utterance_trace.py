"""An utterance as a trace of OpenTelemetry: a span, and in it the way from mark to mark. No text is in it.

Beside our own attributes stand those of the semantic conventions for generative AI, by which tools find what
was asked of a model: https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from libacli.core.trace_context import TraceContext
from libacli.core.utterance_record import UtteranceRecord

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Tracer

_TOLD = (
    "id", "agent", "epoch", "route", "route_reason", "outcome", "reason", "voice", "model",
    "provider", "voice_reason", "reworded", "hedged", "cached", "hold", "chars", "chunks", "frames",
    "underruns", "t3_source", "replayed", "resumed",
)  # fmt: skip
"""Members of a record that a trace tells, each as `liba.` and its name."""

_ERRORS = frozenset({"failed", "expired", "unconfirmed"})

_OPERATION = "generate_content"
"""The conventions have no word for speech alone: this is the one for what is no text, `output.type` tells."""

_OPENAI = {"speech": "openai", "realtime": "openai"}
"""Our providers that speak OpenAI's API, whoever answers."""


def tell_trace(tracer: Tracer, record: UtteranceRecord, caller: TraceContext, *, with_room: bool) -> None:
    """Spans of an utterance that has ended, inside its caller's span where there is one."""
    from opentelemetry import trace
    from opentelemetry.context import Context

    def at(ms: float) -> int:
        return round(record.t0 * 1000) * 1_000_000 + round(ms * 1_000_000)

    spans = _spans(record)
    end = max((end for _, _, end in spans), default=0.0) if record.total is None else record.total
    attributes = _attributes(record, with_room=with_room) | _gen_ai(record)
    root = tracer.start_span("utterance", _context(caller), start_time=at(0), attributes=attributes)
    if record.outcome in _ERRORS:
        root.set_status(trace.StatusCode.ERROR, record.reason or record.outcome)
        root.set_attribute("error.type", record.outcome)
    inside = trace.set_span_in_context(root, Context())
    for name, start, stop in spans:
        tracer.start_span(name, context=inside, start_time=at(start)).end(at(stop))
    root.end(at(end))


def _context(caller: TraceContext) -> Context:
    """What the span of an utterance is started in: the caller's, or none."""
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract(caller.encode(), Context())


def _spans(record: UtteranceRecord) -> list[tuple[str, float, float]]:
    """Name, begin and end, in milliseconds from T0, of each part that came to its end."""
    t0, turn = 0.0, record.waited or 0.0
    t1 = None if record.d01 is None else turn + record.d01
    t2 = None if t1 is None or record.d12 is None else t1 + record.d12
    return [
        (name, start, start + length)
        for name, start, length in (
            ("queue", t0, record.waited),
            ("voice", turn, record.d01),
            ("sink", t1, record.d12),
            ("audible", t2, record.d2a),
            ("playback", t2, record.d23),
        )
        if start is not None and length is not None
    ]


def _attributes(record: UtteranceRecord, *, with_room: bool) -> dict[str, Any]:
    members = record.encode()
    told = (*_TOLD, "room") if with_room else _TOLD
    return {f"liba.{name}": members[name] for name in told if members[name] != ""}


def _gen_ai(record: UtteranceRecord) -> dict[str, Any]:
    """As the conventions have it; nothing where no model was asked."""
    if not record.chunks or record.cached:
        return {}
    provider = record.provider.partition(":")[2] or record.provider
    known = {
        "gen_ai.operation.name": _OPERATION,
        "gen_ai.output.type": "speech",
        "gen_ai.provider.name": _OPENAI.get(provider, provider),
        "gen_ai.request.model": record.model,
    }
    return {name: value for name, value in known.items() if value}
