"""A certificate that is renewed while the server runs."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
import subprocess
from pathlib import Path

import pytest
import uvicorn

from libacli.errors import ConfigError
from libacli.web.bounded_http import bound_connections
from libacli.web.certificate import Certificate
from libacli.web.connection_gate import ConnectionGate


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # real sockets


def issue(folder: Path, name: str) -> None:
    """Puts a new key and certificate of that name into `folder`, one after the other as tools do."""
    wanted = f"req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN={name}"
    files = ["-keyout", str(folder / "new.key"), "-out", str(folder / "new.pem")]
    subprocess.run(["openssl", *wanted.split(), *files], capture_output=True, check=True)
    for kind in ("pem", "key"):
        os.replace(folder / f"new.{kind}", folder / f"tls.{kind}")


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    issue(tmp_path, "first")
    return Certificate(tmp_path / "tls.pem", tmp_path / "tls.key")


async def shown(port: int) -> bytes:
    """The certificate that a server shows."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    found: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.transport.abort()
    return found


async def test_a_renewed_certificate_is_shown_without_a_restart(
    certificate: Certificate, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = uvicorn.Config(lambda *_: None, ws="none", lifespan="off", log_config=None)
    config.load()
    bound_connections(config, ConnectionGate(), certificate)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening, caplog.at_level(logging.INFO, "liba.web"):
        port = listening.getsockname()[1]
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(server.serve(sockets=[listening]))
            assert b"first" in await shown(port)
            await asyncio.to_thread(issue, tmp_path, "second")
            await asyncio.to_thread(certificate.look)
            assert b"second" in await shown(port)
            server.should_exit = True
    assert "the certificate was renewed" in caplog.text


def test_while_only_one_of_both_files_is_new_the_old_ones_are_used(
    certificate: Certificate, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    old, key = certificate.context, (tmp_path / "tls.key").read_bytes()
    issue(tmp_path, "second")
    new_key = (tmp_path / "tls.key").read_bytes()
    for content in (key, b"", b"nothing of that kind"):
        (tmp_path / "tls.key").write_bytes(content)
        certificate.look()
        certificate.look()
        assert certificate.context is old
    assert len(caplog.messages) == 3  # each is told once
    (tmp_path / "tls.key").write_bytes(new_key)
    certificate.look()
    assert certificate.context is not old


def test_files_that_are_gone_for_a_moment_end_nothing(certificate: Certificate, tmp_path: Path) -> None:
    old = certificate.context
    (tmp_path / "tls.pem").unlink()
    certificate.look()
    assert certificate.context is old
    issue(tmp_path, "second")
    certificate.look()
    assert certificate.context is not old


def test_a_key_with_a_password_is_told_and_no_terminal_is_asked(tmp_path: Path) -> None:
    issue(tmp_path, "first")
    locked = ["ec", "-in", str(tmp_path / "tls.key"), "-aes128", "-passout", "pass:secret"]
    subprocess.run(
        ["openssl", *locked, "-out", str(tmp_path / "locked.key")], capture_output=True, check=True
    )
    with pytest.raises(ConfigError, match=r"locked\.key") as caught:
        Certificate(tmp_path / "tls.pem", tmp_path / "locked.key")
    assert "without a password" in caught.value.hint
