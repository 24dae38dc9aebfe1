"""The tools: what each is called, how it is described to a model, and what it does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from libacli.core.delivery import Delivery
from libacli.core.lifecycle import has_reached
from libacli.core.pace import spoken_within_s
from libacli.errors import RefusedError, TimedOutError
from libacli.mcp.arguments import (
    LONGEST_WAIT_S,
    QueueArguments,
    SayArguments,
    StatusArguments,
    StopArguments,
    VoicesArguments,
)
from libacli.mcp.port import Speech
from libacli.mcp.results import Queue, Stopped, Utterance, Voices

Tell = Callable[[int, str], Awaitable[None]]
"""Tells the caller how many of the `STEPS` are done, and what the last one was."""

STEPS = ("accepted", "audible", "done")


@dataclass(frozen=True)
class Tool:
    """One of them."""

    name: str
    title: str
    description: str
    arguments: type[BaseModel]
    result: type[BaseModel]
    run: Callable[[Speech, Any, Tell], Awaitable[BaseModel]]
    """Given an object of `arguments`, gives one of `result`. Raises LibaError."""

    only_reads: bool = False
    destroys: bool = False
    """It may end what others have said."""

    is_idempotent: bool = False


async def _say(speech: Speech, asked: SayArguments, tell: Tell) -> Utterance:
    room = speech.room(asked.room)
    said = await speech.say(room, asked)
    known = said.acknowledgement
    before = f", {known.position} before it" if known and known.position else ""
    await tell(1, f"{said.level}{before}")
    try:
        return Utterance.of_delivery(room, await _awaited(speech, room, said, asked, tell))
    except TimedOutError:
        report = await speech.report(room, said.id) or {"state": said.level}
        position = known.position if known else None
        return Utterance.of_report(room, said.id, report, position=position)


async def _awaited(speech: Speech, room: str, said: Delivery, asked: SayArguments, tell: Tell) -> Delivery:
    """`said` once it has come as far as was `asked` for. Raises TimedOutError, InterruptedSpeechError."""
    clock = asyncio.get_running_loop().time
    bound_s = asked.timeout_s or min(LONGEST_WAIT_S, spoken_within_s(asked.text))
    grows_to_s = 0.0 if asked.timeout_s else LONGEST_WAIT_S
    began_at = clock()
    for level in STEPS[1 : STEPS.index(asked.wait) + 1]:
        spent_s = clock() - began_at if asked.timeout_s else 0.0
        left_s = max(0.1, bound_s - spent_s)
        said = await speech.wait(room, said, level, timeout_s=left_s, grows_to_s=grows_to_s)
        await tell(STEPS.index(said.level) + 1 if said.level in STEPS else len(STEPS), said.level)
        if has_reached(said.level, asked.wait):
            break
    return said


async def _stop(speech: Speech, asked: StopArguments, tell: Tell) -> Stopped:
    room = speech.room(asked.room)
    return Stopped(room=room, stopped=await speech.stop(room, asked.id or ""))


async def _status(speech: Speech, asked: StatusArguments, tell: Tell) -> Utterance:
    room = speech.room(asked.room)
    report = await speech.report(room, asked.id)
    if report is None:
        hint = "it is known until ten minutes after its end"
        raise RefusedError("unknown_utterance", f"no utterance has the id {asked.id}", hint=hint)
    return Utterance.of_report(room, asked.id, report)


async def _queue(speech: Speech, asked: QueueArguments, tell: Tell) -> Queue:
    room = speech.room(asked.room)
    return Queue.of(room, await speech.queue(room))


async def _voices(speech: Speech, asked: VoicesArguments, tell: Tell) -> Voices:
    return Voices(voices=list(speech.voices()))


TOOLS = (
    Tool(
        "say",
        "Say something",
        "Has the digital human of a room say a text aloud, to the people there. Texts are spoken one after "
        "the other, in the order in which they come: send the next one without waiting for the last. The "
        "answer tells its `id` and how far it has come.",
        SayArguments,
        Utterance,
        _say,
        destroys=True,
    ),
    Tool(
        "stop",
        "Stop speaking",
        "Stops what is being spoken at once and forgets all that waits; with `id` that utterance alone.",
        StopArguments,
        Stopped,
        _stop,
        destroys=True,
        is_idempotent=True,
    ),
    Tool(
        "queue",
        "Look at the queue",
        "Shows what is being spoken, what waits, and what may still be spent.",
        QueueArguments,
        Queue,
        _queue,
        only_reads=True,
    ),
    Tool(
        "status",
        "What became of it",
        "Tells what became of an utterance: whether it waits, is heard, or how it ended.",
        StatusArguments,
        Utterance,
        _status,
        only_reads=True,
    ),
    Tool(
        "voices",
        "Who can speak",
        "Lists the speakers that `voice` of `say` may name.",
        VoicesArguments,
        Voices,
        _voices,
        only_reads=True,
    ),
)
