"""Keeps tokens out of logs: the SDK tells one that the server refuses in full, as an error."""

from __future__ import annotations

import logging
import re

_TOKEN = re.compile(r"eyJ[\w-]+\.[\w.-]+")


class TokenMask(logging.Filter):
    """Replaces every JWT in a record by `[token]`; for loggers and handlers."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        if "eyJ" in message:
            record.msg, record.args = _TOKEN.sub("[token]", message), None
        return True
