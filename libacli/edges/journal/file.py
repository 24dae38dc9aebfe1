"""The queue of one room in a file of this machine: 0600, and replaced as a whole, never half."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import stat
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from platformdirs import user_state_path

from libacli.core.journal import (
    KEPT_FOR_S,
    KNOWN_FOR_S,
    MOST_ENDED,
    Ended,
    Legacy,
    Line,
    read_paused,
)
from libacli.core.journal_place import DUE_AFTER_S, Place, Scope
from libacli.errors import FencedError, ForgottenError, StoreError
from libacli.private_files import locked, private_file, private_folder

logger = logging.getLogger("liba.journal")

_LOCK_TIMEOUT_S = 0.8
"""Others hold the lock for the milliseconds that it takes to write: one agent of this room, or a worker."""

T = TypeVar("T")


@dataclass
class _Queue:
    """What is in the file."""

    room: str
    holder: str = ""
    """Epoch of the agent that may write; empty: it is gone."""

    lines: dict[str, Line] = field(default_factory=dict)
    ended: dict[str, Ended] = field(default_factory=dict)
    paused_at: float | None = None

    def encode(self) -> str:
        members = {
            "room": self.room,
            "holder": self.holder,
            "lines": [line.encode() for line in self.lines.values()],
            "ended": [end.encode() for end in self.ended.values()],
            "paused_at": self.paused_at,
        }
        return json.dumps(members)

    @classmethod
    def read(cls, source: str) -> _Queue:
        """What can be read of it. Raises ValueError when it is none at all."""
        members = json.loads(source)
        match members:
            case {"room": str(room), "holder": str(holder), "lines": list(lines), "ended": list(ended)}:
                paused_at = read_paused(members.get("paused_at"))
                return cls(room, holder, _readable(Line.read, lines), _readable(Ended.read, ended), paused_at)
        raise ValueError("it is no queue")


Record = TypeVar("Record", Line, Ended)


def _readable(read: Callable[[object], Record], told: Iterable[object]) -> dict[str, Record]:
    found: dict[str, Record] = {}
    for members in told:
        try:
            record = read(members)
        except ValueError as error:
            logger.warning("an entry of the journal is left out: %s", error)
        else:
            found[record.id] = record
    return found


class FileJournal:
    """Keeps the queue of `place` in `folder`, for the agent of that `epoch`. Implements `Journal`.

    Each write is on the disk when it returns. All are done in one thread, one after the other. `clock` tells
    POSIX seconds.
    """

    def __init__(self, folder: Path, place: Place, *, epoch: str, clock: Callable[[], float]) -> None:
        self._path = folder / f"{place.digest}.json"
        self._room = place.room
        self._epoch = epoch
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="liba-journal")

    async def take_over(self) -> Legacy:
        """See `Journal`."""
        return await self._do(self._take_over)

    async def write(
        self, lines: Sequence[Line], ended: Sequence[Ended], *, paused_at: float | None = None
    ) -> None:
        """See `Journal`."""
        await self._do(lambda: self._write(lines, ended, paused_at))

    async def release(self) -> None:
        """See `Journal`."""
        await self._do(self._release)

    async def remove(self) -> None:
        """See `Journal`."""
        await self._do(self._remove)

    async def aclose(self) -> None:
        """See `Journal`."""
        self._thread.shutdown(wait=False)

    async def _do(self, step: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, step)
        except OSError as error:
            reason = error.strerror or str(error)
            raise StoreError(
                f"the journal {self._path} cannot be written: {reason}", hint="see say.journal"
            ) from error

    def _take_over(self) -> Legacy:
        with self._locked():
            queue = self._load() or _Queue(self._room)
            queue.holder = self._epoch
            self._save(queue)
        lines = sorted(queue.lines.values(), key=lambda line: line.number)
        return Legacy(tuple(lines), tuple(queue.ended.values()), queue.paused_at)

    def _write(self, lines: Sequence[Line], ended: Sequence[Ended], paused_at: float | None) -> None:
        with self._locked():
            queue = self._held()
            queue.lines |= {line.id: line for line in lines}
            for end in ended:
                queue.lines.pop(end.id, None)
                queue.ended[end.id] = end
            queue.paused_at = paused_at
            self._save(queue)

    def _release(self) -> None:
        with self._locked():
            queue = self._held()
            queue.holder = ""
            self._save(queue)

    def _remove(self) -> None:
        with self._locked():
            self._path.unlink(missing_ok=True)
        self._path.with_suffix(".lock").unlink(missing_ok=True)

    def _held(self) -> _Queue:
        """Raises FencedError, ForgottenError."""
        queue = self._load()
        if queue is None:
            raise ForgottenError("the journal is gone")
        if queue.holder != self._epoch:
            raise FencedError("another agent has taken the journal over")
        return queue

    def _locked(self) -> AbstractContextManager[None]:
        private_folder(self._path.parent)
        return locked(self._path.with_suffix(".lock"), timeout_s=_LOCK_TIMEOUT_S)

    def _load(self) -> _Queue | None:
        """None: there is none, or none that can be read. Raises OSError."""
        try:
            return _Queue.read(_text_of(self._path))
        except FileNotFoundError:
            return None
        except (ValueError, RecursionError) as error:
            logger.warning("%s cannot be read, and begins anew: %s", self._path, type(error).__name__)
            return None

    def _save(self, queue: _Queue) -> None:
        """Raises OSError, and leaves what was there."""
        since = self._clock() - KNOWN_FOR_S
        recent = [end for end in queue.ended.values() if end.ended_at >= since][-MOST_ENDED:]
        queue.ended = {end.id: end for end in recent}
        part = self._path.with_suffix(".part")
        with os.fdopen(private_file(part), "w", encoding="utf-8") as file:
            file.write(queue.encode())
            file.flush()
            os.fsync(file.fileno())
        part.replace(self._path)


def _text_of(path: Path) -> str:
    """Raises OSError, also for a pipe, which is not waited for, and ValueError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no file", str(path))
    with os.fdopen(descriptor, encoding="utf-8") as file:
        return file.read()


def waiting_rooms(folder: Path, scope: Scope, *, clock: Callable[[], float]) -> list[str]:
    """Rooms in whose queue lines wait that may have lost their agent; what is too old for any is removed.

    What cannot be read, as the file of another user, is passed over.
    """
    found: list[str] = []
    for path in sorted(folder.glob(f"{scope.digest}-*.json")):
        with suppress(OSError, ValueError, RecursionError):
            age_s = clock() - path.stat().st_mtime
            queue = _Queue.read(_text_of(path))
            is_over = not (queue.lines or queue.holder or queue.paused_at) and age_s > KNOWN_FOR_S
            if is_over or age_s > KEPT_FOR_S:
                path.unlink()
                path.with_suffix(".lock").unlink(missing_ok=True)
            elif queue.lines and (not queue.holder or age_s > DUE_AFTER_S):
                found.append(queue.room)
    return found


def journal_folder() -> Path:
    """Where the agents of this user write their queues down."""
    return user_state_path("liba") / "journal"
