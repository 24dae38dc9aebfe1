"""An outsider: opens connections and says nothing, or little. The page stays for everybody else."""

from __future__ import annotations

import resource
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.cli.conftest import Shell
from tests.cli.conftest import bare_shell as bare_shell
from tests.cli.conftest import server as server
from tests.cli.conftest import shell as shell
from tests.cli.runs.test_serve import ENTRY, Served, serving
from tests.programs import program

pytestmark = pytest.mark.live

HEAD_TIMEOUT_S = 10
MANY = 1000


@pytest.fixture(autouse=True)
def room_for_sockets() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 3 * MANY), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def certificate(tmp_path: Path) -> dict[str, str]:
    """Settings of a server that speaks TLS."""
    key, chain = tmp_path / "key.pem", tmp_path / "chain.pem"
    asked = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=127.0.0.1"
    files = ("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(chain))
    subprocess.run([program("openssl"), *asked.split(), *files], capture_output=True, check=True)
    return {"LIBA_SERVE_TLS_CERT": str(chain), "LIBA_SERVE_TLS_KEY": str(key)}


@contextmanager
def silent(served: Served, count: int, said: bytes = b"") -> Iterator[list[socket.socket]]:
    """So many connections that say this and nothing more."""
    with ExitStack() as stack:
        sockets = []
        for _ in range(count):
            sockets.append(stack.enter_context(socket.create_connection(there(served), timeout=20)))
            with suppress(OSError):
                sockets[-1].sendall(said)
        yield sockets


def there(served: Served) -> tuple[str, int]:
    return "127.0.0.1", urlsplit(served.url).port or 0


def is_open(connection: socket.socket) -> bool:
    connection.settimeout(0)
    try:
        while connection.recv(4096):  # an answer, perhaps, and then the end
            pass
        return False
    except BlockingIOError:
        return True
    except OSError:
        return False


def healthy(served: Served, **options: ssl.SSLContext | bool) -> bool:
    with httpx2.Client(trust_env=False, timeout=10, **options) as client:  # type: ignore[arg-type]
        return client.get(f"{served.url}/healthz").status_code == 200


@pytest.mark.parametrize("said", [b"", b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n", b"\x16\x03\x01"])
def test_a_thousand_silent_connections_leave_the_page_to_others_and_are_closed(
    shell: Shell, said: bytes
) -> None:
    with serving(shell) as served, silent(served, MANY, said) as sockets:
        assert all(healthy(served) for _ in range(5))
        time.sleep(0.5)
        assert sum(map(is_open, sockets)) <= 50
        time.sleep(HEAD_TIMEOUT_S)
        assert sum(map(is_open, sockets)) == 0
        assert healthy(served)
        assert served.end() == 0
    told = served.log.read_text()
    assert len(told.splitlines()) < 10, told


def test_a_thousand_connections_without_a_handshake_leave_a_page_by_tls_to_others(
    shell: Shell, certificate: dict[str, str]
) -> None:
    shell.env |= certificate
    trusting = ssl.create_default_context(cafile=certificate["LIBA_SERVE_TLS_CERT"])
    with serving(shell, LIBA_SERVE_KEYS=ENTRY) as served, silent(served, MANY, b"\x16") as sockets:
        assert served.url.startswith("https://")
        assert all(healthy(served, verify=trusting) for _ in range(5))
        assert sum(map(is_open, sockets)) <= 50
        time.sleep(HEAD_TIMEOUT_S + 1)
        assert sum(map(is_open, sockets)) == 0
        assert healthy(served, verify=trusting)
        assert served.end() == 0
    assert "Traceback" not in served.log.read_text()


def test_requests_by_tls_come_whole_however_early_they_are_sent(
    shell: Shell, certificate: dict[str, str]
) -> None:
    shell.env |= certificate
    trusting = ssl.create_default_context(cafile=certificate["LIBA_SERVE_TLS_CERT"])
    with serving(shell) as served:
        for _ in range(50):
            with trusting.wrap_socket(
                socket.create_connection(there(served), timeout=10), server_hostname="127.0.0.1"
            ) as client:
                client.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
                assert client.recv(64).startswith(b"HTTP/1.1 200")
        with httpx2.Client(base_url=served.url, verify=trusting, trust_env=False) as client:
            assert client.post("/api/say", json={"text": "x" * 3000}).status_code == 202
        assert served.end() == 0


def test_what_does_not_speak_tls_is_told_nothing_and_harms_nobody(
    shell: Shell, certificate: dict[str, str]
) -> None:
    shell.env |= certificate
    trusting = ssl.create_default_context(cafile=certificate["LIBA_SERVE_TLS_CERT"])
    with serving(shell) as served:
        for said in (b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 100, b""):
            with socket.create_connection(there(served), timeout=10) as client:
                client.sendall(said)
                client.shutdown(socket.SHUT_WR)
                with suppress(ConnectionError):
                    assert b"HTTP" not in client.recv(100)
        assert healthy(served, verify=trusting)
        assert served.end() == 0
    assert "Traceback" not in served.log.read_text()


def test_the_end_does_not_wait_for_those_who_say_nothing(shell: Shell, certificate: dict[str, str]) -> None:
    for settings in ({}, certificate):
        shell.env |= settings
        with serving(shell) as served, silent(served, 20):
            time.sleep(0.3)
            began = time.monotonic()
            assert served.end() == 0
            assert time.monotonic() - began < 5
