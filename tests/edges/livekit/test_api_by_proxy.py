from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from libacli.config import LiveKitCredentials
from libacli.edges.livekit.api import LiveKitApi
from libacli.errors import UnreachableError
from libacli.network_environment import spell_out
from tests.socks_proxy import socks_proxy
from tests.twirp_server import TwirpServer, people


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def elsewhere(server: TwirpServer) -> LiveKitCredentials:
    there = server.credentials
    return LiveKitCredentials("ws://lk.test:7880", there.api_key, there.api_secret)


@pytest.mark.parametrize("scheme", ["socks", "socks5", "socks5h"])
async def test_livekit_is_reached_by_a_socks_proxy_that_looks_its_name_up(
    monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    with TwirpServer() as server:
        server.play("ListParticipants", people())
        async with socks_proxy(leads_to=urlsplit(server.url).port or 0) as proxy:
            environment = {"ALL_PROXY": f"{scheme}://127.0.0.1:{proxy.port}"}
            spell_out(environment)
            monkeypatch.setenv("ALL_PROXY", environment["ALL_PROXY"])
            async with LiveKitApi(elsewhere(server)) as api:
                assert await api.participants("demo") == []
    assert proxy.asked == [("lk.test", 7880)]


async def test_a_proxy_that_is_not_there_is_named_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with TwirpServer() as server:
        async with LiveKitApi(elsewhere(server)) as api:
            with pytest.raises(UnreachableError, match="through the proxy of HTTP_PROXY"):
                await api.participants("demo")


async def test_this_machine_is_reached_without_a_proxy_whatever_the_environment_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ALL_PROXY", "nonsense://")
    with TwirpServer() as server:
        server.play("ListParticipants", people())
        async with LiveKitApi(server.credentials) as api:
            assert await api.participants("demo") == []
