from __future__ import annotations

import platform
import threading
from collections.abc import Iterator
from pathlib import Path

import platformdirs
import pytest

from libacli.local.server_binary import ServerBinary, ensure_server
from tests.local.peers import ReleasePeer


@pytest.fixture(scope="session")
def real_server() -> ServerBinary:
    """A livekit-server that runs; the first time on a machine this builds it, which takes two minutes."""
    return ensure_server(None, platformdirs.user_cache_path("liba"))


@pytest.fixture
def releases(tmp_path: Path) -> Iterator[ReleasePeer]:
    if platform.system() != "Linux":
        pytest.skip("official releases exist for Linux only")
    with ReleasePeer(tmp_path / "releases") as peer:
        thread = threading.Thread(target=peer.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield peer
        peer.shutdown()
        thread.join()
