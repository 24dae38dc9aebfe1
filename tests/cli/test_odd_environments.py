"""What an environment can hold never ends in "unexpected": it works, or one line names what is at fault."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

import pytest

from tests.cli.test_canaries import IN_A_PROCESS, RUNS
from tests.cli.warm_shell import ODDITIES, Ran, Run, WarmShell
from tests.twirp_server import API_KEY, API_SECRET

pytestmark = pytest.mark.live

PROXY = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
EVERY_PAIR = os.environ.get("HYPOTHESIS_PROFILE") == "search"
"""Whether each environment is met by each command, and not by one of each kind."""

BRIEF = sorted(set(RUNS) - IN_A_PROCESS)
GOES_OUT = ("say", "stop", "queue")
"""They ask LiveKit first of all: what keeps from it, they are ended by."""

ASKS = (GOES_OUT, ("token", "probe", "record"), ("doctor",), ("serve",), ("voices try",), ("config show",))
"""What a wrong setting ends at once; other commands do without, and are tried with all that does no harm."""

KINDS = (
    (*GOES_OUT, "next", "queue cancel", "queue move", "queue pause", "queue resume"),
    ("probe", "record", "sessions", "play", "token"),
    ("doctor", "voices try", "cache warm", "avatar create-pal", "avatar run"),
    ("server install", "server run", "avatar reap", "reap"),
    ("ps", "logs", "down", "serve"),
    ("metrics watch", "metrics summary", "metrics export", "metrics dashboard", "metrics alerts"),
    ("deploy dockerfile", "deploy compose", "deploy k8s", "deploy systemd", "deploy livekit-cloud"),
    ("config init", "config show", "config path", "config trust", "cache show", "cache clear"),
)
"""Commands that take one way: to the agent, into a room, to a voice or an avatar, to programs and accounts,
among processes and ports, over measurements, to what is printed, over a user's files."""


@dataclass(frozen=True)
class Odd:
    """An environment; what `told` names, the commands that go out end with 3 for."""

    variables: dict[str, str] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    oddity: str = ""
    told: str = ""
    at_start: bool = False
    """Python itself heeds it, when it starts."""


def proxy(value: str, told: str = "") -> Odd:
    return Odd(dict.fromkeys(PROXY, value), told=told)


def setting(name: str, value: str, told: str = "") -> Odd:
    return Odd({name: value}, told=told)


def python(**variables: str) -> Odd:
    return Odd(variables, at_start=True)


