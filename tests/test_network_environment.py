from __future__ import annotations

from pathlib import Path

import pytest

from libacli.errors import ConfigError
from libacli.network_environment import building, check, proxy_variable, spell_out

PROXY_VARIABLES = ("HTTP_PROXY", "https_proxy", "ALL_PROXY")


@pytest.fixture(autouse=True)
def nothing_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)


@pytest.mark.parametrize("name", PROXY_VARIABLES)
@pytest.mark.parametrize(
    "value",
    [
        "http://proxy.test:3128",
        "proxy.test:3128",
        "https://u:p@proxy.test",
        "socks5://[::1]:1080",
        "SOCKS5H://p:1",
        "",
    ],
)
def test_a_proxy_is_taken_as_people_spell_it(name: str, value: str) -> None:
    check({name: value})


@pytest.mark.parametrize("name", PROXY_VARIABLES)
@pytest.mark.parametrize(
    "value",
    [
        "ftp://canary:1",
        "socks4://canary:1",
        "http://[::canary",
        "http://",
        "http://canary:none",
        "canary :1 ",
    ],
)
def test_one_that_cannot_be_is_told_by_its_variable_and_not_by_its_value(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=name) as raised:
        check({name: value})
    assert "canary" not in str(raised.value)


def test_the_word_of_desktops_for_socks_is_spelled_out() -> None:
    environment = {"ALL_PROXY": "socks://127.0.0.1:1080", "no_proxy": "socks://x", "http_proxy": "http://p:1"}
    spell_out(environment)
    assert environment == {
        "ALL_PROXY": "socks5h://127.0.0.1:1080",
        "no_proxy": "socks://x",
        "http_proxy": "http://p:1",
    }


def test_certificates_that_cannot_be_read_are_told_by_their_variable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="SSL_CERT_FILE names a file that cannot be used: No such file"):
        check({"SSL_CERT_FILE": str(tmp_path / "nowhere.pem")})
    (tmp_path / "no.pem").write_text("no certificate")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "no.pem"))
    import ssl

    with pytest.raises(ConfigError, match="it holds no certificates"), building():
        ssl.create_default_context(cafile=str(tmp_path / "no.pem"))


def test_what_else_fails_while_a_client_is_made_is_not_the_environments() -> None:
    with pytest.raises(OSError, match="disk"), building():
        raise OSError("disk")


@pytest.mark.parametrize(
    ("variables", "url", "found"),
    [
        ({"HTTPS_PROXY": "http://p:1"}, "wss://lk.test", "HTTPS_PROXY"),
        ({"https_proxy": "http://p:1", "ALL_PROXY": "http://q:1"}, "https://lk.test", "https_proxy"),
        ({"ALL_PROXY": "socks5://p:1"}, "ws://lk.test:7880", "ALL_PROXY"),
        ({"HTTPS_PROXY": "http://p:1"}, "ws://lk.test", ""),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "other.test,lk.test"}, "wss://lk.test", ""),
        ({"HTTPS_PROXY": "http://p:1", "no_proxy": "*"}, "wss://lk.test", ""),
        ({}, "wss://lk.test", ""),
    ],
)
def test_the_variable_is_known_whose_proxy_is_on_the_way(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], url: str, found: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert proxy_variable(url) == found
