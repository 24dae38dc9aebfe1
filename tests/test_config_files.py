"""Whose a file of settings may be, and which are read only once the user has said so."""

from __future__ import annotations

import os
import pwd
import stat
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.errors import ConfigError
from libacli.trusted_files import TrustedFiles
from tests.test_config import CANARY, Sources

NOBODY = 65534
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    return Sources(tmp_path)


def rooms(sources: Sources, name: str) -> Path:
    """A file that sets what is harmless, to be refused all the same."""
    return sources.write(name, "LIBA_SAY_ROOM=hall" if name == ".env" else '[say]\nroom = "hall"')


def file_of(sources: Sources, name: str) -> Path:
    if name == "user":
        sources.user_file.write_text('[say]\nroom = "hall"')
        return sources.user_file
    return rooms(sources, name)


NAMES = pytest.mark.parametrize("name", ["liba.toml", ".env", "user"])


@NAMES
@pytest.mark.parametrize("mode", [0o602, 0o666, 0o646, 0o777])
def test_a_file_that_others_may_write_to_is_refused_by_name(sources: Sources, name: str, mode: int) -> None:
    file = file_of(sources, name)
    file.chmod(mode)
    with pytest.raises(ConfigError, match=f"others may write to {file}, so it is not read") as caught:
        sources.load()
    assert caught.value.hint == f"read it, then: chmod go-w {file}"


@NAMES
@pytest.mark.parametrize("mode", [0o400, 0o600, 0o640, 0o644, 0o444])
def test_a_file_that_others_may_only_read_is_read(sources: Sources, name: str, mode: int) -> None:
    file_of(sources, name).chmod(mode)
    assert sources.load().settings.say_room == "hall"


@NAMES
def test_the_mark_that_editors_on_windows_put_at_the_beginning_is_no_part_of_it(
    sources: Sources, name: str
) -> None:
    file = file_of(sources, name)
    file.write_text(file.read_text().replace("\n", "\r\n"), encoding="utf-8-sig", newline="")
    assert sources.load().settings.say_room == "hall"


@ROOT_ONLY
@NAMES
def test_a_file_of_another_user_is_refused_by_name_trusted_or_not(sources: Sources, name: str) -> None:
    file = file_of(sources, name)
    sources.trusted.add(file, file.read_bytes())
    os.chown(file, NOBODY, NOBODY)
    with pytest.raises(ConfigError, match=f"{file} is a file that belongs to nobody, so it is not read"):
        sources.load()


@ROOT_ONLY
@NAMES
def test_a_link_of_another_user_is_refused_wherever_it_points_to(sources: Sources, name: str) -> None:
    file = file_of(sources, name)
    target = file.rename(file.with_name("mine"))
    file.symlink_to(target)
    assert sources.load().settings.say_room == "hall"
    os.chown(file, NOBODY, NOBODY, follow_symlinks=False)
    with pytest.raises(ConfigError, match=f"{file} is a link that belongs to nobody"):
        sources.load()


@ROOT_ONLY
@NAMES
def test_a_link_of_the_user_to_a_file_of_another_is_refused(sources: Sources, name: str) -> None:
    file = file_of(sources, name)
    target = file.rename(file.with_name("theirs"))
    os.chown(target, NOBODY, NOBODY)
    file.symlink_to(target)
    with pytest.raises(ConfigError, match=f"{file} is a file that belongs to nobody"):
        sources.load()


@ROOT_ONLY
def test_a_group_with_others_in_it_may_not_write_and_the_users_own_may(sources: Sources) -> None:
    file = rooms(sources, "liba.toml")
    file.chmod(0o664)
    shared = next(user.pw_gid for user in pwd.getpwall() if user.pw_uid and user.pw_gid)
    os.chown(file, -1, shared)
    with pytest.raises(ConfigError, match="others may write"):
        sources.load()
    os.chown(file, -1, 2**31 - 5)  # of a group that nobody knows
    with pytest.raises(ConfigError, match="others may write"):
        sources.load()
    os.chown(file, -1, 0)
    assert sources.load().settings.say_room == "hall"


@ROOT_ONLY
def test_whoever_names_a_file_answers_for_its_owner_and_not_for_all_the_world(sources: Sources) -> None:
    named = sources.write("named.toml", '[server]\nbinary = "/opt/server"')
    os.chown(named, NOBODY, NOBODY)
    named.chmod(0o664)
    assert sources.load(config_file=named).settings.server_binary == Path("/opt/server")
    named.chmod(0o666)
    with pytest.raises(ConfigError, match=f"others may write to {named}"):
        sources.load(config_file=named)


def test_a_pipe_and_the_null_device_can_be_named(sources: Sources) -> None:
    assert sources.load(config_file=Path("/dev/null")).settings.say_room == "demo"
    reading, writing = os.pipe()
    os.write(writing, b'[say]\nroom = "piped"')
    os.close(writing)
    assert sources.load(config_file=Path(f"/dev/fd/{reading}")).settings.say_room == "piped"
    os.close(reading)


