"""How long one request to a voice may keep its listener waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from libacli.errors import VoiceStalledError

_T = TypeVar("_T")


class Waits:
    """The bounds of one request, in seconds; the time in which the listener asks for nothing is not counted.

    `first_s` for all the waiting until `sounds` is called, a second try included; `stall_s` for one wait
    after that; `total_s` for all of them. The clock is the loop's.
    """

    def __init__(self, *, first_s: float, stall_s: float, total_s: float) -> None:
        self._first_s, self._stall_s, self._total_s = first_s, stall_s, total_s
        self._waited_s = 0.0
        self._has_sound = False

    def sounds(self) -> None:
        """The first sound has come."""
        self._has_sound = True

    async def on(self, wait: Awaitable[_T]) -> _T:
        """The outcome of `wait`; cancels it and raises VoiceStalledError when it takes too long."""
        bound_s = self._stall_s if self._has_sound else self._first_s
        left_s = bound_s if self._has_sound else bound_s - self._waited_s
        total_left_s = self._total_s - self._waited_s
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            async with asyncio.timeout(max(0.0, min(left_s, total_left_s))):
                return await wait
        except TimeoutError as error:
            if total_left_s < left_s:
                complaint = f"the voice took longer than {self._total_s:g} s for one text"
            else:
                complaint = f"the voice sent nothing for {bound_s:g} s"
            raise VoiceStalledError(complaint, hint="try again; `liba doctor` times the voice") from error
        finally:
            self._waited_s += clock() - began
