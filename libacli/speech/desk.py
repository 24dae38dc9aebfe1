"""Where requests are taken: who asks, what for, may they; and the answer."""

from __future__ import annotations

import json
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from libacli.complaint_log import ComplaintLog
from libacli.core.acknowledgement import Acknowledgement
from libacli.core.agent_status import AgentStatus
from libacli.core.caps import SayCaps
from libacli.core.event import Rejection
from libacli.core.given_sound import MOST_SECONDS
from libacli.core.hour import Account
from libacli.core.lifecycle import is_decided
from libacli.core.messages import (
    MAX_ID_CHARS,
    SayRequest,
    StatusRequest,
    parse_request,
    read_say,
)
from libacli.core.protocol import (
    MAX_ANSWER_BYTES,
    SAY_METHOD,
    SOUND_TOPIC,
    STATUS_METHOD,
)
from libacli.core.queue_requests import (
    CancelRequest,
    MoveRequest,
    NextAnswer,
    NextRequest,
    PauseAnswer,
    PauseRequest,
)
from libacli.core.reasons import refusal
from libacli.core.usage import Usage
from libacli.errors import RefusedError
from libacli.speech.announcer import Announcer
from libacli.speech.desk_request import READERS, DeskRequest, Say, Stop, Stopped
from libacli.speech.notes import NoNotes, Notes
from libacli.speech.permit import Authorization, Permit, Sender, check_rights
from libacli.speech.refusals import Refusals
from libacli.speech.speaker import Speaker
from libacli.speech.waiters import Waiters

logger = logging.getLogger("liba.desk")

_SIGNED_KEPT = 4096
"""Signed requests whose answer is remembered. Only who has the key could fill this."""


@dataclass(frozen=True)
class _Outcome:
    """An answer, and what it is one to; None: to what was refused, or was answered before."""

    answer: dict[str, Any]
    asked: DeskRequest | None = None
    account: str = ""

    @property
    def state(self) -> str:
        """Of the utterance that was asked for."""
        return str(self.answer.get("state", "unknown"))


