"""POST /api/say and GET /api/say/{id}: a text goes to the agent; what became of it."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response

from libacli.core.delivery import Delivery
from libacli.core.lifecycle import LEVEL_STATES, SETTLED
from libacli.core.markdown import as_prose
from libacli.core.messages import MAX_ID_CHARS, SayRequest, read_say
from libacli.core.pace import heard_within_s, spoken_within_s
from libacli.core.trace_context import TraceContext
from libacli.errors import InterruptedSpeechError, NoAgentError, TimedOutError, UnreachableError
from libacli.web.auth import Caller
from libacli.web.dependencies import CallerDependency, ServicesDependency
from libacli.web.giving_up import client_left, unless_given_up
from libacli.web.models.fields import RoomQuery
from libacli.web.models.say import SayAnswer, SayBody, UtteranceState
from libacli.web.models.sound import LONGEST_WAIT_S
from libacli.web.ports import Gateway
from libacli.web.problems import Problem, responses
from libacli.web.services import Services

router = APIRouter(tags=["speech"])

REACH_TIMEOUT_S = 10.0
"""How long an agent may take to come into the room."""

Level = Literal["accepted", "audible", "done"]

WaitFor = Annotated[Level, Query(description="What to wait for")]
WaitTimeout = Annotated[
    float | None,
    Query(
        gt=0,
        le=LONGEST_WAIT_S,
        description="How long to wait; default: it fits the text, and what waits before it",
    ),
]
KeyHeader = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="The same key is spoken once, however often it is sent; with another body it is 422",
    ),
]


async def caller_trace(
    traceparent: Annotated[
        str | None, Header(description="W3C Trace Context: the span that this is a part of")
    ] = None,
    tracestate: Annotated[str | None, Header(description="What belongs to it; passed on")] = None,
) -> TraceContext:
    """The caller's trace; what is malformed is none."""
    return TraceContext.read({"traceparent": traceparent, "tracestate": tracestate})


TraceDependency = Annotated[TraceContext, Depends(caller_trace)]
SAY_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "It has reached what was waited for, or ended before", "model": SayAnswer},
    **responses(401, 403, 413, 415, 422, 429, 502, 503, 504),
}


@router.post(
    "/api/say",
    summary="Say something",
    status_code=202,
    response_model=SayAnswer,
    responses=SAY_RESPONSES,
)
async def post_say(
    request: Request,
    services: ServicesDependency,
    response: Response,
    caller: CallerDependency,
    body: SayBody,
    trace: TraceDependency,
    wait: WaitFor = "accepted",
    timeout_s: WaitTimeout = None,
    idempotency_key: KeyHeader = None,
) -> SayAnswer:
    """Hands a text to the agent of a room, and brings an agent there if there is none.

    202 says that it was accepted, or more if more is known by then. With `wait` the answer comes when the
    text can be heard, or has been spoken to its end; `state` tells how it ended. Proxies cut off what takes
    long, some after 30 s: behind one take the 202 and ask `GET /api/say/{id}`, or give a `timeout_s` below
    the proxy's, and an `Idempotency-Key` to ask again with. To interrupt, or to go first
    with a priority above 0, a session needs the right to control.

    An `Idempotency-Key` becomes the id: give one of both, and one that nobody else has, a UUID for instance.
    A retry gets the state of the first request, also while that is under way: nothing waits for it, and there
    is no 409. With something else to say, or in another room, it is refused as `id_reused`.
    """
    room, asked, said = await hand_over(services, caller, body, trace, id_of_key(idempotency_key))
    return await answered(request, services, response, room, asked, said, wait, timeout_s)


async def answered(
    request: Request,
    services: Services,
    response: Response,
    room: str,
    asked: SayRequest,
    said: Delivery,
    wait: Level,
    timeout_s: float | None,
) -> SayAnswer:
    """The answer to who has handed `said` over, once that is where he waits for it."""
    response.headers["Location"] = (
        f"{services.prefix}/api/say/{quote(said.id, safe='')}?room={quote(room, safe='')}"
    )
    answer = _say_answer(room, said)
    if wait != "accepted" and said.level != "sent":
        heard_s = heard_within_s(asked.sound.seconds) if asked.sound else spoken_within_s(asked.text)
        bound_s = timeout_s or min(LONGEST_WAIT_S, heard_s)
        grows_to_s = 0.0 if timeout_s else LONGEST_WAIT_S
        waiting = services.gateway.wait(room, said, wait, timeout_s=bound_s, grows_to_s=grows_to_s)
        wanted = unless_given_up(waiting, client_left(request), services.answer_now.wait())
        answer, is_over = await _wait_for_level(services.gateway, room, said, wanted)
        response.status_code = 200 if is_over else 202
    return answer


