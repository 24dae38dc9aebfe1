"""Runs `liba metrics watch`: takes what a room or the local store tells, and shows it."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, closing
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from libacli.cli.output import output
from libacli.core.agent_status import AgentStatus
from libacli.core.board import Board
from libacli.core.board_row import BoardRow, Budgets
from libacli.core.event import Event, Rejection
from libacli.core.lifecycle import OUTCOMES
from libacli.core.room_update import Caption, ConnectionState, NoAgent, RoomUpdate, Unreadable
from libacli.core.utterance_record import UtteranceRecord, members_of
from libacli.edges.livekit.background import in_background
from libacli.edges.metrics.schema import metrics_path
from libacli.edges.metrics.store_follower import StoreFollower
from libacli.errors import UsageError

if TYPE_CHECKING:
    from libacli.cli.screens.board_table import View
    from libacli.cli.screens.full_screen import Frame
    from libacli.config import Settings

_WINDOW = 1000
"""Utterances that the percentiles are of."""

_ROWS = 300
_ONCE_ROWS = 20
_WIDTH_ELSEWHERE = 120
_ASK_EVERY_S = 2.0
"""In silence: a killed agent does not answer for 3 s, and is known to be gone within 5 s."""


@dataclass(frozen=True)
class BoardUpdate:
    """Something was told, which the board knows already."""

    members: dict[str, Any] | None = None
    """A room's event, or a record of the store; None where it was neither."""

    row: BoardRow | None = None
    """The utterance that it was about."""


