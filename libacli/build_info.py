"""What runs here, for whoever looks after many: the metric `liba_build_info`."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from libacli import __version__


def _livekit_agents() -> str:
    """Its version, without loading it; empty: it is not installed."""
    try:
        return version("livekit-agents")
    except PackageNotFoundError:
        return ""


BUILD_INFO = {
    "version": __version__,
    "livekit_agents": _livekit_agents(),
    "python": platform.python_version(),
}
"""Versions, by name. Read from files when this is loaded: not in an event loop."""
