"""The hour of characters on disk: one count for all agents of a machine, which no agent takes with it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from platformdirs import user_state_path

from libacli.core.hour import Hour, Spent
from libacli.core.hour_count import HourCount
from libacli.edges.livekit.joining import to_the_end
from libacli.edges.livekit.signing import wall_clock
from libacli.private_files import locked, private_folder, write_private

logger = logging.getLogger("liba.agent")

_LOOK_S = 1.0
"""Between two looks for what others have spent: so much later than they one knows of it."""

_REST_S = 0.2
"""After a write, so that a line that is asked for in pieces is few writes."""

_REFRESH_S = 20.0
"""Between two times that a promise is said again which still holds: three times as often as is needed."""

_LOCK_TIMEOUT_S = 2.0
"""Others hold the lock for the milliseconds that it takes to write a line."""


class HourFile:
    """Keeps `hour`, whose clock is POSIX seconds, in step with the file at `path`.

    The file is 0600 and has a count for each API key; many agents, in many processes, may use it at once.
    What is spent is in it within a moment, what others spend is known within a second. `load` before the
    first request, `run` until it is cancelled, then `aclose`. A file that cannot be written or read costs the
    common count, never speech: the agent goes on with its own, and the log says so once.
    """

    def __init__(
        self,
        path: Path,
        hour: Hour,
        *,
        api_key: str,
        agent: str,
        clock: Callable[[], float] = wall_clock,
    ) -> None:
        self._path = path
        self._hour = hour
        self._key = hashlib.sha256(api_key.encode()).hexdigest()[:16]
        self._agent = agent
        self._clock = clock
        self._changed = asyncio.Event()
        self._exchanging = asyncio.Lock()
        self._told: Mapping[str, int] = {}
        """What is promised here, as the file has it; `_told_at` says since when."""

        self._told_at = 0.0
        self._seen: tuple[int, int] | None = None
        """Of the file as it was read last."""

        self.is_failing = False
        """Whether what is spent here is known to this agent alone."""

        self.count = HourCount()
        """What the file had when it was looked at last."""

        hour.on_change = self._changed.set

    async def load(self) -> None:
        """Learns what was spent before."""
        await self._exchange()

    async def run(self) -> None:
        """Tells what is spent here and learns what is spent elsewhere, until cancelled."""
        while True:
            try:
                async with asyncio.timeout(_LOOK_S):
                    await self._changed.wait()
            except TimeoutError:
                pass
            self._changed.clear()
            await self._exchange()
            await asyncio.sleep(_REST_S)

    async def aclose(self) -> None:
        """Tells what is left, and that nothing is promised here any more."""
        await self._exchange(promises={})

    async def _exchange(self, promises: Mapping[str, int] | None = None) -> None:
        async with self._exchanging:
            await to_the_end(self._exchange_once(self._hour.promises() if promises is None else promises))

    async def _exchange_once(self, promises: Mapping[str, int]) -> None:
        news, now = self._hour.take_news(), self._clock()
        is_due = bool(promises) and now - self._told_at > _REFRESH_S
        count: HourCount | None
        try:
            if news or promises != self._told or is_due:
                count = await asyncio.to_thread(self._merge, news, promises, now)
                self._told, self._told_at = promises, now
            else:
                count = await asyncio.to_thread(self._read, now)
        except OSError as error:
            self._hour.put_back(news)
            if not self.is_failing:
                logger.warning("characters are counted for this agent alone: %s", error)
            self.is_failing = True
            return
        self.is_failing = False
        if count:
            self.count = count
            self._hour.learn(count.spent, count.promised_by_others(self._agent))

    def _merge(self, news: Spent, promises: Mapping[str, int], now: float) -> HourCount:
        """Adds what is new to the file; what it has then. Raises OSError."""
        private_folder(self._path.parent)
        with locked(self._path.with_suffix(".lock"), timeout_s=_LOCK_TIMEOUT_S):
            keys = self._load()
            counts = {key: HourCount.read(members, now) for key, members in keys.items()}
            count = counts.setdefault(self._key, HourCount())
            count.add(news)
            count.promise(self._agent, promises, now)
            self._write({key: members for key, other in counts.items() if (members := other.encode())})
        return count

    def _read(self, now: float) -> HourCount | None:
        """What the file has; None: nothing has changed. Raises OSError."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None
        seen = (found.st_ino, found.st_mtime_ns)
        if seen == self._seen:
            return None
        count = HourCount.read(self._load().get(self._key), now)
        # Promises end by themselves, and so have to be looked at again.
        self._seen = None if count.promised else seen
        return count

    def _load(self) -> dict[str, Any]:
        try:
            found = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            logger.warning("%s cannot be read; characters are counted from zero", self._path)
            return {}
        return found

    def _write(self, keys: Mapping[str, Any]) -> None:
        write_private(self._path, json.dumps(keys))


def hour_path() -> Path:
    """Where the agents of this user count the characters of an hour."""
    return user_state_path("liba") / "characters.json"
