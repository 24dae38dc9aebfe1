"""Whether the SDK is there that speaks the Model Context Protocol."""

from __future__ import annotations

from importlib.util import find_spec

from libacli.errors import ConfigError


def check_installed() -> None:
    """Raises ConfigError with the command that installs it."""
    if find_spec("mcp") is None:
        raise ConfigError("MCP is not installed", hint="pip install 'libacli[mcp]'")
