"""What an environment can hold never ends in "unexpected": it works, or one line names what is at fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Shell
from tests.cli.test_canaries import COMMANDS, IN_A_PROCESS, RUNS
from tests.twirp_server import API_KEY, API_SECRET

PROXIES = (
    "socks://127.0.0.1:9",
    "socks5://127.0.0.1:9",
    "socks4://127.0.0.1:9",
    "ftp://proxy.test",
    "http://",
    "http://[::1",
    "http://proxy.test:none",
    "nonsense",
    " http://proxy.test:1",
    "//",
)
ODD: dict[str, dict[str, str]] = {
    **{
        f"proxy {value}": {"HTTP_PROXY": value, "HTTPS_PROXY": value, "ALL_PROXY": value} for value in PROXIES
    },
    "no proxy": {"NO_PROXY": "[::1,*,,http://x", "HTTP_PROXY": "http://127.0.0.1:9"},
    "certificates gone": {"SSL_CERT_FILE": "/nowhere/ca.pem"},
    "certificates none": {"SSL_CERT_FILE": "/etc/passwd"},
    "certificates a folder": {"SSL_CERT_FILE": "/"},
    "certificate folder": {"SSL_CERT_DIR": "/nowhere", "REQUESTS_CA_BUNDLE": "/nowhere"},
    "locale": {"LC_ALL": "xx_YY.nonsense", "LANG": "", "PYTHONIOENCODING": "ascii"},
    "terminal": {"TERM": "", "COLUMNS": "nonsense", "LINES": "-1", "NO_COLOR": "", "FORCE_COLOR": "x"},
    "narrow terminal": {"TERM": "dumb", "COLUMNS": "0"},
    "time zone": {"TZ": "Nowhere/None"},
    "home": {"HOME": "", "XDG_STATE_HOME": "", "XDG_CONFIG_HOME": "relative", "XDG_CACHE_HOME": ""},
    "services": {
        "LIBA_SERVICE_HOST": "10.0.0.1",
        "LIBA_PORT": "tcp://10.0.0.1:1",
        "LIBA_SERVE_PORT": "tcp://10.0.0.1:1",
    },
    "address of http": {"LIVEKIT_URL": "http://lk.test"},
    "address with a path": {"LIVEKIT_URL": "wss://lk.test/some/where?a=b#c"},
    "address without a host": {"LIVEKIT_URL": "ws://"},
    "address with spaces": {"LIVEKIT_URL": " wss://lk.test "},
    "address with a bad port": {"LIVEKIT_URL": "ws://lk.test:99999999"},
    "newlines": {"LIVEKIT_API_SECRET": f"{API_SECRET}\r\n", "LIVEKIT_API_KEY": f"{API_KEY}\n"},
    "tracing": {"OTEL_EXPORTER_OTLP_ENDPOINT": "nonsense", "TRACEPARENT": "nonsense"},
    "path": {"PATH": ""},
}
LONG_OR_LOCAL = IN_A_PROCESS | {
    "server install",
    "server run",
    "avatar run",
    "probe",
    "voices try",
    "cache warm",
}
QUICK = sorted(set(COMMANDS) - LONG_OR_LOCAL)


@pytest.fixture
def shell(bare_shell: Shell, tmp_path: Path) -> Shell:
    """Nobody is there: names that end in `.test` are nobody's (RFC 6761)."""
    bare_shell.env |= {
        "LIVEKIT_URL": "wss://lk.test",
        "LIVEKIT_API_KEY": API_KEY,
        "LIVEKIT_API_SECRET": API_SECRET,
        "LIBA_VOICE_PROVIDERS": "speech",
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    return bare_shell


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("name", QUICK)
def test_an_odd_environment_is_told_or_does_no_harm(shell: Shell, name: str, odd: str) -> None:
    fine, _ = RUNS[name]
    ended = shell.run(*name.split(), *fine, env=ODD[odd])  # raises what nobody expected
    assert "unexpected" not in ended.stderr
    assert "Traceback" not in ended.stderr
    if ended.code:
        assert ended.stderr.strip() or ended.stdout.strip()
