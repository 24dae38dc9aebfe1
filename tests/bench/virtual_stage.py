"""liba's own speaker between an unsteady voice and a listener, in virtual time.

Nothing in it waits, and all of it is exact: a hundred texts are read in seconds, the same with each seed.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from libacli.core.messages import SayRequest
from libacli.speech.pace import Pace
from libacli.speech.ports import Voice
from libacli.speech.speaker import Speaker
from tests.unsteady_voice import Listener, Manner, UnsteadyVoice
from tests.virtual_time import VirtualLoop

_TEXT = """
the quick brown fox jumps over a lazy dog while it rains and then goes home to sleep until morning
when every bird in this old garden begins to sing about spring as if nobody had ever heard of it before
"""


@dataclass
class Scores:
    """What came of some texts."""

    first_s: list[float] = field(default_factory=list)
    """By text: from the request to the first sound."""

    holes_s: list[list[float]] = field(default_factory=list)
    """By text: how long each silence inside speech was."""

    holds_ms: list[float] = field(default_factory=list)
    requests: list[list[str]] = field(default_factory=list)
    """By text: what the voice was asked for."""


def run(
    texts: Sequence[str],
    manner: Manner,
    seed: int,
    *,
    wrap: Callable[[Voice], Voice] = lambda voice: voice,
    pace: Pace | None = None,
) -> Scores:
    """Has liba say `texts`, each when the one before is over. Raises AssertionError for one that failed."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(_run(texts, UnsteadyVoice(manner, seed), wrap, pace))


async def _run(
    texts: Sequence[str], voice: UnsteadyVoice, wrap: Callable[[Voice], Voice], pace: Pace | None
) -> Scores:
    scores, sink = Scores(), Listener()
    over = asyncio.Event()
    speaker = Speaker(wrap(voice), sink, on_change=lambda one: over.set() if one.is_over else None, pace=pace)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(speaker.run())
        for number, text in enumerate(texts):
            await asyncio.sleep(1)
            asked_before, asked_at = len(voice.texts), asyncio.get_running_loop().time()
            over.clear()
            speaker.say(SayRequest(text, id=str(number)))
            await over.wait()
            utterance = speaker.find(str(number))
            assert utterance and utterance.state == "done"
            scores.first_s.append(sink.heard[0] - asked_at)
            scores.holes_s.append(sink.holes())
            scores.holds_ms.append(utterance.hold)
            scores.requests.append(voice.texts[asked_before:])
        running.cancel()
    return scores


def texts_of(count: int, chars: int, seed: int) -> list[str]:
    """So many texts of sentences, each of exactly so many characters."""
    chance = random.Random(seed)
    return [_text(chance, chars) for _ in range(count)]


def _text(chance: random.Random, chars: int) -> str:
    vocabulary, text = _TEXT.split(), ""
    while len(text) < chars:
        words = [chance.choice(vocabulary) for _ in range(chance.randint(4, 22))]
        for at in range(6, len(words) - 3, 7):
            words[at] += ","
        text += " ".join(words).capitalize() + ". "
    return text[: chars - 1].rstrip(" ,.").ljust(chars - 1, "e") + "."
