"""What a watcher knows of the newest utterances and of the agent that speaks them."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import replace
from typing import TypeAlias

from libacli.core.agent_status import AgentStatus
from libacli.core.board_row import BoardRow
from libacli.core.event import AgentFacts, Event, Rejection, Report
from libacli.core.latency import counted
from libacli.core.lifecycle import OUTCOMES, is_news
from libacli.core.messages import MAX_ID_CHARS
from libacli.core.timeline import percentile
from libacli.core.utterance_record import UtteranceRecord

SHOWN = ("d01", "d12", "latency")
"""What a board tells the percentiles of, see `core.latency`."""

_MAX_AGENTS = 16
"""Names of agents whose epoch is remembered; a room has one, seldom two."""

_MAX_TEXT_CHARS = 4000
"""Of a caption: the longest text that an agent takes."""

_Key: TypeAlias = tuple[str, str, str]
"""Room, epoch and id: an id that is used again, at another agent or life of one, is another utterance."""


class Board:
    """The newest utterances and their percentiles. Its size is bounded, whatever it is told.

    What comes from the network is not trusted: what is malformed changes nothing, and is counted.
    """

    def __init__(self, *, room: str = "", keep: int = 300, window: int = 1000) -> None:
        self._keep = keep
        self._rows: OrderedDict[_Key, BoardRow] = OrderedDict()
        self._texts: OrderedDict[str, str] = OrderedDict()
        self._epochs: OrderedDict[str, str] = OrderedDict()
        self._ended: deque[Report] = deque(maxlen=window)
        self._statistics: dict[str, dict[str, float]] | None = None
        self._refusals = 0
        self.version = 0
        """Another one after each change."""

        self.facts = AgentFacts(room=room)
        self.connection_words = ""
        """What there is to say of the connection; empty when it is well."""

        self.has_agent: bool | None = None
        """Whether an agent is there; None as long as nobody knows."""

        self.gone_at: float | None = None
        """When one that was there was found to be gone; None: it is there, or none was seen."""

        self.count = 0
        """Utterances that have ended."""

        self.restarts = 0
        """How often an agent came back with another epoch."""

        self.ignored = 0
        """Messages that were malformed."""

    @property
    def rows(self) -> list[BoardRow]:
        """Newest first."""
        return list(reversed(self._rows.values()))

    @property
    def is_live(self) -> bool:
        """Whether something is on its way."""
        return any(not row.is_over for row in self._rows.values())

    @property
    def latencies(self) -> list[float]:
        """Those that count, in milliseconds, oldest first."""
        return self._counted("latency")

    def text(self, row: BoardRow) -> str:
        """What it says, where that is known."""
        return self._texts.get(row.report.id, "")

    def statistics(self) -> dict[str, dict[str, float]]:
        """`p50`, `p95`, `p99` of the durations in `SHOWN`, in milliseconds, where there are any."""
        if self._statistics is None:
            self._statistics = {}
            for name in SHOWN:
                if values := self._counted(name):
                    self._statistics[name] = {f"p{at}": percentile(values, at) for at in (50, 95, 99)}
        return self._statistics

    def _counted(self, wanted: str) -> list[float]:
        return [ms for report in self._ended for name, ms in counted(report) if name == wanted]

    def event(self, told: Event | Rejection, now: float) -> BoardRow | None:
        """Takes what an agent told; the row it is about, None when it was nothing new."""
        self._learn(told.facts)
        if isinstance(told, Rejection):
            self._refusals += 1  # it may have the id of one that was taken, or none
            report = Report(told.id or "-", "rejected", reason=told.reason)
            row = BoardRow(Event(told.facts, report, t0=0.0), "rejected", now)
            return self._put(("rejected", str(self._refusals), report.id), row)
        return self._move(BoardRow(told, told.report.state, now))

    def ignore(self) -> None:
        """Takes that something came which nobody understands."""
        self.ignored += 1
        self.version += 1

    def answer(self, status: AgentStatus, now: float) -> None:
        """Takes an agent's status: what it does not name any more has ended unseen."""
        self._learn(status.facts)
        for report in status.ended[-self._keep :]:
            self._move(BoardRow(Event(status.facts, report, t0=0.0), report.state, now))
        named = set()
        for report in (*([status.speaking] if status.speaking else []), *status.waiting)[: self._keep]:
            row = BoardRow(Event(status.facts, report, t0=0.0), report.state, now)
            named.add(_key(row))
            self._move(row)
        for _ in range(status.unreadable):
            self.ignore()
        self._lose(named, status.facts.agent, may_wait=status.waiting_left_out > 0)

    def add(self, record: UtteranceRecord) -> BoardRow:
        """Takes the record of an utterance that has ended."""
        row = BoardRow(record.event(), record.outcome, 0.0)
        self._end(row.report)
        return self._put(_key(row), row)

    def caption(self, utterance_id: str, text: str) -> None:
        """Takes what an utterance says."""
        if len(utterance_id) <= MAX_ID_CHARS:
            self._texts[utterance_id] = text[:_MAX_TEXT_CHARS]
            if len(self._texts) > self._keep:
                self._texts.popitem(last=False)
            self.version += 1

    def connection(self, words: str) -> None:
        """Takes the state of the connection: empty when it is well."""
        self.connection_words = words
        self.version += 1

    def no_agent(self, now: float) -> None:
        """Takes that there is no agent: nothing is on its way any more."""
        if self.has_agent:
            self.gone_at = now
        self.has_agent = False
        self._lose(set(), None)
        self.version += 1

    def _learn(self, facts: AgentFacts) -> None:
        self.facts = facts
        self.has_agent, self.gone_at = True, None
        self.version += 1
        before = self._epochs.pop(facts.agent, facts.epoch)
        self._epochs[facts.agent] = facts.epoch
        if len(self._epochs) > _MAX_AGENTS:
            self._epochs.popitem(last=False)
        if before != facts.epoch:
            self.restarts += 1
            self._lose({key for key in self._rows if key[1] == facts.epoch}, facts.agent)

    def _move(self, row: BoardRow) -> BoardRow | None:
        before = self._rows.get(_key(row))
        if before:
            if not is_news(row.state, before.state):
                return None
            if row.state == before.state:
                row = replace(row, heard_at=before.heard_at)
            if not row.event.t0:
                row = replace(row, event=replace(row.event, t0=before.event.t0))
        if row.state in OUTCOMES:
            self._end(row.report)
        return self._put(_key(row), row)

    def _end(self, report: Report) -> None:
        self.count += 1
        self._ended.append(report)
        self._statistics = None

    def _put(self, key: _Key, row: BoardRow) -> BoardRow:
        self._rows[key] = row
        if len(self._rows) > self._keep:
            over = (key for key, row in self._rows.items() if row.is_over)
            del self._rows[next(over, next(iter(self._rows)))]
        self.version += 1
        return row

    def _lose(self, but: set[_Key], agent: str | None, *, may_wait: bool = False) -> None:
        for key, row in self._rows.items():
            is_told = key in but or (may_wait and row.state == "accepted")
            if not row.is_over and not is_told and agent in (None, row.event.facts.agent):
                self._rows[key] = replace(row, state="lost")


def _key(row: BoardRow) -> _Key:
    return row.event.facts.room, row.event.facts.epoch, row.report.id
