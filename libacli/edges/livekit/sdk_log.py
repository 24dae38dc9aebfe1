"""What the SDK logs: no flood of what others send becomes one of lines, and no line quotes what is said."""

from __future__ import annotations

import logging
import re
import threading
import time

from libacli.core.complaints import Complaints

_LOGGERS = ("", "livekit")
"""The SDK logs streams that nobody reads to the root logger, with a topic of the sender's choice."""

_SDK = "/livekit/rtc/"

_LINES_PER_MINUTE = 10
_REQUEST = re.compile(r"\bFfiRequest \{ message: Some\((\w+)\(.*\)\) \}", re.DOTALL)
"""As Rust's `Debug` writes it: livekit-ffi's `src/cabi.rs` logs it whole (livekit 1.x)."""


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


class RequestFilter(logging.Filter):
    """Leaves of a request that the native part failed at its name: the rest may be a text, a token, a key."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        told = _REQUEST.sub(r"\1", message)
        if told != message:
            record.msg, record.args = told, None
        return True


_REPETITIONS, _REQUESTS = RepetitionFilter(), RequestFilter()


def bound_sdk_log() -> None:
    """Bounds what the SDK logs in this process; calling it again changes nothing."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_REPETITIONS)
        logging.getLogger(name).addFilter(_REQUESTS)
