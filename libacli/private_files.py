"""Files and folders of this user, whatever the umask is and whoever else can write nearby."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from platformdirs import user_cache_path, user_config_path, user_state_path

_POLL_S = 0.02


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


def private_file(path: Path) -> int:
    """A descriptor to write to: of a file that is empty, and that nobody else can read. Raises OSError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)  # no pipe is waited for
    os.fchmod(descriptor, 0o600)  # it may be there already
    return descriptor


def write_private(path: Path, text: str) -> None:
    """Has `text` in the file `path`, which nobody else can read, whole or not at all. Raises OSError.

    For who holds a lock: the new file lies beside the old one until it is whole.
    """
    part = path.with_suffix(".part")
    with os.fdopen(private_file(part), "w", encoding="utf-8") as file:
        file.write(text)
    part.replace(path)


def own_file(path: Path) -> int:
    """A descriptor to read from: of a file that is this user's, and that nobody else can read or write.

    No link is followed, and no pipe waited for. Raises PermissionError for what is no such file, OSError.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise PermissionError(errno.EPERM, "it is a link", str(path)) from error
        raise
    found = os.fstat(descriptor)
    is_own = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid()
    if not is_own or stat.S_IMODE(found.st_mode) & 0o077:
        os.close(descriptor)
        raise PermissionError(errno.EPERM, "it is not a file of this user's alone", str(path))
    return descriptor


def check_replaceable(path: Path) -> None:
    """Raises OSError for what `replace_file` would not replace: a link leads who knows where."""
    with_links = _or_none(path)
    if with_links and stat.S_ISLNK(with_links.st_mode):
        raise OSError(errno.ELOOP, "it is a link", str(path))
    if with_links and not stat.S_ISREG(with_links.st_mode):
        raise OSError(errno.EEXIST, "it is no file", str(path))


def replace_file(path: Path) -> int:
    """A descriptor of a new file at `path`, in the place of a file that is there; for what a user keeps.

    Others may read it if the umask lets them, and never write it. Raises OSError, also for a link.
    """
    check_replaceable(path)
    path.unlink(missing_ok=True)
    return new_private_file(path, mode=0o644)


@contextmanager
def kept_whole(path: Path, *, replaces: bool) -> Iterator[TextIO]:
    """A file that a user keeps, to write text to, in UTF-8: in the end it is whole, or there is none.

    It `replaces` one that is there, but no link. Raises OSError; FileExistsError where it must not.
    """
    descriptor = replace_file(path) if replaces else new_private_file(path, mode=0o644)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            yield file
    except BaseException:  # Ctrl-C, too: half of it is none
        path.unlink(missing_ok=True)
        raise


def write_kept(path: Path, text: str) -> None:
    """Has `text` in such a file, in the place of one that is there. Raises OSError, also for a link."""
    with kept_whole(path, replaces=True) as file:
        file.write(text)


@contextmanager
def locked(path: Path, *, timeout_s: float) -> Iterator[None]:
    """Holds the lock of the file `path` against all other processes. For a thread: it waits.

    Raises BlockingIOError when somebody holds it for longer than `timeout_s`, OSError.
    """
    deadline = time.monotonic() + timeout_s
    with os.fdopen(private_file(path), "wb") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise BlockingIOError(error.errno, "another process has locked it", str(path)) from error
            time.sleep(_POLL_S)
        yield


def _missing_or_ours(folders: Iterable[Path]) -> list[Path]:
    roots = [user_state_path("liba"), user_cache_path("liba"), user_config_path("liba")]
    return [
        folder
        for folder in folders
        if not folder.exists() or any(folder.is_relative_to(root) for root in roots)
    ]


def _make_private(folder: Path) -> None:
    me = os.geteuid()
    owners = {folder.lstat().st_uid, (found := folder.stat()).st_uid}  # of a link, and where it leads
    if me != 0 and owners - {me}:  # root may look after others' folders, as in a container
        raise PermissionError(errno.EPERM, "it belongs to another user", str(folder))
    if stat.S_IMODE(found.st_mode) & 0o077 and found.st_uid == me:
        folder.chmod(0o700)


def _or_none(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except FileNotFoundError:
        return None
