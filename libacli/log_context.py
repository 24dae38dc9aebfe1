"""What a line of the log is about, so that whoever writes it need not say so: its room, its utterance."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

FIELDS = ("room", "uid")
"""What a record may have as attributes: the room's name, the utterance's id."""

_ABOUT: ContextVar[dict[str, str]] = ContextVar("liba_log_about")


@contextmanager
def about(**fields: str) -> Iterator[None]:
    """What is logged in here, and in tasks that are begun in here, is about this `room`, this `uid`."""
    token = _ABOUT.set(_ABOUT.get({}) | fields)
    try:
        yield
    finally:
        _ABOUT.reset(token)


class AboutFilter(logging.Filter):
    """For handlers: notes on each record what it is about, unless it says so itself. Lets all through."""

    def filter(self, record: logging.LogRecord) -> bool:
        for name, value in _ABOUT.get({}).items():
            if not hasattr(record, name):
                setattr(record, name, value)
        return True


_FILTER = AboutFilter()


def note_what_records_are_about() -> None:
    """Has all handlers of this process do so, for whom records of it are handed to; once is enough."""
    for handler in logging.getLogger().handlers:
        handler.addFilter(_FILTER)
