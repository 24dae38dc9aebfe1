"""Runs the worker in this process: its log, its signals, its end."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Sequence

from libacli.cli.log import configure_log
from libacli.config import Settings
from libacli.edges.livekit.tokens import check_name

_LEAVE_TIMEOUT_S = 15.0
"""From the first signal to the end."""

_HURRY_TIMEOUT_S = 1.5
"""From the second one: long enough to end what costs money."""


def run_worker(settings: Settings, *, rooms: Sequence[str]) -> None:
    """Runs until a signal: the first one drains, the second one ends it within 2 s."""
    for room in rooms:
        check_name("room", room)
    configure_log(settings)
    asyncio.run(_run(settings, rooms))


async def _run(settings: Settings, rooms: Sequence[str]) -> None:
    from libacli.worker import end_at_once, serve

    loop = asyncio.get_running_loop()
    main = asyncio.current_task()
    caught: list[int] = []

    def on_signal(number: int) -> None:
        if caught:
            loop.call_later(_HURRY_TIMEOUT_S, os._exit, 128 + number)
            end_at_once()
            return
        caught.append(number)
        logging.getLogger("liba").info("stopping; once more ends it at once")
        loop.call_later(_LEAVE_TIMEOUT_S, os._exit, 1)
        if main:
            main.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal, number)
    try:
        await serve(settings, rooms=rooms)
    except asyncio.CancelledError:
        if caught == [signal.SIGINT]:
            raise KeyboardInterrupt from None
    except ExceptionGroup as group:
        raise group.exceptions[0] from group