NETWORK: dict[str, Odd] = {
    "proxy of SOCKS as desktops spell it": proxy("socks://127.0.0.1:9"),
    "proxy of SOCKS": proxy("socks5://127.0.0.1:9"),
    "proxy of SOCKS with names": proxy("socks5h://ann:pw@127.0.0.1:9/"),
    "proxy of SOCKS 4": proxy("socks4://127.0.0.1:9", told="HTTPS_PROXY"),
    "proxy of SOCKS 4a": proxy("socks4a://127.0.0.1:9", told="HTTPS_PROXY"),
    "proxy with a login": proxy("http://ann:p%40ss@127.0.0.1:9"),
    "proxy without a scheme": proxy("127.0.0.1:9"),
    "proxy by IPv6": proxy("http://[::1]:9/"),
    "proxy in small letters": Odd({name.lower(): "http://127.0.0.1:9" for name in PROXY}),
    "proxy of FTP": proxy("ftp://proxy.test", told="HTTPS_PROXY"),
    "proxy without a host": proxy("http://", told="HTTPS_PROXY"),
    "proxy half by IPv6": proxy("http://[::1", told="HTTPS_PROXY"),
    "proxy without a port": proxy("http://proxy.test:none", told="HTTPS_PROXY"),
    "proxy of nonsense": proxy("nonsense"),
    "proxy with spaces": proxy(" http://127.0.0.1:9 "),
    "proxy in quotes": proxy('"http://127.0.0.1:9"', told="HTTPS_PROXY"),
    "proxy of two slashes": proxy("//", told="HTTPS_PROXY"),
    "proxy that is empty": proxy(""),
    "proxy of bytes": proxy("http://\udcff\udcfe:1"),
    "no proxy, odd": Odd({"NO_PROXY": "[::1,*x,,http://x,10.0.0.0/99", "HTTP_PROXY": "http://127.0.0.1:9"}),
    "no proxy for all": Odd({"NO_PROXY": " * ", "HTTPS_PROXY": "nonsense://"}),
    "no proxy for LiveKit": Odd({"no_proxy": "*.test", "ALL_PROXY": "socks4://127.0.0.1:9"}),
    "certificates gone": setting("SSL_CERT_FILE", "/nowhere/ca.pem", told="SSL_CERT_FILE"),
    "certificates none": setting("SSL_CERT_FILE", "/etc/passwd", told="SSL_CERT_FILE"),
    "certificates a folder": setting("SSL_CERT_FILE", "/", told="SSL_CERT_FILE"),
    "certificates empty": Odd({"SSL_CERT_FILE": "", "SSL_CERT_DIR": ""}),
    "certificate folder gone": setting("SSL_CERT_DIR", "/nowhere", told="SSL_CERT_DIR"),
    "certificate folder a file": setting("SSL_CERT_DIR", "/etc/passwd", told="SSL_CERT_DIR"),
    "certificates of requests": Odd({"REQUESTS_CA_BUNDLE": "/nowhere", "CURL_CA_BUNDLE": "/nowhere"}),
    "keys of TLS": setting("SSLKEYLOGFILE", "/nowhere/keys"),
}
PYTHON: dict[str, Odd] = {
    "locale C": python(LANG="C", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0"),
    "locale POSIX": python(LANG="POSIX", PYTHONIOENCODING="ascii"),
    "locale Turkish": python(LC_ALL="tr_TR.UTF-8", PYTHONIOENCODING="latin-1", PYTHONOPTIMIZE="2"),
    "locale that is none": python(LC_ALL="xx_YY.nonsense", LANG="", PYTHONUTF8="1"),
    "python that warns": python(PYTHONWARNINGS="error", PYTHONDONTWRITEBYTECODE="1", PYTHONSAFEPATH="1"),
    "python unbuffered": python(PYTHONUNBUFFERED="1", PYTHONDEVMODE="0", PYTHONNOUSERSITE="1", LANG=""),
}
TERMINALS: dict[str, Odd] = {
    "terminal dumb": Odd({"TERM": "dumb", "COLUMNS": "0"}),
    "terminal unset": Odd(without=("TERM",)),
    "terminal empty": Odd({"TERM": "", "COLUMNS": "nonsense", "LINES": "-1"}),
    "terminal unknown": setting("TERM", "of-nobody-256color"),
    "terminal of one column": Odd({"COLUMNS": "1", "LINES": "1"}),
    "terminal of minus a column": setting("COLUMNS", "-1"),
    "terminal of many columns": setting("COLUMNS", "99999999"),
    "colours none": Odd({"NO_COLOR": "1", "CLICOLOR": "0"}),
    "colours wanted": Odd({"FORCE_COLOR": "x", "CLICOLOR_FORCE": "1", "COLORTERM": "nonsense"}),
    "colours contradict": Odd({"NO_COLOR": "1", "FORCE_COLOR": "1", "PY_COLORS": "1", "TTY_COMPATIBLE": "1"}),
    "CI": Odd({"CI": "true", "GITHUB_ACTIONS": "true", "TTY_INTERACTIVE": "0"}),
    "editor": Odd({"EDITOR": "/nowhere", "PAGER": "/nowhere", "BROWSER": "/nowhere", "DISPLAY": "nonsense"}),
}
PROCESSES: dict[str, Odd] = {name: Odd(oddity=name) for name in ODDITIES if name}
MACHINES: dict[str, Odd] = {
    "time zone": setting("TZ", "Nowhere/None"),
    "time zone of a file": setting("TZ", ":/etc/passwd"),
    "time zone empty": setting("TZ", ""),
    "home unset": Odd(without=("HOME",)),
    "home empty": Odd({"HOME": "", "XDG_STATE_HOME": "", "XDG_CONFIG_HOME": "", "XDG_CACHE_HOME": ""}),
    "home a file": Odd(
        {"HOME": "/etc/passwd"}, without=("XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")
    ),
    "home below a file": Odd(
        {"HOME": "/etc/passwd/x"}, without=("XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")
    ),
    "home relative": Odd({"HOME": "here"}, without=("XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")),
    "state a file": setting("XDG_STATE_HOME", "/etc/passwd"),
    "state that cannot be": setting("XDG_STATE_HOME", "/proc/nowhere"),
    "cache a file": setting("XDG_CACHE_HOME", "/etc/passwd"),
    "configuration a file": setting("XDG_CONFIG_HOME", "/etc/passwd"),
    "folders relative": Odd({f"XDG_{name}_HOME": "relative" for name in ("STATE", "CACHE", "CONFIG")}),
    "run folder gone": setting("XDG_RUNTIME_DIR", "/nowhere"),
    "temporary folder gone": Odd({"TMPDIR": "/nowhere", "TEMP": "/nowhere", "TMP": ""}),
    "temporary folder relative": setting("TMPDIR", "relative"),
    "temporary folder a file": setting("TMPDIR", "/etc/passwd"),
    "path empty": setting("PATH", ""),
    "path unset": Odd(without=("PATH",)),
    "path relative": setting("PATH", ".:bin:"),
    "user unset": Odd(without=("USER", "LOGNAME", "SHELL")),
    "user of nobody": Odd({"USER": "nobody-at-all", "LOGNAME": "\udcff"}),
    "bytes that are no text": Odd({"ODD": "\udcff\udcfe"}),
    "a long variable": setting("ODD", "x" * 100_000),
    "services of Kubernetes": Odd(
        {
            "KUBERNETES_SERVICE_HOST": "10.96.0.1",
            "LIBA_SERVICE_HOST": "10.0.0.1",
            "LIBA_PORT": "tcp://10.0.0.1:1",
            "LIBA_SERVE_PORT": "tcp://10.0.0.1:1",
        }
    ),
}
SETTINGS: dict[str, Odd] = {
    "address of http": setting("LIVEKIT_URL", "http://lk.test"),
    "address of https": setting("LIVEKIT_URL", "HTTPS://lk.test/"),
    "address with a path": setting("LIVEKIT_URL", "wss://lk.test/some/where?a=b#c"),
    "address without a host": setting("LIVEKIT_URL", "ws://"),
    "address without a scheme": setting("LIVEKIT_URL", "lk.test", told="LIVEKIT_URL"),
    "address without a scheme, with a port": setting("LIVEKIT_URL", "lk.test:7880", told="LIVEKIT_URL"),
    "address of another scheme": setting("LIVEKIT_URL", "ftp://lk.test", told="LIVEKIT_URL"),
    "address with spaces": setting("LIVEKIT_URL", " wss://lk.test "),
    "address with a newline": setting("LIVEKIT_URL", "wss://lk.test\r\n"),
    "address in quotes": setting("LIVEKIT_URL", '"wss://lk.test"'),
    "address with a mark at its beginning": setting("LIVEKIT_URL", "\ufeffwss://lk.test"),
    "address with a bad port": setting("LIVEKIT_URL", "ws://lk.test:99999999"),
    "address of letters": setting("LIVEKIT_URL", "wss://bücher.test"),
    "address half by IPv6": setting("LIVEKIT_URL", "ws://[::1"),
    "address empty": setting("LIVEKIT_URL", "", told="LIVEKIT_URL"),
    "secret with newlines": Odd(
        {"LIVEKIT_API_SECRET": f"{API_SECRET}\r\n", "LIVEKIT_API_KEY": f"{API_KEY}\n"}
    ),
    "secret in quotes": setting("LIVEKIT_API_SECRET", f'"{API_SECRET}"'),
    "secret with a mark at its beginning": setting("LIVEKIT_API_SECRET", f"\ufeff{API_SECRET}"),
    "secret with spaces": setting("LIVEKIT_API_SECRET", f"  {API_SECRET}\t"),
    "secret of letters": setting("LIVEKIT_API_SECRET", "geheimnis-äöü-" * 3),
    "secret of bytes": setting("LIVEKIT_API_SECRET", "\udcff" * 32, told="LIVEKIT_API_SECRET"),
    "secret empty": setting("LIVEKIT_API_SECRET", "", told="LIVEKIT_API_SECRET"),
    "key of bytes": setting("LIVEKIT_API_KEY", "\udcff", told="LIVEKIT_API_KEY"),
    "voice key with newlines": setting("OPENAI_API_KEY", "sk-key\nof-two-lines\r\n", told="OPENAI_API_KEY"),
    "voice key of letters": setting("OPENAI_API_KEY", "“sk-kéy”", told="OPENAI_API_KEY"),
    "voice address without a scheme": setting("OPENAI_BASE_URL", "api.test/v1"),
    "voice address of nonsense": setting("OPENAI_BASE_URL", "http://[::1"),
    "voice address with spaces": setting("OPENAI_BASE_URL", " https://api.test/v1\n"),
    "avatar key with newlines": setting("TAVUS_API_KEY", "key\nof-two-lines\r\n", told="TAVUS_API_KEY"),
    "avatar address without a scheme": Odd({"TAVUS_API_KEY": "key", "TAVUS_BASE_URL": "tavus.test"}),
    "a setting that is none": setting("LIBA_NONSENSE", "1", told="LIBA_NONSENSE"),
    "a level that is none": setting("LIBA_LOG_LEVEL", "loud", told="LIBA_LOG_LEVEL"),
    "tracing": Odd({"OTEL_EXPORTER_OTLP_ENDPOINT": "nonsense", "TRACEPARENT": "nonsense"}),
    "tracing by another protocol": Odd(
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}
    ),
}
FAMILIES = (NETWORK, SETTINGS, MACHINES, TERMINALS, PROCESSES, PYTHON)


