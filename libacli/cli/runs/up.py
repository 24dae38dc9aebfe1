"""Runs `liba up`: server, avatar, worker and page on this machine, for every other command here."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from libacli.cli.output import output
from libacli.cli.runs.child_process import Child
from libacli.cli.runs.keep_running import keep_running, watch_server
from libacli.cli.runs.local_stack import LocalStack, StartAgain, until_agent
from libacli.cli.runs.page_link import PageLink, forget_links
from libacli.config import LiveKitCredentials, Settings
from libacli.edges.livekit.agent_client import open_client
from libacli.edges.livekit.background import in_background
from libacli.running_stack import StackFile, stack_file


@dataclass
class UpRun:
    """One run of `liba up`."""

    settings: Settings
    room: str
    port: int
    """Of the page; 0: any."""

    open_page: bool
    config_file: Path | None
    as_json: bool

    def __post_init__(self) -> None:
        self._stack = LocalStack(self.settings, room=self.room, config_file=self.config_file, log_name="up")

    def run(self) -> None:
        """Until Ctrl-C, which raises KeyboardInterrupt, or SIGTERM.

        Raises UsageError where one runs already, InstallError when the server ends.
        """
        file = stack_file()
        with file.owned():
            asyncio.run(self._until_sigterm(file))

    async def _until_sigterm(self, file: StackFile) -> None:
        told = asyncio.Event()
        task = asyncio.current_task()
        assert task

        def on_sigterm() -> None:
            told.set()
            task.cancel()

        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, on_sigterm)
        try:
            await self._run(file)
        except asyncio.CancelledError:
            if not told.is_set():
                raise

    async def _run(self, file: StackFile) -> None:
        async with AsyncExitStack() as stack:
            credentials = await asyncio.to_thread(stack.enter_context, self._stack.server())
            await asyncio.to_thread(stack.enter_context, self._stack.avatar())
            worker = stack.enter_context(self._stack.worker(credentials))
            page = await asyncio.to_thread(stack.enter_context, self._stack.page(credentials, port=self.port))
            stack.callback(forget_links)
            client = await stack.enter_async_context(
                open_client(credentials, room=self.room, agent_name=self.settings.agent_name)
            )
            await until_agent(client, worker)
            tell = partial(self._tell, file, credentials)
            tell()
            await self._announce(page)
            put_out = partial(self._stack.put_dead_agents_out, credentials)
            async with in_background(
                *(
                    keep_running(
                        name,
                        partial(_telling, start, tell),
                        child,
                        before=put_out if name == "agent" else None,
                    )
                    for name, (child, start) in self._stack.again.items()
                )
            ):
                await watch_server(self._stack.local_server)

    def _tell(self, file: StackFile, credentials: LiveKitCredentials) -> None:
        file.write(self._stack.reach(credentials), list(self._stack.parts.values()))

    async def _announce(self, page: PageLink) -> None:
        output.status(f"agent    in room {self.room!r}")
        output.status(f"page     {page.shown()}")
        if self.as_json:
            output.ndjson({"room": self.room, "page": page.address})
        output.status('next: liba say "Hello there." in any terminal; liba ps, liba logs, liba down')
        output.status("Ctrl-C ends all of it")
        if self.open_page:
            await asyncio.to_thread(page.open, otherwise="open the page yourself")


@contextmanager
def _telling(start: StartAgain, tell: partial[None]) -> Iterator[Child]:
    """Starts a part anew, and has everybody told where it is."""
    with start() as child:
        tell()
        yield child
