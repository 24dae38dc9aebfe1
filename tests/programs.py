"""Programs that tests need and no Python package brings: found on PATH, or installed by the system's own."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence

import pytest
from platformdirs import user_cache_path

from libacli.private_files import locked, private_folder

_INSTALL: Mapping[str, Sequence[Sequence[str]]] = {
    "apt-get": (("apt-get", "update", "-qq"), ("apt-get", "install", "-y", "-qq", "--no-install-recommends")),
    "dnf": (("dnf", "install", "-y", "-q"),),
    "apk": (("apk", "add", "-q"),),
    "pacman": (("pacman", "-Sy", "--noconfirm", "--needed"),),
    "brew": (("brew", "install", "-q"),),
}
"""How each package manager does it, without a question; the last one gets the packages."""

_PACKAGES: Mapping[str, Mapping[str, str]] = {
    "chromium": {"apt-get": "chromium fonts-dejavu-core", "brew": "--cask chromium"},
    "ip": {"apt-get": "iproute2", "dnf": "iproute", "apk": "iproute2", "pacman": "iproute2"},
    "nsenter": {"apk": "util-linux-misc", "": "util-linux"},
    "fish": {},
    "openssl": {},
    "setpriv": {"apk": "setpriv", "": "util-linux"},
    "systemd-analyze": {"": "systemd"},
    "systemd-sysusers": {"": "systemd"},
    "zsh": {},
    "unshare": {"apk": "util-linux-misc", "": "util-linux"},
}
"""Program → its packages, where they are named otherwise; "" is every other manager."""

_TIMEOUT_S = 270.0
"""For what is installed first; a test has 300 s."""


def program(name: str, *others: str) -> str:
    """Where `name` is, or one of the `others`, which do the same. With none, fails the test in one line.

    Where this user may, which is as root or by a sudo that asks for nothing, it is installed.
    """
    if found := _found(name, *others):
        return found
    with locked(private_folder(user_cache_path("liba")) / "programs.lock", timeout_s=_TIMEOUT_S):
        why_not = "" if _found(name, *others) else install(name)
    return _found(name, *others) or pytest.fail(f"no {name} on PATH: install it; {why_not}", pytrace=False)


def install(name: str) -> str:
    """Has the system's package manager bring `name`; empty, or why it did not."""
    manager = next(filter(shutil.which, _INSTALL), None)
    if manager is None:
        return f"this system has none of {', '.join(_INSTALL)}"
    by = _as_root() if manager != "brew" else []
    if by is None:
        return f"{manager} takes root, or sudo without a password"
    names = _PACKAGES[name]
    *before, last = _INSTALL[manager]
    for command in (*before, [*last, *names.get(manager, names.get("", name)).split()]):
        ended = subprocess.run(
            [*by, *command],
            env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
        )
        if ended.returncode:
            last_words = (ended.stderr or ended.stdout).strip().splitlines() or ["it does not say why"]
            return f"{' '.join(command)}: {last_words[-1]}"
    return ""


def _found(*names: str) -> str | None:
    return next(filter(None, map(shutil.which, names)), None)


def _as_root() -> list[str] | None:
    """What stands before a command that takes root; None where this user cannot."""
    if os.geteuid() == 0:
        return []
    sudo = shutil.which("sudo")
    if sudo and subprocess.run([sudo, "-n", "true"], capture_output=True).returncode == 0:
        return [sudo, "-n"]
    return None


async def _browser() -> None:
    from tests.browser import chromium  # which knows this module

    async with chromium():
        pass


if __name__ == "__main__":  # brings all of them, where no test's time limit runs
    for wanted in _PACKAGES.keys() - {"chromium"}:
        program(wanted)
    asyncio.run(_browser())
