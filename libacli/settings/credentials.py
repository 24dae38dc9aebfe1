"""What every call to LiveKit needs, and where its server is."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pydantic import SecretStr

from libacli.errors import ConfigError


@dataclass(frozen=True)
class LiveKitCredentials:
    """What every call to LiveKit needs. Raises ConfigError for a URL that holds a login.

    Viewers are given the URL, and errors quote it.
    """

    url: str
    """ws://, wss://, http:// or https:// address of the server, and no name or password."""

    api_key: str
    api_secret: SecretStr
    public_url: str = ""
    """Where browsers and services elsewhere reach the same server; empty: there as well."""
    e2ee_key: SecretStr | None = None
    """What sound and picture are encrypted with from end to end; None: they are not."""

    def __post_init__(self) -> None:
        for name, url in (("LIVEKIT_URL", self.url), ("LIVEKIT_PUBLIC_URL", self.public_url)):
            if "@" in url:
                raise ConfigError(
                    f"{name} holds a user name or password, and every viewer is given that address",
                    hint="leave out all up to the @; LiveKit knows LIVEKIT_API_KEY and LIVEKIT_API_SECRET",
                )

    @property
    def outside(self) -> LiveKitCredentials:
        """The same server as others reach it: browsers, and the avatar's service."""
        return replace(self, url=self.public_url, public_url="") if self.public_url else self

    @property
    def is_loopback(self) -> bool:
        """Whether the server is on this machine: no proxy, and no avatar in the cloud, can reach it."""
        return is_loopback(self.url)

    @property
    def http_url(self) -> str:
        """The address for calls over HTTP."""
        return (
            self.url.replace("ws", "http", 1).rstrip("/")
            if self.url.startswith("ws")
            else self.url.rstrip("/")
        )

    @property
    def ws_url(self) -> str:
        """The address for media and workers."""
        return self.http_url.replace("http", "ws", 1)


def is_loopback(url: str) -> bool:
    """Whether the host of `url` is this machine."""
    import ipaddress
    from urllib.parse import urlsplit

    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or host.endswith(".localhost") or ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name, or no address at all
        return False
