"""What `liba up` runs on this machine, as its owner and every other command see it."""

from __future__ import annotations

import stat
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from libacli.errors import ConfigError, UsageError
from libacli.running_stack import Part, StackFile
from tests.test_config import CANARY, Sources

SERVER = {"livekit_url": "ws://127.0.0.1:7000", "livekit_api_key": "key", "livekit_api_secret": CANARY}
AVATAR = {"tavus_api_key": "local-key", "tavus_base_url": "http://127.0.0.1:7001", "tavus_face_id": "local"}
ALL = SERVER | AVATAR | {"say_room": "hall"}
PARTS = [Part("server", 12, "ws://127.0.0.1:7000", "/x/server.log", 1.5), Part("page", 13, "", "", 2.5)]


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    return Sources(tmp_path)


@pytest.fixture
def file(sources: Sources) -> StackFile:
    return sources.running


def test_what_its_owner_has_written_is_read_as_long_as_he_owns_it(file: StackFile) -> None:
    assert file.read() is None
    with file.owned():
        assert (file.is_owned(), file.read()) == (True, None)  # it is just starting
        file.write(ALL, PARTS)
        found = file.read()
        assert found
        assert (found.settings, list(found.parts)) == (ALL, PARTS)
    assert (file.is_owned(), file.read()) == (False, None)


def test_nobody_else_can_read_it(file: StackFile, sources: Sources) -> None:
    with file.owned():
        file.write(ALL, PARTS)
        written = [path for path in (sources.folder / "state").rglob("*") if path.is_file()]
        assert len(written) == 2
        assert {stat.S_IMODE(path.stat().st_mode) for path in written} == {0o600}


def test_a_second_owner_is_told_what_to_do(file: StackFile) -> None:
    with file.owned(), pytest.raises(UsageError, match="already") as caught, file.owned():
        pass
    assert caught.value.hint == "liba ps shows it, liba down ends it"


def test_what_a_killed_owner_has_left_behind_does_not_count(file: StackFile, sources: Sources) -> None:
    code = (
        "import os, sys, pathlib; from libacli.running_stack import StackFile\n"
        "file = StackFile(pathlib.Path(sys.argv[1]))\n"
        "with file.owned():\n"
        "    file.write({'livekit_url': 'ws://127.0.0.1:1'}, [])\n"
        "    assert file.read()\n"
        "    os._exit(9)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code, sources.folder / "state"])
    assert ended.returncode == 9
    assert (sources.folder / "state" / "running.json").exists()
    assert file.read() is None
    with file.owned():
        assert file.read() is None


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"pid": 1}', '{"pid": 1, "settings": {}, "parts": [{}]}']
)
def test_a_file_that_is_broken_is_as_none(file: StackFile, sources: Sources, content: str) -> None:
    with file.owned():
        path = sources.write("state/running.json", content)
        path.chmod(0o600)
        assert file.read() is None


def test_a_state_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    with pytest.raises(ConfigError, match="cannot use"), StackFile(tmp_path / "state" / "liba").owned():
        pass


def test_its_settings_count_where_no_other_server_is_set_up(file: StackFile, sources: Sources) -> None:
    with file.owned():
        file.write(ALL, PARTS)
        loaded = sources.load()
        assert loaded.settings.livekit().url == SERVER["livekit_url"]
        assert loaded.settings.tavus_base_url == AVATAR["tavus_base_url"]
        assert loaded.settings.say_room == "hall"
        assert "liba ps" in loaded.origins["livekit_url"]
    assert sources.load().settings.livekit_url == ""


@pytest.mark.parametrize("variable", ["LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET"])
def test_they_are_not_mixed_with_those_of_another_server(
    file: StackFile, sources: Sources, variable: str
) -> None:
    with file.owned():
        file.write(ALL, PARTS)
        settings = sources.load({variable: "wss://else.where"}).settings
        assert [settings.livekit_url, settings.livekit_api_key].count("") >= 1
        assert (settings.tavus_api_key, settings.say_room) == (None, "demo")


def test_an_avatar_that_is_set_up_elsewhere_stays_whole(file: StackFile, sources: Sources) -> None:
    with file.owned():
        file.write(ALL, PARTS)
        settings = sources.load({"TAVUS_API_KEY": "my-own"}).settings
        assert settings.livekit_url == SERVER["livekit_url"]
        assert (settings.tavus_base_url, settings.tavus_face_id) == ("https://tavusapi.com", "")


def test_one_that_uses_a_server_of_elsewhere_adds_nothing_and_hides_no_project_of_lk(
    file: StackFile, sources: Sources
) -> None:
    sources.projects_file.parent.mkdir()
    sources.projects_file.write_text(
        "default_project: work\nprojects:\n"
        "  - name: work\n    url: wss://work\n    api_key: k\n    api_secret: s\n"
    )
    with file.owned():
        file.write(AVATAR | {"say_room": "hall"}, PARTS)
        settings = sources.load().settings
    assert (settings.livekit_url, settings.say_room, settings.tavus_api_key) == ("wss://work", "demo", None)


def test_a_room_that_is_named_stays(file: StackFile, sources: Sources) -> None:
    with file.owned():
        file.write(ALL, PARTS)
        assert sources.load({"LIBA_SAY_ROOM": "mine"}).settings.say_room == "mine"


def test_it_goes_before_the_default_project_of_lk_and_not_before_a_named_one(
    file: StackFile, sources: Sources
) -> None:
    sources.projects_file.parent.mkdir()
    sources.projects_file.write_text(
        "default_project: work\nprojects:\n"
        "  - name: work\n    url: wss://work\n    api_key: k\n    api_secret: s\n"
    )
    assert sources.load().settings.livekit_url == "wss://work"
    with file.owned():
        file.write(ALL, PARTS)
        assert sources.load().settings.livekit_url == SERVER["livekit_url"]
        assert sources.load(project="work").settings.livekit_url == "wss://work"


@pytest.mark.parametrize("ends", ["started", "failed", "late"])
def test_who_needs_what_is_just_starting_waits_for_it_within_a_bound(file: StackFile, ends: str) -> None:
    looks = 0
    with ExitStack() as owner:
        owner.enter_context(file.owned())

        def sleep(seconds: float) -> None:
            nonlocal looks
            looks += 1
            if looks == 3 and ends == "started":
                file.write(ALL, PARTS)
            elif looks == 3 and ends == "failed":
                owner.close()

        assert file.wait_until_started(2.0, sleep=sleep) == (ends != "late")
    assert looks == (20 if ends == "late" else 3)
