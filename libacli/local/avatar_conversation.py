"""One conversation of an avatar service, as callers are told of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Conversation:
    """https://docs.tavus.io/api-reference/conversations/get-conversation"""

    id: str
    name: str
    face_id: str
    pal_id: str
    created_at: str
    status: str = "active"
    """`active` or `ended`."""

    updated_at: str = ""
    shutdown_reason: str = ""
    """Why it ended: https://docs.tavus.io/sections/webhooks-and-callbacks lists Tavus's words."""

    task: asyncio.Task[None] | None = field(default=None, repr=False)

    def told(self, base_url: str, *, verbose: bool = False) -> dict[str, Any]:
        """What an answer says of it: the present names of fields, and the older ones."""
        facts: dict[str, Any] = {
            "conversation_id": self.id,
            "conversation_name": self.name,
            "conversation_url": f"{base_url}/v2/conversations/{self.id}",
            "status": self.status,
            "face_id": self.face_id,
            "pal_id": self.pal_id,
            "replica_id": self.face_id,
            "persona_id": self.pal_id,
            "callback_url": "",
            "created_at": self.created_at,
            "updated_at": self.updated_at or self.created_at,
        }
        return facts | (
            {"shutdown_reason": self.shutdown_reason, "events": self._events()} if verbose else {}
        )

    def _events(self) -> list[dict[str, Any]]:
        if self.status != "ended":
            return []
        return [
            {
                "event_type": "system.shutdown",
                "message_type": "system",
                "conversation_id": self.id,
                "timestamp": self.updated_at,
                "properties": {"replica_id": self.face_id, "shutdown_reason": self.shutdown_reason},
            }
        ]
