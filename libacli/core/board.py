"""What a watcher knows of the newest utterances and of the agent that speaks them."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from libacli.core.lifecycle import MOVES, OUTCOMES, is_news
from libacli.core.messages import MAX_ID_CHARS
from libacli.core.record import Record
from libacli.core.row import Row, audible_ms
from libacli.core.timeline import percentile
from libacli.errors import RefusedError

SHOWN = ("d01", "d12", "total")
"""Durations whose percentiles a board tells."""

_FACTS = ("room", "agent", "model", "avatar")
_MAX_AGENTS = 16
_MAX_TEXT_CHARS = 4000
_MAX_FACT_CHARS = 128


@dataclass(frozen=True)
class Facts:
    """What an agent last said of itself."""

    room: str = ""
    agent: str = ""
    model: str = ""
    avatar: str = ""
    """`ready`, or the reason why not."""

    queue: int = 0
    epoch: str = ""


class Board:
    """The newest utterances and their percentiles. Its size is bounded, whatever it is told.

    What comes from the network is not trusted: what is malformed changes nothing, and is counted.
    """

    def __init__(self, *, room: str = "", keep: int = 300, window: int = 1000) -> None:
        self._keep = keep
        self._rows: OrderedDict[tuple[str, str, str], Row] = OrderedDict()
        self._texts: OrderedDict[str, str] = OrderedDict()
        self._epochs: OrderedDict[str, str] = OrderedDict()
        self._records: deque[Record] = deque(maxlen=window)
        self._statistics: dict[str, dict[str, float]] | None = None
        self._refusals = 0
        self.version = 0
        """Another one after each change."""

        self.facts = Facts(room=room)
        self.link = ""
        """What there is to say of the connection; empty when it is well."""

        self.has_agent: bool | None = None
        """Whether an agent is there; None as long as nobody knows."""

        self.count = 0
        """Utterances that have ended."""

        self.restarts = 0
        """How often an agent came back with another epoch."""

        self.ignored = 0
        """Messages that were malformed."""

    @property
    def rows(self) -> list[Row]:
        """Newest first."""
        return list(reversed(self._rows.values()))

    @property
    def is_live(self) -> bool:
        """Whether something is on its way."""
        return any(not row.is_over for row in self._rows.values())

    @property
    def latencies(self) -> list[float]:
        """Milliseconds from T0 to audible of the last ones that were heard, oldest first."""
        return [ms for record in self._records if (ms := audible_ms(record)) is not None]

    def text(self, row: Row) -> str:
        """What it says, where that is known."""
        return self._texts.get(row.record.id, "")

    def statistics(self) -> dict[str, dict[str, float]]:
        """`p50`, `p95`, `p99` of the durations in `SHOWN`, in milliseconds, where there are any."""
        if self._statistics is None:
            self._statistics = {}
            for name in SHOWN:
                values = [value for record in self._records if (value := getattr(record, name)) is not None]
                if values:
                    self._statistics[name] = {f"p{at}": percentile(values, at) for at in (50, 95, 99)}
        return self._statistics

    def event(self, members: Mapping[str, Any], now: float) -> Row | None:
        """Takes an agent's event; the row it is about, None when it told nothing new or was malformed."""
        try:
            row = _row(members, now)
        except RefusedError:
            self._ignore()
            return None
        self._learn(members)
        if row.state == "rejected":
            self._refusals += 1  # it may have the id of one that was taken, or none
            return self._put(("rejected", str(self._refusals), row.record.id), row)
        return self._move(row)

    def answer(self, members: Mapping[str, Any], now: float) -> None:
        """Takes an agent's status: what it does not name any more has ended unseen."""
        speaking, waiting = members.get("speaking"), members.get("waiting")
        reports = [speaking, *(waiting if isinstance(waiting, list) else [])]
        self._learn(members)
        named = set()
        for report in reports[: self._keep]:
            if not isinstance(report, dict):
                continue
            try:
                row = _row({**members, **report}, now)
            except RefusedError:
                self._ignore()
                continue
            named.add(_key(row.record))
            self._move(row)
        self._lose(named, self.facts.agent)

    def add(self, record: Record) -> Row:
        """Takes the record of an utterance that has ended."""
        row = Row(record, record.outcome, 0.0)
        self._end(record)
        return self._put(_key(record), row)

    def caption(self, utterance_id: str, text: str) -> None:
        """Takes what an utterance says."""
        if len(utterance_id) <= MAX_ID_CHARS:
            self._texts[utterance_id] = text[:_MAX_TEXT_CHARS]
            if len(self._texts) > self._keep:
                self._texts.popitem(last=False)
            self.version += 1

    def connection(self, link: str) -> None:
        """Takes the state of the connection: empty when it is well."""
        self.link = link
        self.version += 1

    def no_agent(self) -> None:
        """Takes that there is no agent: nothing is on its way any more."""
        self.has_agent = False
        self._lose(set(), None)
        self.version += 1

    def _learn(self, members: Mapping[str, Any]) -> None:
        said = {name: members[name][:_MAX_FACT_CHARS] for name in _FACTS if _is_text(members.get(name))}
        queue, epoch = members.get("queue"), members.get("epoch")
        if isinstance(queue, int) and 0 <= queue < 1_000_000:
            said["queue"] = int(queue)
        if _is_text(epoch):
            said["epoch"] = str(epoch)[:MAX_ID_CHARS]
        self.facts = replace(self.facts, **said)
        self.has_agent = True
        self.version += 1
        agent, epoch = self.facts.agent, self.facts.epoch
        before = self._epochs.pop(agent, epoch)
        self._epochs[agent] = epoch
        if len(self._epochs) > _MAX_AGENTS:
            self._epochs.popitem(last=False)
        if before != epoch:
            self.restarts += 1
            self._lose({key for key in self._rows if key[1] == epoch}, agent)

    def _move(self, row: Row) -> Row | None:
        before = self._rows.get(_key(row.record))
        if before:
            if not is_news(row.state, before.state):
                return None
            if row.state == before.state:
                row = replace(row, heard_at=before.heard_at)
            if not row.record.t0:
                row = replace(row, record=replace(row.record, t0=before.record.t0))
        if row.state in OUTCOMES:
            self._end(row.record)
        return self._put(_key(row.record), row)

    def _end(self, record: Record) -> None:
        self.count += 1
        self._records.append(record)
        self._statistics = None

    def _put(self, key: tuple[str, str, str], row: Row) -> Row:
        self._rows[key] = row
        if len(self._rows) > self._keep:
            over = (key for key, row in self._rows.items() if row.is_over)
            del self._rows[next(over, next(iter(self._rows)))]
        self.version += 1
        return row

    def _lose(self, but: set[tuple[str, str, str]], agent: str | None) -> None:
        for key, row in self._rows.items():
            if not row.is_over and key not in but and agent in (None, row.record.agent):
                self._rows[key] = replace(row, state="lost")

    def _ignore(self) -> None:
        self.ignored += 1
        self.version += 1


def _key(record: Record) -> tuple[str, str, str]:
    return record.room, record.epoch, record.id


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _row(members: Mapping[str, Any], now: float) -> Row:
    """Raises RefusedError."""
    state = members.get("state")
    if not isinstance(state, str) or state not in MOVES:
        raise RefusedError("malformed", "it has no state")
    told = {**members, "outcome": state if state in OUTCOMES else "done"}
    if state == "rejected":
        told |= {"id": members.get("id") or "-", "reason": members.get("rejected")}
    if state not in OUTCOMES:
        told["t0"] = members.get("t0") or 0.0
    return Row(Record.read(told), state, now)  # type: ignore[arg-type]
