"""The soak on a cluster: two LiveKit nodes, Redis and three workers, each on a machine of its own.

Machines are network namespaces, which takes root. Every 45 s a worker, a node or Redis is killed and started
again, a machine is cut off for 25 s, or all workers are restarted one by one. With `say.journal = "redis"`
not one line may be lost that was accepted. Avatars speak in as many rooms as the account allows, the agents
themselves in the others; what avatars cost ends with their agents, or after them.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.bench.local_stack import Stack
from tests.bench.soak_room import Room, Tally
from tests.live.cluster.nodes import MAX_CONVERSATIONS, Cluster, cluster
from tests.live.cluster.workers import Worker
from tests.machines import Network

_ROOMS, _WORKERS, _MAX_ROOMS = 4, 3, 4
"""Any two workers have room for all."""

_TROUBLE_EVERY_S = 45.0
_FIRST_TROUBLE_S = 15.0
"""Until then each worker knows the rooms of the others."""

_DOWN_S, _REDIS_DOWN_S, _CUT_S = 5.0, 3.0, 25.0
"""What a service manager takes to start it again; Redis sooner than LiveKit takes its nodes for dead."""

_TAKEOVERS_A_TROUBLE = 2 * _ROOMS


class Troubles:
    """What happens to `nodes` and `workers`, by lot; `done` says what did."""

    def __init__(self, nodes: Cluster, workers: Sequence[Worker], chance: random.Random) -> None:
        self.done: list[str] = []
        self._nodes = nodes
        self._workers = workers
        self._chance = chance

    async def run(self) -> None:
        """Until cancelled; what is under way then is undone first."""
        kinds: list[Callable[[], Awaitable[None]]] = [
            self._kill_worker,
            self._kill_worker,
            self._restart_all,
            self._cut_off,
            self._kill_node,
            self._kill_redis,
        ]
        await asyncio.sleep(_FIRST_TROUBLE_S)
        while True:
            began_at = time.monotonic()
            await self._chance.choice(kinds)()
            await asyncio.sleep(max(0.0, began_at + _TROUBLE_EVERY_S - time.monotonic()))

    async def _kill_worker(self) -> None:
        worker = self._chance.choice(self._workers)
        self.done.append("worker killed")
        await asyncio.to_thread(worker.kill)
        await asyncio.sleep(_DOWN_S)
        await asyncio.to_thread(worker.start)
        await asyncio.to_thread(worker.ready)

    async def _restart_all(self) -> None:
        self.done.append("rolling restart")
        for worker in self._workers:
            await asyncio.to_thread(worker.restart)

    async def _cut_off(self) -> None:
        machine = self._chance.choice(self._workers).machine
        self.done.append("cut off")
        await asyncio.to_thread(machine.cut)
        try:
            await asyncio.sleep(_CUT_S)
        finally:
            machine.mend()

    async def _kill_node(self) -> None:
        node = self._chance.choice(self._nodes.nodes)
        self.done.append("node killed")
        await asyncio.to_thread(node.kill)
        try:
            await asyncio.sleep(_DOWN_S)
        finally:
            await asyncio.to_thread(node.start)

    async def _kill_redis(self) -> None:
        self.done.append("redis killed")
        await asyncio.to_thread(self._nodes.redis.kill)
        try:
            await asyncio.sleep(_REDIS_DOWN_S)
        finally:
            await asyncio.to_thread(self._nodes.redis.start)


async def soak_cluster(utterances: int, seed: int, *, journal: str, for_s: float) -> bool:
    """Runs it, for `for_s` at most; prints what came of it, and says whether promises were kept."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        network = stack.enter_context(Network())
        nodes = cluster(network, folder)
        stack.callback(nodes.end)
        nodes.start()
        own = {"LIBA_SAY_JOURNAL": journal, "LIBA_REDIS_URL": f"redis://{nodes.redis.address}/0"}
        workers = [Worker(nodes, network.machine(), _MAX_ROOMS, own) for _ in range(_WORKERS)]
        for worker in workers:
            worker.start()
            stack.callback(worker.end)
        for worker in workers:
            worker.ready()
        troubles = Troubles(nodes, workers, random.Random(seed))
        started_at = asyncio.get_running_loop().time()
        tally = await _say_and_judge(nodes, utterances, troubles, started_at, for_s)
        seconds = asyncio.get_running_loop().time() - started_at
        for worker in workers:
            await asyncio.to_thread(worker.end)
        print(f"{len(tally.said)} utterances in {seconds:.0f} s, seed {seed}, journal {journal}")
        is_kept = _report(tally, troubles.done, journal)
        return await _report_conversations(nodes) and is_kept


async def _say_and_judge(
    nodes: Cluster, utterances: int, troubles: Troubles, started_at: float, for_s: float
) -> Tally:
    there = Stack(nodes.credentials, nodes.folder)
    rooms = [Room(there, f"soak-{number}") for number in range(_ROOMS)]
    async with asyncio.TaskGroup() as tasks:
        trouble = tasks.create_task(troubles.run())
        async with asyncio.TaskGroup() as saying:
            for room in rooms:
                saying.create_task(room.run(utterances // _ROOMS, started_at + for_s))
        trouble.cancel()
    tally = Tally()
    for room in rooms:
        room.judge(tally, started_at)
    return tally


def _report(tally: Tally, troubles: Sequence[str], journal: str) -> bool:
    outcomes = Counter(said.outcome or "none" for said in tally.said)
    print(f"troubles          {', '.join(troubles) or 'none'}")
    print(f"outcomes          {dict(outcomes)}")
    for news, count in Counter(said.news for said in tally.said if said.news).most_common(6):
        print(f"told as lost      {count} x {news}")
    print(f"resumed, whole    {len(tally.resumed)} {' '.join(tally.resumed[:8])}")
    print(f"untracked         {len(tally.untracked)} {' '.join(tally.untracked[:8])}")
    checks = {
        "lost": tally.lost,
        "doubled": tally.doubled,
        "twice, told": tally.unclear,
        "out of order": tally.disordered,
        "stuck": tally.stuck,
        "told as lost": [said.id for said in tally.said if said.outcome == "told"]
        if journal != "off"
        else [],
        "untracked too many": tally.untracked
        if len(tally.untracked) > _TAKEOVERS_A_TROUBLE * len(troubles)
        else [],
    }
    for name, found in checks.items():
        print(f"{name:18}{len(found)} {' '.join(found[:8])}")
    return not any(checks.values()) and outcomes["done"] > 0


async def _report_conversations(nodes: Cluster) -> bool:
    """Of workers that have all been told to go; those of one that was killed and came back are ended, too."""
    told, most = await nodes.conversations.all(), await nodes.conversations.most_at_once()
    running, twice = [one for one in told if not one.ended_at], [one for one in told if one.ends > 1]
    print(f"conversations     {len(told)}, {most} at once; {len(running)} not ended, {len(twice)} twice")
    return not running and most <= MAX_CONVERSATIONS