async def hand_over(
    services: Services, caller: Caller, body: SayBody, trace: TraceContext, id_of_key: str = ""
) -> tuple[str, SayRequest, Delivery]:
    """The room that `caller` means, what he asks for, and what the agent there says to it.

    Raises Problem for what he may not do, and what the gateway raises.
    """
    caller.check_can_say()
    settings = services.settings
    room = caller.room_or(settings.say_room, body.room)
    asked = _say_request(body, id_of_key, trace, max_text_chars=settings.say_max_text_chars)
    if asked.interrupt or asked.priority > 0:
        caller.check_can_control()

    def say() -> Awaitable[Delivery]:
        return services.gateway.say(room, asked, timeout_s=REACH_TIMEOUT_S, on_behalf=caller.on_behalf)

    return room, asked, await sent_once(services, caller, room, asked, say)


async def sent_once(
    services: Services, caller: Caller, room: str, asked: SayRequest, say: Callable[[], Awaitable[Delivery]]
) -> Delivery:
    """What `say` brings. Raises RefusedError where this caller has said something else with that id."""
    await services.sent_utterances.check_is_same(caller, room, asked)
    said = await say()
    await services.sent_utterances.remember(caller, room, asked, said)
    return said


@router.get(
    "/api/say/{id:path}",
    summary="What became of it",
    responses=responses(401, 403, 404, 422, 429, 502, 503),
)
async def get_utterance(
    services: ServicesDependency,
    caller: CallerDependency,
    utterance_id: Annotated[
        str, Path(alias="id", min_length=1, max_length=MAX_ID_CHARS, description="Id of the utterance")
    ],
    room: RoomQuery = None,
) -> UtteranceState:
    """The agent's report of an utterance, for ten minutes after its end."""
    sent = await services.sent_utterances.find_sent(caller, utterance_id)
    wanted = caller.room_or(sent.room if sent else services.settings.say_room, room)
    epoch = sent.epoch if sent and sent.room == wanted else ""
    report = await _agent_report(services.gateway, wanted, utterance_id, epoch)
    if report is None:
        return UtteranceState(id=utterance_id, room=wanted, epoch=epoch, state="lost", report=None)
    if report["state"] == "unknown":
        raise Problem(404, "unknown_utterance", "the agent knows of no utterance with this id")
    return UtteranceState(
        id=utterance_id, room=wanted, epoch=report["epoch"], state=report["state"], report=report
    )


def _say_request(body: SayBody, id_of_key: str, trace: TraceContext, *, max_text_chars: int) -> SayRequest:
    members = body.model_dump(exclude_none=True, exclude={"room", "markdown"})
    members["text"] = as_prose(body.text, body.markdown)
    members |= trace.encode()
    members["id"] = one_id(body.id, id_of_key)
    return read_say(members, max_text_chars=max_text_chars)


def one_id(id: str | None, id_of_key: str) -> str:
    """That of a line whose sender has given either, or none. Raises Problem for two."""
    if id_of_key and id not in (None, id_of_key):
        detail = "the body has an id, and the Idempotency-Key stands for another one"
        raise Problem(422, "malformed", detail, hint="send one of both")
    return id_of_key or id or uuid.uuid4().hex[:12]


def id_of_key(key: str | None) -> str:
    """The id that a key stands for; empty: there is none."""
    if not key or len(key) <= MAX_ID_CHARS:
        return key or ""
    return hashlib.sha256(key.encode()).hexdigest()[:32]


async def _wait_for_level(
    gateway: Gateway, room: str, said: Delivery, wanted: Awaitable[Delivery | None]
) -> tuple[SayAnswer, bool]:
    """What is known in the end, and whether there is nothing left to wait for."""
    try:
        with suppress(InterruptedSpeechError, TimedOutError):
            if reached := await wanted:
                return _say_answer(room, reached), True
        report = await _agent_report(gateway, room, said.id, said.epoch)
    except UnreachableError:  # it was accepted all the same
        return _say_answer(room, said), False
    state = report["state"] if report else "accepted" if said.is_journaled else "lost"
    known = replace(said, report=report, level=state if state in LEVEL_STATES else said.level)
    return _say_answer(room, known, state), state in SETTLED


async def _agent_report(gateway: Gateway, room: str, utterance_id: str, epoch: str) -> dict[str, Any] | None:
    """What its agent knows of it; None: the agent that it went to, which had `epoch`, is gone.

    Raises NoAgentError when there is none, and nothing is known of an earlier one.
    """
    try:
        report = await gateway.report(room, utterance_id)
    except NoAgentError:
        if epoch:
            return None
        raise
    is_gone = epoch and report["epoch"] != epoch and report["state"] == "unknown"
    return None if is_gone else report


def _say_answer(room: str, said: Delivery, state: str = "") -> SayAnswer:
    known = said.acknowledgement
    return SayAnswer(
        id=said.id,
        room=room,
        level=said.level,
        epoch=said.epoch,
        position=known.position if known else 0,
        duplicate=bool(known and known.duplicate),
        journaled=known.journaled if known else None,
        paused=said.is_paused,
        state=state or str((said.report or {}).get("state", said.level)),
        report=dict(said.report) if said.report else None,
    )
