"""Where the newest utterances went, so that their senders need not say it again to ask about them."""

from __future__ import annotations

import hmac

from libacli.core.delivery import Delivery
from libacli.core.entry import SentUtterance
from libacli.core.messages import SayRequest
from libacli.core.reasons import refusal
from libacli.errors import StoreError
from libacli.web.auth import Caller
from libacli.web.memory_stores import MemorySentUtterances
from libacli.web.stores import SentStore


class SentUtterances:
    """Room, epoch and fingerprint by caller and id; of its own those also while the store is unreachable.

    Fingerprints are made with `secret`: who can read the store cannot try which text one is of.
    """

    def __init__(self, store: SentStore | None = None, *, secret: str = "") -> None:
        self._secret = secret.encode()
        self._own = MemorySentUtterances()
        self._store = store or self._own

    async def check_is_same(self, caller: Caller, room: str, request: SayRequest) -> None:
        """Raises RefusedError, `id_reused`, when this caller's id went out with something else to say."""
        sent = await self.find_sent(caller, request.id)
        if sent and sent.fingerprint != self._fingerprint(room, request):
            raise refusal("id_reused", "this id was sent before, with something else to say, or elsewhere")

    async def remember(self, caller: Caller, room: str, request: SayRequest, said: Delivery) -> None:
        sent = SentUtterance(room, said.epoch, self._fingerprint(room, request))
        await self._own.remember(caller.name, said.id, sent)
        try:
            await self._store.remember(caller.name, said.id, sent)
        except StoreError:  # told already, by whoever watches it
            return

    async def find_sent(self, caller: Caller, utterance_id: str) -> SentUtterance | None:
        try:
            found = await self._store.find(caller.name, utterance_id)
        except StoreError:
            found = None
        return found or await self._own.find(caller.name, utterance_id)

    def _fingerprint(self, room: str, request: SayRequest) -> str:
        return hmac.digest(self._secret, f"{room}\0{request.fingerprint}".encode(), "sha256").hex()
