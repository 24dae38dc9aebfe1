"""Runs the worker in this process: its log, its signals, its end."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Sequence
from typing import TYPE_CHECKING

from libacli.cli.log import configure_log, warn_of_exposures
from libacli.cli.output import output
from libacli.config import Settings
from libacli.edges.livekit.background import in_background
from libacli.edges.livekit.tokens import check_name
from libacli.edges.orchestrator.service_manager import ServiceManager
from libacli.edges.voices.pronunciations import pronunciations
from libacli.user_folders import check_temporary_folder, not_kept

if TYPE_CHECKING:
    from libacli.worker import Worker

_LEAVE_TIMEOUT_S = 15.0
"""From the first signal to the end."""

_HURRY_TIMEOUT_S = 1.5
"""From the second one: long enough to end what costs money."""


def run_worker(settings: Settings, *, rooms: Sequence[str]) -> None:
    """Runs until a signal: the first one drains, the second one ends it within 2 s."""
    for room in rooms:
        check_name("room", room)
    pronunciations(settings)  # what is wrong with them is told now, and not in each room
    configure_log(settings)
    output.status(f"starting the worker {settings.agent_name!r}; Ctrl-C ends it")
    warn_of_exposures(settings)
    check_temporary_folder()
    for line in not_kept(settings):
        logging.getLogger("liba").warning("%s", line)
    asyncio.run(_run(settings, rooms, ServiceManager(os.environ)))


async def _run(settings: Settings, rooms: Sequence[str], manager: ServiceManager) -> None:
    from libacli.worker import open_worker  # takes seconds: a name that is refused is refused before

    signals, failure = _Signals(manager), None
    try:
        async with in_background(manager.keep_told(signals.status)), open_worker(settings) as worker:
            signals.worker = worker
            async with in_background(_tell_when_ready(worker, manager)):
                await worker.run(rooms=rooms)
    except asyncio.CancelledError:
        if signals.caught == [signal.SIGINT]:
            raise KeyboardInterrupt from None
    except ExceptionGroup as group:
        failure = group.exceptions[0]
    if failure:
        raise failure  # here, where it keeps its own cause


async def _tell_when_ready(worker: Worker, manager: ServiceManager) -> None:
    await worker.registered.wait()
    manager.ready()


class _Signals:
    """SIGINT and SIGTERM: the first one cancels the task that has made this, the second one hurries."""

    def __init__(self, manager: ServiceManager) -> None:
        self._manager = manager
        self.caught: list[int] = []
        self.worker: Worker | None = None
        self._loop = asyncio.get_running_loop()
        self._main = asyncio.current_task()
        for number in (signal.SIGINT, signal.SIGTERM):
            self._loop.add_signal_handler(number, self._on_signal, number)

    def status(self) -> str:
        """How the worker is, in a line."""
        if not self.worker:
            return "it is starting"
        parts = self.worker.parts()
        return "; ".join(part.why for part in parts.values() if not part.ok) or f"rooms: {parts['rooms'].why}"

    def _on_signal(self, number: int) -> None:
        if self.caught:
            self._loop.call_later(_HURRY_TIMEOUT_S, os._exit, 128 + number)
            if self.worker:
                self.worker.end_at_once()
            return
        self.caught.append(number)
        self._manager.stopping()
        logging.getLogger("liba").info("stopping; once more ends it at once")
        self._loop.call_later(_LEAVE_TIMEOUT_S, _give_up)
        if self._main:
            self._main.cancel()


def _give_up() -> None:
    """A room whose thread still loads, or hangs, cannot be ended in any other way."""
    logging.getLogger("liba").error("not at its end within %g s: ended all the same", _LEAVE_TIMEOUT_S)
    os._exit(1)
