"""What a browser needs to join a room."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Join:
    """A LiveKit server and the right to join one of its rooms."""

    url: str
    """ws:// or wss:// address of the LiveKit server."""

    token: str = field(repr=False)
