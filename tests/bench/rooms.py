"""How many rooms speak at once on this machine without a dropout: `python -m tests.bench.rooms`.

In one run liba with a process a room, liba with a thread a room, and the stock `AgentSession.say` of
livekit-agents each enter so many rooms, and all of these are told two lines at the same moment. A real
subscriber sits in each room. The voice is a tone without a pause, so each silence of more than 30 ms in what
is heard is a dropout; a line that is not heard to its end counts as lost. Told besides: how late the first
sound is (the voice's 300 ms are taken off), processor time of the agent for a second of speech in a room, and
memory (PSS) that a further room takes.

Subscribers, server and voice share the machine: figures are to be compared within one run.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

import psutil

from tests.bench.agents_and_seats import STOCK, Kind, NotHeardError, RunningAgents, Seat, calm, liba
from tests.bench.ears import Hearing
from tests.bench.local_stack import local_server
from tests.bench.voice_process import VoiceProcess, voice_process
from tests.speech_server import Script

_VOICE_MS, _MS_PER_CHAR = 300.0, 60.0
_SCRIPT = Script(first_byte_s=_VOICE_MS / 1000, ms_per_char=_MS_PER_CHAR)
_LINES = (
    "A line of about six seconds, which is long enough to get stuck in it. So it is.",
    "And one that follows, of three seconds.",
)
_LINES_MS = sum(map(len, _LINES)) * _MS_PER_CHAR
_DROPOUT_MS = 30.0
_BETWEEN_LINES_MS = 400.0
"""The silence at the end of a line, and the way to the next one, are no dropout: it is the longest of all."""

_LATE_S = 20.0
_MB = 1024 * 1024
_MANY = {"LIBA_AGENT_MAX_ROOMS": "64"}
_KINDS: Mapping[str, Kind] = {
    "process": liba("process", **_MANY),
    "thread": liba("thread", **_MANY),
    "stock": STOCK,
}


@dataclass(frozen=True)
class Outcome:
    """What so many rooms that spoke at once were like."""

    rooms: int
    whole: int
    """Rooms in which everything was heard to its end."""

    dropouts: int
    """Silences in the middle of speech, in all rooms together."""

    first_ms: float
    """Until the first sound, median of the rooms that were heard."""

    last_ms: float
    """The same of the slowest room."""

    busy: float
    """Processor seconds of the agent for a second of speech in one room."""

    megabytes: float
    """Of the agent, all its processes."""

    @property
    def is_clean(self) -> bool:
        return self.whole == self.rooms and not self.dropouts


async def speak_in(seats: Sequence[Seat], agent: psutil.Process) -> Outcome:
    """Has all of them speak at the same moment."""
    hearings = [seat.listen(quiet_s=1.5) for seat in seats]
    before_s, sent_at = _cpu_s(agent), asyncio.get_running_loop().time()
    for line in _LINES:
        for seat in seats:
            await seat.send(line)
    async with asyncio.TaskGroup() as tasks:
        for hearing in hearings:
            tasks.create_task(_until_over(hearing))
    spent_s = _cpu_s(agent) - before_s
    heard = [hearing for hearing in hearings if hearing.first_audible_at is not None]
    firsts = sorted(1000 * ((hearing.first_audible_at or 0.0) - sent_at) - _VOICE_MS for hearing in heard)
    return Outcome(
        rooms=len(seats),
        whole=sum(hearing.speech_s * 1000 > 0.95 * _LINES_MS - 30 for hearing in hearings),
        dropouts=sum(_dropouts(hearing) for hearing in heard),
        first_ms=median(firsts) if firsts else float("inf"),
        last_ms=firsts[-1] if firsts else float("inf"),
        busy=spent_s / (len(seats) * _LINES_MS / 1000),
        megabytes=_pss_mb(agent),
    )


async def _until_over(hearing: Hearing) -> None:
    """Until it is quiet, or it is clear that no more comes."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_LINES_MS / 1000 + _LATE_S):
            await hearing.ended.wait()


