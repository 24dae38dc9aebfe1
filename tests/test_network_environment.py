from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.edges.by_proxy import blocking_transport_to, transport_to
from libacli.errors import ConfigError
from libacli.network_environment import certified, proxy_for, proxy_hint, proxy_variable, spell_out
from tests.web.test_certificate import issue

NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")
LIVEKIT = "wss://lk.test"


@pytest.fixture(autouse=True)
def nothing_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("http://proxy.test:3128", "http://proxy.test:3128"),
        ("HTTP://Proxy.test:3128/", "http://proxy.test:3128"),
        ("proxy.test:3128", "http://proxy.test:3128"),
        ("proxy", "http://proxy:80"),
        (" http://proxy.test:1\n", "http://proxy.test:1"),
        ("https://u:p@proxy.test", "https://u:p@proxy.test:443"),
        ("u@proxy.test:1", "http://u:@proxy.test:1"),
        ("http://u:p%40ss%2F@proxy.test:1", "http://u:p%40ss%2F@proxy.test:1"),
        ("http://u:a!b$c@proxy.test:1", "http://u:a!b$c@proxy.test:1"),
        ("http://[::1]:3128", "http://[::1]:3128"),
        ("socks://p", "socks5h://p:1080"),
        ("socks5://[::1]:1081", "socks5h://[::1]:1081"),
        ("SOCKS5H://p:1", "socks5h://p:1"),
    ],
)
def test_socks_env_a_proxy_is_taken_as_people_spell_it(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, url: str
) -> None:
    monkeypatch.setenv(name, value)
    proxy = proxy_for(LIVEKIT)
    assert proxy
    assert (proxy.variable, proxy.url) == (name, url)
    assert "p%40ss" not in repr(proxy)


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
@pytest.mark.parametrize(
    "value",
    [
        "ftp://canary:1",
        "socks4://canary:1",
        "socks4a://canary:1",
        "http://[::canary",
        "http://",
        "//",
        "http://canary:none",
        "http://canary:0",
        "http://canary:99999",
        "canary :1",
        '"http://canary:1"',
    ],
)
def test_one_that_cannot_be_is_told_by_its_variable_and_not_by_its_value(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=name) as raised:
        proxy_for(LIVEKIT)
    assert "canary" not in f"{raised.value}"


