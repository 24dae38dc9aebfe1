"""What may be asked of a queue, besides to say and to stop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from libacli.core.messages import read_flag, read_label
from libacli.errors import RefusedError

QueueChange = Literal["paused", "resumed", "moved", "released"]


@dataclass(frozen=True)
class CancelRequest:
    """Takes one that waits out of the queue."""

    id: str
    is_own: bool = False
    """Only if it is on the account of who asks."""

    def encode(self) -> dict[str, Any]:
        return {"id": self.id, **({"own": True} if self.is_own else {})}


@dataclass(frozen=True)
class MoveRequest:
    """Puts one that waits elsewhere in the queue: to an end of it, or before another one."""

    id: str
    to: Literal["first", "last", ""] = ""
    before: str = ""
    """Id of the other one; empty: `to` says where."""

    def encode(self) -> dict[str, Any]:
        return {"id": self.id, **({"before": self.before} if self.before else {"to": self.to})}


@dataclass(frozen=True)
class PauseRequest:
    """Nothing new is to begin, or, with `is_paused` false, it is again."""

    is_paused: bool


@dataclass(frozen=True)
class PauseAnswer:
    """What has become of a `PauseRequest`."""

    is_paused: bool
    is_news: bool
    """It was not so before."""

    queue: int
    """How many wait."""

    is_journaled: bool | None = None
    """Whether it holds for the agent that follows, too; None: it ends with this one."""

    def encode(self) -> dict[str, Any]:
        return {
            "paused": self.is_paused,
            "changed": self.is_news,
            "queue": self.queue,
            **({} if self.is_journaled is None else {"journaled": self.is_journaled}),
        }

    @classmethod
    def read(cls, members: Mapping[str, Any]) -> PauseAnswer:
        """Raises RefusedError: `malformed`."""
        match members:
            case {"paused": bool(is_paused), "changed": bool(is_news), "queue": int(queue)}:
                journaled = members.get("journaled")
                return cls(is_paused, is_news, queue, journaled if isinstance(journaled, bool) else None)
        raise RefusedError("malformed", "it does not say whether the queue is paused")


@dataclass(frozen=True)
class NextRequest:
    """Gives a line on standby the go-ahead."""

    id: str = ""
    """Of that line; empty: the one that is longest on standby."""

    def encode(self) -> dict[str, Any]:
        return {"id": self.id} if self.id else {}


@dataclass(frozen=True)
class NextAnswer:
    """What has become of a `NextRequest`."""

    id: str
    is_news: bool
    """It was on standby before."""

    def encode(self) -> dict[str, Any]:
        return {"id": self.id, "released": self.is_news}

    @classmethod
    def read(cls, members: Mapping[str, Any]) -> NextAnswer:
        """Raises RefusedError: `malformed`."""
        match members:
            case {"id": str(utterance_id), "released": bool(is_news)}:
                return cls(utterance_id, is_news)
        raise RefusedError("malformed", "it does not say which line has the go-ahead")


def read_next(members: Mapping[str, Any]) -> NextRequest:
    """Raises RefusedError: `malformed`."""
    return NextRequest("" if members.get("id") is None else _id(members, "id"))


def read_cancel(members: Mapping[str, Any]) -> CancelRequest:
    """Raises RefusedError: `malformed`."""
    own = members.get("own")
    return CancelRequest(_id(members, "id"), own is not None and read_flag("own", own))


def read_move(members: Mapping[str, Any]) -> MoveRequest:
    """Raises RefusedError: `malformed`."""
    moved, to = _id(members, "id"), members.get("to")
    if (to is None) == (members.get("before") is None):
        raise RefusedError("malformed", "one of `to` and `before` is wanted")
    match to:
        case None:
            return MoveRequest(moved, before=_id(members, "before"))
        case "first" | "last":
            return MoveRequest(moved, to)
    raise RefusedError("malformed", "`to` must be first or last")


def _id(members: Mapping[str, Any], name: str) -> str:
    if members.get(name) is None:
        raise RefusedError("malformed", f"`{name}` is missing")
    return read_label(name, members[name])