@dataclass
class MetricsWatchRun:
    """One run of `liba metrics watch`: of `room`, or of the local store where there is none."""

    settings: Settings
    room: str | None
    as_json: bool
    once: bool
    """Tells what is known now, and ends."""

    show_text: bool

    def __post_init__(self) -> None:
        rows = _ONCE_ROWS if self.once else _ROWS
        self._board = Board(room=self.room or "", keep=rows, window=_WINDOW)
        self._now = time.monotonic
        self._store = StoreFollower(metrics_path())

    def run(self) -> None:
        """Shows utterances as they are spoken until `q` or Ctrl-C.

        On a terminal a table; elsewhere a line for each that ends; with `as_json` NDJSON. Raises UsageError;
        LibaError when the store cannot be read; with a room CredentialsError, UnreachableError, and with
        `once` NoAgentError.
        """
        if self.show_text and self.room is None:
            raise UsageError("the store keeps no text", hint="give a room: --room demo --show-text")
        if self.show_text and self.once:
            raise UsageError("text comes only while it is spoken", hint="leave --once out")
        if self.room is not None:
            from libacli.edges.livekit.tokens import check_name

            check_name("room", self.room)
            self._board.connection("connecting…")
        with closing(self._store):
            if self.once:
                self._show_once()
            elif not self.as_json and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb":
                asyncio.run(self._show_on_terminal())
            else:
                asyncio.run(self._print_lines())

    def _show_once(self) -> None:
        """Prints what is known now."""
        if self.room is None:
            self._read_store()
        else:
            from libacli.edges.livekit.follower import ask_once

            credentials, name = self.settings.livekit(), self.settings.agent_name
            asking = ask_once(credentials, room=self.room, agent_name=name, ended=_ONCE_ROWS)
            answer = asyncio.run(asking)
            self._board.answer(answer, self._now())
            self._board.connection("")
        if self.as_json:
            output.json(_document(self._board, with_facts=self.room is not None))
            return
        from rich.table import Table

        from libacli.cli.screens.board import draw

        table = Table.grid()
        is_terminal = sys.stdout.isatty()
        width = os.get_terminal_size(sys.stdout.fileno()).columns if is_terminal else _WIDTH_ELSEWHERE
        table.add_row(draw(self._board, self._view(width, None), self._now()))
        output.table(table)

    async def _print_lines(self) -> None:
        """A line for each event or record with `as_json`, else for each utterance that ended."""
        words = self._board.connection_words
        where = "all rooms of this machine" if self.room is None else f"room {self.room!r}"
        output.status(f"watch    {where}; a line for each utterance that ends; Ctrl-C ends it")
        async with aclosing(self._updates()) as stream:
            async for update in stream:
                if self.as_json and update.members is not None:
                    output.ndjson(update.members)
                elif not self.as_json and update.row and update.row.is_over:
                    from libacli.cli.screens.board import plain_line

                    output.result(plain_line(update.row))
                if self._board.connection_words != words:
                    words = self._board.connection_words
                    output.status(f"watch    {words or 'connected'}")

    async def _show_on_terminal(self) -> None:
        """Shows the board on the whole screen until `q`."""
        from libacli.cli.screens.full_screen import Screen

        logging.getLogger("livekit").setLevel(logging.CRITICAL)  # the board tells of the connection
        if self.room is None:
            await asyncio.to_thread(self._read_store)
        async with in_background(self._follow()):
            with Screen() as screen:
                await screen.show(self._frame)

    def _frame(self, width: int, height: int, ascii_only: bool) -> Frame:
        from libacli.cli.screens.board import draw
        from libacli.cli.screens.full_screen import Frame

        now = self._now()
        view = self._view(width, height, keys="q quits", ascii_only=ascii_only)
        moves = self._board.is_live or self._board.gone_at is not None
        sameness = (self._board.version, view, now if moves else None)
        return Frame(sameness, lambda: draw(self._board, view, now))

    async def _follow(self) -> None:
        async with aclosing(self._updates()) as stream:
            async for _ in stream:
                pass

    def _updates(self) -> AsyncGenerator[BoardUpdate]:
        return self._from_store() if self.room is None else self._from_room(self.room)

    async def _from_room(self, room: str) -> AsyncGenerator[BoardUpdate]:
        from libacli.edges.livekit.follower import RoomFollower

        follower = RoomFollower(
            self.settings.livekit(),
            room=room,
            agent_name=self.settings.agent_name,
            with_captions=self.show_text,
            remembered=_ONCE_ROWS,
            ask_every_s=_ASK_EVERY_S,
            previous=self.settings.livekit_previous(),
        )
        async with aclosing(follower.updates()) as updates:
            async for update in updates:
                yield self._apply(update)

    def _apply(self, update: RoomUpdate) -> BoardUpdate:
        board, now = self._board, self._now()
        match update:
            case Event() | Rejection():
                return BoardUpdate(update.encode(), board.event(update, now))
            case Unreadable():
                board.ignore()
            case AgentStatus():
                board.answer(update, now)
            case NoAgent():
                board.no_agent(now)
            case Caption(utterance_id, text):
                board.caption(utterance_id, text)
            case ConnectionState(words):
                board.connection(words)
        return BoardUpdate()

    def _read_store(self) -> None:
        for record in self._store.latest(_WINDOW):
            self._board.add(record)

    async def _from_store(self) -> AsyncGenerator[BoardUpdate]:
        async with aclosing(self._store.news()) as stream:
            async for news in stream:
                match news:
                    case UtteranceRecord():
                        yield BoardUpdate(news.encode(), self._board.add(news))
                    case trouble:
                        self._board.connection(trouble)
                        yield BoardUpdate()

    def _view(self, width: int, height: int | None, *, keys: str = "", ascii_only: bool = False) -> View:
        from libacli.cli.screens.board_table import View

        settings = self.settings
        return View(
            width=width,
            height=height,
            budgets=Budgets(
                settings.metrics_budget_d01, settings.metrics_budget_d12, settings.metrics_budget_d2a
            ),
            with_rooms=self.room is None,
            with_text=self.show_text,
            keys=keys,
            ascii_only=ascii_only,
        )


def _document(board: Board, *, with_facts: bool) -> dict[str, Any]:
    """What `--once --json` prints."""
    members: dict[str, Any] = asdict(board.facts) if with_facts else {}
    utterances = [members_of(row.event) | {"state": row.state} for row in board.rows]
    for utterance in utterances:
        if utterance["state"] not in OUTCOMES:
            utterance["outcome"] = None
    return members | {
        "count": board.count,
        "percentiles_ms": board.statistics(),
        "utterances": utterances,
    }
