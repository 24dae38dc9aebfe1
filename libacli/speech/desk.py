"""Where requests are taken: who asks, what for, may they; the answer, and the events that follow."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from libacli.core.backlog import Refused, Utterance
from libacli.core.messages import Malformed, parse_request, read_say
from libacli.core.names import SAY_METHOD, STATUS_METHOD, STOP_METHOD
from libacli.errors import RefusedError
from libacli.speech.speaker import Speaker

logger = logging.getLogger("liba.desk")


@dataclass(frozen=True)
class Sender:
    """Who sent a request, as far as the LiveKit server vouches for it."""

    identity: str = ""
    """Empty when it is not known: a hidden participant, one that just joined, or the server itself."""

    may_say: bool = False
    """Its token's attributes say so."""


class Authorise(Protocol):
    def __call__(self, method: str, body: Mapping[str, Any], auth: str | None, sender: Sender) -> None:
        """Raises RefusedError unless this request may be carried out."""


class Desk:
    """Takes requests for one speaker. Every method answers at once and raises nothing.

    A request that is not carried out is answered with `{"rejected": reason, "message": ...}`. Every answer
    and event carries `epoch`, which is another one after the agent was started anew: its queue is gone then.
    `describe` tells what else every event and the status of the queue say of the agent; `wall_clock` the time
    in POSIX seconds of a moment of the loop's clock.
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
    ) -> None:
        self._speaker = speaker
        self._epoch = epoch
        self._describe = describe
        self._wall_clock = wall_clock
        self._authorise = authorise
        self._announce = announce
        self._max_text_chars = max_text_chars

    def say(self, payload: bytes, sender: Sender, received_at: float) -> dict[str, Any]:
        """Queues an utterance: `{"id", "epoch", "position", "duplicate"}`.

        `received_at` is T0 on the loop's clock.
        """

        def carry_out(body: Mapping[str, Any]) -> dict[str, Any]:
            request = read_say(body, max_text_chars=self._max_text_chars)
            receipt = self._speaker.say(request, received_at=received_at)
            return {"id": receipt.id, "position": receipt.position, "duplicate": receipt.duplicate}

        answer = self._answer(SAY_METHOD, payload, sender, carry_out)
        if "rejected" in answer:
            self._announce({"state": "rejected", **self._describe()} | answer)
        return answer

    def status(self, payload: bytes, sender: Sender, received_at: float) -> dict[str, Any]:
        """What is known of the utterance `id`, or, without one, what is speaking and waiting."""

        def carry_out(body: Mapping[str, Any]) -> dict[str, Any]:
            if wanted := body.get("id"):
                utterance = self._speaker.find(str(wanted))
                return utterance.report() if utterance else {"id": str(wanted), "state": "unknown"}
            speaking = self._speaker.speaking
            return {
                **self._describe(),
                "speaking": speaking.report() if speaking else None,
                "waiting": [utterance.report() for utterance in self._speaker.waiting],
            }

        return self._answer(STATUS_METHOD, payload, sender, carry_out)

    def stop(self, payload: bytes, sender: Sender, received_at: float) -> dict[str, Any]:
        """Stops what is speaking and forgets what waits: `{"stopped": [ids]}`."""
        return self._answer(
            STOP_METHOD, payload, sender, lambda _: {"stopped": [gone.id for gone in self._speaker.stop()]}
        )

    def report(self, utterance: Utterance) -> None:
        """Announces what has just become of an utterance."""
        t0 = round(self._wall_clock(utterance.timeline.t0), 3)
        self._announce({"epoch": self._epoch, **self._describe(), "t0": t0} | utterance.report())

    def _answer(
        self,
        method: str,
        payload: bytes,
        sender: Sender,
        carry_out: Callable[[Mapping[str, Any]], dict[str, Any]],
    ) -> dict[str, Any]:
        answer: dict[str, Any] = {"epoch": self._epoch}
        try:
            body, auth = parse_request(payload)
            if isinstance(given_id := body.get("id"), str):
                answer["id"] = given_id[:64]
            self._authorise(method, body, auth, sender)
            answer |= carry_out(body)
        except (Malformed, Refused, RefusedError) as error:
            name = sender.identity if sender.identity.isprintable() else repr(sender.identity)
            logger.warning("%s from %s rejected: %s", method, name or "unknown", error)
            answer |= {"rejected": error.reason, "message": str(error)}
        return answer
