"""How a refusal is told: to whom, and how often."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from libacli.complaint_log import ComplaintLog, named
from libacli.core.caps import Rates
from libacli.core.event import Rejection
from libacli.core.protocol import SAY_METHOD
from libacli.core.reasons import refusal_reason
from libacli.core.told_refusals import ToldRefusals
from libacli.errors import RefusedError
from libacli.speech.announcer import Announcer

_LOGGED_PER_MINUTE = 6
"""Refusals of who may speak that are logged above debug level, and so many at once: a flood of requests is to
be none of log lines. With those of others there are never more than thirty in a minute."""

_ANNOUNCED_PER_MINUTE = 60
_ANNOUNCED_AT_ONCE = 100
"""Refusals of one account that the room is told of: three queues at once, a third of what a watcher shows."""


class Refusals:
    """Tells of refusals: the sender each time, the log and the room now and then.

    Of a request that nobody could read, or whose sender may not speak, the room is told nothing, and of no
    other one under the id of an utterance that `is_known`: it may be somebody else's. `log` has those of who
    may not speak, `logger` the others.
    """

    def __init__(
        self,
        announcer: Announcer,
        *,
        is_known: Callable[[str], bool],
        log: ComplaintLog,
        logger: logging.Logger,
    ) -> None:
        self._announcer = announcer
        self._is_known = is_known
        self._log = log
        self._logger = logger
        self._told = ToldRefusals()
        self._logged = Rates(_LOGGED_PER_MINUTE, burst=_LOGGED_PER_MINUTE)
        self._announced = Rates(_ANNOUNCED_PER_MINUTE, burst=_ANNOUNCED_AT_ONCE)

    def tell(
        self, method: str, error: RefusedError, *, sender: str, account: str, utterance_id: str, now: float
    ) -> Rejection:
        """Tells of one, and gives what its sender is to be told. No account: the sender may not speak."""
        is_news = self._told.is_news(account, utterance_id, error.reason)
        if account:
            self._complain(method, error, sender, now, is_news=is_news)
        else:
            self._log.tell(sender, method, f"rejected: {error}")
        facts = self._announcer.facts()
        rejection = Rejection(facts, error.reason, str(error), utterance_id, error.retry_in_s)
        if method == SAY_METHOD and is_news:
            self._announce(rejection, account, now)
        return rejection

    def forget(self, account: str, utterance_id: str) -> None:
        """The request was taken."""
        self._told.forget(account, utterance_id)

    def _announce(self, rejection: Rejection, account: str, now: float) -> None:
        is_for_all = account and not refusal_reason(rejection.reason).is_private
        if not is_for_all or self._announced.fits_in_s(account, now):
            self._announcer.count_rejection(rejection)
            return
        self._announced.take(account, now)
        is_known = bool(rejection.id) and self._is_known(rejection.id)
        self._announcer.announce_rejection(replace(rejection, id="") if is_known else rejection)

    def _complain(self, method: str, error: RefusedError, sender: str, now: float, *, is_news: bool) -> None:
        level = logging.DEBUG
        is_usual = error.reason == "unknown_sound"  # who has a sound asks first whether it is there
        if is_news and not is_usual and not self._logged.fits_in_s("", now):
            self._logged.take("", now)
            level = logging.WARNING
        self._logger.log(level, "%s from %s rejected: %s", method, named(sender), error)
