"""Every client heeds the proxy of the environment alike, that of rooms too, or it is told that it cannot."""

from __future__ import annotations

import base64
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from livekit import rtc
from pydantic import SecretStr

from libacli.config import LiveKitCredentials
from libacli.edges.avatars.tavus import Tavus
from libacli.edges.checks import server
from libacli.edges.livekit.api import LiveKitApi
from libacli.edges.livekit.joining import joined
from libacli.edges.voices.openai_client import open_client
from libacli.edges.voices.realtime import RealtimeVoice
from libacli.edges.voices.speech import SpeechApiVoice
from libacli.errors import ConfigError, LibaError, UnreachableError, VoiceRefusedError
from libacli.network_environment import spell_out
from libacli.speech.ports import Style, Voice
from tests.http_proxy import HttpProxy, http_proxy
from tests.socks_proxy import socks_proxy
from tests.twirp_server import TwirpServer, people

THERE = "there.test:7777"
NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
SECRET = SecretStr("secret-of-32-characters-or-more-0")

Call = Callable[[], Awaitable[object]]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def nothing_from_outside(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in (*NAMES, *(name.lower() for name in NAMES)):
        monkeypatch.delenv(name, raising=False)
    yield
    os.unsetenv("HTTP_PROXY")  # as native code sees it: `monkeypatch` knows what Python sees
    os.unsetenv("HTTPS_PROXY")


def livekit(url: str = f"ws://{THERE}") -> LiveKitCredentials:
    return LiveKitCredentials(url, "key", SECRET)


async def _ask_livekit() -> None:
    async with LiveKitApi(livekit()) as api:
        await api.participants("demo")


async def _look_first() -> None:
    await server.first_answer(livekit())


async def _try_the_websocket() -> None:
    await server.welcome(livekit(), "eyJ.room.token")


async def _join() -> None:
    async with joined(rtc.Room(), f"ws://{THERE}", "eyJ.room.token"):
        pass


async def _list_conversations() -> None:
    async with Tavus(SECRET, f"http://{THERE}", timeout_s=2) as tavus:
        await tavus.active()


async def _spoken_by(voice: Voice) -> None:
    try:
        async for _ in voice.synthesize("Hi.", Style()):
            pass
    finally:
        await voice.aclose()


async def _speak() -> None:
    await _spoken_by(SpeechApiVoice(open_client("key", f"http://{THERE}/v1"), model="m", voice="v"))


async def _talk() -> None:
    await _spoken_by(RealtimeVoice(open_client("key", f"http://{THERE}/v1")))


IN_PYTHON: dict[str, Call] = {
    "livekit": _ask_livekit,
    "doctor": _look_first,
    "doctor's websocket": _try_the_websocket,
    "tavus": _list_conversations,
    "speech": _speak,
    "realtime": _talk,
}
CALLS = IN_PYTHON | {"room": _join}

calls = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


@pytest.fixture
async def proxy() -> AsyncIterator[HttpProxy]:
    async with http_proxy() as proxy:
        yield proxy


@calls
@pytest.mark.parametrize(
    ("variable", "spelled", "login"),
    [
        ("HTTP_PROXY", "http://127.0.0.1:{}", None),
        ("http_proxy", "127.0.0.1:{}/", None),
        ("ALL_PROXY", "http://ann:a-secret!@127.0.0.1:{}", "ann:a-secret!"),
    ],
)
async def test_tavus_proxy_each_client_goes_through_the_proxy_however_it_is_spelled(
    proxy: HttpProxy,
    monkeypatch: pytest.MonkeyPatch,
    call: Call,
    variable: str,
    spelled: str,
    login: str | None,
) -> None:
    monkeypatch.setenv(variable, spelled.format(proxy.port))
    try:
        await call()
    except LibaError as error:  # most tell what it answers, which is 502
        assert "a-secret" not in f"{error}{error.hint}"
    assert set(proxy.asked) == {THERE}
    as_sent = f"Basic {base64.b64encode(login.encode()).decode()}" if login else None
    assert set(proxy.logins) == {as_sent}


@calls
@pytest.mark.parametrize("excepted", [".test", "10.0.0.0/8 there.test:7777"])
async def test_no_proxy_each_client_goes_past_the_proxy_for_a_host_that_is_excepted(
    proxy: HttpProxy, monkeypatch: pytest.MonkeyPatch, call: Call, excepted: str
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
    monkeypatch.setenv("NO_PROXY", excepted)
    with pytest.raises(LibaError):  # nobody is called that: RFC 6761
        await call()
    assert proxy.asked == []
    assert os.environ["HTTP_PROXY"]  # for whom it is meant


@pytest.mark.parametrize("call", IN_PYTHON.values(), ids=IN_PYTHON)
async def test_socks_env_each_client_goes_through_a_socks_proxy_that_looks_the_name_up(
    monkeypatch: pytest.MonkeyPatch, call: Call
) -> None:
    with TwirpServer() as there:
        async with socks_proxy(leads_to=urlsplit(there.url).port or 0) as proxy:
            monkeypatch.setenv("ALL_PROXY", f"socks://127.0.0.1:{proxy.port}")
            with suppress(LibaError):  # what answers there may answer to something else
                await call()
    assert set(proxy.asked) == {("there.test", 7777)}


@pytest.mark.parametrize("scheme", ["socks", "socks5", "socks5h"])
async def test_socks_env_livekit_is_reached_by_a_socks_proxy(
    monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    with TwirpServer() as there:
        there.play("ListParticipants", people())
        async with socks_proxy(leads_to=urlsplit(there.url).port or 0) as proxy:
            monkeypatch.setenv("ALL_PROXY", f"{scheme}://127.0.0.1:{proxy.port}")
            spell_out(os.environ)
            credentials = replace(there.credentials, url=f"ws://{THERE}")
            async with LiveKitApi(credentials) as api:
                assert await api.participants("demo") == []
    assert proxy.asked == [("there.test", 7777)]


@pytest.mark.parametrize(
    ("proxy", "told"),
    [
        ("socks5://127.0.0.1:9", "ALL_PROXY is a SOCKS proxy"),
        ("https://127.0.0.1:9", "ALL_PROXY is a proxy that wants TLS itself"),
        ("http://ann:p%40ss@127.0.0.1:9", "the login in ALL_PROXY holds what"),
    ],
)
async def test_socks_env_a_room_that_cannot_be_reached_that_way_is_told_by_the_variable(
    monkeypatch: pytest.MonkeyPatch, proxy: str, told: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(ConfigError, match=told):
        await _join()


async def test_a_login_that_a_realtime_voice_would_send_as_it_is_written_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://ann:p%40ss@127.0.0.1:9")
    with pytest.raises(VoiceRefusedError, match="the login in ALL_PROXY"):
        await _talk()


@calls
@pytest.mark.parametrize("proxy", ["http://127.0.0.1:9", "socks5://127.0.0.1:9"])
async def test_a_proxy_that_is_not_there_is_named_by_its_variable(
    monkeypatch: pytest.MonkeyPatch, call: Call, proxy: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(LibaError) as raised:
        await call()
    assert "ALL_PROXY" in f"{raised.value}{raised.value.hint}"


async def test_this_machine_is_reached_without_a_proxy_whatever_the_environment_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ALL_PROXY", "nonsense://")
    with TwirpServer() as there:
        there.play("ListParticipants", people())
        async with LiveKitApi(there.credentials) as api:
            assert await api.participants("demo") == []
        with pytest.raises(UnreachableError, match="cannot join"):
            async with joined(rtc.Room(), there.url, "eyJ.room.token"):
                pass
