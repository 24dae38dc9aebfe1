"""The log of a command that runs until it is stopped."""

from __future__ import annotations

import logging
import sys

from libacli.edges.masking import TokenMask  # noqa: TID253 - small, and loaded by workers alone

_NOISY = ("livekit", "livekit.agents", "httpx2", "httpcore2", "openai", "asyncio")


def configure_log(level: str) -> None:
    """Logs to stderr from `level` (`debug`, `info`, ...) on; libraries are quiet unless it is `debug`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(TokenMask())
    logging.basicConfig(
        level=level.upper(),
        handlers=[handler],
        format="%(asctime)s.%(msecs)03d %(levelname)-7s %(name)s: %(message)s",
        datefmt="%H:%M:%S",
    )
    if level != "debug":
        for name in _NOISY:
            logging.getLogger(name).setLevel(logging.WARNING)
