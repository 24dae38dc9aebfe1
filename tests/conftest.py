from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from tests.virtual_time import BACKEND

if TYPE_CHECKING:
    from playwright.async_api import Browser

# How long an example takes says more of what else the machine does than of the code.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]] | str:
    """Unit tests own their time; modules that talk to real sockets override this with "asyncio"."""
    return BACKEND


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    """For a module whose `anyio_backend` is "asyncio" and lasts as long."""
    from tests.browser import chromium  # most tests need no browser

    async with chromium() as browser:
        yield browser
