"""Where the newest utterances went, so that their senders need not say it again to ask about them."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from libacli.core.delivery import Delivery
from libacli.web.auth import Caller

_MOST_KEPT = 4096
"""As many as an agent remembers: of older ones it could not be asked anyway."""


@dataclass(frozen=True)
class SentUtterance:
    """Where an utterance went."""

    room: str
    epoch: str
    """The life of the agent that it went to."""


class SentUtterances:
    """Room and epoch by caller and id, of the newest 4096."""

    def __init__(self) -> None:
        self._sent: OrderedDict[tuple[str, str], SentUtterance] = OrderedDict()

    def remember(self, caller: Caller, room: str, said: Delivery) -> None:
        self._sent[caller.name, said.id] = SentUtterance(room, said.epoch)
        if len(self._sent) > _MOST_KEPT:
            self._sent.popitem(last=False)

    def find_sent(self, caller: Caller, utterance_id: str) -> SentUtterance | None:
        return self._sent.get((caller.name, utterance_id))
