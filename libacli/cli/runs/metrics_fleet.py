"""Runs `liba metrics watch --all`: asks the agents of all rooms of a server, and shows what they tell."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from libacli.cli.output import output
from libacli.core.board_row import Budgets
from libacli.core.fleet import Fleet, FleetLine, FleetUpdate
from libacli.edges.livekit.api import LiveKitApi
from libacli.edges.livekit.background import in_background
from libacli.edges.livekit.fleet_follower import CALLS_PER_MINUTE, FleetFollower

if TYPE_CHECKING:
    from libacli.cli.screens.fleet_table import FleetView
    from libacli.cli.screens.full_screen import Frame
    from libacli.config import Settings

_WIDTH_ELSEWHERE = 120


@dataclass
class FleetWatchRun:
    """One run of `liba metrics watch --all`."""

    settings: Settings
    as_json: bool
    once: bool
    """Tells what is known now, and ends."""

    calls: int | None = None
    """Of LiveKit's API that may be made in a minute; None: as many as the follower thinks fit."""

    def __post_init__(self) -> None:
        self._fleet = Fleet()
        self._now = time.monotonic
        self._told: dict[str, dict[str, Any]] = {}
        """What was printed last of each room."""

    def run(self) -> None:
        """Shows rooms until `q` or Ctrl-C: on a terminal a table; elsewhere a line for each change of a room;
        with `as_json` NDJSON. Raises CredentialsError, UnreachableError.
        """
        if self.once:
            asyncio.run(self._show_once())
        elif not self.as_json and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb":
            asyncio.run(self._show_on_terminal())
        else:
            asyncio.run(self._print_lines())

    async def _show_once(self) -> None:
        async with self._following(print_changes=False) as follower:
            await follower.look_once()
            if self.as_json:
                lines = [line.encode() for line in self._fleet.lines]
                output.json(asdict(self._fleet.totals()) | {"lines": lines})
                return
            from rich.table import Table

            from libacli.cli.screens.fleet_table import draw_fleet

            table = Table.grid()
            is_terminal = sys.stdout.isatty()
            width = os.get_terminal_size(sys.stdout.fileno()).columns if is_terminal else _WIDTH_ELSEWHERE
            table.add_row(draw_fleet(self._fleet, self._view(width, None, follower), self._now()))
            output.table(table)

    async def _print_lines(self) -> None:
        output.status("watch    all rooms of the server; a line for each change of one; Ctrl-C ends it")
        async with self._following(print_changes=True) as follower:
            await follower.run()

    async def _show_on_terminal(self) -> None:
        from libacli.cli.screens.full_screen import Screen

        logging.getLogger("liba").setLevel(logging.CRITICAL)  # the table tells of the server
        async with self._following(print_changes=False) as follower, in_background(follower.run()):
            with Screen() as screen:
                await screen.show(lambda width, height, _: self._frame(width, height, follower))

    @asynccontextmanager
    async def _following(self, *, print_changes: bool) -> AsyncIterator[FleetFollower]:
        def take(update: FleetUpdate) -> None:
            words = self._fleet.connection_words
            for line in self._fleet.take(update, self._now()):
                if print_changes:
                    self._print(line)
            if print_changes and self._fleet.connection_words != words:
                output.status(f"watch    {self._fleet.connection_words or 'the server answers again'}")

        async with LiveKitApi(self.settings.livekit()) as api:
            yield FleetFollower(api, take, calls_per_minute=self.calls or CALLS_PER_MINUTE)

    def _print(self, line: FleetLine) -> None:
        """Tells of a room unless it is as it was."""
        members = line.encode()
        if self._told.get(line.room) == members:
            return
        self._told[line.room] = members
        if line.state == "closed":
            del self._told[line.room]
        if self.as_json:
            output.ndjson(members)
            return
        from libacli.cli.screens.fleet_table import plain_fleet_line

        output.result(plain_fleet_line(line, f"{datetime.now():%H:%M:%S}"))

    def _frame(self, width: int, height: int, follower: FleetFollower) -> Frame:
        from libacli.cli.screens.fleet_table import draw_fleet
        from libacli.cli.screens.full_screen import Frame

        now = self._now()
        view = self._view(width, height, follower, keys="q quits")
        ages = int(now) if self._fleet.lines else None
        return Frame((self._fleet.version, view, ages), lambda: draw_fleet(self._fleet, view, now))

    def _view(self, width: int, height: int | None, follower: FleetFollower, *, keys: str = "") -> FleetView:
        from libacli.cli.screens.fleet_table import FleetView

        settings = self.settings
        budgets = Budgets(
            settings.metrics_budget_d01, settings.metrics_budget_d12, settings.metrics_budget_d2a
        )
        server = settings.livekit().http_url.partition("://")[2]
        return FleetView(width, height, budgets.total, server, follower.every_s, keys)
