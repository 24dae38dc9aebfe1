"""What keeps a stack going: a part that ends is started anew; a server that ends is the end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, ExitStack

from libacli.cli.output import output
from libacli.cli.runs.child_process import Child
from libacli.errors import InstallError
from libacli.local.server_process import LocalServer

_LOOK_S = 0.5
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0
_STEADY_S = 30.0
"""A part that ran for so long was well: the pause before the next one starts begins anew."""


async def keep_running(
    name: str,
    start: Callable[[], AbstractContextManager[Child]],
    child: Child,
    *,
    again: str = "started again",
    before: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Starts another one whenever the last has ended, after a pause that doubles; until cancelled.

    `before` that it does away with what the last one has left behind.
    """
    clock = asyncio.get_running_loop().time
    pause_s = _FIRST_PAUSE_S
    with ExitStack() as started:
        while True:
            began_at = clock()
            while child.process.poll() is None:  # noqa: ASYNC110 - nobody tells of another process's end
                await asyncio.sleep(_LOOK_S)
            if clock() - began_at >= _STEADY_S:
                pause_s = _FIRST_PAUSE_S
            output.status(f"{name:8} ended, exit code {child.process.poll()}: {child.log_path}")
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            if before:
                await before()
            try:
                child = await asyncio.to_thread(started.enter_context, start())
            except InstallError as error:  # it ended at once
                output.error(error)
            else:
                output.status(f"{name:8} {again}")


async def watch_server(server: LocalServer | None) -> None:
    """Until cancelled, where the server is somebody else's. Raises InstallError when our own has ended."""
    while server is None or server.returncode() is None:  # noqa: ASYNC110
        await asyncio.sleep(_LOOK_S)
    raise InstallError(
        f"the LiveKit server ended, exit code {server.returncode()}", hint=f"its log: {server.log_path}"
    )
