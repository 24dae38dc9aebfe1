"""What a browser needs to join a room; LiveKit calls it connection details."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlencode

MEET = "https://meet.livekit.io/?tab=custom"
"""LiveKit's own web client, where a server and a token can be typed in."""


@dataclass(frozen=True)
class ConnectionDetails:
    """A LiveKit server and the right to join one of its rooms."""

    url: str
    """ws:// or wss:// address of the LiveKit server."""

    token: str = field(repr=False)

    @property
    def meet_url(self) -> str:
        """Address of LiveKit's own web client, joined to the token's room. It holds the token."""
        return "https://meet.livekit.io/custom?" + urlencode({"liveKitUrl": self.url, "token": self.token})