@pytest.mark.parametrize("value", ["", " ", "\n"])
def test_an_empty_one_is_none(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", value)
    assert proxy_for(LIVEKIT) is None


def test_the_word_of_desktops_for_socks_is_spelled_out() -> None:
    environment = {"ALL_PROXY": "socks://127.0.0.1:1080", "no_proxy": "socks://x", "http_proxy": "http://p:1"}
    spell_out(environment)
    assert environment == {
        "ALL_PROXY": "socks5h://127.0.0.1:1080",
        "no_proxy": "socks://x",
        "http_proxy": "http://p:1",
    }


@pytest.mark.parametrize("login", ["u:p", "u:a!b$c&d'e(f)g*h+i,j-k.l_m~n"])
def test_a_login_without_what_is_encoded_reads_the_same_for_everybody(
    monkeypatch: pytest.MonkeyPatch, login: str
) -> None:
    for name, spelled, is_plain in (("HTTPS_PROXY", login, True), ("HTTP_PROXY", f"{login}%3A", False)):
        monkeypatch.setenv(name, f"http://{spelled}@p:1")
        proxy = proxy_for({"HTTPS_PROXY": "https://x", "HTTP_PROXY": "http://x"}[name])
        assert proxy and proxy.has_plain_login is is_plain


@pytest.mark.parametrize(
    ("variables", "url", "found"),
    [
        ({"HTTPS_PROXY": "http://p:1"}, "wss://lk.test", "HTTPS_PROXY"),
        ({"https_proxy": "http://p:1", "HTTPS_PROXY": "http://q:1"}, "wss://lk.test", "https_proxy"),
        ({"https_proxy": "http://p:1", "ALL_PROXY": "http://q:1"}, "https://lk.test", "https_proxy"),
        ({"https_proxy": "", "ALL_PROXY": "http://q:1"}, "https://lk.test", "ALL_PROXY"),
        ({"ALL_PROXY": "socks5://p:1"}, "ws://lk.test:7880", "ALL_PROXY"),
        ({"HTTPS_PROXY": "http://p:1"}, "ws://lk.test", ""),
        ({"HTTP_PROXY": "http://p:1"}, "ws://lk.test", "HTTP_PROXY"),
        ({"ALL_PROXY": "http://p:1"}, "ws://127.0.0.1:7880", ""),
        ({"ALL_PROXY": "http://p:1"}, "ws://localhost:7880", ""),
        ({"ALL_PROXY": "http://p:1"}, "ws://[::1]:7880", ""),
        ({"ALL_PROXY": "http://p:1"}, "ws://[::1", ""),
        ({}, "wss://lk.test", ""),
    ],
    ids=str,
)
def test_the_variable_is_known_whose_proxy_is_on_the_way(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], url: str, found: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert proxy_variable(url) == found
    assert found in proxy_hint(url)


@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
@pytest.mark.parametrize(
    ("listed", "url", "is_excepted"),
    [
        ("lk.test", "wss://lk.test", True),
        ("LK.TEST", "wss://lk.test", True),
        ("lk.test", "wss://LK.test.", True),
        ("other.test,lk.test", "wss://lk.test", True),
        ("other.test, lk.test ", "wss://lk.test", True),
        ("other.test lk.test", "wss://lk.test", True),
        (",,lk.test,", "wss://lk.test", True),
        ("test", "wss://lk.test", True),
        (".test", "wss://lk.test", True),
        ("*.test", "wss://lk.test", True),
        ("*.lk.test", "wss://lk.test", True),
        (".lk.test", "wss://a.b.lk.test", True),
        ("k.test", "wss://lk.test", False),
        ("lk.test", "wss://lk.test.example", False),
        ("*", "wss://lk.test", True),
        ("x, * ", "wss://lk.test", True),
        ("lk.test:443", "wss://lk.test", True),
        ("lk.test:7880", "wss://lk.test:7880", True),
        ("lk.test:7880", "wss://lk.test", False),
        ("lk.test:80", "ws://lk.test", True),
        ("https://lk.test", "wss://lk.test", True),
        ("10.1.2.3", "ws://10.1.2.3:7880", True),
        ("10.1.2.3:7880", "ws://10.1.2.3:7880", True),
        ("10.1.2.3:1", "ws://10.1.2.3:7880", False),
        ("10.0.0.0/8", "ws://10.1.2.3:7880", True),
        ("10.9.9.9/8", "ws://10.1.2.3:7880", True),
        ("10.0.0.0/16", "ws://10.1.2.3:7880", False),
        ("1.2.3", "ws://10.1.2.3:7880", False),
        ("10.0.0.0/8", "wss://lk.test", False),
        ("fd00::1", "ws://[fd00::1]:7880", True),
        ("[fd00::1]", "ws://[fd00:0::1]:7880", True),
        ("[fd00::1]:7880", "ws://[fd00::1]:7880", True),
        ("[fd00::1]:1", "ws://[fd00::1]:7880", False),
        ("fd00::/8", "ws://[fd12::1]:7880", True),
        ("10.0.0.0/8", "ws://[fd00::1]:7880", False),
        ("[::1,*x,.,10.0.0.0/99,http://", "wss://lk.test", False),
        ("", "wss://lk.test", False),
    ],
)
def test_no_proxy_is_read_as_people_write_it(
    monkeypatch: pytest.MonkeyPatch, name: str, listed: str, url: str, is_excepted: bool
) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://proxy.test:1")
    monkeypatch.setenv(name, listed)
    assert (proxy_for(url) is None) is is_excepted


@given(st.text(), st.text(), st.text())
def test_whatever_is_in_these_variables_it_is_used_or_told_by_a_name(
    proxy: str, listed: str, host: str
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("ALL_PROXY", proxy), ("NO_PROXY", listed)):
            patch.setenv(name, value.replace("\0", "").encode(errors="ignore").decode())
        try:
            found = proxy_for(f"wss://{host}")
        except ConfigError as error:
            assert str(error).startswith("ALL_PROXY ")
        else:
            assert found is None or found.url


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"SSL_CERT_FILE": "{}/nowhere"}, "SSL_CERT_FILE names a file that cannot be used: No such file"),
        ({"SSL_CERT_FILE": "{}"}, "SSL_CERT_FILE names a file that cannot be used: Is a directory"),
        ({"SSL_CERT_FILE": "{}/no.pem"}, "SSL_CERT_FILE names a file that cannot be used: it holds no"),
        ({"SSL_CERT_DIR": "{}/nowhere"}, "SSL_CERT_DIR names a folder that cannot be used: there is none"),
        ({"SSL_CERT_DIR": "{}/no.pem"}, "SSL_CERT_DIR names a folder that cannot be used: there is none"),
    ],
    ids=str,
)
def test_certificates_that_cannot_be_used_are_told_by_their_variable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variables: dict[str, str], told: str
) -> None:
    (tmp_path / "no.pem").write_text("no certificate")
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(tmp_path))
    with pytest.raises(ConfigError, match=told):
        transport_to("https://there.test")


@pytest.mark.parametrize(
    "variables",
    [{"SSL_CERT_DIR": "/nowhere:{}"}, {"SSL_CERT_FILE": ""}, {"REQUESTS_CA_BUNDLE": "/nowhere"}, {}],
    ids=str,
)
def test_what_does_no_harm_is_let_be(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variables: dict[str, str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(tmp_path))
    assert transport_to("https://there.test")


def test_certificates_are_read_once_for_all_clients_that_trust_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    issue(tmp_path, "authority")
    authority = tmp_path / "tls.pem"
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    assert transport_to("https://there.test")
    authority.write_text("no certificate any more")
    assert blocking_transport_to("wss://elsewhere.test")
    monkeypatch.delenv("SSL_CERT_FILE")
    assert transport_to("https://there.test")


def test_what_else_fails_while_a_client_is_made_is_not_the_environments() -> None:
    with pytest.raises(OSError, match="disk"), certified():
        raise OSError("disk")
