"""What a browser needs to join a room; LiveKit calls it connection details."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

MEET = "https://meet.livekit.io/?tab=custom"
"""LiveKit's own web client, where a server and a token can be typed in."""


@dataclass(frozen=True)
class ConnectionDetails:
    """A LiveKit server and the right to join one of its rooms."""

    url: str
    """ws:// or wss:// address of the LiveKit server."""

    token: str = field(repr=False)
    e2ee_key: str = field(default="", repr=False)
    """What sound and picture are encrypted with from end to end; empty: they are not."""

    @property
    def meet_url(self) -> str:
        """Address of LiveKit's own web client, joined to the token's room. It holds the token.

        The key stands behind `#`, where that client looks for it, and where no browser sends it.
        """
        key = f"#{quote(self.e2ee_key, safe='')}" if self.e2ee_key else ""
        query = urlencode({"liveKitUrl": self.url, "token": self.token})
        return f"https://meet.livekit.io/custom?{query}{key}"
