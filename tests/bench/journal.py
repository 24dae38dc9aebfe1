"""What it costs to write a queue down: `python -m tests.bench.journal`.

`note` is what stands before the first sound; `acknowledged` is how much later the answer comes; `between` how
much longer it takes from the last sound of a line to its end, and to the next line.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

from pydantic import SecretStr

from libacli.core.journal_place import Place, Scope
from libacli.core.messages import SayRequest
from libacli.core.timeline import Timeline, percentile
from libacli.core.utterance import Utterance
from libacli.edges.journal.file import FileJournal
from libacli.edges.journal.seal import AesSeal
from libacli.edges.livekit.signing import wall_clock
from libacli.edges.redis.connection import make_redis
from libacli.edges.redis.journal import RedisJournal
from libacli.speech.fake_journal import NoHeir
from libacli.speech.journal import Journal
from libacli.speech.scribe import Scribe
from tests.redis_server import RedisServer

LINES = 200
WAITING = 8
"""How many wait at a time."""

PLACE = Place(Scope("key", "liba"), "demo")


class Costs:
    """Of each step, in milliseconds."""

    def __init__(self) -> None:
        self.note: list[float] = []
        self.acknowledged: list[float] = []
        self.between: list[float] = []

    def show(self, name: str) -> None:
        for what, values in vars(self).items():
            p50, p95 = (percentile(values, at) for at in (50, 95))
            print(f"{name:6} {what:13} p50 {p50:6.2f}  p95 {p95:6.2f} ms")


async def measure(journal: Journal) -> Costs:
    loop, costs = asyncio.get_running_loop(), Costs()
    seal = AesSeal([SecretStr("key")])
    scribe = Scribe(journal, seal, place=PLACE.name, heir=NoHeir, wall_clock=lambda at: wall_clock())
    await scribe.open()
    waiting: list[Utterance] = []
    async with asyncio.TaskGroup() as tasks:
        writing = tasks.create_task(scribe.run())
        for number in range(LINES):
            waiting.append(Utterance(SayRequest("word " * 20, id=f"u{number}"), Timeline(loop.time())))
            began_at = time.perf_counter()
            scribe.accepted(waiting[-1])
            noted_at = time.perf_counter()
            assert await scribe.confirm()
            costs.note.append((noted_at - began_at) * 1000)
            costs.acknowledged.append((time.perf_counter() - noted_at) * 1000)
            if len(waiting) > WAITING:
                scribe.begun(spoken := waiting.pop(0))
                assert await scribe.confirm()
                ending_at = time.perf_counter()
                await scribe.end(spoken, "done", "")
                costs.between.append((time.perf_counter() - ending_at) * 1000)
        writing.cancel()
    await scribe.aclose()
    return costs


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, RedisServer(Path(folder)) as server:
        in_file = FileJournal(Path(folder) / "journal", PLACE, epoch="bench", clock=wall_clock)
        in_redis = RedisJournal(
            lambda: make_redis(server.url), "liba", PLACE, epoch="bench", clock=wall_clock
        )
        asyncio.run(measure(in_file)).show("file")
        asyncio.run(measure(in_redis)).show("redis")


if __name__ == "__main__":
    main()
