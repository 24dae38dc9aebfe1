from __future__ import annotations

import fcntl
import os
import resource
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from libacli.private_files import (
    check_replaceable,
    locked,
    new_private_file,
    private_file,
    private_folder,
    replace_file,
    write_kept,
    write_private,
)


@pytest.fixture(params=[0o000, 0o002, 0o022, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_folder_and_those_above_that_were_missing_are_this_users_alone(tmp_path: Path, umask: int) -> None:
    folder = tmp_path / "one" / "two" / "three"
    assert private_folder(folder) == folder
    assert {mode(one) for one in (folder, folder.parent, folder.parent.parent)} == {0o700}


def test_folders_of_liba_that_others_could_enter_are_closed_and_others_left_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "state" / "liba" / "conversations").mkdir(parents=True)
    for folder in ("state", "state/liba", "state/liba/conversations"):
        (tmp_path / folder).chmod(0o777)
    private_folder(tmp_path / "state" / "liba" / "conversations")
    assert mode(tmp_path / "state") == 0o777
    assert {mode(tmp_path / "state/liba"), mode(tmp_path / "state/liba/conversations")} == {0o700}


AS_SOMEBODY_ELSE = """
import os, sys
from pathlib import Path
from libacli.private_files import private_folder
os.environ["HOME"] = sys.argv[1]
os.setuid(65534)
try:
    private_folder(Path(sys.argv[1], sys.argv[2]))
except PermissionError as error:
    sys.exit(f"refused: {error.strerror}")
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
@pytest.mark.parametrize(("name", "is_refused"), [("theirs", True), ("mine", False), ("link", True)])
def test_a_folder_of_another_user_is_refused_and_so_is_his_link(name: str, is_refused: bool) -> None:
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        for folder in ("theirs", "mine"):
            Path(place, folder).mkdir()
            Path(place, folder).chmod(0o777)
        os.chown(Path(place, "mine"), 65534, 65534)
        Path(place, "link").symlink_to(Path(place, "mine"))
        ended = subprocess.run(
            [sys.executable, "-c", AS_SOMEBODY_ELSE, place, name], capture_output=True, text=True
        )
    assert ("belongs to another user" in ended.stderr) == is_refused, ended.stderr
    assert (ended.returncode != 0) == is_refused


@pytest.mark.parametrize("create", [new_private_file, private_file])
def test_a_file_is_this_users_alone(tmp_path: Path, umask: int, create: object) -> None:
    os.close(create(tmp_path / "file"))  # type: ignore[operator]
    assert mode(tmp_path / "file") == 0o600


def test_a_file_that_was_open_to_others_is_closed_and_emptied(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o666)
    os.close(private_file(path))
    assert (mode(path), path.read_text()) == (0o600, "")


@pytest.mark.parametrize("is_there", [False, True])
@pytest.mark.parametrize("create", [new_private_file, private_file, replace_file])
def test_no_file_is_made_through_a_link(tmp_path: Path, create: object, is_there: bool) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    if is_there:
        target.write_text("precious")
    link.symlink_to(target)
    with pytest.raises(OSError, match=r"link|exists|levels"):
        create(link)  # type: ignore[operator]
    assert link.is_symlink()
    assert target.exists() == is_there
    assert not is_there or target.read_text() == "precious"


def test_a_file_of_the_user_is_replaced_and_not_written_to(tmp_path: Path) -> None:
    path, other = tmp_path / "out.wav", tmp_path / "other"
    path.write_text("old")
    os.link(path, other)
    os.write(descriptor := replace_file(path), b"new")
    os.close(descriptor)
    assert (path.read_text(), other.read_text()) == ("new", "old")


def test_what_a_user_keeps_is_as_the_umask_says_and_never_for_others_to_write(
    tmp_path: Path, umask: int
) -> None:
    os.close(replace_file(tmp_path / "out.wav"))
    assert mode(tmp_path / "out.wav") == 0o644 & ~umask


@pytest.mark.parametrize("kind", ["folder", "fifo"])
def test_what_is_no_file_is_not_replaced(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "out.wav"
    path.mkdir() if kind == "folder" else os.mkfifo(path)
    for attempt in (check_replaceable, replace_file):
        with pytest.raises(OSError, match="it is no file"):
            attempt(path)


def test_what_can_be_replaced_is_left_alone_by_the_question(tmp_path: Path) -> None:
    check_replaceable(tmp_path / "nothing")
    (tmp_path / "file").write_text("x")
    check_replaceable(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "x"


def test_a_lock_that_somebody_keeps_is_waited_for_so_long_and_no_longer(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with path.open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        began = time.monotonic()
        with pytest.raises(BlockingIOError, match="another process"), locked(path, timeout_s=0.1):
            pass
        assert 0.1 <= time.monotonic() - began < 5
    with locked(path, timeout_s=0.1):
        pass
    assert mode(path) == 0o600


def test_what_is_written_whole_is_for_nobody_else_and_leaves_no_part(tmp_path: Path) -> None:
    path = tmp_path / "counts.json"
    for text in ("longer than the next one", "{}"):
        write_private(path, text)
        assert (path.read_text(encoding="utf-8"), path.stat().st_mode & 0o777) == (text, 0o600)
    assert list(tmp_path.iterdir()) == [path]


def test_what_finds_no_room_is_kept_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "captions.vtt"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8, before[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            write_kept(path, "more than eight bytes")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []
    write_kept(path, "whole")
    assert path.read_text() == "whole"
