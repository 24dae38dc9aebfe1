"""The order in which commands of this machine speak to a room: as they came, also before its agent did."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_state_path

from libacli.private_files import new_private_file, private_folder

_POLL_S = 0.05


@dataclass(frozen=True)
class _Ticket:
    """A file whose name says when its holder came, and which he has locked as long as he waits."""

    path: Path
    descriptor: int

    @classmethod
    def take(cls, folder: Path, room: str) -> _Ticket:
        """Raises OSError."""
        private_folder(folder)
        name = hashlib.sha256(room.encode()).hexdigest()[:16]
        path = folder / f"{name}-{time.monotonic_ns():020}-{os.getpid()}"
        descriptor = new_private_file(path)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return cls(path, descriptor)

    def is_next(self) -> bool:
        """Whether nobody is before him who still waits; what others have left behind is removed."""
        of_this_room = self.path.name.partition("-")[0]
        before = (path for path in self.path.parent.glob(f"{of_this_room}-*") if path.name < self.path.name)
        return not any(_is_held(path) for path in sorted(before))

    def give_back(self) -> None:
        self.path.unlink(missing_ok=True)
        os.close(self.descriptor)


@asynccontextmanager
async def in_turn(server: str, room: str) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """A place behind those who have one already; what is yielded waits until they have left theirs.

    The bound is the caller's. Where no file can be written nobody waits.
    """
    ticket: _Ticket | None = None

    async def is_next() -> None:
        while ticket and not await asyncio.to_thread(ticket.is_next):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(_POLL_S)

    with suppress(OSError):
        folder = user_state_path("liba") / "waiting"
        ticket = await asyncio.to_thread(_Ticket.take, folder, f"{server} {room}")
    try:
        yield is_next
    finally:
        if ticket:
            await asyncio.to_thread(ticket.give_back)


def _is_held(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:  # given back a moment ago
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    else:
        path.unlink(missing_ok=True)
        return False
    finally:
        os.close(descriptor)
