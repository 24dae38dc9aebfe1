"""The Tavus of the cluster's workers: `python -m tests.live.cluster.tavus ADDRESS PORT`.

A conversation runs until it is asked to end, whatever becomes of its room: `Conversations` counts them.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from datetime import datetime

import httpx2

from libacli.edges.avatars.conversation_names import ConversationName
from tests.live.freezing_avatar import FreezingAvatar

KEY = FreezingAvatar().api_key


@dataclass(frozen=True)
class Told:
    """A conversation, as the service tells of it."""

    name: str
    began_at: datetime
    ended_at: datetime | None
    ends: int
    """How often it was asked to end."""

    @property
    def room(self) -> str:
        name = ConversationName.read(self.name)
        assert name, self.name
        return name.room


@dataclass(frozen=True)
class Conversations:
    """What has been begun at the service at `url`, and ended."""

    url: str

    async def all(self) -> list[Told]:
        """Those of ended ones too, oldest first."""
        async with httpx2.AsyncClient(trust_env=False, timeout=10) as client:
            told = (await client.get(f"{self.url}/v2/conversations")).json()["data"]
        return [
            Told(
                one["conversation_name"],
                datetime.fromisoformat(one["created_at"]),
                datetime.fromisoformat(one["updated_at"]) if one["status"] == "ended" else None,
                one["ends"],
            )
            for one in told
        ]

    async def running(self) -> list[Told]:
        return [one for one in await self.all() if one.ended_at is None]

    async def over(self, *, within_s: float) -> None:
        """Waits until none runs."""
        try:
            async with asyncio.timeout(within_s):
                while await self.running():  # noqa: ASYNC110 - it is looked at
                    await asyncio.sleep(0.5)
        except TimeoutError:
            raise AssertionError(f"still running: {await self.running()}") from None

    async def most_at_once(self) -> int:
        told = await self.all()
        return max(
            (sum(_is_between(one.began_at, other) for other in told) for one in told),
            default=0,
        )


def _is_between(at: datetime, told: Told) -> bool:
    return told.began_at <= at and (told.ended_at is None or at < told.ended_at)


async def main(address: str, port: int) -> None:
    async with FreezingAvatar(address=address, port=port).serving():
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
