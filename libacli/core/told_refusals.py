"""Which refusals a room has been told of: who tries again and again is no news."""

from __future__ import annotations

from collections import OrderedDict

from libacli.core.reasons import refusal_reason

_REQUESTS_KEPT = 1024
"""A sender tries one line at a time: so many senders of a full queue are told apart."""


class ToldRefusals:
    """Of a request that is tried again under its id each reason that passes is told once, until it is taken.

    A request without an id is another one each time; one that is refused for good is not tried again.
    """

    def __init__(self, *, kept: int = _REQUESTS_KEPT) -> None:
        self._kept = kept
        self._told: OrderedDict[tuple[str, str], set[str]] = OrderedDict()

    def is_news(self, account: str, utterance_id: str, reason: str) -> bool:
        """Whether everybody is to be told of this refusal; it counts as told then."""
        if not utterance_id or not refusal_reason(reason).passes:
            return True
        told = self._told.setdefault((account, utterance_id), set())
        self._told.move_to_end((account, utterance_id))
        if len(self._told) > self._kept:
            self._told.popitem(last=False)
        is_news = reason not in told
        told.add(reason)
        return is_news

    def forget(self, account: str, utterance_id: str) -> None:
        """The request was taken."""
        self._told.pop((account, utterance_id), None)