def _each() -> Iterator[tuple[str, Odd]]:
    """Those that are told, each alone; of the others one of each family at once, which halves the time."""
    for family in FAMILIES:
        yield from ((name, odd) for name, odd in family.items() if odd.told)
    silent = [[(name, odd) for name, odd in family.items() if not odd.told] for family in FAMILIES]
    for row in zip_longest(*silent):
        names, odds = zip(*filter(None, row), strict=True)
        yield (
            ", ".join(names),
            Odd(
                {name: value for odd in odds for name, value in odd.variables.items()},
                tuple(name for odd in odds for name in odd.without),
                "".join(odd.oddity for odd in odds),
                at_start=any(odd.at_start for odd in odds),
            ),
        )


ODD = dict(_each())


def _met_by(name: str) -> list[str]:
    """One command of each kind, and of each kind another one from environment to environment."""
    kinds = ASKS if ODD[name].told else KINDS
    alike = [other for other in ODD if bool(ODD[other].told) == bool(ODD[name].told)]
    at = alike.index(name)
    return [command for kind in kinds for command in (kind if EVERY_PAIR else (kind[at % len(kind)],))]


def test_there_are_a_hundred_of_them() -> None:
    assert sum(map(len, FAMILIES)) > 100


def test_every_command_is_of_one_kind_and_meets_several_of_them() -> None:
    assert sorted(command for kind in KINDS for command in kind) == BRIEF
    met = Counter(command for name in ODD for command in _met_by(name))
    assert min(met[command] for command in BRIEF) >= 3


