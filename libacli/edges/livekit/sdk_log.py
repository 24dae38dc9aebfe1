"""What the SDK logs for each thing that others send: no flood of them becomes one of log lines."""

from __future__ import annotations

import logging
import threading
import time

from libacli.core.complaints import Complaints

_LOGGERS = ("", "livekit")
"""The SDK logs streams that nobody reads to the root logger, with a topic of the sender's choice."""

_SDK = "/livekit/rtc/"

_LINES_PER_MINUTE = 10


class RepetitionFilter(logging.Filter):
    """Lets a line of the SDK of one kind through once a minute, and so many of all kinds.

    Those at debug level pass always, as do all others' lines.
    """

    def __init__(self, per_minute: int = _LINES_PER_MINUTE) -> None:
        super().__init__()
        self._complaints = Complaints(per_minute)
        self._lock = threading.Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno <= logging.DEBUG or _SDK not in record.pathname.replace("\\", "/"):
            return True
        with self._lock:
            count = self._complaints.due("", _kind(record), time.monotonic())
        if count > 1:
            record.msg, record.args = f"{record.getMessage()} ({count} times)", None
        return count > 0


def _kind(record: logging.LogRecord) -> str:
    """What is the same in all lines that one place writes."""
    if isinstance(record.args, tuple) and len(record.args) > 2:  # of the native part: where in it
        return f"{record.msg} {record.args[0]} {record.args[1]}"
    return f"{record.pathname}:{record.lineno}"


_FILTER = RepetitionFilter()


def bound_sdk_log() -> None:
    """Bounds what the SDK logs in this process; calling it again changes nothing."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_FILTER)