@pytest.mark.parametrize("name", ["liba.toml", ".env"])
def test_what_is_no_file_is_passed_over(sources: Sources, name: str) -> None:
    file = sources.folder / name
    os.mkfifo(file)
    assert sources.load().settings.say_room == "demo"
    file.unlink()
    file.symlink_to("/dev/zero")
    assert sources.load().settings.say_room == "demo"
    file.unlink()
    file.symlink_to("nowhere")
    assert sources.load().settings.say_room == "demo"


@pytest.mark.parametrize("name", ["liba.toml", ".env"])
def test_a_file_without_end_is_not_read_to_its_end(sources: Sources, name: str) -> None:
    with (sources.folder / name).open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ConfigError, match=r"cannot read .*: it has more than 1 MB"):
        sources.load()


def test_toml_that_is_too_deep_is_no_toml(sources: Sources) -> None:
    sources.write("liba.toml", "a = " + "[" * 100_000)
    with pytest.raises(ConfigError, match=r"liba\.toml is not valid TOML"):
        sources.load()


def test_a_file_is_trusted_by_its_place_and_its_content(tmp_path: Path) -> None:
    trusted, file = TrustedFiles(tmp_path / "state" / "trusted.json"), tmp_path / "liba.toml"
    assert (file, b"a") not in trusted
    trusted.add(file, b"a")
    trusted.add(tmp_path / ".env", b"b")
    assert (file, b"a") in trusted and (tmp_path / ".env", b"b") in trusted
    assert (file, b"b") not in trusted and (tmp_path / "other" / "liba.toml", b"a") not in trusted
    (tmp_path / "link").symlink_to(tmp_path)
    assert (tmp_path / "link" / "liba.toml", b"a") in trusted
    assert trusted.remove(file) and not trusted.remove(file)
    assert (file, b"a") not in trusted and (tmp_path / ".env", b"b") in trusted


def test_a_place_may_have_any_name(tmp_path: Path) -> None:
    trusted, file = TrustedFiles(tmp_path / "trusted.json"), tmp_path / os.fsdecode(b'\xff\n"') / "liba.toml"
    file.parent.mkdir()
    trusted.add(file, b"a")
    assert (file, b"a") in trusted


def test_the_note_is_the_users_alone_and_refused_where_it_is_not(tmp_path: Path) -> None:
    path = tmp_path / "state" / "trusted.json"
    trusted, file = TrustedFiles(path), tmp_path / "liba.toml"
    before = os.umask(0)
    try:
        trusted.add(file, b"a")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [entry.name for entry in path.parent.iterdir()] == ["trusted.json"]
    path.chmod(0o606)
    with pytest.raises(ConfigError, match=f"others may write to {path}"):
        (file, b"a") in trusted  # noqa: B015


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff", b"null"])
def test_a_note_that_is_spoilt_trusts_nothing(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "trusted.json"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="is not as liba writes it") as caught:
        (tmp_path / "liba.toml", b"a") in TrustedFiles(path)  # noqa: B015
    assert "remove it" in caught.value.hint


def test_a_note_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where a folder should be")
    with pytest.raises(ConfigError, match="cannot write"):
        TrustedFiles(tmp_path / "state" / "trusted.json").add(tmp_path / "liba.toml", b"a")


WORDS = (
    *"[]{}=\"'#,.\n ",
    *("0x", "f" * 4000, "9" * 5000, "\\u0000", "1e999", "nan", "1979-05-27", "\x00", "\ud800", "'''"),
    *("[say]", "room", "ttl", "[openai]", "base_url", "[serve]", "keys"),
    *("LIBA_SAY_ROOM=", "LIBA_SAY_TTL=", "${HOME}", "export "),
)


@pytest.mark.parametrize("name", ["liba.toml", ".env"])
@given(content=st.lists(st.sampled_from(WORDS)).map("".join) | st.text())
def test_whatever_is_in_a_file_it_is_read_or_told(
    name: str, content: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    sources = Sources(tmp_path_factory.mktemp("folder"))
    sources.write(name, content.encode(errors="surrogatepass"))
    with suppress(ConfigError):
        sources.load({"OPENAI_API_KEY": CANARY})


HUGE = "0x" + "f" * 4000
NUMBERS = (HUGE, "9" * 5000, "0x" + "f" * 16, "-1e999", "nan", f"[{HUGE}]", f"{{a = {HUGE}}}")


@pytest.mark.parametrize("setting", ["say.ttl", "say.max_chars_per_hour", "say.room", "serve.keys"])
@pytest.mark.parametrize("number", NUMBERS, ids=range(len(NUMBERS)))
@pytest.mark.parametrize("environment", [{}, {"OPENAI_API_KEY": CANARY}], ids=["own", "user"])
def test_a_number_beyond_all_bounds_is_told(
    sources: Sources, setting: str, number: str, environment: dict[str, str]
) -> None:
    sources.write("liba.toml", f"{setting} = {number}")
    with pytest.raises(ConfigError):
        sources.load(environment).check_nothing_is_left_out()
