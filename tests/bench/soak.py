"""Speech under trouble, for as long as one likes: `python -m tests.bench.soak --utterances 2000 --seed 1`.

A real server, a worker with rooms as processes, avatars and a voice that fail now and then; every 20 s
something is killed, put out, or cut off. A viewer in each room hears which utterance was spoken, by its
pitch. What was accepted must be spoken once, in order, or whoever said it must be told that it was not.
`--cluster` does the same to two nodes, Redis and three workers (see `soak_cluster`), `--journal redis` with a
queue that outlives its agents.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import math
import random
import re
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
from aiohttp import web

from libacli.edges.livekit.api import LiveKitApi
from libacli.errors import LibaError
from tests.bench.local_stack import Stack, local_server
from tests.bench.soak_cluster import soak_cluster
from tests.bench.soak_ear import spoken
from tests.bench.soak_room import Room, Tally
from tests.bench.soak_worker import Worker
from tests.faulty_avatar import FaultyAvatar
from tests.faulty_avatar import Script as AvatarScript
from tests.inside import RECONNECT, RESUME
from tests.speech_server import Script, SpeechServer

_ROOMS = 3
_TROUBLE_EVERY_S = 20.0
_MOST_UNTRACKED_PER_MIN = 1.0
_MOST_PER_MIN = {"mb": 3.0, "files": 1.0, "tasks": 1.0}


_SIGNALS = {"room killed": signal.SIGKILL, "resumed": RESUME, "reconnected": RECONNECT}
"""What is sent to a room process, by what happens to it then."""


class FaultyVoice(SpeechServer):
    """Says numbers as tones, and fails at one request in twenty."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self._chance = chance

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        numbers = re.findall(r"\d+", str((await request.json())["input"]))
        fine = Script(body=spoken(int(numbers[0]))) if numbers else Script()  # none: it warms up
        faults = (
            Script(status=500),
            replace(fine, ending="aborted", ending_after_bytes=4_800),
            Script(status=503),
        )
        self.play(self._chance.choice(faults) if self._chance.random() < 0.05 else fine)
        return await super()._answer(request)


def avatar_scripts(chance: random.Random, count: int = 2000) -> list[AvatarScript]:
    """How conversations go: most well, some not."""
    bad = [
        AvatarScript(create=500),
        AvatarScript(create="lost"),
        AvatarScript(create="too many"),
        AvatarScript(joins=False),
        AvatarScript(leaves_after_frames=300),
        AvatarScript(report="never"),
        AvatarScript(report="twice"),
        AvatarScript(report="malformed"),
    ]
    return [chance.choice(bad) if chance.random() < 0.4 else AvatarScript() for _ in range(count)]


async def _trouble(
    worker: Worker, stack: Stack, rooms: Sequence[Room], chance: random.Random, done: list[str]
) -> None:
    """Kills something or cuts it off every 20 s, until cancelled; `done` gets what happened."""
    while True:
        await asyncio.sleep(_TROUBLE_EVERY_S)
        kind = chance.choice([*_SIGNALS, *_SIGNALS, "agent removed", "agent removed", "worker killed"])
        if kind == "worker killed":
            await asyncio.to_thread(worker.kill)
        elif kind == "agent removed":
            await _put_out(stack, chance.choice(rooms).name)
        else:
            with suppress(psutil.Error, IndexError):
                chance.choice(worker.rooms()).send_signal(_SIGNALS[kind])
        done.append(kind)


async def _put_out(stack: Stack, room: str) -> None:
    with suppress(LibaError):
        async with LiveKitApi(stack.credentials) as api:
            if identity := await api.find_agent(room, "liba"):
                await api.remove(room, identity)


@asynccontextmanager
async def _beside(*coroutines: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(coroutine) for coroutine in coroutines]
        yield
        for task in tasks:
            task.cancel()


