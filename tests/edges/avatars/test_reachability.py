"""F5: an address that looks private from here is looked at again, and what tells nothing forbids nothing."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from libacli.config import LiveKitCredentials
from libacli.edges.avatars.policy import AvatarPolicy
from libacli.edges.avatars.reachability import reach_of
from tests.edges.avatars.stage import staged
from tests.virtual_time import VirtualLoop

pytestmark = pytest.mark.anyio

TAVUS = "https://tavusapi.com"
AGAIN = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
NO_HOST = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
SILENT = None


class Resolving(VirtualLoop):
    """Resolves names as a test says: each answer once, the last one for ever; numbers are what they are."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[list[str] | OSError | None] = [["8.8.8.8"]]

    async def getaddrinfo(self, host: Any, port: Any, **_: Any) -> list[Any]:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is SILENT:
            await asyncio.sleep(3600)
        if isinstance(answer, OSError):
            raise answer
        return [(socket.AF_INET, 0, 0, "", (address, 0)) for address in answer or []]


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"loop_factory": Resolving}


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


def resolver(*answers: list[str] | OSError | None) -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, Resolving)
    loop.answers = list(answers)


def livekit(host: str = "lk.example.org") -> LiveKitCredentials:
    return LiveKitCredentials(f"wss://{host}", "key", SecretStr("secret-of-32-characters-or-more-0"))


@pytest.mark.parametrize(
    ("answer", "reach"),
    [
        (["8.8.8.8"], "public"),
        (["2001:4860:4860::8888"], "public"),
        (["10.0.0.5"], "private"),
        (["127.0.1.1"], "private"),
        (["192.168.1.2", "fd00::1"], "private"),
        (["fe80::1"], "private"),
        (["fd00::1", "8.8.8.8"], "public"),
        (["198.18.0.5"], "unknown"),
        (["198.19.255.255"], "unknown"),
        (["100.64.3.4"], "unknown"),
        (["10.0.0.5", "100.100.1.1"], "unknown"),
        (AGAIN, "unknown"),
        (SILENT, "unknown"),
        (OSError("no resolver"), "unknown"),
        (NO_HOST, "private"),
    ],
)
async def test_an_address_tells_what_it_tells(answer: list[str] | OSError | None, reach: str) -> None:
    resolver(answer)
    assert await reach_of("wss://lk.example.org") == reach


async def test_behind_a_proxy_names_are_resolved_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    resolver(NO_HOST)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    assert await reach_of("wss://lk.example.org") == "unknown"


@pytest.mark.parametrize("answer", [["198.18.0.5"], ["10.9.8.7"], NO_HOST, SILENT])
async def test_livekit_cloud_is_public_however_one_gets_there(answer: list[str] | OSError | None) -> None:
    resolver(answer)
    assert await reach_of("wss://x.livekit.cloud") == "public"


@pytest.mark.parametrize(
    ("host", "answers"),
    [
        ("x.livekit.cloud", [["198.18.0.5"]]),
        ("lk.example.org", [["198.18.0.5"]]),
        ("lk.example.org", [["100.101.102.103"]]),
        ("lk.example.org", [AGAIN, ["8.8.8.8"]]),
        ("lk.example.org", [SILENT]),
    ],
)
async def test_dns_hiccup_an_avatar_is_asked_for_wherever_it_may_come(
    tmp_path: Path, host: str, answers: list[list[str] | OSError | None]
) -> None:
    resolver(*answers)
    async with staged(tmp_path, base_url=TAVUS, credentials=livekit(host)) as stage:
        await asyncio.sleep(10)
        assert len(stage.service.invitations) == 1
        assert stage.service.invitations[0].room_url == f"wss://{host}"
        assert stage.sink.state == "ready"


@pytest.mark.parametrize("first", [["10.0.0.5"], NO_HOST])
async def test_f5_what_was_private_is_looked_at_again_and_told_once(
    tmp_path: Path, first: list[str] | OSError, caplog: pytest.LogCaptureFixture
) -> None:
    resolver(first, first, first, ["8.8.8.8"])
    async with staged(tmp_path, base_url=TAVUS, credentials=livekit()) as stage:
        await asyncio.sleep(13)
        assert (stage.sink.state, stage.service.invitations) == ("livekit not public", [])
        await asyncio.sleep(7)
        assert stage.sink.state == "ready"
    told = [record.message for record in caplog.records if "avatar.check_public" in record.message]
    assert len(told) == 1


@pytest.mark.parametrize("address", ["127.0.1.1", "10.0.0.5", "fd00::1"])
async def test_own_name_127_who_knows_better_has_it_not_looked_at(tmp_path: Path, address: str) -> None:
    resolver([address])
    policy = AvatarPolicy(check_public=False)
    async with staged(tmp_path, base_url=TAVUS, credentials=livekit(), policy=policy) as stage:
        await asyncio.sleep(10)
        assert stage.sink.state == "ready"


async def test_a_private_livekit_costs_a_look_a_minute_and_no_conversation(tmp_path: Path) -> None:
    resolver(["10.0.0.5"])
    async with staged(tmp_path, base_url=TAVUS, credentials=livekit()) as stage:
        await asyncio.sleep(7200)
        assert (stage.sink.state, stage.service.invitations) == ("livekit not public", [])
