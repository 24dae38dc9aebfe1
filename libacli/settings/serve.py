"""Settings `serve.*`: the web page and the HTTP API."""

from pathlib import Path

from pydantic import Field, SecretStr

from libacli.config_values import Words
from libacli.settings.group import Group


class ServeSettings(Group):
    """Where it is reached, by whom, and how often."""

    serve_host: str = Field(
        default="127.0.0.1", min_length=1, description="Address to bind; another one than loopback needs keys"
    )
    serve_port: int = Field(default=8080, ge=0, le=65535, description="Port of the web page and the HTTP API")
    serve_keys: Words = Field(
        default=(), repr=False, description="API keys, hashed: what `liba serve --new-key NAME` prints"
    )
    serve_origins: Words = Field(
        default=(), description="Other websites whose pages may call the HTTP API: https://example.org"
    )
    serve_embed: Words = Field(
        default=(),
        description="Websites that may show the page in a frame: https://example.org, https://*.example.org",
    )
    serve_public_url: str = Field(
        default="", description="Address that others reach the page at, if it is not the one that is bound"
    )
    serve_trusted_proxies: Words = Field(
        default=(),
        description="Proxies that are believed who calls: 10.0.0.0/16; empty: with public_url this machine",
    )
    serve_keep_alive: int = Field(
        default=75,
        ge=1,
        le=3600,
        description="Seconds a connection is kept for a next request; more than a proxy in front keeps it",
    )
    serve_rate_per_minute: int = Field(
        default=600,
        ge=0,
        le=1_000_000,
        description="Requests a minute of one key or session, and of who has none by address; 0: no limit",
    )
    serve_token_ttl: int = Field(
        default=600, ge=10, le=3600, description="Longest life of a token that a session asks for, in seconds"
    )
    serve_owner_key: SecretStr | None = Field(
        default=None, description="One of the keys itself, not its hash: `liba sessions` asks with it"
    )
    serve_mcp: bool = Field(
        default=False,
        description="Let models speak, at /mcp: for who may call the HTTP API; needs libacli[mcp]",
    )
    serve_tls_cert: Path | None = Field(default=None, description="Certificate chain (PEM), to speak HTTPS")
    serve_tls_key: Path | None = Field(default=None, description="Its private key (PEM)")
