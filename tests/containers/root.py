"""Run as root in mount and PID namespaces of its own: makes a container's root, and becomes its command.

Standard library alone. Its argument is a file with what `Machine` writes down.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

_OF_THE_SYSTEM = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "etc")


def main() -> None:
    wanted = json.loads(Path(sys.argv[1]).read_text())
    root = Path(wanted["root"])
    _mount("-t", "tmpfs", "-o", "mode=0755", "tmpfs", str(root))
    for name in _OF_THE_SYSTEM:
        _show_of_the_system(root, name)
    _mount("--bind", wanted["hosts"], str(root / "etc/hosts"))
    (root / "proc").mkdir()
    _mount("-t", "proc", "proc", str(root / "proc"))
    (root / "dev").mkdir()
    _mount("--rbind", "/dev", str(root / "dev"))
    for inside, here in wanted["binds"].items():
        _show(Path(here), root / inside[1:])
    for inside, here in wanted["secrets"].items():
        _show_secret(Path(here), root / inside[1:], wanted["secret_mode"], wanted["gid"])
    for folder in wanted["folders"]:
        _offer(root, folder)
    _mount("-o", "remount,ro", str(root))
    os.execvp("chroot", ["chroot", str(root), *wanted["argv"]])


def _show_of_the_system(root: Path, name: str) -> None:
    here = Path("/") / name
    if here.is_symlink():
        (root / name).symlink_to(here.readlink())
    elif here.is_dir():
        _show(here, root / name)


def _show(here: Path, there: Path) -> None:
    if here.is_dir():
        there.mkdir(parents=True, exist_ok=True)
    elif not there.exists():
        there.parent.mkdir(parents=True, exist_ok=True)
        there.touch()
    _mount("--bind", str(here), str(there))
    _mount("-o", "remount,bind,ro", str(there))


def _show_secret(here: Path, there: Path, mode: int, gid: int) -> None:
    """As Kubernetes does it: the name is a link into a folder beside it."""
    data = there.parent / "..data"
    data.mkdir(parents=True, exist_ok=True)
    copy = data / there.name
    copy.write_bytes(here.read_bytes())
    copy.chmod(mode)
    os.chown(copy, 0, gid)
    there.symlink_to(Path("..data") / there.name)


def _offer(root: Path, folder: dict[str, Any]) -> None:
    there = root / folder["path"][1:]
    there.mkdir(parents=True, exist_ok=True)
    owner = f"mode={folder['mode']:o},uid={folder['uid']},gid={folder['gid']}"
    _mount("-t", "tmpfs", "-o", owner, "tmpfs", str(there))


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


main()
