"""A service of plain avatars as a process: `python -m tests.bench.plain_avatar` prints its address and key.

They give back what they are sent as it comes, so that nothing but the agents makes a difference.
"""

from __future__ import annotations

import asyncio
import json

from tests.faulty_avatar import FaultyAvatar


async def main() -> None:
    """Serves until it is ended from outside."""
    async with FaultyAvatar() as service:
        told = {"TAVUS_BASE_URL": service.base_url, "TAVUS_API_KEY": service.api_key.get_secret_value()}
        print(json.dumps(told), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
