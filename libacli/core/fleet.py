"""What a watcher of all rooms of a server knows: a line for each room that has, or had, an agent."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

from libacli.core.agent_status import AgentStatus
from libacli.core.board import Board
from libacli.core.event import Report
from libacli.core.lifecycle import OUTCOMES
from libacli.core.room_update import ConnectionState
from libacli.core.timeline import percentile

AgentWord = Literal["speaking", "idle", "gone", "closed"]

_KEPT = 30
"""Utterances of each room; more than an agent tells at once that have ended."""

_WINDOW = 200
"""Utterances of each room that percentiles are of."""


@dataclass(frozen=True)
class RoomsListed:
    """These are the rooms that there are."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class AgentTold:
    """The agent of a room has answered."""

    room: str
    status: AgentStatus


@dataclass(frozen=True)
class AgentMissing:
    """A room has no agent, or none that answers."""

    room: str


FleetUpdate: TypeAlias = RoomsListed | AgentTold | AgentMissing | ConnectionState


@dataclass(frozen=True)
class FleetLine:
    """One room, as far as it is known."""

    room: str
    agent: str
    """The name that its agent is dispatched by."""

    worker: str
    """The machine that it runs on; empty: it does not tell."""

    epoch: str
    state: AgentWord
    avatar: str
    """`ready`, or the reason why not."""

    speaking: str
    """Id of what is spoken; empty: nothing."""

    queue: int
    paused: bool
    """Nothing begins until somebody resumes it."""

    utterances: int
    """That have ended since this was watched, and before, as far as the agent told."""

    latency: float | None
    """Of the last one that was heard; milliseconds, as `p50` and `p95` of those that count."""

    p50: float | None
    p95: float | None
    last: Report | None
    """The newest utterance that has ended."""

    last_at: float | None
    """When that was heard of, on the watcher's clock; None: it had ended before it was watched."""

    gone_at: float | None
    """When the agent was found to be gone."""

    def encode(self) -> dict[str, Any]:
        """Members for who reads JSON; times of the watcher's clock are nobody else's."""
        members = asdict(self) | {"last": self.last.encode() if self.last else None}
        del members["last_at"], members["gone_at"]
        return members


@dataclass(frozen=True)
class FleetTotals:
    """All rooms together."""

    rooms: int
    """Of the server, with an agent or without."""

    agents: int
    speaking: int
    waiting: int
    gone: int
    utterances: int
    p50: float | None
    p95: float | None
    """Latency of all that count, in milliseconds."""


@dataclass
class _Room:
    board: Board
    worker: str = ""
    speaking: str = ""
    last: Report | None = None
    last_at: float | None = None


class Fleet:
    """Takes what is told of rooms: as many as there are, and of each a bounded number of utterances."""

    def __init__(self) -> None:
        self._rooms: dict[str, _Room] = {}
        self._listed = 0
        self.connection_words = ""
        """What there is to say of the server; empty: it answers."""

        self.version = 0
        """Another one after each change."""

    def take(self, update: FleetUpdate, now: float) -> list[FleetLine]:
        """Takes what was told; the lines that it is about, closed rooms included."""
        self.version += 1
        match update:
            case RoomsListed(names):
                self._listed = len(names)
                return self._forget(names, now)
            case AgentTold(room, status):
                self._answer(room, status, now)
                return [self._line(room)]
            case AgentMissing(room):
                if room not in self._rooms:  # it never had one
                    return []
                self._rooms[room].board.no_agent(now)
                self._rooms[room].speaking = ""
                return [self._line(room)]
            case ConnectionState(words):
                self.connection_words = words
        return []

    @property
    def lines(self) -> list[FleetLine]:
        """Those whose agent is gone first, then by name."""
        return sorted(map(self._line, self._rooms), key=lambda line: (line.state != "gone", line.room))

    def totals(self) -> FleetTotals:
        lines = self.lines
        latencies = [ms for room in self._rooms.values() for ms in room.board.latencies]
        return FleetTotals(
            rooms=self._listed,
            agents=sum(line.state != "gone" for line in lines),
            speaking=sum(line.state == "speaking" for line in lines),
            waiting=sum(line.queue for line in lines if line.state != "gone"),
            gone=sum(line.state == "gone" for line in lines),
            utterances=sum(line.utterances for line in lines),
            p50=percentile(latencies, 50) if latencies else None,
            p95=percentile(latencies, 95) if latencies else None,
        )

    def _answer(self, name: str, status: AgentStatus, now: float) -> None:
        is_first = name not in self._rooms
        room = self._rooms.setdefault(name, _Room(Board(room=name, keep=_KEPT, window=_WINDOW)))
        room.board.answer(status, now)
        room.worker = status.worker
        room.speaking = status.speaking.id if status.speaking else ""
        ended = [row.report for row in room.board.rows if row.state in OUTCOMES]
        newest = status.ended[-1] if status.ended else ended[0] if ended else None
        if newest and newest != room.last:
            room.last, room.last_at = newest, None if is_first else now

    def _forget(self, names: Collection[str], now: float) -> list[FleetLine]:
        closed = self._rooms.keys() - set(names)
        lines = [self._line(name, "closed") for name in sorted(closed)]
        for name in closed:
            del self._rooms[name]
        return lines

    def _line(self, name: str, state: AgentWord | None = None) -> FleetLine:
        room = self._rooms[name]
        board, facts = room.board, room.board.facts
        latencies = board.latencies
        told = board.statistics().get("latency", {})
        is_there: AgentWord = "speaking" if room.speaking else "idle"
        return FleetLine(
            room=name,
            agent=facts.agent,
            worker=room.worker,
            epoch=facts.epoch,
            state=state or (is_there if board.has_agent else "gone"),
            avatar=facts.avatar,
            speaking=room.speaking,
            queue=facts.queue,
            paused=facts.paused,
            utterances=board.count,
            latency=latencies[-1] if latencies else None,
            p50=told.get("p50"),
            p95=told.get("p95"),
            last=room.last,
            last_at=room.last_at,
            gone_at=board.gone_at,
        )