def _dropouts(hearing: Hearing) -> int:
    silences = sorted(hearing.silences_ms())
    if silences and silences[-1] <= _BETWEEN_LINES_MS:
        silences.pop()
    return sum(silence > _DROPOUT_MS for silence in silences)


def _tree(agent: psutil.Process) -> list[psutil.Process]:
    return [agent, *agent.children(recursive=True)]


def _cpu_s(agent: psutil.Process) -> float:
    times = [process.cpu_times() for process in _tree(agent)]
    return float(sum(spent.user + spent.system for spent in times))


def _pss_mb(agent: psutil.Process) -> float:
    return float(sum(process.memory_full_info().pss for process in _tree(agent)) / _MB)


async def measure(
    name: str, counts: Sequence[int], agents: RunningAgents, voice: VoiceProcess
) -> list[Outcome]:
    """One kind of agent, in ever more rooms; no further than where most of it is lost."""
    outcomes = list[Outcome]()
    for count in counts:
        await voice.become(_SCRIPT)
        try:
            async with agents.seats(_KINDS[name], count) as (seats, _):
                await calm()
                agent = _agent_below(psutil.Process())
                await speak_in(seats, agent)  # the warm-up
                await calm()
                outcomes.append(await speak_in(seats, agent))
        except (NotHeardError, ExceptionGroup) as error:
            reasons = error.exceptions if isinstance(error, ExceptionGroup) else [error]
            print(f"{name}: {count} rooms: {str(reasons[0]).splitlines()[0]}", flush=True)
            break
        _show(name, outcomes)
        if outcomes[-1].whole < count / 2:
            break
    return outcomes


def _agent_below(process: psutil.Process) -> psutil.Process:
    """The guard of the agent that was started last."""
    return max(process.children(), key=lambda child: child.create_time())


def _show(name: str, outcomes: Sequence[Outcome]) -> None:
    latest = outcomes[-1]
    grown = [
        (later.megabytes - sooner.megabytes) / (later.rooms - sooner.rooms)
        for sooner, later in pairwise(outcomes)
    ]
    print(
        f"{name:<9}{latest.rooms:>5}{latest.whole:>8}{latest.dropouts:>10}{latest.first_ms:>11.0f}"
        f"{latest.last_ms:>9.0f}{latest.busy * 100:>10.1f}{latest.megabytes:>8.0f}"
        f"{f'{grown[-1]:.1f}' if grown else '-':>9}",
        flush=True,
    )


async def _run(kinds: Sequence[str], counts: Sequence[int]) -> dict[str, int]:
    """The most rooms without a dropout, by kind."""
    most = {}
    with tempfile.TemporaryDirectory() as folder, local_server(Path(folder)) as stack:
        async with voice_process() as voice:
            agents = RunningAgents(stack, voice.base_url)
            for name in kinds:
                outcomes = await measure(name, counts, agents, voice)
                most[name] = max((outcome.rooms for outcome in outcomes if outcome.is_clean), default=0)
    return most


def main() -> None:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--kinds", nargs="*", choices=list(_KINDS), default=list(_KINDS))
    parser.add_argument("--rooms", nargs="*", type=int, default=[1, 2, 4, 8, 12, 16])
    options = parser.parse_args()
    began = time.monotonic()
    print("agent    rooms   whole  dropouts  first ms  slowest  % a room      MB  MB/room")
    most = asyncio.run(_run(options.kinds, sorted(options.rooms)))
    print(f"most rooms without a dropout: {most}, in {time.monotonic() - began:.0f} s")
    if most.get("stock") is not None:
        is_enough = all(count >= 2 * most["stock"] for name, count in most.items() if name != "stock")
        print(f"goal, twice as many as stock: {'pass' if is_enough else 'FAIL'}")
        sys.exit(0 if is_enough else 1)


if __name__ == "__main__":
    main()
