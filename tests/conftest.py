from __future__ import annotations

from typing import Any

import pytest

from tests.virtual_time import BACKEND


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]] | str:
    """Unit tests own their time; modules that talk to real sockets override this with "asyncio"."""
    return BACKEND
