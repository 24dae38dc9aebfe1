"""A worker whose server, or whose server's name, comes a little later than itself."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from libacli.edges.livekit.api import LiveKitApi, Participant
from libacli.errors import CredentialsError, LibaError, UnreachableError
from libacli.worker import answering


class Answers:
    """A server that fails so many times before it answers."""

    def __init__(self, *failures: LibaError) -> None:
        self._failures = list(failures)

    async def participants(self, room: str) -> list[Participant]:
        if self._failures:
            raise self._failures.pop(0)
        return []


def away() -> UnreachableError:
    return UnreachableError("cannot reach LiveKit at http://lk.test")


async def came_after_s(*failures: LibaError, within_s: float) -> float:
    clock = asyncio.get_running_loop().time
    began_at = clock()
    await answering(cast(LiveKitApi, Answers(*failures)), "demo", within_s=within_s)
    return clock() - began_at


async def test_a_server_that_comes_later_is_waited_for_and_that_is_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert await came_after_s(away(), away(), away(), within_s=30) == pytest.approx(3)
    (line,) = caplog.messages
    assert line == "cannot reach LiveKit at http://lk.test; trying for 30 s"


async def test_a_server_that_does_not_come_is_told_when_it_was_waited_for_long_enough() -> None:
    clock = asyncio.get_running_loop().time
    began_at = clock()
    with pytest.raises(UnreachableError):
        await came_after_s(*(away() for _ in range(99)), within_s=30)
    assert clock() - began_at == pytest.approx(30)


@pytest.mark.parametrize("error", [CredentialsError("the key is wrong"), away()])
async def test_what_waiting_does_not_mend_is_told_at_once(error: LibaError) -> None:
    with pytest.raises(type(error)):
        await came_after_s(error, within_s=0 if isinstance(error, UnreachableError) else 30)
