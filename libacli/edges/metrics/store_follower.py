"""Follows the records that the agents of this machine keep, as they are written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

from libacli.core.utterance_record import UtteranceRecord
from libacli.edges.metrics.reader import MetricsReader
from libacli.errors import LibaError

_POLL_S = 0.5
"""SQLite tells nobody of what is written; a person who watches takes this for at once."""


class StoreFollower:
    """What is written to the file at `path`, and to a new one in its place. Close it in the end."""

    def __init__(self, path: Path) -> None:
        self._reader = MetricsReader(path)
        self._position: int | None = None
        """Of the newest record that was given out; None before the first look."""

        self._files_opened = 0

    def latest(self, count: int) -> list[UtteranceRecord]:
        """The newest records, the oldest of them first; `news` goes on from there. Blocks for up to 2 s.

        Raises what MetricsReader raises.
        """
        found = self._reader.latest(count)
        self._position = found[-1][0] if found else 0
        self._files_opened = self._reader.files_opened
        return [record for _, record in found]

    async def news(self) -> AsyncGenerator[UtteranceRecord | str]:
        """Records as they are written, without end; in between a text: why none can be read now, or "" again.

        Raises what MetricsReader raises when not even the first look succeeds.
        """
        trouble = ""
        if self._position is None:
            await asyncio.to_thread(self.latest, 1)
        while True:
            records, trouble_now = await self._read_on()
            if trouble_now != trouble:
                trouble = trouble_now
                yield trouble
            for record in records:
                yield record
            await asyncio.sleep(_POLL_S)

    def close(self) -> None:
        """Lets go of the file. Safe to call twice."""
        self._reader.close()

    async def _read_on(self) -> tuple[list[UtteranceRecord], str]:
        """What was written since, and why that cannot be read: it may be in a moment."""
        try:
            found = await asyncio.to_thread(self._newer)
        except LibaError as error:
            return [], str(error)
        return [record for _, record in found], ""

    def _newer(self) -> list[tuple[int, UtteranceRecord]]:
        found = self._reader.after(self._position or 0)
        if self._reader.files_opened != self._files_opened:
            self._files_opened = self._reader.files_opened
            found = self._reader.after(0)
            self._position = 0
        if found:
            self._position = found[-1][0]
        return found
