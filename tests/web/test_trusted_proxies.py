from __future__ import annotations

from typing import Any

import pytest
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from libacli.config import Settings
from libacli.errors import ConfigError
from libacli.web.trusted_proxies import trusted_proxies

PUBLIC = "https://speak.example.org"


def settings(*entries: str, public: str = "") -> Settings:
    return Settings(serve_trusted_proxies=entries, serve_public_url=public)


@pytest.mark.parametrize(
    ("given", "trusted", "others"),
    [
        (settings(), (), ("127.0.0.1", "::1", "10.0.0.1", "")),
        (settings(public=PUBLIC), ("127.0.0.1", "127.0.0.2", "::1", "::ffff:127.0.0.1"), ("10.0.0.1", "::2")),
        (settings("10.0.3.7", public=PUBLIC), ("10.0.3.7", "::ffff:10.0.3.7"), ("127.0.0.1", "10.0.3.8")),
        (settings("10.1.0.9/16"), ("10.1.255.255",), ("10.2.0.0", "proxy.example.org", "")),
        (settings("fd00::/8", "2001:db8::1"), ("fd12::1", "2001:db8::1"), ("2001:db8::2", "::1")),
    ],
    ids=["none", "this machine", "one", "a network", "IPv6"],
)
def test_these_are_believed_and_no_others(
    given: Settings, trusted: tuple[str, ...], others: tuple[str, ...]
) -> None:
    proxies = trusted_proxies(given)
    assert [host in proxies for host in (*trusted, *others)] == [True] * len(trusted) + [False] * len(others)


@pytest.mark.parametrize("entry", ["*", "proxy", "10.0.0.0/33", "10.0.0", "0.0.0.0/0", "::/0", "10.0.0.1:80"])
def test_what_names_no_proxies_is_told_in_one_line(entry: str) -> None:
    with pytest.raises(ConfigError, match=r"serve\.trusted_proxies: ") as caught:
        trusted_proxies(settings(entry))
    assert "\n" not in str(caught.value)
    assert "10.0.0.0/16" in caught.value.hint


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "198.51.100.1, 203.0.113.9", "203.0.113.9"),  # what the client says itself counts not
        ("10.0.0.1", "198.51.100.1, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("::ffff:10.0.0.1", "203.0.113.9, ::ffff:10.0.0.2", "203.0.113.9"),
        ("10.0.0.1", "2001:db8::7", "2001:db8::7"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("192.0.2.5", "203.0.113.9", "192.0.2.5"),  # no proxy of ours
        ("192.0.2.5", "10.0.0.1", "192.0.2.5"),
    ],
)
async def test_the_client_is_the_first_from_the_right_that_is_no_proxy(
    peer: str, forwarded: str, client: str
) -> None:
    seen: list[tuple[str, str]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append((scope["client"][0], scope["scheme"]))

    believing: Any = ProxyHeadersMiddleware(app, trusted_proxies(settings("10.0.0.0/8")).as_words())
    headers = [(b"x-forwarded-for", forwarded.encode())] if forwarded else []
    headers.append((b"x-forwarded-proto", b"https"))
    scope = {"type": "http", "scheme": "http", "client": (peer, 50000), "headers": headers}
    await believing(scope, None, None)
    assert seen == [(client, "http" if peer == "192.0.2.5" else "https")]
