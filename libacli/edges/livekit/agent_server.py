"""livekit-agents' server, of which can be seen whether it is registered, and how its room processes start.

The SDK (1.8) has no public way to either, and leaves room processes behind when it is closed in its start.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from livekit.agents import AgentServer, JobExecutorType
from livekit.agents.ipc.job_executor import JobExecutor
from livekit.agents.ipc.proc_pool import ProcPool
from livekit.agents.job import RunningJobInfo

from libacli.errors import LibaError, TimedOutError

logger = logging.getLogger("liba.agent")

INITIALIZE_TIMEOUT_S = 60.0
"""The SDK's own is 10 s: a slow or busy processor may take longer, and would begin anew for ever."""

_MOST_FAILURES = 3


class Server(AgentServer):
    """`AgentServer` with the processes that it makes for rooms; or threads."""

    def __init__(self, **options: Any) -> None:
        self.processes = RoomProcesses()
        self._pool: ProcPool | None = None
        self._running: asyncio.Task[Any] | None = None
        self._has_started = asyncio.Event()
        super().__init__(initialize_process_timeout=INITIALIZE_TIMEOUT_S, **options)
        self.on("worker_started", self._note_start)

    @property
    def _proc_pool(self) -> ProcPool:
        if self._pool is None:
            raise AttributeError("_proc_pool")  # as it is before `run`
        return self._pool

    @_proc_pool.setter
    def _proc_pool(self, pool: ProcPool) -> None:
        self._pool = pool
        self.processes.follow(pool, within_s=self._initialize_process_timeout)

    @property
    def is_registered(self) -> bool:
        """Whether LiveKit knows this worker, as far as is known: silence is noticed after 45 s."""
        return self.id != "unregistered" and not self._connecting and not self._connection_failed

    @property
    def active_jobs(self) -> list[RunningJobInfo]:
        """See `AgentServer`. There are none before it runs."""
        return super().active_jobs if self._pool else []

    async def run(self, **options: Any) -> None:
        """See `AgentServer`."""
        self._running = asyncio.current_task()
        await super().run(**options)

    async def aclose(self) -> None:
        """See `AgentServer`. A process that still loads is not waited for; threads that load are: they cannot
        be ended, and the SDK waits for ever for one that is closed meanwhile."""
        self.processes.are_ending = True
        if self._running and not self._has_started.is_set():
            if not self._has_threads:
                self._running.cancel()
            await self._started_or_ended(self._running)
        if self._pool and self._has_threads and self._pool._spawn_tasks:
            await asyncio.wait([*self._pool._spawn_tasks])
        await super().aclose()
        if self._pool and not self._has_started.is_set():
            await self._pool.aclose()
            if self._http_server:
                await self._http_server.aclose()

    async def _started_or_ended(self, running: asyncio.Task[Any]) -> None:
        """Waits for either: who is cancelled in the moment in which it starts goes on."""
        async with asyncio.TaskGroup() as tasks:
            starting = tasks.create_task(self._has_started.wait())
            await asyncio.wait([running, starting], return_when=asyncio.FIRST_COMPLETED)
            starting.cancel()

    @property
    def _has_threads(self) -> bool:
        return self._job_executor_type is JobExecutorType.THREAD

    def _note_start(self) -> None:
        self._has_started.set()


class RoomProcesses:
    """How the processes start that wait for rooms: each loads what takes long, a voice above all."""

    def __init__(self) -> None:
        self._ready: set[JobExecutor] = set()
        self._started_at: dict[JobExecutor, float] = {}
        self._within_s = 0.0
        self._failures = 0
        """In a row."""

        self._was_slow = False
        self._failed = asyncio.Event()
        self.are_ending = False
        """Whether those that are still loading are ended on purpose."""

    @property
    def has_ready(self) -> bool:
        """Whether one has loaded all, be it that it serves a room by now."""
        return bool(self._ready)

    @property
    def trouble(self) -> str:
        """Why there is none that is ready, as far as is known; empty: nothing has gone wrong yet."""
        if not self._failures:
            return ""
        what = f"was not ready within {self._within_s:g} s" if self._was_slow else "ended before it was ready"
        return f"a room process {what}{f', {self._failures} times in a row' if self._failures > 1 else ''}"

    def follow(self, pool: ProcPool, *, within_s: float) -> None:
        """Notes what becomes of the processes of `pool`, each of which has so many seconds to get ready."""
        self._within_s = within_s
        pool.on("process_started", self._on_started)
        pool.on("process_ready", self._on_ready)
        pool.on("process_closed", self._on_closed)

    async def watch(self, server: AgentServer) -> None:
        """Tells of each start that fails, until cancelled.

        Raises TimedOutError or LibaError after three in a row, unless `server` has rooms to serve.
        """
        while True:
            await self._failed.wait()
            self._failed.clear()
            if self._failures >= _MOST_FAILURES and not server.active_jobs:
                raise self._error()
            logger.error("%s; %s", self.trouble, _TOO_SLOW if self._was_slow else _BROKEN)

    def _error(self) -> LibaError:
        if self._was_slow:
            return TimedOutError(f"{self.trouble}: this machine is too slow, or too busy", hint=_TOO_SLOW)
        return LibaError(self.trouble, hint=_BROKEN)

    def _on_started(self, process: JobExecutor) -> None:
        self._started_at[process] = _now()

    def _on_ready(self, process: JobExecutor) -> None:
        self._ready.add(process)
        self._failures = 0

    def _on_closed(self, process: JobExecutor) -> None:
        started_at = self._started_at.pop(process, _now())
        if process in self._ready or self.are_ending:
            self._ready.discard(process)
            return
        self._was_slow = _now() - started_at >= self._within_s
        self._failures += 1
        self._failed.set()


_TOO_SLOW = "give it more CPU, have it do less, or set LIBA_AGENT_ISOLATION=thread, which has less to start"
_BROKEN = "what the log says above is why; `liba doctor` looks for it"


def _now() -> float:
    return asyncio.get_running_loop().time()