@pytest.fixture(scope="module")
def warm() -> Iterator[WarmShell]:
    """Started in an ordinary environment."""
    with WarmShell(_ordinary()) as shell:
        yield shell


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Nobody is there: names that end in `.test` are nobody's (RFC 6761); no server is fetched."""
    tmp_path.chmod(0o755)
    (tmp_path / "broken").touch(mode=0o600)
    return _ordinary() | {
        "HOME": str(tmp_path / "home"),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "LIVEKIT_URL": "wss://lk.test",
        "LIVEKIT_API_KEY": API_KEY,
        "LIVEKIT_API_SECRET": API_SECRET,
        "LIBA_SERVER_BINARY": str(tmp_path / "broken"),
        "LIBA_VOICE_PROVIDERS": "speech",
    }


def _ordinary() -> dict[str, str]:
    kept = ("PATH", "PYTHONPATH", "USER", "LOGNAME", "LANG", "TMPDIR")
    return {name: os.environ[name] for name in kept if name in os.environ} | {"TERM": "xterm-256color"}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_environment_is_told_or_does_no_harm_at_every_kind_of_command(
    warm: WarmShell, environment: dict[str, str], tmp_path: Path, name: str
) -> None:
    odd = ODD[name]
    there = {key: value for key, value in (environment | odd.variables).items() if key not in odd.without}
    runs = []
    commands = _met_by(name)
    for command in commands:
        folder = tmp_path / "runs" / command
        folder.mkdir(parents=True)
        runs.append(Run([*command.split(), *RUNS[command][0]], there, str(folder), odd.oddity))
    with WarmShell(there) if odd.at_start else nullcontext(warm) as shell:
        ended = dict(zip(commands, shell.run(runs), strict=True))
    wrong = {command: ran for command, ran in ended.items() if _is_wrong(ran, odd)}
    assert wrong == {}
    for command in {*GOES_OUT} & ended.keys() if odd.told else ():
        ran = ended[command]
        assert (ran.code, odd.told in ran.stderr, ran.stderr.count("\n")) == (3, True, 1), (command, ran)


def _is_wrong(ran: Ran, odd: Odd) -> bool:
    """Whether it is a defect of ours, or a failure that nobody is told of."""
    told = ran.stdout + ran.stderr
    is_silent = bool(ran.code) and not told.strip() and odd.oddity not in ("stderr closed", "all closed")
    return ran.code < 0 or ran.code == 70 or is_silent or "unexpected" in told or "Traceback" in told
