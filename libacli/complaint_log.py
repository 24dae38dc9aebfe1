"""The net at the edge of every reader: what others send may be anything, and ends nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from traceback import extract_tb

from libacli.core.complaints import Complaints

_FOLDER = "/libacli/"


class ComplaintLog:
    """Tells `logger` what is wrong with what others send, once a minute for each of them and each kind.

    A loop must be running where it is used: its clock counts. `on_defect` is called with each error that was
    caught, told or not.
    """

    def __init__(
        self,
        logger: logging.Logger,
        complaints: Complaints | None = None,
        *,
        on_defect: Callable[[], None] = lambda: None,
    ) -> None:
        self._logger = logger
        self._complaints = complaints or Complaints()
        self._on_defect = on_defect

    def tell(
        self,
        sender: str,
        kind: str,
        message: str,
        *,
        level: int = logging.WARNING,
        cause: Exception | None = None,
    ) -> bool:
        """One line, if it is time for one, with the number of those before it that were not told.

        `kind` is what was sent, `message` begins with what became of it; `cause` is told with its trace, and
        with its words. Whether it was time.
        """
        if not (count := self._complaints.due(sender, kind, asyncio.get_running_loop().time())):
            return False
        times = f" ({count} times)" if count > 1 else ""
        self._logger.log(level, "%s from %s%s %s", kind, named(sender), times, message, exc_info=cause)
        return True

    @contextmanager
    def net(self, sender: str, kind: str) -> Iterator[None]:
        """Whatever the body raises, it goes on behind it: the cause is told and counted."""
        try:
            yield
        except Exception as error:
            self.caught(sender, kind, error)

    def caught(self, sender: str, kind: str, error: Exception) -> None:
        """The same for an error that was caught elsewhere.

        Its words may be those of the sender, so they are told at debug level alone.
        """
        self._on_defect()
        if self.tell(sender, kind, f"passed over: {_cause(error)}", level=logging.ERROR):
            self._logger.debug("the cause", exc_info=error)


def named(sender: str) -> str:
    """The identity of `sender` as a log may show it."""
    return (sender if sender.isprintable() else repr(sender)) or "unknown"


def _cause(error: Exception) -> str:
    """The kind of an error, and where in liba it was raised; nothing of what was sent."""
    places = extract_tb(error.__traceback__)
    own = [place for place in places if _FOLDER in place.filename and place.filename != __file__] or places
    where = "".join(f" at {place.filename.rpartition('/')[2]}:{place.lineno}" for place in own[-1:])
    return f"{type(error).__name__}{where}"
