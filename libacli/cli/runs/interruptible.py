"""Commands that end as well by SIGTERM, and with their terminal, as they do by Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any

_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


def run_interruptible(command: Coroutine[Any, Any, None]) -> None:
    """Runs `command` to its end; one of these signals cancels it, so that it ends what it has begun.

    A signal that whoever started us wants to be ignored, as `nohup` does, is. Raises KeyboardInterrupt where
    one ended it, and what `command` raises.
    """
    try:
        asyncio.run(_interruptible(command))
    except asyncio.CancelledError as end:
        raise KeyboardInterrupt from end


async def _interruptible(command: Coroutine[Any, Any, None]) -> None:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task
    heeded = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    for number in heeded:
        loop.add_signal_handler(number, task.cancel)
    try:
        await command
    finally:
        for number in heeded:
            loop.remove_signal_handler(number)
