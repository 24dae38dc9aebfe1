"""Where requests are taken: who asks, what for, may they; the answer, and the events that follow."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

from libacli.core.backlog import Utterance
from libacli.core.caps import Rates, SayCaps, Usage
from libacli.core.messages import SayRequest, parse_request, read_say
from libacli.core.protocol import SAY_METHOD, STATUS_METHOD, STOP_METHOD
from libacli.errors import RefusedError
from libacli.speech.speaker import Speaker

logger = logging.getLogger("liba.desk")

_COMPLAINTS_PER_MINUTE = 30
"""Refusals that are logged above debug level: a flood of requests is to be none of log lines."""

_SIGNED_KEPT = 4096
"""Signed requests whose answer is remembered. Only who has the key could fill this."""


@dataclass(frozen=True)
class Sender:
    """Who sent a request, as far as the LiveKit server vouches for it."""

    identity: str = ""
    """Empty when it is not known: a hidden participant, one that just joined, or the server itself."""

    may_say: bool = False
    """Its token's attributes say so."""


@dataclass(frozen=True)
class Permit:
    """Leave to carry out a request."""

    account: str
    """Whose allowance it uses up: the sender's, or that of the key it is signed with."""

    nonce: str = ""
    """What no other signed request has: with the same one it is the same, come again. Empty: not signed."""


class Authorise(Protocol):
    def __call__(self, method: str, body: Mapping[str, Any], auth: str | None, sender: Sender) -> Permit:
        """Raises RefusedError unless this request may be carried out."""


class Desk:
    """Takes requests for one speaker. Every method answers at once and raises nothing.

    A request that is not carried out is answered with `{"rejected": reason, "message": ...}`. Every answer
    and event carries `epoch`, which is another one after the agent was started anew: its queue is gone then.
    `describe` tells what else every event and the status of the queue say of the agent, `other_caps` which
    caps there are besides `caps`; `wall_clock` the time in POSIX seconds of a moment of the loop's clock.
    `ttl_s` is how long an utterance may wait whose request does not say; 0: as long as it takes.

    A signed request that comes again, because LiveKit delivers it up to three times or because somebody has
    recorded it, gets the first answer again and is not carried out again.
    """

    def __init__(
        self,
        speaker: Speaker,
        *,
        epoch: str,
        describe: Callable[[], Mapping[str, Any]],
        wall_clock: Callable[[float], float],
        authorise: Authorise,
        announce: Callable[[dict[str, Any]], None],
        max_text_chars: int,
        caps: SayCaps,
        other_caps: Callable[[], Sequence[Usage]] = tuple,
        ttl_s: float = 0.0,
    ) -> None:
        self._speaker = speaker
        self._epoch = epoch
        self._describe = describe
        self._wall_clock = wall_clock
        self._authorise = authorise
        self._announce = announce
        self._max_text_chars = max_text_chars
        self._caps = caps
        self._other_caps = other_caps
        self._ttl_ms = round(ttl_s * 1000) or None
        self._complaints = Rates(_COMPLAINTS_PER_MINUTE, burst=_COMPLAINTS_PER_MINUTE)
        self._answered: OrderedDict[str, dict[str, Any]] = OrderedDict()

    def say(self, payload: bytes, sender: Sender, received_at: float) -> dict[str, Any]:
        """Queues an utterance: `{"id", "epoch", "position", "duplicate"}`.

        `received_at` is T0 on the loop's clock.
        """

        def carry_out(body: Mapping[str, Any], account: str) -> dict[str, Any]:
            request = self._read(body)
            chars = len(request.text)
            if not self._speaker.find(request.id):
                self._caps.check(account, chars, received_at)
            acknowledgement = self._speaker.say(request, received_at=received_at)
            if not acknowledgement.duplicate:
                self._caps.charge(account, chars, received_at)
            return replace(acknowledgement, epoch=self._epoch).encode()

        return self._answer(SAY_METHOD, payload, sender, received_at, carry_out)

    def status(self, payload: bytes, sender: Sender, received_at: float) -> dict[str, Any]:
        """What is known of the utterance `id`; without one: what is speaking, what waits, and the caps."""

        def carry_out(body: Mapping[str, Any], account: str) -> dict[str, Any]:
            if wanted := body.get("id"):
                utterance = self._speaker.find(str(wanted))
                return utterance.report() if utterance else {"id": str(wanted), "state": "unknown"}
            speaking = self._speaker.speaking
            caps = [*self._caps.usage(account, received_at), *self._other_caps()]
            return {
                **self._describe(),
                "speaking": speaking.report() if speaking else None,
                "waiting": [utterance.report() for utterance in self._speaker.waiting],
                "caps": [asdict(cap) for cap in caps],
            }

        return self._answer(STATUS_METHOD, payload, sender, received_at, carry_out)

    def stop(self, payload: bytes, sender: Sender, received_at: float) -> dict[str, Any]:
        """Stops what is speaking and forgets what waits: `{"stopped": [ids]}`."""

        def carry_out(body: Mapping[str, Any], account: str) -> dict[str, Any]:
            return {"stopped": [gone.id for gone in self._speaker.stop()]}

        return self._answer(STOP_METHOD, payload, sender, received_at, carry_out)

    def report(self, utterance: Utterance) -> None:
        """Announces what has just become of an utterance."""
        t0 = utterance.timeline.t0
        if utterance.is_over and not utterance.chunks:  # the voice was never asked for it
            self._caps.give_back(len(utterance.request.text), t0)
        self._announce(
            {"epoch": self._epoch, **self._describe(), "t0": round(self._wall_clock(t0), 3)}
            | utterance.report()
        )

    def _read(self, body: Mapping[str, Any]) -> SayRequest:
        request = read_say(body, max_text_chars=self._max_text_chars)
        return replace(request, ttl_ms=self._ttl_ms) if request.ttl_ms is None else request

    def _answer(
        self,
        method: str,
        payload: bytes,
        sender: Sender,
        received_at: float,
        carry_out: Callable[[Mapping[str, Any], str], dict[str, Any]],
    ) -> dict[str, Any]:
        answer: dict[str, Any] = {"epoch": self._epoch}
        permit = Permit("")
        try:
            body, auth = parse_request(payload)
            if isinstance(given_id := body.get("id"), str):
                answer["id"] = given_id[:64]
            permit = self._authorise(method, body, auth, sender)
            if first := self._answered.get(permit.nonce):
                return first
            answer |= carry_out(body, permit.account)
        except RefusedError as error:
            self._complain(method, sender, received_at, error)
            answer |= {"rejected": error.reason, "message": str(error)}
            if error.retry_in_s is not None:
                answer["retry_in_s"] = error.retry_in_s
            if method == SAY_METHOD:
                self._announce({"state": "rejected", **self._describe()} | answer)
        if permit.nonce and method != STATUS_METHOD:
            self._remember(permit.nonce, answer)
        return answer

    def _remember(self, nonce: str, answer: dict[str, Any]) -> None:
        self._answered[nonce] = answer
        if len(self._answered) > _SIGNED_KEPT:
            self._answered.popitem(last=False)

    def _complain(self, method: str, sender: Sender, now: float, error: Exception) -> None:
        level = logging.DEBUG
        if not self._complaints.fits_in_s("", now):
            self._complaints.take("", now)
            level = logging.WARNING
        name = sender.identity if sender.identity.isprintable() else repr(sender.identity)
        logger.log(level, "%s from %s rejected: %s", method, name or "unknown", error)
