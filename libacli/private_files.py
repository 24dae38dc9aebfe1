"""Files and folders of this user alone, whatever the umask is and whoever else can write nearby."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from platformdirs import user_cache_path, user_config_path, user_state_path


def private_folder(path: Path) -> Path:
    """Makes `path` a folder that only this user can enter (0700), and returns it.

    So becomes every folder above it that is missing, or that is liba's own. Raises OSError, and
    PermissionError for one that belongs to another user.
    """
    for folder in reversed([path, *_missing_or_ours(path.parents)]):
        folder.mkdir(mode=0o700, exist_ok=True)
        _make_private(folder)
    return path


def new_private_file(path: Path, *, mode: int = 0o600) -> int:
    """Creates `path` and returns a descriptor to write to; never one that is there, nor through a link.

    The umask may take from `mode`. Raises FileExistsError, OSError.
    """
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)


def _missing_or_ours(folders: Iterable[Path]) -> list[Path]:
    roots = [user_state_path("liba"), user_cache_path("liba"), user_config_path("liba")]
    return [
        folder
        for folder in folders
        if not folder.exists() or any(folder.is_relative_to(root) for root in roots)
    ]


def _make_private(folder: Path) -> None:
    found = folder.stat()
    if os.geteuid() not in (0, found.st_uid):  # root may look after others' folders, as in a container
        raise PermissionError(errno.EPERM, "it belongs to another user", str(folder))
    if stat.S_IMODE(found.st_mode) & 0o077 and found.st_uid == os.geteuid():
        folder.chmod(0o700)
