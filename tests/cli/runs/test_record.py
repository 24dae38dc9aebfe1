"""What `liba record` refuses before it joins a room."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Shell
from tests.privileges import held_to_file_modes


def test_a_file_that_is_there_is_not_overwritten(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    path.write_bytes(b"precious")
    ended = shell.run("record", str(path))
    assert ended.code == 2
    assert "--force" in ended.stderr
    assert path.read_bytes() == b"precious"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("out.wav",), "must end in .mp4"),
        (("out",), "must end in .mp4"),
        (("out.mp4", "--audio-only"), "must end in .wav"),
        (("folder.mp4",), "is a folder"),
        (("out.mp4", "--for", "0s"), "1s at least"),
        (("out.mp4", "--for", "soon"), "not a duration"),
        ((), "LIBA_RECORD_URL"),
    ],
)
def test_a_command_line_that_makes_no_sense_is_refused(
    shell: Shell, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    (tmp_path / "folder.mp4").mkdir()
    name, *rest = arguments or ("",)
    ended = shell.run("record", *([str(tmp_path / name)] if name else []), *rest)
    assert ended.code == 2
    assert words in ended.stderr
    assert [one.name for one in tmp_path.iterdir()] == ["folder.mp4"]


@pytest.mark.parametrize("arguments", [(), ("--force",)])
def test_a_link_is_not_recorded_through(shell: Shell, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    (tmp_path / "out.mp4").symlink_to(tmp_path / "precious")
    ended = shell.run("record", str(tmp_path / "out.mp4"), *arguments)
    assert ended.code == 3
    assert "it is a link" in ended.stderr
    assert not (tmp_path / "precious").exists()


def test_a_demo_does_not_begin_where_its_recording_would_be_a_link(bare_shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "liba-demo.wav").symlink_to(tmp_path / "precious")
    ended = bare_shell.spawn("demo", "--once")
    assert ended.code == 3
    assert ended.stderr == (
        "liba: cannot write liba-demo.wav: it is a link - choose another place: --record\n"
    )
    assert (tmp_path / "precious").read_text() == "precious"


def test_a_folder_that_is_not_there_is_told_before_joining(shell: Shell, tmp_path: Path) -> None:
    ended = shell.run("record", str(tmp_path / "nowhere" / "out.mp4"))
    assert ended.code == 3
    assert "No such file or directory" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_a_folder_that_cannot_be_written_is_told_before_joining(shell: Shell, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with held_to_file_modes():
        ended = shell.run("record", str(tmp_path / "out.mp4"))
    assert ended.code == 3
    assert "Permission denied" in ended.stderr


def test_a_room_that_is_no_name_is_refused(shell: Shell, tmp_path: Path) -> None:
    ended = shell.run("record", "--room", " ", str(tmp_path / "out.mp4"))
    assert ended.code == 2
    assert "room" in ended.stderr


def test_missing_credentials_are_told(shell: Shell, tmp_path: Path) -> None:
    ended = shell.run("record", str(tmp_path / "out.mp4"), env={"LIVEKIT_API_SECRET": ""})
    assert ended.code == 3
    assert "LIVEKIT_API_SECRET" in ended.stderr


@pytest.mark.parametrize(
    "place",
    ["http://host/canary-key", "rtmpe://host/canary-key", "rtmp:///canary-key", "https://h/canary.mp4"],
)
def test_an_address_that_is_no_stream_is_taken_for_no_file_and_its_key_is_not_told(
    shell: Shell, tmp_path: Path, place: str
) -> None:
    ended = shell.run("record", place)
    assert ended.code == 2
    assert "that is no address of a live stream" in ended.stderr
    assert "canary" not in ended.stderr


@pytest.mark.parametrize(
    ("url", "code", "words"),
    [
        ("rtmp:///app/canary-key", 2, "that is no address of a live stream"),
        ("rtmp://host:x/canary-key", 2, "that is no address of a live stream"),
        ("srt://host:9000?passphrase=canary-key", 3, "cannot send by srt"),
        ("http://host/canary-key", 2, "that is no address of a live stream"),
    ],
)
def test_a_stream_that_cannot_be_is_refused_at_once_and_its_key_is_not_told(
    shell: Shell, url: str, code: int, words: str
) -> None:
    shell.env["LIBA_RECORD_URL"] = url
    ended = shell.run("record")
    assert ended.code == code
    assert words in ended.stderr
    assert "canary" not in ended.stderr + ended.stdout
