"""What OpenAI's Realtime API sends, as far as it matters here, of any shape: what is missing or odd is empty.

The types of `openai` promise fields that nothing checks; compatible servers leave some out, or fill them with
something else. https://platform.openai.com/docs/api-reference/realtime-server-events
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from libacli.core.server_words import reason_in
from libacli.edges.voices.realtime_errors import Complaint


@dataclass(frozen=True)
class Event:
    """One message of the service."""

    kind: str
    """Its `type`."""

    response_id: str
    item_id: str
    metadata: Mapping[str, Any]
    """What the request of the response carried."""

    delta: str
    """A piece of a transcript, or of sound as base64."""

    transcript: str
    """Of all of it: of one item, or of a response that is done."""

    status: str
    """How a response ended; one that does not tell has been completed."""

    reason: str
    """Why it was not."""

    about: str
    """The client's event that an `error` is about; empty: it does not say."""

    complaint: Complaint
    """What an `error`, or the end of a response, says is wrong."""

    @property
    def pcm(self) -> bytes:
        """The sound of `delta`. Raises ValueError when it is no base64, with either alphabet."""
        packed = "".join(self.delta.split()).translate(_OF_URLS).rstrip("=")
        return base64.b64decode(packed + "=" * (-len(packed) % 4), validate=True)


_OF_URLS = str.maketrans("-_", "+/")


def event_of(message: bytes) -> Event:
    """Raises ValueError for what is no JSON object."""
    told = json.loads(message)
    if not isinstance(told, dict):
        raise ValueError("the message is no object")
    response = _object(told, "response")
    details = _object(response, "status_details")
    error = told.get("error") or details.get("error") or told.get("message")
    fields = error if isinstance(error, dict) else {}
    return Event(
        kind=_text(told, "type"),
        response_id=_text(told, "response_id") or _text(response, "id"),
        item_id=_text(told, "item_id"),
        metadata=_object(response, "metadata"),
        delta=_text(told, "delta"),
        transcript=_text(told, "transcript") or _transcript(response),
        status=_text(response, "status") or "completed",
        reason=_text(details, "reason"),
        about=_text(fields, "event_id"),
        complaint=Complaint(
            _text(fields, "code") or _text(told, "code"), _text(fields, "type"), reason_in(error)
        ),
    )


def _transcript(response: Mapping[str, Any]) -> str:
    """What was said in all items of a response that is done."""
    parts = (part for item in _objects(response, "output") for part in _objects(item, "content"))
    return " ".join(filter(None, (_text(part, "transcript") for part in parts)))


def _text(of: Mapping[str, Any], name: str) -> str:
    value = of.get(name)
    return str(value) if isinstance(value, str | int) else ""


def _object(of: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = of.get(name)
    return value if isinstance(value, dict) else {}


def _objects(of: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    value = of.get(name)
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