async def main(utterances: int, seed: int, for_s: float = math.inf) -> bool:
    """Runs the soak, for `for_s` at most; prints what came of it, and says whether promises were kept."""
    chance = random.Random(seed)
    async with AsyncExitStack() as undo:
        folder = Path(undo.enter_context(tempfile.TemporaryDirectory()))
        stack = undo.enter_context(local_server(folder))
        voice = await undo.enter_async_context(FaultyVoice(random.Random(seed + 1)))
        tavus = await undo.enter_async_context(FaultyAvatar())
        tavus.play(*avatar_scripts(random.Random(seed + 2)))
        worker = Worker(stack, _environment(voice, tavus))
        worker.start()
        rooms = [Room(stack, f"soak-{number}") for number in range(_ROOMS)]
        troubles: list[str] = []
        started = time.monotonic()
        try:
            async with (
                _beside(_trouble(worker, stack, rooms, chance, troubles), worker.sample()),
                asyncio.TaskGroup() as tasks,
            ):
                for room in rooms:
                    tasks.create_task(room.run(utterances // _ROOMS, started + for_s))
        finally:
            code = await asyncio.to_thread(worker.stop)
        tally = Tally()
        for room in rooms:
            room.judge(tally, started)
        await asyncio.sleep(1)
        print(f"{len(tally.said)} utterances in {time.monotonic() - started:.0f} s, seed {seed}")
        print(f"troubles          {', '.join(troubles) or 'none'}")
        log = stack.folder / "worker.log"
        return _report(tally, tavus, worker, code, log, minutes=(time.monotonic() - started) / 60)


def _environment(voice: FaultyVoice, tavus: FaultyAvatar) -> dict[str, str]:
    return {
        "LIBA_VOICE_PROVIDERS": "speech",  # another voice would say no tones
        "OPENAI_BASE_URL": voice.base_url,
        "OPENAI_API_KEY": "none",
        "TAVUS_API_KEY": tavus.api_key.get_secret_value(),
        "TAVUS_BASE_URL": tavus.base_url,
        "TAVUS_PAL_ID": "pal",
        "LIBA_AVATAR_MAX_MINUTES_PER_DAY": "0",
        "LIBA_SAY_RATE_PER_MINUTE": "0",
        "LIBA_SAY_MAX_CHARS_PER_HOUR": "0",
    }


def _told_by_agents(log: Path, found: Sequence[str]) -> list[str]:
    """What the worker's log says of these lines, each with what follows it: there is more to a line."""
    ids = [re.compile(rf"uid={re.escape(one.split()[0])}\b") for one in found]
    lines = log.read_text(errors="replace").splitlines()
    return [
        told
        for line, after in itertools.pairwise([*lines, ""])
        if any(one.search(line) for one in ids)
        for told in (line, after)
    ]


def _report(
    tally: Tally, tavus: FaultyAvatar, worker: Worker, code: int, log: Path, *, minutes: float
) -> bool:
    growing = []
    created, left = tavus.created, len(tavus.active)
    print(f"outcomes          {dict(Counter(said.outcome or 'none' for said in tally.said))}")
    for news, count in Counter(said.news for said in tally.said if said.news).most_common(6):
        print(f"{'told':18}{count} x {news}")
    print(f"replayed          {sum(said.replayed for said in tally.said)}")
    print(f"conversations     {tavus.creates} asked for, {created} created, {created - left} ended")
    print(f"worker            exit code {code}")
    for kind, slopes in worker.slopes().items():
        told = [f"{getattr(slopes, name):+.2f} {name}" for name in _MOST_PER_MIN]
        print(f"{kind + ' process':18}lived {slopes.life_s:.0f} s; {', '.join(told)} a minute")
        growing += [f"{kind} {name}" for name, most in _MOST_PER_MIN.items() if getattr(slopes, name) > most]
    print(f"{'untracked':18}{len(tally.untracked)} {' '.join(tally.untracked[:8])}")
    print(f"{'twice, told':18}{len(tally.unclear)} {' '.join(tally.unclear[:8])}")
    checks = {
        "lost": tally.lost,
        "doubled": tally.doubled,
        "out of order": tally.disordered,
        "stuck": tally.stuck,
        "conversations left": tavus.active,
        "growing": growing,
        "untracked too many": tally.untracked
        if len(tally.untracked) > math.ceil(_MOST_UNTRACKED_PER_MIN * minutes)
        else [],
    }
    for name, found in checks.items():
        # The last ones too: of many in a row it counts whether that ended.
        print(f"{name:18}{len(found)} {' '.join([*found[:8], *found[8:][-2:]])}")
    for line in _told_by_agents(log, (tally.lost + tally.doubled)[:4]):
        print(f"  {line}")
    return not any(checks.values()) and any(said.outcome == "done" for said in tally.said)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--utterances", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=math.inf, help="Say nothing new after that")
    parser.add_argument("--cluster", action="store_true", help="On machines of its own: takes root")
    parser.add_argument("--journal", choices=["off", "redis"], default="off", help="With --cluster")
    arguments = parser.parse_args()
    utterances, seed, seconds = arguments.utterances, arguments.seed, arguments.seconds
    soak = (
        soak_cluster(utterances, seed, journal=arguments.journal, for_s=seconds)
        if arguments.cluster
        else main(utterances, seed, seconds)
    )
    sys.exit(0 if asyncio.run(soak) else 1)