class Desk:
    """Takes requests for one speaker. `answer` returns at once, `answer_late` may wait; neither raises.

    What it fails at is answered as `internal`, told and counted, and ends nothing.
    A request that is not carried out is answered with `{"rejected": reason, "message": ...}`. Every answer
    carries `epoch`, which is another one after the agent was started anew: its queue is gone then.
    `other_caps` tells which caps there are besides `caps`, which learn from the speaker what is spent.
    `ttl_s` is how long an utterance may wait whose request does not say; 0: as long as it takes.
    `waiters` hear from the announcer what becomes of utterances, `notes` are what the speaker writes down.
    The owner is told the `worker` it runs on.

    A signed request that comes again, because LiveKit delivers it up to three times or because somebody has
    recorded it, gets the first answer again and is not carried out again. A request that is refused for a
    reason that passes, and tried again under its id, is answered each time and announced once; see Refusals.
    """

    def __init__(
        self,
        speaker: Speaker,
        announcer: Announcer,
        authorization: Authorization,
        *,
        max_text_chars: int,
        max_sound_s: float = MOST_SECONDS,
        caps: SayCaps,
        other_caps: Callable[[], Sequence[Usage]] = tuple,
        ttl_s: float = 0.0,
        waiters: Waiters | None = None,
        notes: Notes | None = None,
        log: ComplaintLog | None = None,
        worker: str = "",
    ) -> None:
        self._speaker = speaker
        self._announcer = announcer
        self._authorization = authorization
        self._max_text_chars = max_text_chars
        self._max_sound_s = max_sound_s
        self._caps = caps
        self._other_caps = other_caps
        self._ttl_ms = round(ttl_s * 1000) or None
        self._waiters = waiters or Waiters()
        self._notes = notes or NoNotes()
        self._log = log or ComplaintLog(logger)
        self._worker = worker
        self._refusals = Refusals(announcer, is_known=self._is_known, log=self._log, logger=logger)
        self._answered: OrderedDict[str, dict[str, Any]] = OrderedDict()

    def answer(self, method: str, payload: bytes, sender: Sender, received_at: float) -> dict[str, Any]:
        """The answer to a call of `method`; `received_at` is T0 on the loop's clock.

        To `SAY_METHOD` it is `{"id", "epoch", "position", "duplicate"}`; to `STATUS_METHOD` the report of the
        utterance `id`, while it waits with `ahead_s`, the seconds that what is before it may take, or without
        an id the agent's status; to `STOP_METHOD`, which ends the utterance `id`, or without one all,
        `{"stopped": [ids]}`. To `CANCEL_METHOD` it is the report of the utterance `id`,
        which is `interrupted` then; to `MOVE_METHOD` that of the one that waits, with its `position` and
        `priority`; to `PAUSE_METHOD` and `RESUME_METHOD` see `PauseAnswer`, to `NEXT_METHOD` `NextAnswer`.
        """
        return self._outcome(method, payload, sender, received_at).answer

    async def answer_late(
        self, method: str, payload: bytes, sender: Sender, received_at: float
    ) -> dict[str, Any]:
        """As `answer`; but to a status request that has a level to wait for only when that is decided.

        So it comes within `wait_ms`, or at once when too many wait. To what is written down for an agent that
        follows only when it is, or with `journaled` false after a second.
        """
        outcome = self._outcome(method, payload, sender, received_at)
        match outcome.asked:
            case StatusRequest(wanted, level, wait_s) if wait_s and not is_decided(outcome.state, level):
                await self._waiters.wait(wanted, level, account=outcome.account, within_s=wait_s)
                return self._report(wanted)
            case Say() | Stop() | CancelRequest() | MoveRequest() | PauseRequest() | NextRequest():
                journaled = await self._notes.confirm()
                if isinstance(outcome.asked, Say) and outcome.asked.request.sound:
                    journaled = None if journaled is None else False  # a journal holds texts alone
                return outcome.answer if journaled is None else outcome.answer | {"journaled": journaled}
        return outcome.answer

    def _outcome(self, method: str, payload: bytes, sender: Sender, received_at: float) -> _Outcome:
        try:
            return self._try(method, payload, sender, received_at)
        except Exception as error:  # whatever was sent: what others say is to be heard
            self._log.caught(sender.identity, method, error)
            message = f"the agent failed at it: {type(error).__name__}"
            return _Outcome(Rejection(self._announcer.facts(), "internal", message).answer())

    def admit_sound(self, body: Mapping[str, Any], auth: str | None) -> None:
        """Raises RefusedError unless a sound may be sent; see `SoundStreams`. Who sends it is not believed:
        anybody could be named there."""
        if not self._authorization.authorise(SOUND_TOPIC, body, auth, Sender()).may_say:
            raise refusal("unauthorized", "the sender may not speak")

    def takes(self, sender: Sender) -> bool:
        """Whether what this participant asks for unsigned may be spoken."""
        try:
            return self._authorization.authorise(SAY_METHOD, {}, None, sender).may_say
        except Exception:  # whatever it is: the answer to what it asks tells
            return False

    @property
    def max_text_chars(self) -> int:
        """Most characters of one utterance."""
        return self._max_text_chars

    @property
    def max_sound_s(self) -> float:
        """Most seconds of one sound."""
        return self._max_sound_s

    @property
    def stops(self) -> int:
        """How often silence was asked for."""
        return self._speaker.stops

    def _try(self, method: str, payload: bytes, sender: Sender, received_at: float) -> _Outcome:
        permit, given_id = Permit(""), ""
        asked: DeskRequest | None = None
        try:
            body, auth = parse_request(payload)
            given_id = _id_of(body)
            permit = self._authorization.authorise(method, body, auth, sender)
            if first := self._answered.get(permit.nonce):
                return _Outcome(first)
            asked = self._read(method, body)
            answer = self._carry_out(asked, permit, received_at)
        except RefusedError as error:
            asked = None
            answer = self._refusals.tell(
                method,
                error,
                sender=sender.identity,
                account=permit.account,
                utterance_id=given_id,
                now=received_at,
            ).answer()
        if permit.nonce and method != STATUS_METHOD:
            self._remember(permit.nonce, answer)
        return _Outcome(answer, asked, permit.account)

    def _read(self, method: str, body: Mapping[str, Any]) -> DeskRequest:
        if method in READERS:
            return READERS[method](body)
        request = read_say(body, max_text_chars=self._max_text_chars)
        if request.sound and request.sound.seconds > self._max_sound_s:
            raise refusal("sound_too_long", f"a sound may last {self._max_sound_s:g} s")
        return Say(replace(request, ttl_ms=self._ttl_ms) if request.ttl_ms is None else request)

    def _carry_out(self, asked: DeskRequest, permit: Permit, received_at: float) -> dict[str, Any]:
        check_rights(asked, permit)
        epoch = {"epoch": self._announcer.facts().epoch}
        match asked:
            case Say(request):
                return self._say(request, permit, received_at).encode() | epoch
            case StatusRequest("", ended=ended):
                return self._status(permit.payer, received_at, ended).within(MAX_ANSWER_BYTES).encode()
            case StatusRequest(wanted):
                return self._report(wanted)
            case Stop(wanted):
                gone = self._speaker.stop_one(wanted) if wanted else self._speaker.stop()
                stopped = Stopped(tuple(utterance.id for utterance in gone))
                return epoch | stopped.encode(MAX_ANSWER_BYTES - len(json.dumps(epoch)))
            case CancelRequest(wanted, is_own):
                if is_own or not permit.may_control:
                    self._check_own(wanted, permit)
                self._speaker.cancel(wanted)
                return self._report(wanted)
            case MoveRequest():
                return self._move(asked)
            case PauseRequest(is_paused):
                return epoch | self._pause(is_paused).encode()
            case NextRequest(wanted):
                return epoch | self._next(wanted).encode()

    def _check_own(self, utterance_id: str, permit: Permit) -> None:
        """Raises RefusedError when it is somebody else's, or does not wait."""
        if self._speaker.find_waiting(utterance_id).account != permit.account:
            raise refusal("not_yours", "this line is another's: you may cancel your own alone")

    def _move(self, asked: MoveRequest) -> dict[str, Any]:
        moved = self._speaker.move(asked)
        self._announcer.announce_queue("moved")
        ahead = self._speaker.waiting.index(moved) + (self._speaker.speaking is not None)
        return self._report(moved.id) | {"position": ahead, "priority": moved.request.priority}

    def _pause(self, is_paused: bool) -> PauseAnswer:
        is_news = self._speaker.pause() if is_paused else self._speaker.resume()
        if is_news:
            self._announcer.announce_queue("paused" if is_paused else "resumed")
        return PauseAnswer(is_paused, is_news, self._speaker.queue_length)

    def _next(self, utterance_id: str) -> NextAnswer:
        released, is_news = self._speaker.release(utterance_id)
        if is_news:
            self._announcer.announce_queue("released")
        return NextAnswer(released.id, is_news)

    def _say(self, request: SayRequest, permit: Permit, received_at: float) -> Acknowledgement:
        chars = 0 if request.sound else len(request.words)  # no voice is paid for it
        is_known = self._is_known(request.id)
        if not is_known:
            self._caps.check(permit.payer, chars, received_at)
        acknowledgement = self._speaker.say(
            request, received_at=received_at, account=permit.account, is_owners=permit.is_owner
        )
        if not acknowledgement.duplicate:
            self._caps.accept(permit.payer, acknowledgement.id, chars, received_at)
            self._refusals.forget(permit.account, request.id)
        return acknowledgement

    def _report(self, utterance_id: str) -> dict[str, Any]:
        utterance = self._speaker.find(utterance_id)
        report = utterance.report().encode() if utterance else _unknown(utterance_id)
        if utterance and utterance.state == "accepted":
            report["ahead_s"] = round(self._speaker.ahead_s(utterance), 1)
            if self._speaker.is_paused:
                report["paused"] = True
        return {"epoch": self._announcer.facts().epoch} | report

    def _status(self, account: Account, received_at: float, ended: int) -> AgentStatus:
        speaking, waiting = self._speaker.speaking, self._speaker.waiting
        return AgentStatus(
            self._announcer.facts(),
            speaking.report() if speaking else None,
            tuple(utterance.report() for utterance in waiting),
            (*self._caps.usage(account, received_at), *self._other_caps()),
            ended=tuple(utterance.report() for utterance in self._speaker.ended(ended)),
            worker=self._worker if account.is_owner else "",
        )

    def _is_known(self, utterance_id: str) -> bool:
        return self._speaker.find(utterance_id) is not None

    def _remember(self, nonce: str, answer: dict[str, Any]) -> None:
        self._answered[nonce] = answer
        if len(self._answered) > _SIGNED_KEPT:
            self._answered.popitem(last=False)


def _id_of(body: Mapping[str, Any]) -> str:
    """The id that the request has, as far as it can be repeated; empty when it cannot."""
    given = body.get("id")
    given = given[:MAX_ID_CHARS] if isinstance(given, str) else ""
    return given if given.isprintable() else ""


def _unknown(utterance_id: str) -> dict[str, Any]:
    return {"id": utterance_id[:MAX_ID_CHARS], "state": "unknown"}
